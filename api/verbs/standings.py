"""Which bot does best, as if all had had the same capital."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from api import opening, render
from api.verbs.common import Json

if TYPE_CHECKING:
    from domain.version import Measure
    from trading.competition import Standing

BROAD = 112
"""Columns of a terminal on which every interval has its place."""
COLUMNS = (
    ">#",
    "bot",
    ">profit",
    ">Sharpe",
    ">drawdown",
    ">profit\nfactor",
    ">winners",
    ">trades",
    ">in the\nmarket",
    ">costs",
)


def _day(told: str) -> Any:
    return typer.Option(formats=["%Y-%m-%d"], help=told, show_default=False)


def standings(
    ctx: typer.Context,
    since: Annotated[datetime | None, _day("First session; else the first there is.")] = None,
    until: Annotated[datetime | None, _day("Last session; else the last there is.")] = None,
    json: Json = False,
) -> None:
    """Rank the bots at equal capital, from the record, beside holding the index."""
    from orchestrator import report
    from storage.engine import open_store

    chosen = opening.settings(ctx)
    first, last = since and since.date(), until and until.date()
    store = open_store(chosen)
    try:
        rows = report.standings(store, opening.feed(chosen), chosen, since=first, until=last)
    finally:
        store.close()
    if json:
        render.emit({"since": first, "until": last, "standings": rows})
        return
    said = "At equal capital: who earned money by Sharpe ratio, who lost by the loss"
    broad = render.console().width >= BROAD
    shown = len(COLUMNS) if broad else -1
    told = render.table(said, COLUMNS[:shown], [_row(row, broad)[:shown] for row in rows])
    sessions = max(row.sessions for row in rows)
    note = f"{sessions:,} sessions. Profit, drawdown and costs are shares of what each began with. "
    note += (
        "In brackets 95 % intervals: where two overlap, their order may be luck."
        if broad
        else f"Intervals and costs need {BROAD} columns, or --json."
    )
    reasons = {row.title: row.reason for row in rows if row.reason}
    render.show(render.spaced(told, render.pairs(reasons), Text(note, style="dim")))


def _row(row: "Standing", broad: bool) -> tuple[Any, ...]:
    profit = Text(render.percent(row.gain, 2))
    if row.gain:
        profit.stylize("green" if row.gain > 0 else "red")
    return (
        render.NONE if row.place is None else f"{row.place}",
        row.title,
        profit,
        _measured(row.sharpe, broad, 2),
        _measured(row.max_drawdown, broad, 1, 100.0, " %"),
        _measured(row.profit_factor, broad, 2),
        _measured(row.win_rate, broad, 1, 100.0, " %"),
        f"{row.trades:,}" if row.strategy else render.NONE,
        render.percent(row.exposure, 0),
        render.percent(row.costs, 2) if row.strategy else render.NONE,
    )


def _measured(
    found: "Measure | None", broad: bool, digits: int, scale: float = 1.0, unit: str = ""
) -> Text:
    """Return a measure, and where there is room its interval on a line of its own."""
    told = render.measure(found, digits, scale, unit).partition(" n=")[0]
    value, bracket, bounds = told.partition(" [")
    return Text.assemble(value, (f"\n[{bounds}", "dim") if bracket and broad else "")
