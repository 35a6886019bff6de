"""Learning by hand: train through the queue and let the gate judge, or walk a model forward."""

from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from api import opening, render
from api.verbs.common import DryRun, Json
from domain.errors import OmegaError, Refused, TimedOut, Unavailable

if TYPE_CHECKING:
    from domain.version import Version
    from orchestrator.desk import Desk

HOUR = 3600.0
POLL = 0.1
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
    """Train challengers on all that is known by now; the gate says what becomes of them.

    A model whose data is not in the feed is unavailable. With --all that is said and is no failure;
    of a model that was named, it is.
    """
    names = _names(models, every)
    with opening.desk(opening.settings(ctx)) as desk:
        render.note(opening.playing(desk))
        done, failed, lacking = (_tried if dry_run else _trained)(desk, names)
    wrong = [f"{name} was not trained: {why}" for name, why in failed.items()]
    wrong += [] if every else lacking.values()
    if json:
        told = {"trained": done, "failed": failed, "unavailable": lacking}
        render.emit(told | {"dry_run": dry_run})
        if wrong:
            raise typer.Exit(1)
        return
    from domain.version import Version

    versions = {row["model"]: Version.model_validate(row["version"]) for row in done}
    rows = [_line(versions[row["model"]], row["ruling"]) for row in done]
    reasons = {row["model"]: row["reason"] for row in done}
    title = "Judged on the last fifth of history, which the judged fit had not seen"
    shown = render.table(title, COLUMNS, rows)
    if done:
        render.show(render.spaced(shown, render.pairs(reasons)))
    if dry_run:
        render.note("dry run: nothing was stored")
    for why in lacking.values() if every else ():
        render.note(why)
    if wrong:
        raise OmegaError("; ".join(wrong))


def _names(models: list[str] | None, every: bool) -> list[str]:
    from models.catalog import CATALOG, entry

    if bool(models) is every:
        raise Refused(f"say which models, or --all; there are {', '.join(CATALOG)}")
    for name in models or ():
        entry(name)
    return list(dict.fromkeys(models)) if models else list(CATALOG)


class Came(NamedTuple):
    """What trainings came to."""

    done: list[dict[str, Any]]
    """What the gate said."""
    failed: dict[str, str]
    """Which models could not be trained, and why."""
    lacking: dict[str, str]
    """Which are unavailable, and what to import."""


def _trained(desk: "Desk", names: list[str]) -> Came:
    """Train on the training queue: of the fleet that is up, or of a worker in this process.

    All are published at once, so as many are trained side by side as the queue has processes. A
    model that somebody else is training is waited for.
    """
    from orchestrator.desk import TRAIN
    from storage import jobs, registry
    from storage.jobs import Stands
    from workers import embedded

    who, came = opening.login(), Came([], {}, {})
    with embedded.client(desk.settings, "training") as app, render.progress("training") as told:
        for name in names:
            asked = {"model": name, "who": who}
            if jobs.accept(desk.store, jobs.training(name), asked, desk.wall.now()):
                app.send_task(TRAIN, kwargs=asked, ignore_result=True)
        left, until, tick = list(names), monotonic() + HOUR, Event()
        while left:
            for name in list(left):
                job = jobs.get(desk.store, jobs.training(name))
                if job is None or job.stands in (Stands.WAITING, Stands.RUNNING):
                    continue
                left.remove(name)
                told(1 - len(left) / len(names), name)
                if job.stands is not Stands.DONE:
                    (came.failed if job.stands is Stands.FAILED else came.lacking)[name] = job.why
                    continue
                ruled = registry.ledger(desk.store, name)[-1]
                judged = ruled.model_dump(mode="json", include={"ruling", "reason"})
                came.done.append(_row(registry.get(desk.store, name, ruled.version), judged))
            if left and monotonic() > until:
                raise TimedOut(f"not trained within {HOUR:g} s: {', '.join(left)}; `omega queues`")
            tick.wait(POLL)
    came.done.sort(key=lambda row: names.index(row["model"]))
    return came


def _tried(desk: "Desk", names: list[str]) -> Came:
    """Train and judge here, and keep nothing."""
    from learning import promotion, trainer
    from models.availability import bars
    from storage import registry

    came, settings, now = Came([], {}, {}), desk.settings, desk.clock.now()
    with render.progress("training") as told:
        for place, name in enumerate(names):
            told(place / len(names), name)
            try:
                panel = bars(name, desk.feed)
                new = trainer.train(name, panel, now, settings.seed, settings.costs)
            except Unavailable as lacking:
                came.lacking[name] = str(lacking)
                continue
            champion = registry.champion(desk.store, name)
            past = registry.tried(desk.store, name)
            judged = promotion.judge(new.version, champion, past)
            came.done.append(_row(new.version, judged.model_dump(mode="json")))
        told(1.0, "")
    return came


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
    from models.availability import bars
    from models.catalog import CATALOG

    chosen = opening.settings(ctx)
    names = _names(models, every=not models)
    if distance is not None and not models:
        names = [name for name in CATALOG if distance in CATALOG[name].target.distances]
    feed = opening.feed(chosen)
    from orchestrator.sight import moment

    asof = moment(feed.panel(), -1)
    found = []
    with render.progress("walking forward") as told:
        for place, name in enumerate(names):
            told(place / len(names), name)
            panel = bars(name, feed)
            found.append(walk(name, panel, asof, chosen.seed, chosen.costs, distance, sessions))
        told(1.0, "")
    if json:
        render.emit({"asof": asof, "models": {one.model: one for one in found}})
        return
    columns = (
        ">learned from",
        ">Brier~",
        ">base rate",
        ">logistic",
        ">AUC~",
        ">skill over base rate~",
    )
    for one in found:
        rows = [_year(year) for year in (*one.years, *((one.total,) if one.total else ()))]
        unit = CATALOG[one.model].target.unit
        parts = [render.table(one.model, ("", columns[0], f">{unit}s", *columns[1:]), rows)] * bool(
            rows
        )
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
