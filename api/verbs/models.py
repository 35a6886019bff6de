"""The registry by hand: what there is, which one answers, and moving the champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import opening, render
from api.verbs.common import DryRun, Json, Who, Why
from domain.errors import (
    DataError,
    IntegrityError,
    ModelError,
    Refused,
    SettingsError,
    Transient,
)

if TYPE_CHECKING:
    from domain.version import Version
    from learning.standing import Standing
    from storage.engine import Store

app = typer.Typer(
    help="Versions of models: see, compare, promote, roll back, verify.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="A model of the catalog.")]
INTEGRITY = 6


@app.command("list")
def listing(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="One model, with all of its versions.")
    ] = None,
    json: Json = False,
) -> None:
    """List every learner and how it stands, or all versions of one.

    The feed is opened only where a model was never trained and may lack what it is about.
    """
    from learning.standing import standings
    from models.catalog import CATALOG

    if model is not None:
        _versions(ctx, model, json)
        return
    with opening.store(ctx) as store:
        lacking = _Lacking(ctx)
        found = standings(store, lacking)
    if json:
        answering = {
            name: {
                "title": CATALOG[name].title,
                "target": CATALOG[name].target.name,
                **one.model_dump(mode="json", exclude={"model"}),
            }
            for name, one in found.items()
        }
        render.emit({"models": answering, "feed": lacking.problem or None})
        return
    rows = [_standing(one) for one in found.values()]
    columns = (
        *("model", "state", ">versions", "champion", "trained"),
        *(">Brier~", ">base rate", ">skill~"),
    )
    silent = {name: one.reason for name, one in found.items() if one.champion is None}
    parts = [render.pairs(silent, "Nobody answers for")] if silent else []
    render.show(render.spaced(render.table("", columns, rows), *parts))
    if lacking.problem:
        render.note(f"whether their data is there is unknown: {lacking.problem}")


class _Lacking:
    """What models lack in the feed, as `omega train` would find it; the feed may be away."""

    def __init__(self, ctx: typer.Context) -> None:
        self.ctx, self.problem = ctx, ""

    def __call__(self, names: "Sequence[str]") -> dict[str, str]:
        try:
            with opening.desk(opening.settings(self.ctx)) as desk:
                panel, now = desk.feed.panel(), desk.clock.now()
        except (DataError, IntegrityError, Refused, SettingsError, Transient) as error:
            self.problem = str(error)
            return {}
        from learning.trainer import unavailable

        return {name: why for name in names if (why := unavailable(name, panel, now))}


def _versions(ctx: typer.Context, model: str, json: bool) -> None:
    from models.catalog import entry
    from storage import registry

    title = entry(model).title
    with opening.store(ctx) as store:
        versions = registry.versions(store, model)
    if json:
        render.emit({"model": model, "versions": versions})
        return
    lines = [
        (v.version, v.stage, render.when(v.trained_at), f"{v.n:,}", *_measured(v)) for v in versions
    ]
    title = f"{title}: {len(versions)} versions, newest first"
    columns = ("version", "stage", "trained", ">rows", ">Brier~", ">base rate", ">skill~")
    render.show(render.spaced(render.table(title, columns, lines)))


def _standing(one: "Standing") -> tuple[str, ...]:
    champion = one.champion
    if champion is None:
        return (one.model, one.state, str(one.versions), *(render.NONE,) * 5)
    trained = f"{champion.trained_at:%Y-%m-%d}"
    said = (champion.version, trained, *_measured(champion))
    return (one.model, one.state, str(one.versions), *said)


def _measured(version: "Version") -> tuple[str, str, str]:
    m = version.measures
    base = render.number(m["brier_base"].value, 3) if "brier_base" in m else render.NONE
    return render.short(m.get("brier")), base, render.short(m.get("skill"))


@app.command()
def show(
    ctx: typer.Context,
    model: Name,
    version: Annotated[
        str | None, typer.Argument(help="A version; else the champion, else the newest.")
    ] = None,
    json: Json = False,
) -> None:
    """Show one version: what it learned from, what was measured of it, what was decided."""
    from models.catalog import entry
    from storage import registry

    title = entry(model).title
    with opening.store(ctx) as store:
        one = _chosen(store, model, version)
        past = [line for line in registry.ledger(store, model) if line.version == one.version]
    if json:
        render.emit({"version": one, "ledger": past})
        return
    facts = render.pairs(
        {
            "stage": one.stage,
            "learned from": f"{one.n:,} rows, {one.trained_from:%Y-%m-%d} to "
            f"{one.trained_to:%Y-%m-%d}",
            "trained": render.when(one.trained_at),
            "data": one.data_hash,
            "artifact": one.sha256,
            "features": ", ".join(one.features),
            "without": ", ".join(one.absent),
        },
        f"{title}  {one.version}",
    )
    rows = [(name, str(found)) for name, found in one.measures.items()]
    told = [(render.when(line.at), line.ruling.lower(), line.who, line.reason) for line in past]
    render.show(
        render.spaced(
            facts,
            render.table("", ("measure", ">held out, with its 95 % interval"), rows),
            render.table("", ("when", "ruling", "who", "why~"), told),
        )
    )


def _chosen(store: "Store", model: str, version: str | None) -> "Version":
    from storage import registry

    if version is not None:
        return registry.get(store, model, version)
    champion = registry.champion(store, model)
    if champion is not None:
        return champion
    every = registry.versions(store, model)
    if not every:
        raise ModelError(f"{model} has no version; train one with `omega train {model}`")
    return every[0]


@app.command()
def compare(
    ctx: typer.Context,
    model: Name,
    version: Annotated[
        str | None, typer.Argument(help="The challenger; else the newest that is not champion.")
    ] = None,
    against: Annotated[
        str | None, typer.Argument(help="What it is held against; else the champion.")
    ] = None,
    json: Json = False,
) -> None:
    """Hold a version against the champion, and say what the gate would."""
    from learning import promotion
    from models.catalog import entry
    from storage import registry

    title = entry(model).title
    with opening.store(ctx) as store:
        every = registry.versions(store, model)
        old = _chosen(store, model, against)
        others = [v for v in every if v.version != old.version]
        if version is None and not others:
            raise Refused(f"{model} has one version only, {old.version}; there is no other")
        new = others[0] if version is None else registry.get(store, model, version)
        judged = promotion.judge(new, old, registry.tried(store, model))
    if json:
        render.emit({"model": model, "challenger": new, "against": old, "gate": judged})
        return
    names = list(dict.fromkeys((*old.measures, *new.measures)))
    rows: list[tuple[Any, ...]] = [
        (n, *(str(v.measures.get(n, render.NONE)) for v in (old, new))) for n in names
    ]
    rows.insert(0, ("trained to", f"{old.trained_to:%Y-%m-%d}", f"{new.trained_to:%Y-%m-%d}"))
    columns = (title, f">{old.version} ({old.stage})", f">{new.version} ({new.stage})")
    said = f"The gate would say {judged.ruling.lower()}: {judged.reason}."
    render.show(render.spaced(render.table("", columns, rows), said))


@app.command()
def promote(  # noqa: PLR0913 -- options
    ctx: typer.Context,
    model: Name,
    version: Annotated[str, typer.Argument(help="The version that is to answer.")],
    reason: Why,
    expected: Annotated[
        str | None,
        typer.Option(help="The champion it was judged against; refused if it is another by now."),
    ] = None,
    who: Who = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make a version the champion. What the gate would have said goes into the record."""
    from learning import promotion
    from storage import registry
    from storage.registry import Why as Because

    with opening.store(ctx) as store:
        new = registry.get(store, model, version)
        now = registry.champion(store, model)
        was = now.version if now else None
        gate = promotion.judge(new, now, registry.tried(store, model))
        because = Because(
            who=who or opening.login(),
            reason=_given(reason),
            measures={"gate": f"{gate.ruling}: {gate.reason}"},
        )
        if not dry_run:
            held = expected or was
            registry.promote(store, model, version, held, because, opening.now())
    told = {"model": model, "champion": version, "before": was, "gate": gate, "dry_run": dry_run}
    if json:
        render.emit(told)
        return
    verb = "would answer" if dry_run else "answers"
    render.show(
        render.pairs(
            {
                model: f"{version} {verb}" + (f", before it {was}" if was else ""),
                "the gate": f"{gate.ruling.lower()}: {gate.reason}",
            }
        )
    )


def _given(reason: str) -> str:
    if not reason.strip():
        raise Refused("moving a champion needs a reason: give --reason")
    return reason.strip()


@app.command()
def rollback(
    ctx: typer.Context,
    model: Name,
    reason: Why,
    who: Who = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make the champion before this one champion again."""
    from storage import registry
    from storage.registry import Why as Because

    with opening.store(ctx) as store:
        champion = registry.champion(store, model)
        if champion is None:
            raise Refused(
                f"{model} has no champion; `omega models list {model}` shows its versions"
            )
        because = Because(who=who or opening.login(), reason=_given(reason))
        back = None
        if not dry_run:
            at = opening.now()
            back = registry.rollback(store, model, champion.version, because, at)
    if json:
        render.emit(
            {"model": model, "champion": back, "before": champion.version, "dry_run": dry_run}
        )
    elif dry_run:
        render.show(f"{model}: {champion.version} would make way for the champion before it")
    else:
        render.show(f"{model}: {back} answers again, {champion.version} is retired")


@app.command()
def verify(ctx: typer.Context, json: Json = False) -> None:
    """Prove that every artifact is what its hash says. Exit code 6 names one that is not."""
    from storage import artifacts, registry

    bad: list[dict[str, str]] = []
    with opening.store(ctx) as store:
        versions = registry.versions(store)
        for one in versions:
            try:
                artifacts.get(store, one.sha256)
            except (IntegrityError, ModelError) as error:
                bad.append(
                    {
                        "model": one.model,
                        "version": one.version,
                        "stage": one.stage,
                        "what": str(error),
                    }
                )
    if json:
        render.emit({"ok": not bad, "versions": len(versions), "bad": bad})
    elif not bad:
        render.show(f"{len(versions)} versions: every artifact is what its hash says")
    for one_bad in bad:
        render.complain(
            f"{one_bad['model']} {one_bad['version']} ({one_bad['stage']}): {one_bad['what']}"
        )
    if bad:
        raise typer.Exit(INTEGRITY)
