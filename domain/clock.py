"""Time as something you are handed, never something you look up."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current time, always in UTC."""

    def now(self) -> datetime: ...


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 -- the only place that may ask


class VirtualClock:
    """Time that moves when told to, and never backwards.

    Examples
    --------
    >>> clock = VirtualClock(datetime(2018, 1, 5, tzinfo=UTC))
    >>> clock.turn(datetime(2018, 1, 5, 0, 5, tzinfo=UTC)).isoformat()
    '2018-01-05T00:05:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def turn(self, to: datetime) -> datetime:
        """Move on to `to` and return it. Raises `ValueError` when `to` has passed."""
        if to < self._now:
            raise ValueError(f"time does not run backwards: {self._now} -> {to}")
        self._now = to
        return to
