"""Which strategy does best: every bot as if all of them had had the same capital.

Computed anew from the record each time it is asked for, and kept nowhere, so no column of it can
fall behind. All amounts are shares of the equity that a bot had when the window began, and its
results are counted by session, open positions at their marks: ten times the capital traded in the
same way is the same row.

Who earned money stands before who did not. Those who earned are ranked by their Sharpe ratio, not
by their profit, which only says how much of the capital a bot was told to risk. Those who lost are
ranked by their loss: among negative ratios the wilder loser would have the better one [1]_.

References
----------
.. [1] C. L. Israelsen, "A refinement to the Sharpe ratio and information ratio", Journal of Asset
   Management 5, 2005.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from math import fsum, inf

import numpy as np
from numpy.random import Generator

from domain.trade import Position, Trade
from domain.values import Dollars, Fraction, Value
from domain.version import Measure
from risk import measures
from trading import accounting

FEWEST = 30
"""Trades below which a bot is listed and not ranked: as many as the gate for a viable strategy
asks for."""
DIGITS = 9
"""Numbers that agree to so many places share a place: the rest is floating point."""

Seeded = Callable[[str], Generator]
"""A generator for each thing that is drawn for, so that none depends on what else is asked."""


class Entrant(Value):
    """What is recorded of one bot.

    `equity` has what it started from and then the last mark of each session, `days` the dates of
    them, oldest first. `closed` has all its closings, oldest first, those of parts too; `held` is
    what it still holds.
    """

    name: str
    title: str
    strategy: str = ""
    days: tuple[date, ...] = ()
    equity: tuple[Dollars, ...] = ()
    closed: tuple[Trade, ...] = ()
    held: tuple[Position, ...] = ()


class Standing(Value):
    """One row of the table. Shares are of the equity at the start of the window."""

    name: str
    title: str
    strategy: str
    place: int | None = None
    """From 1; equals share one. None where it is not ranked, and `reason` then says why."""
    reason: str = ""
    sessions: int = 0
    gain: float | None = None
    """Profit after all costs, open positions at their marks; None without a session."""
    sharpe: Measure | None = None
    """A year, from the results of the sessions."""
    max_drawdown: Measure | None = None
    profit_factor: Measure | None = None
    win_rate: Measure | None = None
    trades: int = 0
    """Entries of which the last part was closed in the window."""
    exposure: Fraction | None = None
    """Share of the sessions in which it held anything."""
    costs: float | None = None
    """Of all that was closed in the window."""


def rank(
    entrants: Iterable[Entrant],
    since: date | None = None,
    until: date | None = None,
    rng: Seeded | None = None,
) -> tuple[Standing, ...]:
    """Return the table, best first; who cannot be ranked follows, most trades first.

    Parameters
    ----------
    since, until
        First and last session that count, both included; None for all there is.
    rng
        Draws the intervals; None leaves them out.
    """
    rows = [measured(entrant, since, until, rng) for entrant in entrants]
    judged = [row.model_copy(update={"reason": _unranked(row)}) for row in rows]
    fit = sorted((row for row in judged if not row.reason), key=lambda row: (_key(row), row.name))
    keys = [_key(row) for row in fit]
    placed = [
        row.model_copy(update={"place": keys.index(key) + 1})
        for row, key in zip(fit, keys, strict=True)
    ]
    rest = sorted((row for row in judged if row.reason), key=lambda row: (-row.trades, row.name))
    return (*placed, *rest)


def measured(
    entrant: Entrant,
    since: date | None = None,
    until: date | None = None,
    rng: Seeded | None = None,
) -> Standing:
    """Return the row of one bot, without a place. Parameters as for `rank`."""
    first, last = since or date.min, until or date.max
    begun, days, equity = _window(entrant, first, last)
    pnl = [trade.pnl for trade in _whole(entrant, first, last)]

    def drawn(what: str) -> Generator | None:
        return None if rng is None else rng(f"{entrant.name} {what}")

    row = Standing(
        name=entrant.name,
        title=entrant.title,
        strategy=entrant.strategy,
        sessions=len(days),
        trades=len(pnl),
        win_rate=measures.win_rate(pnl),
        profit_factor=measures.profit_factor(pnl, drawn("profit factor")),
    )
    if begun is None or begun <= 0 or not days:
        return row
    results = np.diff([begun, *equity]) / begun
    paid = fsum(t.costs for t in entrant.closed if first <= t.closed_at.date() <= last)
    return row.model_copy(
        update={
            "gain": equity[-1] / begun - 1,
            "sharpe": measures.sharpe(results, drawn("sharpe")),
            "max_drawdown": measures.drawdown(results, 1.0, drawn("drawdown")),
            "exposure": _exposure(entrant, days),
            "costs": paid / begun,
        }
    )


def _window(
    entrant: Entrant, first: date, last: date
) -> tuple[Dollars | None, list[date], list[Dollars]]:
    """Return the equity that the window began with, its sessions, and the equity after each."""
    curve = list(zip(entrant.days, entrant.equity, strict=True))
    if not curve:
        return None, [], []
    before = [value for day, value in curve[1:] if day < first]
    inside = [(day, value) for day, value in curve[1:] if first <= day <= last]
    begun = before[-1] if before else curve[0][1]
    return begun, [day for day, _ in inside], [value for _, value in inside]


def _whole(entrant: Entrant, first: date, last: date) -> list[Trade]:
    """Return the entries that ended in the window; what was held at its end has not."""
    past = [trade for trade in entrant.closed if trade.closed_at.date() <= last]
    later = {trade.decision_id for trade in entrant.closed if trade.closed_at.date() > last}
    still = later | {position.decision_id for position in entrant.held}
    return [t for t in accounting.whole(past, still) if t.closed_at.date() >= first]


def _exposure(entrant: Entrant, days: Sequence[date]) -> float:
    """Return the share of the sessions in which something was held, if only for an hour."""
    spans = {(trade.opened_at.date(), trade.closed_at.date()) for trade in entrant.closed}
    spans |= {(position.opened_at.date(), date.max) for position in entrant.held}
    when = np.array(days, dtype="datetime64[D]")
    inside = np.zeros(len(days), dtype=bool)
    for opened, closed in spans:
        inside |= (np.datetime64(opened) <= when) & (when <= np.datetime64(closed))
    return float(inside.mean())


def _unranked(row: Standing) -> str:
    """Return why a row has no place, or nothing."""
    if not row.sessions:
        return "no session in the window"
    if row.gain is None:
        return "it had nothing left to trade with"
    if row.trades < FEWEST:
        return f"{row.trades} trades; {FEWEST} are needed"
    if row.gain > 0 and row.sharpe is None:
        return "its sessions do not differ, so its risk is unknown"
    return ""


def _key(row: Standing) -> tuple[bool, float]:
    """Return what rows are ordered by, smallest first."""
    gain = -inf if row.gain is None else row.gain
    if gain > 0 and row.sharpe is not None:
        return False, -round(row.sharpe.value, DIGITS)
    return True, -round(gain, DIGITS)
