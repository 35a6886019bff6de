"""A trading session in virtual time: the beat schedule, played as fast as the machine allows."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import crontab, schedule

from domain.clock import VirtualClock
from market.calendar import TIMETABLE

DAY = timedelta(days=1)
YEAR = 366
"""Days to look ahead for a slot; every crontab that names a real date has one within them."""

Entries = Mapping[str, Mapping[str, Any]]


def play(
    schedule: Entries,
    clock: VirtualClock,
    until: datetime,
    send: Callable[[str, Mapping[str, Any]], None],
    arrivals: Sequence[datetime] = (),
    on_data: frozenset[str] = frozenset(),
) -> Counter[str]:
    """Send every task of the beat schedule that falls due before `until`.

    This is what makes a backtest the live system: the same schedule, the same tasks, only the
    clock is turned by hand.

    Parameters
    ----------
    schedule
        Celery's ``beat_schedule``. What is no `crontab` goes by real time and is left out.
    clock
        Turned from slot to slot; the tasks see its time.
    send
        Called with the task's name and keyword arguments for each due entry.
    arrivals
        When market data arrives, rising: openings and closes.
    on_data
        Names of tasks that look at the market. Between two arrivals nothing they look at can
        change, so of those slots only the first at or after an arrival is sent.

    Returns
    -------
    Counter
        How often each entry was sent.
    """
    start = clock.now()
    due = []
    for place, (name, entry) in enumerate(schedule.items()):
        if not isinstance(entry["schedule"], crontab):
            continue
        if entry["task"] in on_data:
            moments = after(entry["schedule"], [a for a in arrivals if start < a <= until])
        else:
            moments = every(entry["schedule"], start, until)
        due += [(moment, place, name) for moment in moments if start < moment <= until]
    runs: Counter[str] = Counter()
    for moment, _, name in sorted(due):
        clock.turn(moment)
        runs[name] += 1
        send(schedule[name]["task"], schedule[name]["kwargs"])
    clock.turn(until)
    return runs


def every(schedule: crontab, start: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots of a crontab after `start` and up to `until`, in UTC.

    Celery's own `crontab.is_due` takes 30 µs and would be asked fifteen times a minute for three
    years, twelve minutes in all; its fields say the same at once. A wall-clock time that a change
    to daylight saving skips falls due an hour later, one that is repeated falls due once.
    """
    local = start.astimezone(TIMETABLE)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    earliest = local.hour * 60 + local.minute
    while midnight <= until:
        for moment in _moments(schedule, midnight, earliest):
            if start < moment <= until:
                yield moment
        midnight, earliest = midnight + DAY, 0


def next_slot(schedule: schedule, asof: datetime) -> datetime | None:
    """Return when a crontab falls due next after `asof`; None for what goes by real time."""
    if not isinstance(schedule, crontab):
        return None
    return next(every(schedule, asof, asof + YEAR * DAY), None)


def after(schedule: crontab, arrivals: Sequence[datetime]) -> Iterator[datetime]:
    """Yield the first slot at or after each arrival; one slot for two arrivals before it."""
    last = None
    for arrival in arrivals:
        slot = next_slot(schedule, arrival - timedelta(microseconds=1))
        if slot is not None and slot != last:
            yield slot
        last = slot


def _moments(schedule: crontab, midnight: datetime, earliest: int) -> Iterator[datetime]:
    """Yield the slots of one exchange day, from the given minute of the day on."""
    if (
        midnight.isoweekday() % 7 not in schedule.day_of_week
        or midnight.day not in schedule.day_of_month
        or midnight.month not in schedule.month_of_year
    ):
        return
    for hour in sorted(schedule.hour):
        for minute in sorted(schedule.minute):
            if hour * 60 + minute < earliest:
                continue
            yield midnight.replace(hour=hour, minute=minute).astimezone(UTC)
