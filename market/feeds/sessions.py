"""Bars within sessions beside the daily ones: what a desk sees that scans while a session is on.

Models, labels and horizons count sessions and live on the daily panel, but for those few that
count bars and live on the panel that `joined` makes. What trades does not wait for the close:
between two closes the newest price is that of the last bar within the session that has ended.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.market import Bar
from market import calendar
from market.panel import Panel, Times
from market.quality import Defect, Quarantined, bars_missing, utc

if TYPE_CHECKING:
    import pandas as pd

    from market.feeds.base import Feed

MINUTE = "MINUTE"
"""Series of a joined panel: minutes since the session's open, at the close of the bar."""
GAP = 21
"""Sessions missing in a row, a month of them, from which on a history has a gap."""
AGREED = 0.005
"""How far a daily close may be from the last bar of its session. Five-minute bars of the S&P 500 of
May to July 2026 end up to 0.22 % from its official close; daily bars of SPY that are adjusted for
dividends lie 0.5 to 3 % below what was traded."""
NONE = -1


class Rows(NamedTuple):
    """The moments at which one symbol has a close, rising, and where each stands."""

    seconds: NDArray[np.int64]
    """Seconds since 1970, shape (n,)."""
    daily: NDArray[np.intp]
    """Row of the daily panel that closed then, or `NONE`."""
    within: NDArray[np.intp]
    """Row of the panel of bars within sessions, or `NONE`."""
    late: NDArray[np.bool_]
    """Whether bars within the same session had closed before."""


def seconds(times: Times) -> NDArray[np.int64]:
    """Return times as whole seconds since 1970."""
    return times.astype("datetime64[s]").astype(np.int64)


def rows(symbol: str, panel: Panel, within: Panel | None) -> Rows:
    """Return every moment at which a symbol has a close, in either panel."""
    daily, at = _known(symbol, panel)
    inside, then = _known(symbol, within)
    every = np.union1d(at, then)
    place, here = np.full((2, len(every)), NONE, dtype=np.intp)
    place[np.searchsorted(every, at)] = daily
    here[np.searchsorted(every, then)] = inside
    _, opens, _ = calendar.hours()
    session = np.searchsorted(seconds(opens), every)
    first = np.searchsorted(session, session)
    so_far = np.cumsum(here != NONE)
    late = so_far - (here != NONE) > (so_far - (here != NONE))[first]
    return Rows(every, place, here, late)


def _known(symbol: str, panel: Panel | None) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    if panel is None or symbol not in panel.symbols:
        return np.empty(0, np.intp), np.empty(0, np.int64)
    found = np.flatnonzero(np.isfinite(panel.close[:, panel.column(symbol)]))
    return found, seconds(panel.times[found])


def bar(symbol: str, panel: Panel, within: Panel | None, known: Rows, place: int) -> Bar:
    """Return the bar of one row.

    A session that has bars within it ends with the last of them, at the session's official close:
    what closes a day is no bar of five minutes, and its range belongs to the bars before it. Where
    the two closes are too far apart, both cannot be of the same thing, and the bar stays as it is.
    """
    daily, inside = int(known.daily[place]), int(known.within[place])
    at = utc(known.seconds[place].astype("datetime64[s]"))
    whole = None if daily == NONE else _bar(symbol, panel, daily, at)
    if within is None or inside == NONE:
        if whole is None:
            raise IndexError(f"{symbol} has no bar {place}")
        nothing = {"open": None, "high": None, "low": None}
        return whole.model_copy(update=nothing) if known.late[place] else whole
    part = _bar(symbol, within, inside, at)
    if whole is None or not agree(whole.close, part.close):
        return part
    close = whole.close
    high = None if part.high is None else max(part.high, close)
    low = None if part.low is None else min(part.low, close)
    return part.model_copy(update={"close": close, "high": high, "low": low})


def agree(daily: float, within: float) -> bool:
    """Return whether a daily close and that of the session's last bar can be of the same thing."""
    return abs(within / daily - 1) <= AGREED


def _bar(symbol: str, panel: Panel, row: int, at: datetime) -> Bar:
    column = panel.column(symbol)
    return Bar(
        symbol=symbol,
        at=at,
        open=number(panel.open[row, column]),
        high=number(panel.high[row, column]),
        low=number(panel.low[row, column]),
        close=float(panel.close[row, column]),
    )


def number(value: np.float64) -> float | None:
    """Return a number, or None for what is unknown."""
    return float(value) if isfinite(value) else None


def begin(closes: NDArray[np.int64], interval: timedelta) -> NDArray[np.int64]:
    """Return when bars within sessions began that closed then, all in seconds since 1970.

    The last bar of a session may be shorter than the others: an hourly one of 15:30 ends at 16:00.
    """
    length = int(interval.total_seconds())
    opens = seconds(calendar.hours().opens)
    opened = opens[np.searchsorted(opens, closes) - 1]
    return opened + (closes - opened - 1) // length * length


def entry(
    symbol: str, within: Panel, interval: timedelta, after: datetime, now: datetime
) -> tuple[datetime, float] | None:
    """Return when and where an order that was placed at `after` meets the market, by `now`.

    The open of the first bar that begins then or later, which is known as soon as it has begun;
    of a bar without an open its close. None while there is none.
    """
    column, stamps = within.column(symbol), seconds(within.times)
    first = int(np.searchsorted(stamps, int(after.timestamp()), side="right"))
    placed, told = after.timestamp(), int(now.timestamp())
    last = int(np.searchsorted(stamps, told + int(interval.total_seconds()), side="right"))
    starts = begin(stamps[first:last], interval)
    for row, start in zip(range(first, last), starts.tolist(), strict=True):
        opened, closed = within.open[row, column], within.close[row, column]
        if start < placed or not isfinite(closed):
            continue
        if isfinite(opened) and start <= told:
            return utc(np.datetime64(start, "s")), float(opened)
        if not isfinite(opened) and stamps[row] <= told:
            return utc(within.times[row]), float(closed)
    return None


def joined(panel: Panel, within: Panel) -> Panel:
    """Return the bars within sessions, with what was known of the daily series at each of them.

    A daily level is that of the close before the session, and unknown where that close is missing:
    an older one would say of today what was so days ago. One that is printed within sessions is
    the newest of its own where there is one. The index is the first symbol here, too.
    """
    _, opens, closes = calendar.hours()
    stamps = within.times.astype("datetime64[s]")
    session = np.searchsorted(opens, stamps) - 1
    before = closes[np.maximum(session - 1, 0)]
    row = np.searchsorted(panel.times, before)
    there = np.minimum(row, len(panel) - 1)
    known = (session > 0) & (panel.times[there] == before)
    series = {name: np.where(known, levels[there], np.nan) for name, levels in panel.series.items()}
    for name, levels in within.series.items():
        older = series.get(name, np.full(len(within), np.nan))
        series[name] = np.where(np.isfinite(levels), levels, older)
    minutes = (stamps - opens[session]) / np.timedelta64(60, "s")
    order = [within.column(symbol) for symbol in panel.symbols if symbol in within.symbols]
    return replace(
        within,
        symbols=tuple(within.symbols[column] for column in order),
        open=within.open[:, order],
        high=within.high[:, order],
        low=within.low[:, order],
        close=within.close[:, order],
        volume=within.volume[:, order],
        series=series | {MINUTE: minutes},
        memo={},
    )


def whole(frame: "pd.DataFrame", interval: int) -> "pd.DataFrame":
    """Return the daily bars that bars within sessions add up to.

    A session has a close when its last bar is there, and the rest of a bar only when every one of
    them is: a range with a hole in it is not the day's.
    """
    import pandas as pd

    takes: dict[str, Callable[[pd.Series[float]], float]] = {
        "open": lambda column: column.iloc[0],
        "high": lambda column: column.max(),
        "low": lambda column: column.min(),
        "volume": lambda column: column.sum(),
    }
    _, opens, closes = calendar.hours()
    stamps = frame["time"].to_numpy().astype("datetime64[s]")
    session = np.searchsorted(closes, stamps)
    length = np.timedelta64(interval, "s")
    frame = frame.assign(time=stamps)
    found = []
    for day, bars in frame.groupby(session):
        place = int(str(day))
        if bars["time"].iloc[-1] != closes[place]:
            continue
        due = int(np.ceil((closes[place] - opens[place]) / length))
        one = {"time": closes[place], "close": bars["close"].iloc[-1]}
        if len(bars) == due:
            one |= {k: bars[k].agg(how) for k, how in takes.items() if k in bars}
        found.append(one)
    columns = ["time", *(c for c in ("open", "high", "low", "close", "volume") if c in frame)]
    return pd.DataFrame(found, columns=columns)


def gaps(panel: Panel) -> Iterator[Quarantined]:
    """Yield what is missing for a month or longer: the bar behind it is no change of one day.

    Returns, ranges and labels that reach across are computed on what is there, bar by bar, and so
    contain a move of all the sessions that are missing.
    """
    if not len(panel):
        return
    for symbol, closes in zip(panel.symbols, panel.close.T, strict=True):
        known = panel.times[np.isfinite(closes)]
        place = np.searchsorted(calendar.hours().closes, known)
        for row in np.flatnonzero(np.diff(place) > GAP).tolist():
            missing = int(place[row + 1] - place[row]) - 1
            before, at = utc(known[row]), utc(known[row + 1])
            yield Quarantined(
                symbol=symbol,
                defect=Defect.GAP,
                detail=f"{missing} sessions are missing since {before:%Y-%m-%d}; what looks back "
                "across them takes their whole move for that of one bar",
                at=at,
            )


def disagreements(panel: Panel, within: Panel) -> Iterator[Quarantined]:
    """Yield the sessions whose daily close is not what the bars within them end at."""
    for symbol in within.symbols:
        if symbol not in panel.symbols:
            continue
        _, rows_, inside = np.intersect1d(panel.times, within.times, return_indices=True)
        daily = panel.close[rows_, panel.column(symbol)]
        last = within.close[inside, within.column(symbol)]
        with np.errstate(invalid="ignore"):
            far = np.abs(last / daily - 1) > AGREED
        for row in np.flatnonzero(far).tolist():
            yield Quarantined(
                symbol=symbol,
                defect=Defect.DISAGREES,
                detail=f"the daily close is {daily[row]:g}, the last bar of the session ends at "
                f"{last[row]:g}; are the daily bars adjusted for dividends?",
                at=utc(panel.times[rows_[row]]),
            )


def told(within: Panel | None, quarantined: Sequence[Quarantined]) -> Iterator[str]:
    """Yield what whoever reads a result must know of the bars that it was made on."""
    for entry in quarantined:
        if entry.defect is Defect.GAP:
            yield f"{entry.symbol}: {entry.detail}."
    if within is not None:
        yield (
            "Within a session, models and features know the daily bars up to the close before; "
            "of the day are only prices, and the features (bar_...) of what counts bars."
        )


def assumed(within: Panel | None) -> Iterator[str]:
    """Yield what is not of the day in a price of an option within a session."""
    if within is None:
        return
    printed = ", ".join(name for name in sorted(within.series) if name.startswith("VIX"))
    beside = f", but for {printed}, printed within it" if printed else ""
    yield (
        f"Volatility within a session: that of the close before{beside}; only the time left and "
        "the price of the underlying move."
    )


def warnings(feed: "Feed", start: date, end: date) -> Iterator[str]:
    """Yield what a history that is to be played lacks, before it is played.

    What is missing before the window was learned across; what is missing in it is not decided on.
    """
    panel, within = feed.panel(), feed.within()
    for entry in feed.quarantined():
        if entry.defect in (Defect.GAP, Defect.DISAGREES) and entry.at and entry.at.date() <= end:
            yield f"{entry.symbol} {entry.at:%Y-%m-%d}, {entry.defect}: {entry.detail}"
    days = calendar.sessions(start, end)
    closes = [np.datetime64(calendar.closes(day).replace(tzinfo=None), "s") for day in days]
    lacking = np.flatnonzero(~np.isin(closes, panel.times)).tolist()
    if lacking and feed.frequency == "daily":
        yield f"{len(lacking)} sessions of the window have no daily bar, {days[lacking[0]]} first"
    if within is None:
        return
    for symbol in within.symbols:
        known = within.times[np.isfinite(within.close[:, within.column(symbol)])]
        missing = bars_missing(known, feed.interval, start, end)
        if missing:
            yield f"{symbol} lacks {missing:,} bars within the sessions of the window"
