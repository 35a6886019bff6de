"""The playback of a home: one anchor in the store, from which every process tells the same time."""

from collections.abc import Sequence
from datetime import date, datetime
from time import monotonic

from domain.clock import Clock
from domain.errors import Refused
from market import calendar
from market.panel import Panel
from market.playback import Anchor, PlaybackClock
from storage import state
from storage.engine import Store

KEY = "playback"
BEAT = "beat"
"""Key under which beat keeps how far it has come."""
FIRST = date(2016, 1, 4)
"""Where it begins: two years of history before it are there to train on."""
AGAIN = 1.0
"""Seconds after which the anchor is read anew: whoever moves it is followed that soon."""


def days(panel: Panel) -> list[date]:
    """Return the sessions of a panel."""
    first, last = panel.times[0].item().date(), panel.times[-1].item().date()
    return calendar.sessions(first, last)


class Playing:
    """The clock of a playback, wherever its anchor moves to.

    Raises `Refused`, when asked for the time, while nothing has begun the playback.
    """

    def __init__(self, store: Store, sessions: Sequence[date], wall: Clock) -> None:
        self._store, self._sessions, self._wall = store, sessions, wall
        self._read = float("-inf")
        self._clock: PlaybackClock | None = None

    def now(self) -> datetime:
        """Return the time of the playback, UTC."""
        return self.clock().now()

    def clock(self) -> PlaybackClock:
        """Return the clock of the anchor in force."""
        if monotonic() - self._read >= AGAIN or self._clock is None:
            kept = state.get(self._store, KEY)
            if kept is None:
                raise Refused("nothing is being played back here: `omega up` begins it")
            anchor = Anchor.model_validate(kept.body)
            self._clock = PlaybackClock(anchor, self._sessions, self._wall)
            self._read = monotonic()
        return self._clock


def begin(store: Store, sessions: Sequence[date], pace: float, at: datetime) -> Anchor:
    """Begin a playback, or go on with the session after the last one that was played to its close.

    Parameters
    ----------
    at
        Now, in real time.
    """
    kept = state.get(store, BEAT)
    seen = None if kept is None else datetime.fromisoformat(kept.body["seen"])
    left = [day for day in sessions if day >= FIRST and (not seen or calendar.closes(day) > seen)]
    anchor = Anchor(began=at, session=left[0] if left else sessions[-1], pace=pace)
    state.put(store, KEY, anchor.model_dump(mode="json"))
    return anchor
