"""Learning by hand: train through the queue and let the gate judge, or walk a model forward."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import opening, render
from api.verbs.common import DryRun, Json
from domain.errors import Refused

if TYPE_CHECKING:
    from domain.version import Version
    from orchestrator.desk import Desk

HOUR = 3600.0
COLUMNS = (
    "model",
    "version",
    "ruling",
    ">rows",
    ">Brier~",
    ">base rate",
    ">logistic",
    ">AUC",
    ">skill~",
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Models of the catalog.", show_default=False)
]


def train(
    ctx: typer.Context,
    models: Names = None,
    every: Annotated[bool, typer.Option("--all", help="Every model of the catalog.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train challengers on all that is known by now; the gate says what becomes of them."""
    names = _names(models, every)
    with opening.desk(opening.settings(ctx)) as desk:
        render.note(opening.playing(desk))
        done = _tried(desk, names) if dry_run else _trained(desk, names)
    if json:
        render.emit({"trained": done, "dry_run": dry_run})
        return
    from domain.version import Version

    versions = {row["model"]: Version.model_validate(row["version"]) for row in done}
    rows = [_line(versions[row["model"]], row["ruling"]) for row in done]
    reasons = {row["model"]: row["reason"] for row in done}
    title = "Judged on the last fifth of history, which the judged fit had not seen"
    shown = render.table(title, COLUMNS, rows)
    render.show(render.spaced(shown, render.pairs(reasons)))
    if dry_run:
        render.note("dry run: nothing was stored")


def _names(models: list[str] | None, every: bool) -> list[str]:
    from models.catalog import CATALOG, entry

    if bool(models) is every:
        raise Refused(f"say which models, or --all; there are {', '.join(CATALOG)}")
    for name in models or ():
        entry(name)
    return list(dict.fromkeys(models)) if models else list(CATALOG)


def _trained(desk: "Desk", names: list[str]) -> list[dict[str, Any]]:
    """Train on the training queue: of the fleet that is up, or of a worker in this process."""
    from storage import registry
    from workers import embedded

    done = []
    who = opening.login()
    with embedded.client(desk.settings, "training") as app, render.progress("training") as told:
        for place, name in enumerate(names):
            told(place / len(names), name)
            sent = app.send_task("learning.train", kwargs={"model": name, "who": who})
            judged = sent.get(timeout=HOUR, interval=0.05, disable_sync_subtasks=False)
            version = registry.ledger(desk.store, name)[-1].version
            done.append(_row(registry.get(desk.store, name, version), judged))
        told(1.0, "")
    return done


def _tried(desk: "Desk", names: list[str]) -> list[dict[str, Any]]:
    """Train and judge here, and keep nothing."""
    from learning import promotion, trainer
    from storage import registry

    done, panel, settings = [], desk.feed.panel(), desk.settings
    with render.progress("training") as told:
        for place, name in enumerate(names):
            told(place / len(names), name)
            new = trainer.train(name, panel, desk.clock.now(), settings.seed, settings.costs)
            champion = registry.champion(desk.store, name)
            past = registry.tried(desk.store, name)
            judged = promotion.judge(new.version, champion, past)
            done.append(_row(new.version, judged.model_dump(mode="json")))
        told(1.0, "")
    return done


def _row(version: "Version", judged: dict[str, Any]) -> dict[str, Any]:
    return {"model": version.model} | judged | {"version": version.model_dump(mode="json")}


def _line(version: "Version", ruling: str) -> tuple[str, ...]:
    m = version.measures
    return (
        version.model,
        version.version,
        ruling.lower(),
        f"{version.n:,}",
        render.short(m.get("brier"), 4),
        render.number(m["brier_base"].value) if "brier_base" in m else render.NONE,
        render.number(m["brier_logistic"].value) if "brier_logistic" in m else render.NONE,
        render.number(m["auc"].value, 3) if "auc" in m else render.NONE,
        render.short(m.get("skill"), 3),
    )


def validate(
    ctx: typer.Context,
    models: Names = None,
    distance: Annotated[
        float | None, typer.Option(help="Score only this strike distance, in expected moves.")
    ] = None,
    sessions: Annotated[
        int | None, typer.Option(min=250, help="Learn from the newest so many sessions only.")
    ] = None,
    json: Json = False,
) -> None:
    """Walk models forward, year by year, on rows no fit had seen, beside what they must beat."""
    from learning.validation import validate as walk
    from models.catalog import CATALOG

    chosen = opening.settings(ctx)
    names = _names(models, every=not models)
    if distance is not None and not models:
        names = [name for name in CATALOG if distance in CATALOG[name].target.distances]
    feed = opening.feed(chosen)
    panel = feed.panel()
    from orchestrator.sight import moment

    asof = moment(panel, -1)
    found = []
    with render.progress("walking forward") as told:
        for place, name in enumerate(names):
            told(place / len(names), name)
            found.append(walk(name, panel, asof, chosen.seed, chosen.costs, distance, sessions))
        told(1.0, "")
    if json:
        render.emit({"asof": asof, "models": {one.model: one for one in found}})
        return
    columns = (
        "",
        ">learned from",
        ">sessions",
        ">Brier~",
        ">base rate",
        ">logistic",
        ">AUC~",
        ">skill over base rate~",
    )
    for one in found:
        rows = [_year(year) for year in (*one.years, *((one.total,) if one.total else ()))]
        parts = [render.table(one.model, columns, rows)] if rows else []
        render.show(render.spaced(*parts, one.sentence + "."))


def _year(row: Any) -> tuple[str, ...]:
    m = row.measures

    def value(name: str, digits: int = 4) -> str:
        return render.number(m[name].value, digits) if name in m else render.NONE

    return (
        row.label,
        f"{row.trained_on:,}",
        value("sessions", 0),
        render.short(m.get("brier"), 4),
        value("brier_base"),
        value("brier_logistic"),
        render.short(m.get("auc"), 3),
        render.short(m.get("skill"), 3),
    )
