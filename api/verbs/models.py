"""The registry by hand: what there is, which one answers, and moving the champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import card, opening, render
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
    from learning.card import Held, Latency
    from learning.standing import Standing
    from models.belief import Count
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
    from orchestrator.view import counted

    if model is not None:
        _versions(ctx, model, json)
        return
    with opening.store(ctx) as store:
        lacking = _Lacking(ctx)
        found, counts = standings(store, lacking), counted(store)
    if json:
        answering = {
            name: {
                "title": CATALOG[name].title,
                "target": CATALOG[name].target.name,
                **one.model_dump(mode="json", exclude={"model"}),
            }
            for name, one in found.items()
        }
        told = {bot: known.model_dump(mode="json") for bot, known in counts.items()}
        render.emit({"models": answering, "counts": told, "feed": lacking.problem or None})
        return
    rows = [_standing(one) for one in found.values()]
    columns = (
        *("model", "state", ">versions", "champion", "trained"),
        *(">Brier~", ">base rate", ">skill~"),
    )
    silent = {name: one.reason for name, one in found.items() if one.champion is None}
    parts = [render.pairs(silent, "Nobody answers for")] if silent else []
    beside = {bot: _counted(known) for bot, known in counts.items()}
    parts += [render.pairs(beside, "Counts that answer until a learner is better")] * bool(beside)
    render.show(render.spaced(render.table("", columns, rows), *parts))
    if lacking.problem:
        render.note(f"whether their data is there is unknown: {lacking.problem}")


def _counted(known: "Count") -> str:
    """Say what a bot's setups came to, and what keeps its learner from answering."""
    told = [
        f"{regime} gamma: {one.wins} of {one.n} setups paid"
        for regime, one in known.regimes.items()
    ]
    if known.promoted:
        return "; ".join([*told, "the learner is better, and answers"])
    return "; ".join([*told, f"the learner is kept in its shadow by {', '.join(known.blockers)}"])


class _Lacking:
    """What models lack in the feed, as `omega train` would find it; the feed may be away."""

    def __init__(self, ctx: typer.Context) -> None:
        self.ctx, self.problem = ctx, ""

    def __call__(self, names: "Sequence[str]") -> dict[str, str]:
        try:
            with opening.desk(opening.settings(self.ctx)) as desk:
                feed, now = desk.feed, desk.clock.now()
                feed.panel()  # what cannot be read is told of here
        except (DataError, IntegrityError, Refused, SettingsError, Transient) as error:
            self.problem = str(error)
            return {}
        from models.availability import lacking

        return {name: why for name in names if (why := lacking(name, feed, now))}


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
    whole: Annotated[
        bool,
        typer.Option(
            "--card",
            help="Calibration, permutation importance and latency too: fits what was judged again.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show a model's card: what it is for, learned from and measured at, and what was decided."""
    from learning.standing import About, before, standings
    from storage import registry

    about, lacking = About.of(model), _Lacking(ctx)
    with opening.store(ctx) as store:
        standing = standings(store, lacking, [model])[model]
        told = registry.ledger(store, model)
        one = _chosen(store, model, version) if standing.versions or version else None
        last = None if one is None else before(told, one.version)
        previous = None if last is None else registry.get(store, model, last)
        schema = None if one is None else _schema(store, one)
    past = [line for line in told if one is not None and line.version == one.version]
    held, latency = _whole(ctx, one) if whole and one is not None else (None, None)
    if json:
        render.emit(
            {
                "version": one,
                "ledger": past,
                "standing": standing,
                "about": about,
                "previous": previous,
                "schema_hash": schema,
                "held": held,
                "latency": latency,
            }
        )
        return
    parts: list[Any] = [card.head(about, standing)]
    if one is not None:
        parts += [card.version(one, schema or ""), card.measures(one, previous)]
    if held is not None and latency is not None:
        parts += card.held(held, latency)
    elif one is not None:
        parts.append("Calibration, permutation importance and latency: --card.")
    render.show(render.spaced(*parts, *([card.ledger(past)] if past else ())))


def _schema(store: "Store", one: "Version") -> str:
    """Return the hash of the definitions of a version's features, or why it cannot be read."""
    from models.base import Artifact
    from storage import artifacts

    try:
        return Artifact.from_bytes(artifacts.get(store, one.sha256), one.sha256).schema_hash
    except (IntegrityError, ModelError) as error:
        return f"unreadable: {error}"


def _whole(ctx: typer.Context, one: "Version") -> "tuple[Held, Latency]":
    """Return what has to be computed; the feed must have what the version learned from."""
    from learning.card import held, latency
    from models.availability import bars
    from models.base import Artifact
    from storage import artifacts

    with opening.desk(opening.settings(ctx)) as desk:
        settings, panel = desk.settings, bars(one.model, desk.feed)
        artifact = Artifact.from_bytes(artifacts.get(desk.store, one.sha256), one.sha256)
        found = held(one.model, one, panel, settings.seed, settings.costs)
    return found, latency(artifact)


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
