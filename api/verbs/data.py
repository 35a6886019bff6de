"""Data in: which feeds there are, taking files in, checking them, and option chains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import opening, render
from api.verbs.common import DryRun, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from market.feeds.chains import Day
    from market.feeds.intake import Examined
    from market.gex import Gex
    from market.quality import Report

app = typer.Typer(help="Market data: list, import, check.", no_args_is_help=True)

Zone = Annotated[
    str | None, typer.Option(help="Zone of timestamps that state none, as America/New_York.")
]
Collar = Annotated[
    float | None, typer.Option(help="Largest credible move between closes; 2 is a factor of 3.")
]
Underlying = Annotated[
    str | None, typer.Option(help="Of option chains whose file does not say, as SPX.")
]
SHOWN = 12


@app.command("list")
def listing(ctx: typer.Context, json: Json = False) -> None:
    """List the feeds, what each holds, and what of it is real."""
    from market.feeds import catalog

    sources = catalog.describe(opening.settings(ctx))
    if json:
        render.emit({"feeds": sources})
        return
    for one in sources:
        facts = {
            "what": one.title,
            "problem": one.problem,
            "holds": one.bars
            and f"{one.bars:,} {one.frequency} bars, {one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}",
            "symbols": ", ".join(one.symbols),
            "series": ", ".join(
                f"{name} ({one.origins[name]})" if name in one.origins else name
                for name in one.series
            ),
            "set aside": one.quarantined if one.bars else None,
            "hash": one.data_hash,
            "real": "\n".join(one.real),
            "simulated": "\n".join(one.simulated),
        }
        mark = "  (in use)" if one.chosen else ""
        render.show(render.spaced(render.pairs(facts, f"{one.name}{mark}")))


@app.command("import")
def take(
    ctx: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files of bars, series or option chains, or folders of them."),
    ],
    timezone: Zone = None,
    collar: Collar = None,
    symbol: Underlying = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Validate files, copy what is usable into the home, and set the rest aside with reasons."""
    from domain.errors import ForeignFile
    from market.feeds import intake

    for path in paths:
        if not path.exists():
            raise ForeignFile(f"{path} does not exist; give a file or folder of bars")
    done = intake.take(
        paths,
        opening.settings(ctx),
        timezone,
        collar=collar,
        symbol=symbol,
        asof=opening.now(),
        dry_run=dry_run,
    )
    if json:
        render.emit(done)
        return
    rows = [
        (
            entry.name,
            ", ".join(entry.symbols[:4]) + (" …" if len(entry.symbols) > 4 else ""),
            "chain" if entry.kind == "chain" else entry.frequency,
            f"{entry.usable:,}",
            entry.vendor or "",
            ", ".join(f"{n} {defect}" for defect, n in entry.quarantined.items()) or render.NONE,
            f"{entry.first:%Y-%m-%d}" if entry.first else render.NONE,
            f"{entry.last:%Y-%m-%d}" if entry.last else render.NONE,
        )
        for entry in done.taken
    ]
    columns = ("file~", "symbols~", "what", ">usable", "made by", "set aside~", "first", "last")
    render.show(render.spaced(render.table("", columns, rows)))
    for name in done.replaced:
        render.note(f"{'would replace' if dry_run else 'replaced'} what {name} was before")
    for refused in done.refused:
        render.note(f"refused {refused.symbol}: {refused.detail}")
    verb = "would be copied" if dry_run else "copied"
    render.show(
        render.spaced(
            f"{len(done.taken)} files {verb} to {done.folder}."
            f"{'' if dry_run else ' Use them with OMEGA_FEED=files.'}"
        )
    )


@app.command()
def check(
    ctx: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(help="A file or folder; else the feed in use.")
    ] = None,
    timezone: Zone = None,
    symbol: Underlying = None,
    json: Json = False,
) -> None:
    """Say what is wrong with data. Exit code 1 when anything had to be set aside."""
    from domain.errors import ForeignFile
    from market import quality
    from market.feeds import intake
    from market.feeds.files import Files

    if path is not None and not path.exists():
        raise ForeignFile(f"{path} does not exist; give a file or folder of bars")
    seen = intake.examine(path, symbol) if path is not None else None
    if seen is not None and not seen.others and (seen.chains or seen.refused):
        _only_chains(seen, json)
        return
    feed = opening.feed(opening.settings(ctx)) if path is None else Files(path, timezone)
    found = quality.report(feed)
    quoted = feed.quoted if isinstance(feed, Files) else ()
    if seen is not None and seen.chains:
        quoted = seen.chains
    if json:
        more = {"clean": found.clean, "chains": [day.model_dump(mode="json") for day in quoted]}
        render.emit(found.model_dump(mode="json") | more)
    else:
        _checked(found, quoted)
    if not found.clean:
        raise typer.Exit(1)


def _only_chains(seen: "Examined", json: bool) -> None:
    """Say what is in a file or folder of chains and nothing else."""
    if json:
        render.emit(seen.model_dump(mode="json") | {"clean": not seen.refused})
    else:
        if seen.chains:
            render.show(render.spaced(_chains(seen.chains)))
        for refused in seen.refused:
            render.note(f"refused {refused.symbol}: {refused.detail}")
        said = f"{len(seen.chains)} option chains can be used, {len(seen.refused)} files cannot."
        render.show(render.spaced(said))
    if seen.refused:
        raise typer.Exit(1)


def _chains(quoted: "Sequence[Day]") -> Any:
    """Return a table of chains by symbol: how many, of when, and what they do not say."""
    from market.feeds.chains import LEVELS

    rows = []
    for symbol in dict.fromkeys(day.symbol for day in quoted):
        own = [day for day in quoted if day.symbol == symbol]
        lacks = {name: sum(name not in day.levels for day in own) for name in LEVELS}
        rows.append(
            (
                symbol,
                f"{len(own):,}",
                f"{min(day.asof for day in own):%Y-%m-%d}",
                f"{max(day.asof for day in own):%Y-%m-%d}",
                f"{sum(day.contracts for day in own):,}",
                ", ".join(f"no {name} in {n}" for name, n in lacks.items() if n),
            )
        )
    columns = ("chains of", ">chains", "first", "last", ">contracts", "unknown~")
    return render.table("option chains, known from the session after their own", columns, rows)


def _checked(found: "Report", quoted: "Sequence[Day]") -> None:
    from market.quality import KEPT

    rows = [
        (
            one.symbol,
            f"{one.bars:,}",
            f"{one.first:%Y-%m-%d}" if one.first else render.NONE,
            f"{one.last:%Y-%m-%d}" if one.last else render.NONE,
            one.missing or "",
            ", ".join(f"{n} {defect}" for defect, n in one.quarantined.items()),
            one.note,
        )
        for one in found.coverage
    ]
    columns = ("symbol", ">bars", "first", "last", ">missing", "set aside~", "~")
    title = f"{found.feed}: {found.bars:,} {found.frequency} bars, data {found.data_hash}"
    render.show(render.spaced(render.table(title, columns, rows)))
    if quoted:
        render.show(render.spaced(_chains(quoted)))
    for entry in found.quarantined[:SHOWN]:
        render.note(f"{entry.symbol} {render.when(entry.at)} {entry.defect}: {entry.detail}")
    total = sum(found.defects.values())
    if total > SHOWN:
        render.note(f"and {total - SHOWN:,} more; --json lists the first {len(found.quarantined)}")
    if found.clean:
        said = "Nothing had to be set aside, and no session is missing."
    else:
        aside = total - sum(found.defects.get(defect, 0) for defect in KEPT)
        said = f"{aside:,} bars were set aside, {found.sessions_missing:,} sessions are missing."
    render.show(render.spaced(said))


def gex(
    file: Annotated[Path, typer.Argument(help="An option chain, .csv or .csv.gz; or a folder.")],
    symbol: Annotated[
        str, typer.Option(help="Of the underlying, for files that do not say.")
    ] = "SPX",
    json: Json = False,
) -> None:
    """Measure the gamma exposure of an option chain: net, flip and walls."""
    from market import chain
    from market import gex as exposure

    found = [exposure.measure(day) for day in chain.days(file, symbol)]
    if json:
        render.emit(found[0] if len(found) == 1 else {"days": found})
    elif len(found) == 1:
        _exposure(found[0])
    else:
        _days(found)


def _exposure(day: "Gex") -> None:
    def billions(own: float, filed: float | None) -> str:
        other = "" if filed is None else f"   by the file's rounded gamma {filed:+,.2f}"
        return f"{own:+,.2f}{other}"

    def level(value: float | None, none: str) -> str:
        return none if value is None else f"{value:,.1f}   {100 * (value / day.spot - 1):+.2f} %"

    side = "above" if day.flip is not None and day.spot > day.flip else "below"
    facts = {
        "spot": f"{day.spot:,.2f}",
        "net": billions(day.net, day.cboe_net),
        "calls": billions(day.calls, day.cboe_calls),
        "puts": billions(day.puts, day.cboe_puts),
        "net of gross": f"{100 * day.net_over_gross:+.1f} %",
        "flip": level(day.flip, "none within 20 %"),
        "call wall": level(day.call_wall, "none"),
        "put wall": level(day.put_wall, "none"),
        "magnet below": level(day.magnet_below, "none"),
        "magnet above": level(day.magnet_above, "none"),
        "contracts": f"{day.contracts:,}, of which {day.contracts_with_oi:,} with open interest",
    }
    title = f"{day.symbol} gamma exposure  {render.when(day.asof)}"
    said = "Billions of dollars per 1 % move; dealers taken as long calls and short puts."
    if day.flip is not None:
        tends = "damp" if day.net > 0 else "amplify"
        said = f"Spot is {side} the flip; hedging at this net would {tends} moves. {said}"
    render.show(render.spaced(render.pairs(facts, title), said))


def _days(found: "list[Gex]") -> None:
    def level(value: float | None) -> str:
        return render.number(value, 1)

    rows: list[tuple[Any, ...]] = [
        (
            f"{day.asof:%Y-%m-%d}",
            f"{day.spot:,.2f}",
            f"{day.net:+,.2f}",
            f"{100 * day.net_over_gross:+.1f} %",
            level(day.flip),
            level(day.call_wall),
            level(day.put_wall),
        )
        for day in found
    ]
    columns = ("day", ">spot", ">net", ">of gross", ">flip", ">call wall", ">put wall")
    title = f"{found[0].symbol} gamma exposure, billions of dollars per 1 % move"
    render.show(render.spaced(render.table(title, columns, rows)))
