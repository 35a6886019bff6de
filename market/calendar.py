"""When the New York Stock Exchange is open: sessions, half days and daylight saving, in UTC.

The times of forty-one years are worked out once per process, from `exchange_calendars`, and kept as
sorted tuples; every question is then a binary search. Nothing here looks up the time: `asof` is
handed in, and a time without a zone is refused.
"""

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.errors import DataError

EXCHANGE = "XNYS"
ZONE = "America/New_York"
TIMETABLE = ZoneInfo("America/Chicago")
"""The zone that the timetable is written in."""
FIRST, LAST = date(1990, 1, 1), date(2030, 12, 31)
"""What the calendar covers. Announced closures beyond today may still be missing from it."""


class Hours(NamedTuple):
    """Every session as parallel, rising arrays, shape (n,)."""

    days: NDArray[np.datetime64]
    """``datetime64[D]``, the exchange's date."""
    opens: NDArray[np.datetime64]
    """``datetime64[s]``, UTC."""
    closes: NDArray[np.datetime64]
    """``datetime64[s]``, UTC; earlier on half days."""


class _Table(NamedTuple):
    days: tuple[date, ...]
    opens: tuple[datetime, ...]
    closes: tuple[datetime, ...]
    position: dict[date, int]


_given: list[Hours] = []


def give(known: Hours) -> None:
    """Take over what another process has worked out, instead of working it out once more.

    `exchange_calendars` brings pandas along. Whoever has asked for the hours before keeps his.
    """
    _given[:] = [known]


@cache
def hours() -> Hours:
    """Return all sessions as arrays, for work on whole columns of times."""
    if _given:
        return _given[0]
    from exchange_calendars import get_calendar

    schedule = get_calendar(EXCHANGE, start=FIRST.isoformat(), end=LAST.isoformat()).schedule

    def seconds(column: str) -> NDArray[np.datetime64]:
        return schedule[column].dt.tz_localize(None).to_numpy().astype("datetime64[s]")

    days = schedule.index.to_numpy().astype("datetime64[D]")
    return Hours(days, seconds("open"), seconds("close"))


@cache
def _table() -> _Table:
    days, opens, closes = hours()
    dates = tuple(days.tolist())
    return _Table(dates, _aware(opens), _aware(closes), {day: i for i, day in enumerate(dates)})


def _aware(times: NDArray[np.datetime64]) -> tuple[datetime, ...]:
    return tuple(time.replace(tzinfo=UTC) for time in times.tolist())


def _position(session: date) -> int:
    try:
        return _table().position[session]
    except KeyError:
        raise DataError(
            f"{session} is no session of {EXCHANGE} in {FIRST.year}..{LAST.year}"
        ) from None


def _at(values: tuple[Any, ...], position: int, asof: datetime) -> Any:
    if position >= len(values):
        raise DataError(f"{asof} is beyond the calendar, which ends {LAST}")
    return values[position]


def sessions(start: date, end: date) -> list[date]:
    """Return the sessions from `start` to `end`, both included.

    Examples
    --------
    >>> sessions(date(2018, 12, 3), date(2018, 12, 7))[2]
    datetime.date(2018, 12, 6)

    The exchange was closed on Wednesday the 5th, the day of mourning for President Bush.
    """
    days = _table().days
    return list(days[bisect_left(days, start) : bisect_right(days, end)])


def opens(session: date) -> datetime:
    """Return when a session opens, UTC. Raises `DataError` when the exchange is closed that day."""
    time: datetime = _table().opens[_position(session)]
    return time


def closes(session: date) -> datetime:
    """Return when a session closes, UTC; half days close early.

    Raises `DataError` when the exchange is closed that day.

    Examples
    --------
    >>> closes(date(2018, 11, 23)).isoformat()
    '2018-11-23T18:00:00+00:00'
    """
    time: datetime = _table().closes[_position(session)]
    return time


def due(asof: datetime) -> datetime | None:
    """Return the close of the last session that has ended by `asof`; None before the first.

    A session has ended at its close, to the second: at 21:00:00 the bar of 21:00:00 is due.
    """
    table = _table()
    ended = bisect_right(table.closes, asof)
    if ended == len(table.closes):
        _at(table.closes, ended, asof)
    return table.closes[ended - 1] if ended else None


def due_within(asof: datetime, interval: timedelta) -> datetime | None:
    """Return the close of the last bar of a length that has ended by `asof`; None before the first.

    Bars begin with the session; between two sessions, and before the first bar of one has ended,
    it is the close of the session before.

    Examples
    --------
    >>> asof = datetime(2018, 11, 23, 15, 37, 12, tzinfo=UTC)
    >>> due_within(asof, timedelta(minutes=5)).isoformat()
    '2018-11-23T15:35:00+00:00'
    """
    table = _table()
    begun = bisect_right(table.opens, asof) - 1
    if begun >= 0 and table.opens[begun] + interval <= asof < table.closes[begun]:
        opened = table.opens[begun]
        return opened + (asof - opened) // interval * interval
    return due(asof)


def next_within(bar: datetime, interval: timedelta) -> datetime:
    """Return when the bar of a length closes that follows one that closed at `bar`.

    Examples
    --------
    >>> next_within(closes(date(2018, 11, 21)), timedelta(minutes=5)).isoformat()
    '2018-11-23T14:35:00+00:00'
    """
    table = _table()
    place = bisect_right(table.closes, bar)
    closed: datetime = _at(table.closes, place, bar)
    return min(max(bar, table.opens[place]) + interval, closed)


def left(asof: datetime, expires: datetime) -> float:
    """Return how many sessions are to come from `asof` to a session's close; 0 when it is over.

    A session that is on counts with the part of it that is left, and no time passes overnight: at
    the open as much is left as at the close before.

    Examples
    --------
    >>> friday = closes(date(2018, 11, 23))
    >>> left(closes(date(2018, 11, 20)), friday), left(opens(date(2018, 11, 23)), friday)
    (2.0, 1.0)
    >>> left(datetime(2018, 11, 21, 17, 45, tzinfo=UTC), friday)
    1.5
    """
    table = _table()
    whole = bisect_right(table.closes, expires) - bisect_right(table.closes, asof)
    if whole <= 0:
        return 0.0
    begun = bisect_right(table.opens, asof) - 1
    if begun < 0 or asof >= table.closes[begun]:
        return float(whole)
    opened, closed = table.opens[begun], table.closes[begun]
    return whole - (asof - opened) / (closed - opened)


def begun(asof: datetime) -> bool:
    """Return whether a session is on of which a part has gone by and a part is to come."""
    table = _table()
    place = bisect_right(table.opens, asof) - 1
    return place >= 0 and table.opens[place] < asof < table.closes[place]


def ahead(asof: datetime, n: int) -> datetime:
    """Return the close of the `n`-th session that closes strictly after `asof`, n >= 1.

    With `asof` at a close, ``ahead(asof, 5)`` is the close five sessions on.
    """
    if n < 1:
        raise ValueError(f"n counts sessions from 1, got {n}")
    closes = _table().closes
    time: datetime = _at(closes, bisect_right(closes, asof) + n - 1, asof)
    return time


def roll(asof: datetime) -> datetime:
    """Return the open of the next session, strictly after `asof`."""
    opens = _table().opens
    time: datetime = _at(opens, bisect_right(opens, asof), asof)
    return time


def session_of(asof: datetime) -> date | None:
    """Return the session that is on at `asof`, open and close included; None between two."""
    table = _table()
    begun = bisect_right(table.opens, asof) - 1
    return table.days[begun] if begun >= 0 and asof <= table.closes[begun] else None
