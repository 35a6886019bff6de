"""Playback: packaged history as if it happened now, one session every few seconds.

Time stands still nowhere and jumps often. Of each session only the moments matter at which
something falls due: the evenings before it, shortly before the open, the open, the close. The clock
goes from one such stop to the next, and between two it runs as fast as any clock.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from pydantic import AwareDatetime, Field

from domain.clock import Clock
from domain.values import Value
from market import calendar

EVENING = time(20)
"""After all that is due in the evening, Sunday's last training at 19:00 included."""
EARLY, LATE = timedelta(minutes=4), timedelta(seconds=5)
"""How long before the open the books are rolled, and how long after open and close a bar is in."""
SHARES = {"evening": 0.2, "early": 0.1, "open": 0.25, "close": 0.45}
"""How a session's seconds are spent; most where decisions are taken."""


class Anchor(Value):
    """Where playback stands: which session began at which moment of real time, and how fast.

    The one thing that every process has to know to agree on the time.
    """

    began: AwareDatetime
    """Real time."""
    session: date
    pace: float = Field(gt=0)
    """Seconds of real time per session."""


class PlaybackClock:
    """What time it is in a playback: a function of the real time and nothing else.

    Parameters
    ----------
    anchor
        Shared by every process of a fleet.
    days
        The sessions there are, rising; the clock stops at the last one's close.
    wall
        Real time.
    """

    def __init__(self, anchor: Anchor, days: Sequence[date], wall: Clock) -> None:
        self._anchor, self._wall = anchor, wall
        self._days = [day for day in days if day >= anchor.session]

    @cached_property
    def _last(self) -> datetime:
        stood = timedelta(seconds=self._anchor.pace * SHARES["close"])
        return calendar.closes(self._days[-1]) + LATE + stood

    def now(self) -> datetime:
        """Return the time of the playback, UTC."""
        gone = max(0.0, (self._wall.now() - self._anchor.began).total_seconds())
        played, into = divmod(gone, self._anchor.pace)
        if played >= len(self._days):
            return self._last
        begun, stop = self._at(self._days[int(played)], into)
        return stop + timedelta(seconds=into - begun)

    def _at(self, day: date, into: float) -> tuple[float, datetime]:
        """Return the last stop that begins by then, and when it began, in seconds."""
        found = (0.0, calendar.opens(day) - EARLY)
        for begun, stop in stops(day, self._anchor.pace):
            if begun > into:
                break
            found = begun, stop
        return found

    @property
    def ended(self) -> bool:
        """Whether history has been played to its end."""
        return self.now() >= self._last


def stops(day: date, pace: float) -> Iterator[tuple[float, datetime]]:
    """Yield the stops of a session: after how many seconds each begins, and what time it is then.

    Examples
    --------
    >>> for begun, stop in stops(date(2018, 12, 6), 10.0):
    ...     print(f"{begun:4.1f} {stop:%a %H:%M:%S}")
     0.0 Wed 02:00:00
     1.0 Thu 02:00:00
     2.0 Thu 14:26:00
     3.0 Thu 14:30:05
     5.5 Thu 21:00:05

    The Wednesday before was a day of mourning, so two evenings lie before that session.
    """
    before = calendar.due(calendar.opens(day) - EARLY)
    first = day - timedelta(days=1) if before is None else before.date()
    nights = [first + timedelta(days=n) for n in range((day - first).days)]
    for place, night in enumerate(nights):
        at = datetime.combine(night, EVENING, calendar.TIMETABLE).astimezone(UTC)
        yield pace * SHARES["evening"] * place / len(nights), at
    begun = pace * SHARES["evening"]
    for name, at in (
        ("early", calendar.opens(day) - EARLY),
        ("open", calendar.opens(day) + LATE),
        ("close", calendar.closes(day) + LATE),
    ):
        yield begun, at
        begun += pace * SHARES[name]
