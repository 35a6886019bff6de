"""Bars that cannot be trusted: found, named and set aside, never repaired.

A bar is kept whole or quarantined whole. Every rule looks at the bar and at what came before it, so
that history is cleaned as it would have been cleaned on the day (the exceptions, said where they
are: the order of the rows in a file, and the first `ANCHOR` bars of a series).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime

from domain.values import FloatArray, Value
from market import calendar

if TYPE_CHECKING:
    import pandas as pd

    from market.feeds.base import Feed

Frequency = Literal["daily", "intraday"]
Kind = Literal["price", "volatility", "measure"]
"""What a column of levels is: a price, an index of volatility, or a measured number, which may be
negative and may stand still, such as the gamma exposure or the strike of a wall."""

PRICES = ("open", "high", "low", "close")
COLLARS: dict[tuple[Kind, Frequency], float] = {
    ("price", "daily"): 0.9,
    ("price", "intraday"): 0.5,
    ("volatility", "daily"): 5.0,
    ("volatility", "intraday"): 5.0,
}
"""Largest credible move from one close to the next, and within a bar: 0.9 is a factor of 1.9 up or
down. AMD rose 52 % on 2016-04-22, so 0.5 a day would lose a true bar; an unadjusted 2:1 split is a
factor of 2. VIX1D has moved by a factor of 4.2 within a day."""
FROZEN = {True: 3, False: 5}
"""Identical bars in a row from which on they count as frozen: with open, high, low (and volume),
and with closes only. The longest true run of closes in the packaged data is 3."""
ANCHOR = 5
"""Bars whose median close says what the level of a series is before it has a past."""
NO_OPENS = 0.2
"""Share of daily opens equal to the close before, above which the opens are made up."""
SLACK = 1e-9
"""Relative rounding that an adjusted high may fall short of its close by."""


class Defect(StrEnum):
    """Why a bar, or a file, was set aside. Names are never reused for another meaning."""

    UNREADABLE_TIME = "UNREADABLE_TIME"
    """No date, or a local time that daylight saving skips or repeats."""
    NOT_A_NUMBER = "NOT_A_NUMBER"
    INFINITE = "INFINITE"
    NOT_POSITIVE = "NOT_POSITIVE"
    IMPOSSIBLE = "IMPOSSIBLE"
    """The high is not the highest, or the low not the lowest."""
    NEGATIVE_VOLUME = "NEGATIVE_VOLUME"
    OFF_SESSION = "OFF_SESSION"
    """The exchange was closed."""
    FUTURE = "FUTURE"
    """Closed later than the moment the data was read for."""
    OUT_OF_ORDER = "OUT_OF_ORDER"
    REPEATED = "REPEATED"
    """The same bar again; the first is kept."""
    CONFLICT = "CONFLICT"
    """Two different bars for one time; neither is kept."""
    JUMP = "JUMP"
    """Beyond the collar, from the last good close or within the bar."""
    FROZEN = "FROZEN"
    """The same numbers bar after bar: a feed that has stopped, not a market."""
    STALE = "STALE"
    """The newest bar is older than the calendar promises; no bar is set aside."""
    FOREIGN = "FOREIGN"
    """The whole file is something else."""
    GAP = "GAP"
    """A month or more of sessions is missing before this bar; no bar is set aside."""
    DISAGREES = "DISAGREES"
    """The daily close is not where the bars within the session end; no bar is set aside."""


KEPT = (Defect.STALE, Defect.GAP, Defect.DISAGREES)
"""What is wrong with data of which every bar is kept."""


class Quarantined(Value):
    """One bar that was set aside, or one thing that is wrong with a whole series or file."""

    symbol: str
    defect: Defect
    detail: str
    at: AwareDatetime | None = None
    """Close of the bar, where it has one."""
    row: int | None = None
    """Row of the data, counted from 0, where there is one."""


class Times(NamedTuple):
    """When each row closed, UTC, ``datetime64[s]``, and whether the exchange was open."""

    close: NDArray[np.datetime64]
    on: NDArray[np.bool_]


def daily_times(days: NDArray[np.datetime64]) -> Times:
    """Return the session close of each date; dates without a session close at midnight, and off."""
    hours = calendar.hours()
    days = days.astype("datetime64[D]")
    place = np.minimum(np.searchsorted(hours.days, days), len(hours.days) - 1)
    on = hours.days[place] == days
    return Times(np.where(on, hours.closes[place], days.astype("datetime64[s]")), on)


def intraday_times(starts: NDArray[np.datetime64], interval: int) -> Times:
    """Return when bars that start at `starts` (UTC) and last `interval` seconds close.

    A bar is on when it starts within a session. The last bar of a session ends with it: an hourly
    bar of 15:30 New York closes at 16:00, and at 13:00 on a half day nothing starts any more.
    """
    hours = calendar.hours()
    starts = starts.astype("datetime64[s]")
    place = np.searchsorted(hours.opens, starts, side="right") - 1
    ends = hours.closes[np.maximum(place, 0)]
    on = (place >= 0) & (starts < ends)
    close = starts + np.timedelta64(interval, "s")
    return Times(np.where(on, np.minimum(close, ends), close), on)


def clean(
    frame: "pd.DataFrame",
    symbol: str,
    *,
    frequency: Frequency = "daily",
    interval: int = 0,
    asof: datetime | None = None,
    kind: Kind = "price",
    collar: float | None = None,
) -> tuple["pd.DataFrame", tuple[Quarantined, ...]]:
    """Set aside what cannot be trusted.

    Parameters
    ----------
    frame
        In the order of the file, oldest or newest first: ``time`` (``datetime64``, no zone: the
        date of a daily bar, or the start of an intraday bar in UTC), ``close``, and where the feed
        has them ``open``, ``high``, ``low``, ``volume``. A column that is NaN
        throughout counts as absent.
    symbol
        What the bars are of; named in the quarantine.
    interval
        Length of an intraday bar in seconds.
    asof
        Moment the data is read for. Bars that close later are FUTURE, and a newest bar older than
        the last session's close is STALE. None: neither is checked.
    kind
        A ``measure`` is only checked for being a number of a session, once, in order.
    collar
        Overrides the one in `COLLARS`.

    Returns
    -------
    clean
        The trusted bars, oldest first, with the same columns and index; ``time`` is now the close,
        UTC.
    quarantined
        One entry per row that was set aside, in the order of the file; then what is wrong with the
        series as a whole.
    """
    work = _Rows(frame, symbol, frequency, interval)
    work.numbers(kind)
    work.sessions()
    if asof is not None:
        work.future(asof)
    work.order()
    work.duplicates()
    if kind != "measure":
        work.jumps(COLLARS[kind, frequency] if collar is None else collar)
        work.frozen()
    return work.result(asof)


class _Rows:
    """The rows of one series, and what has been found wrong with them so far."""

    def __init__(
        self, frame: "pd.DataFrame", symbol: str, frequency: Frequency, interval: int
    ) -> None:
        self.frame, self.symbol = frame, symbol
        stamps = frame["time"].to_numpy().astype("datetime64[s]")
        self.times = (
            daily_times(stamps) if frequency == "daily" else intraday_times(stamps, interval)
        )
        self.unreadable = np.isnat(stamps)
        self.columns = {
            name: frame[name].to_numpy(np.float64)
            for name in (*PRICES, "volume")
            if name in frame and (name == "close" or not frame[name].isna().all())
        }
        self.prices = {name: x for name, x in self.columns.items() if name != "volume"}
        self.ohlc = len(self.prices) == len(PRICES)
        self.good = np.ones(len(frame), dtype=bool)
        self.found: dict[int, tuple[Defect, str]] = {}
        steps = np.sign(np.diff(stamps[~self.unreadable]).astype(np.int64))
        self.backwards = int(steps.sum()) < 0

    def reject(self, rows: NDArray[np.bool_], defect: Defect, detail: str = "") -> None:
        """Set aside the rows of a mask that are still good. `detail` may name columns in braces."""
        for row in np.flatnonzero(rows & self.good).tolist():
            values = {name: f"{x[row]:g}" for name, x in self.columns.items()}
            self.found[row] = (defect, detail.format(**values))
        self.good &= ~rows

    def kept(self) -> NDArray[np.intp]:
        """Return the positions of the good rows, oldest first."""
        rows = np.flatnonzero(self.good)
        return rows[np.argsort(self.times.close[rows], kind="stable")]

    def numbers(self, kind: Kind) -> None:
        """Refuse what is no price, no bar and no volume."""
        self.reject(self.unreadable, Defect.UNREADABLE_TIME, "no time that can be read")
        for name, x in self.prices.items():
            self.reject(np.isnan(x), Defect.NOT_A_NUMBER, f"{name} is missing")
            self.reject(np.isinf(x), Defect.INFINITE, f"{name} is infinite")
            if kind != "measure":
                self.reject(x <= 0, Defect.NOT_POSITIVE, f"{name} {{{name}}}")
        if self.ohlc:
            _, high, low, close = bars = np.stack([self.prices[name] for name in PRICES])
            bars[:, ~self.good] = np.nan
            slack = SLACK * np.abs(close)
            wrong = (high < bars.max(axis=0) - slack) | (low > bars.min(axis=0) + slack)
            text = "open {open}, high {high}, low {low}, close {close}"
            self.reject(wrong, Defect.IMPOSSIBLE, text)
        if "volume" in self.columns:
            volume = self.columns["volume"]
            self.reject(np.isinf(volume), Defect.INFINITE, "volume is infinite")
            self.reject(volume < 0, Defect.NEGATIVE_VOLUME, "volume {volume}")

    def sessions(self) -> None:
        """Refuse bars of hours in which the exchange was closed."""
        span = f"{calendar.FIRST.year}..{calendar.LAST.year}"
        text = f"{calendar.EXCHANGE} was closed then (the calendar covers {span})"
        self.reject(~self.times.on, Defect.OFF_SESSION, text)

    def future(self, asof: datetime) -> None:
        """Refuse bars that had not closed by `asof`."""
        late = self.times.close > np.datetime64(int(asof.timestamp() // 1), "s")
        self.reject(late, Defect.FUTURE, f"closes after {asof:%Y-%m-%dT%H:%M:%SZ}")

    def order(self) -> None:
        """Refuse the fewest rows that leave the rest in order of time.

        The fewest, and not everything after a backward step: one row with a wrong date must not
        take the good rows behind it along. A file that runs from newest to oldest is read from its
        end: that is a convention and no defect.
        """
        rows = np.flatnonzero(self.good)
        if self.backwards:
            rows = rows[::-1]
        seconds = self.times.close[rows].astype(np.int64)
        if np.all(np.diff(seconds) >= 0):
            return
        wrong = np.zeros(len(self.good), dtype=bool)
        wrong[rows] = True
        wrong[rows[list(_longest_rise(seconds.tolist()))]] = False
        self.reject(wrong, Defect.OUT_OF_ORDER, "not in order of time with its neighbours")

    def duplicates(self) -> None:
        """Keep the first of identical bars for one time, and none of differing ones."""
        rows = self.kept()
        seconds = self.times.close[rows]
        begins = np.flatnonzero(np.r_[True, seconds[1:] != seconds[:-1]]) if len(rows) else rows
        again, differs = np.zeros_like(self.good), np.zeros_like(self.good)
        for group in np.split(rows, begins[1:]) if len(begins) < len(rows) else ():
            if len(group) > 1:
                bars = np.stack([x[group] for x in self.columns.values()])
                same = np.all((bars == bars[:, :1]) | (np.isnan(bars) & np.isnan(bars[:, :1])))
                (again if same else differs)[group[1:] if same else group] = True
        self.reject(again, Defect.REPEATED, "the same bar a second time")
        self.reject(differs, Defect.CONFLICT, "two bars for one time differ: close {close}")

    def jumps(self, collar: float) -> None:
        """Refuse what moved further than the collar, within the bar or from the last good close.

        A level that jumps and stays is refused for as long as it stays: that is what an unadjusted
        split looks like, and a return computed across it would be false. After a gap the collar is
        as wide as the square root of the sessions that have gone by.
        """
        close, limit = self.columns["close"], float(np.log1p(collar))
        for name in (name for name in self.prices if name != "close"):
            far = np.zeros_like(self.good)
            far[self.good] = np.abs(np.log(self.prices[name][self.good] / close[self.good])) > limit
            self.reject(far, Defect.JUMP, f"{name} {{{name}}} in a bar that closed at {{close}}")
        rows = self.kept()
        levels, gaps = np.log(close[rows]), self._gaps(rows)
        steps = np.abs(np.diff(levels)) > limit * gaps[1:]
        if not steps.any():
            return
        far = np.zeros_like(self.good)
        far[rows[list(_beyond(levels, gaps, limit))]] = True
        advice = "if it is real, widen the collar; if it stays, adjust the file for the split"
        self.reject(
            far, Defect.JUMP, f"close {{close}} is beyond the collar of {collar:g}; {advice}"
        )

    def _gaps(self, rows: NDArray[np.intp]) -> FloatArray:
        """Return the square root of the sessions from one row to the next, at least 1."""
        sessions = np.searchsorted(calendar.hours().closes, self.times.close[rows])
        return np.sqrt(np.maximum(np.diff(sessions, prepend=sessions[:1]), 1))

    def frozen(self) -> None:
        """Refuse a bar that is the same as those before it, once there are too many of them."""
        rows, limit = self.kept(), FROZEN[self.ohlc]
        if len(rows) < limit:
            return
        bars = np.stack([x[rows] for x in self.columns.values()])
        still = (bars[:, 1:] == bars[:, :-1]) | (np.isnan(bars[:, 1:]) & np.isnan(bars[:, :-1]))
        same = np.r_[False, still.all(axis=0)]
        place = np.arange(len(rows))
        run = place - np.maximum.accumulate(np.where(same, -1, place)) + 1
        late = np.zeros_like(self.good)
        late[rows[run >= limit]] = True
        self.reject(late, Defect.FROZEN, f"the same {limit} bars or more in a row, close {{close}}")

    def result(self, asof: datetime | None) -> tuple["pd.DataFrame", tuple[Quarantined, ...]]:
        """Return the good rows in order of time, and the rest with its reasons."""
        rows = self.kept()
        out = self.frame.iloc[rows].assign(time=self.times.close[rows])
        stale = () if asof is None else _stale(self.symbol, self.times.close[rows], asof)
        return out, (*self._entries(), *stale)

    def _entries(self) -> Iterator[Quarantined]:
        for row, (defect, detail) in sorted(self.found.items()):
            at = None if self.unreadable[row] else utc(self.times.close[row])
            yield Quarantined(symbol=self.symbol, defect=defect, detail=detail, at=at, row=row)


def utc(time: np.datetime64) -> datetime:
    """Return a time of a panel as a moment with its zone."""
    return datetime.fromtimestamp(int(time.astype("datetime64[s]").astype(np.int64)), UTC)


def _stale(symbol: str, times: NDArray[np.datetime64], asof: datetime) -> Iterator[Quarantined]:
    due = calendar.due(asof)
    newest = utc(times[-1]) if len(times) else None
    if due is not None and (newest is None or newest < due):
        known = "there is none" if newest is None else f"the newest is of {newest:%Y-%m-%dT%H:%MZ}"
        detail = f"a bar of {due:%Y-%m-%dT%H:%MZ} was due; {known}"
        yield Quarantined(symbol=symbol, defect=Defect.STALE, detail=detail, at=newest)


def _longest_rise(values: list[int]) -> list[int]:
    """Return the positions of a longest non-decreasing subsequence (patience sorting).

    Examples
    --------
    >>> _longest_rise([1, 2, 9, 3, 4])
    [0, 1, 3, 4]
    """
    tails: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for i, value in enumerate(values):
        pile = bisect_right(tails, value)
        before.append(last[pile - 1] if pile else -1)
        tails[pile : pile + 1] = [value]
        last[pile : pile + 1] = [i]
    rise, i = [], last[-1] if last else -1
    while i >= 0:
        rise.append(i)
        i = before[i]
    return rise[::-1]


def _beyond(levels: FloatArray, gaps: FloatArray, limit: float) -> Iterator[int]:
    """Yield the positions whose level is too far from the last one that was not.

    The first bars are measured by their own median: a bad first bar must not condemn the rest.
    """
    good, last = float(np.median(levels[:ANCHOR])), -1
    for i, level in enumerate(levels.tolist()):
        # Only a gap right behind the last good bar widens: what has jumped stays out.
        if abs(level - good) > limit * gaps[last + 1]:
            yield i
        else:
            good, last = level, i


class Coverage(Value):
    """What a feed holds of one symbol or series."""

    symbol: str
    bars: int
    first: AwareDatetime | None
    last: AwareDatetime | None
    missing: int
    """Bars between its first and its last that other symbols of the feed have."""
    quarantined: dict[Defect, int]
    note: str = ""


class Report(Value):
    """What was found in a feed."""

    feed: str
    frequency: Frequency
    data_hash: str
    bars: int
    """Length of the time axis."""
    first: AwareDatetime | None
    last: AwareDatetime | None
    sessions_missing: int
    """Sessions of the exchange between the first and the last bar that no symbol has."""
    coverage: tuple[Coverage, ...]
    defects: dict[Defect, int]
    """Of everything that was set aside."""
    quarantined: tuple[Quarantined, ...] = ()
    """The first of what was set aside."""

    @property
    def clean(self) -> bool:
        """Whether nothing was set aside and no session is missing."""
        return not self.defects and not self.sessions_missing


def report(feed: "Feed", most: int = 1000) -> Report:
    """Return what was found in a feed: coverage of every symbol, and what was set aside and why.

    At most `most` single entries are listed; `Report.defects` counts all of them.
    """
    panel, quarantined = feed.panel(), feed.quarantined()
    columns = {symbol: panel.close[:, i] for i, symbol in enumerate(panel.symbols)}
    opens = dict(zip(panel.symbols, panel.open.T, strict=True)) if feed.frequency == "daily" else {}
    names = {entry.symbol for entry in quarantined} - set(columns) - set(panel.series)
    nothing = dict.fromkeys(sorted(names), np.full(len(panel), np.nan))
    everything = columns | dict(panel.series) | nothing
    return Report(
        feed=feed.name,
        frequency=feed.frequency,
        data_hash=feed.data_hash(),
        bars=len(panel),
        first=utc(panel.times[0]) if len(panel) else None,
        last=utc(panel.times[-1]) if len(panel) else None,
        sessions_missing=_sessions_missing(panel.times),
        coverage=(
            *(
                _coverage(name, panel.times, x, quarantined, _fake_opens(opens.get(name), x))
                for name, x in everything.items()
            ),
            *_within(feed),
        ),
        defects=dict(sorted(Counter(entry.defect for entry in quarantined).items())),
        quarantined=quarantined[:most],
    )


def _coverage(
    symbol: str,
    times: NDArray[np.datetime64],
    close: FloatArray,
    quarantined: tuple[Quarantined, ...],
    note: str,
) -> Coverage:
    known = np.flatnonzero(np.isfinite(close))
    found = Counter(entry.defect for entry in quarantined if entry.symbol == symbol)
    return Coverage(
        symbol=symbol,
        bars=len(known),
        first=utc(times[known[0]]) if len(known) else None,
        last=utc(times[known[-1]]) if len(known) else None,
        missing=int(known[-1] - known[0] + 1 - len(known)) if len(known) else 0,
        quarantined=dict(sorted(found.items())),
        note=note,
    )


def _within(feed: "Feed") -> Iterator[Coverage]:
    """Yield what stands within sessions beside daily bars: its holes are bars that are due."""
    panel = feed.within()
    if panel is None:
        return
    minutes = f"{feed.interval.total_seconds() / 60:g} min"
    for symbol, close in zip(panel.symbols, panel.close.T, strict=True):
        one = _coverage(f"{symbol} {minutes}", panel.times, close, (), "")
        if one.first is not None and one.last is not None:
            known, ends = panel.times[np.isfinite(close)], (one.first.date(), one.last.date())
            one = one.model_copy(update={"missing": bars_missing(known, feed.interval, *ends)})
        yield one


def bars_missing(
    closes: NDArray[np.datetime64], interval: timedelta, start: date, end: date
) -> int:
    """Return how many bars within the sessions from `start` to `end` are not there."""
    days, opens, ends = calendar.hours()
    inside = (days >= np.datetime64(start)) & (days <= np.datetime64(end))
    opens, ends = opens[inside], ends[inside]
    due = np.ceil((ends - opens) / np.timedelta64(interval))
    there = np.searchsorted(closes, ends, "right") - np.searchsorted(closes, opens, "right")
    return int((due - there).sum())


def _fake_opens(opens: FloatArray | None, close: FloatArray) -> str:
    """Return a warning where too many opens are just the close before.

    The open of the S&P 500 is so on 95-98 % of the days 1999-2005, on none since 2014. Within a day
    it says nothing: one bar goes on where the last one ended.
    """
    if opens is None or len(close) < 2 or np.isnan(opens).all():
        return ""
    share = float(np.mean(opens[1:] == close[:-1]))
    if share <= NO_OPENS:
        return ""
    return f"{share:.0%} of the opens repeat the close before: no true opens"


def _sessions_missing(times: NDArray[np.datetime64]) -> int:
    if not len(times):
        return 0
    closes = calendar.hours().closes
    place = np.unique(np.searchsorted(closes, times))
    return int(place[-1] - place[0] + 1 - len(place))
