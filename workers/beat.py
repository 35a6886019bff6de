"""Beat: the timetable, sent on time, by one process at a time.

Celery's own scheduler keeps in a file what it has sent; two of them send everything twice, and a
lost file forgets. Here the database knows up to which moment every slot was claimed. A beat that
holds the lease claims what fell due since and writes down what it is about to send, both in one
compare-and-set; so no slot is claimed twice, and what was claimed is sent even if the broker, or
this process, is gone for a while.

What was missed while no beat ran is not replayed: of each entry the newest slot alone, and that
only until it would have expired.
"""

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from celery import Celery, chain
from celery.beat import Scheduler as Base
from celery.beat import Service
from celery.canvas import Signature
from celery.schedules import crontab
from celery.signals import beat_init
from kombu.exceptions import OperationalError

from beat_schedule import IN_ORDER
from domain.book import KillCode, Scope
from domain.clock import WallClock
from domain.errors import OmegaError, Transient
from domain.settings import load
from market import calendar
from market.feeds import catalog as feeds
from orchestrator import playback
from orchestrator.books import SKEW
from orchestrator.desk import TRAIN
from orchestrator.session import every
from risk import killswitch
from storage import jobs, lease, state, switches
from storage.engine import open_store

log = structlog.get_logger("omega.beat")

LASTS = timedelta(seconds=10)
"""How long a beat that died keeps its place."""
LOOK, WAIT = 0.1, 1.0
"""Seconds to the next look at the clock; and while another beat has the lease, or all is down."""
RESUME = timedelta(seconds=60)
"""A playback that nobody beat for so long goes on where it stood."""

Slot = tuple[datetime, str]
"""When something falls due, and the name of its entry."""


def due(table: Mapping[str, Mapping[str, Any]], since: datetime, now: datetime) -> list[Slot]:
    """Return the newest slot of each entry after `since` and up to `now`, in order of time.

    Left out is what expired meanwhile. Entries of the same minute keep the order of the table.
    """
    found = []
    for place, (name, entry) in enumerate(table.items()):
        if not isinstance(entry["schedule"], crontab):
            continue
        lasting = timedelta(seconds=entry["options"]["expires"])
        newest = max(every(entry["schedule"], max(since, now - lasting), now), default=None)
        if newest is not None:
            found.append((newest, place, name))
    return [(moment, name) for moment, _, name in sorted(found)]


def together(slots: list[Slot]) -> Iterator[list[str]]:
    """Yield what is sent as one: the entries of one book-keeping in their order, all else alone.

    Fills before marks, marks before guardrails, a scan last: over several workers only a chain
    keeps that order. One that fails ends it, and the next slot tries again.
    """
    names = [name for _, name in slots]
    books = [name for name in IN_ORDER if name in names]
    for name in names:
        if name not in books:
            yield [name]
        elif name == next(n for n in names if n in books):
            yield books


class Scheduler(Base):  # type: ignore[misc]
    """Celery beat's scheduler, on the desk's clock and the desk's database."""

    def __init__(self, app: Celery, *args: Any, **options: Any) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self._pulsed: dict[str, float] = {}
        self._ticked: tuple[datetime, float] | None = None
        super().__init__(app, *args, **options)

    def setup_schedule(self) -> None:
        """Open the database and find the clock; nothing is sent before the lease is held."""
        settings = load()
        self._wall, self._store = WallClock(), open_store(settings)
        self._clock: WallClock | playback.Playing = self._wall
        self._pace, self._token = settings.pace, 0
        self._days: list[date] = []
        if settings.feed == "playback":
            self._days = playback.days(feeds.create(settings).panel())
            self._clock = playback.Playing(self._store, self._days, self._wall)

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what fell due; return how many seconds to wait."""
        try:
            token = lease.take(self._store, "beat", self.owner, LASTS, self._wall.now())
            if token is None:
                self._token = 0
                return WAIT
            if not self._token:
                self._begin()
            self._token = token
            self._steady()
            self._pulse()
            self._claim()
        except (Transient, OperationalError, OSError) as error:
            log.warning("beat waits", why=str(error))
            return WAIT
        return LOOK

    def _begin(self) -> None:
        """Take over from the beat before this one."""
        log.info("beat holds the lease", owner=self.owner)
        kept, now = state.get(self._store, playback.BEAT), self._wall.now()
        last = None if kept is None else datetime.fromisoformat(kept.body["at"])
        if self._days and (last is None or now - last > RESUME):
            anchor = playback.begin(self._store, self._days, self._pace, now)
            log.info("playback", session=anchor.session.isoformat(), pace=anchor.pace)
            self._clock = playback.Playing(self._store, self._days, self._wall)
        self._send([["train-missing"]])

    def _steady(self) -> None:
        """Halt the desk when this machine's clock was set, forwards or back, since the last tick.

        Between two ticks the clock that nobody can set has gone on as far as it should have.
        """
        now, steady = self._wall.now(), monotonic()
        before, self._ticked = self._ticked, (now, steady)
        if before is None:
            return
        jumped = (now - before[0]).total_seconds() - (steady - before[1])
        if abs(jumped) <= SKEW:
            return
        why = f"the clock of {socket.gethostname()} was set by {jumped:+.1f} s"
        log.error(why)
        at = self._clock.now()
        code, told = KillCode.CLOCK_SKEW, {"jumped": jumped, "limit": SKEW}
        latch = killswitch.automatic(Scope.ALL, "*", code, why, at, calendar.roll(at), told)
        switches.throw(self._store, latch)

    def _claim(self) -> None:
        """Claim the slots since the last look, then send them and what was left from before."""
        kept, now, at = state.get(self._store, playback.BEAT), self._clock.now(), self._wall.now()
        body = {"seen": now.isoformat(), "at": at.isoformat(), "unsent": []}
        if kept is None:
            state.put(self._store, playback.BEAT, body, 0)
            return
        since, waiting = datetime.fromisoformat(kept.body["seen"]), kept.body["unsent"]
        slots = due(self.app.conf.beat_schedule, since, now)
        fresh = [{"names": names, "at": at.isoformat()} for names in together(slots)]
        quiet = at - datetime.fromisoformat(kept.body["at"]) < LASTS / 2
        if not fresh and not waiting and quiet:
            return
        body |= {"seen": max(since, now).isoformat(), "unsent": waiting + fresh}
        revision = state.put(self._store, playback.BEAT, body, kept.revision)
        if waiting + fresh:
            self._send([one["names"] for one in waiting + fresh if self._in_time(one, at)])
            state.put(self._store, playback.BEAT, body | {"unsent": []}, revision)

    def _in_time(self, one: Mapping[str, Any], at: datetime) -> bool:
        expires = min(self._entry(name)["options"]["expires"] for name in one["names"])
        return at - datetime.fromisoformat(one["at"]) < timedelta(seconds=expires)

    def _entry(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.app.conf.beat_schedule[name]
        return found

    def _send(self, batches: list[list[str]]) -> None:
        for names in batches:
            if not self._wanted(names):
                continue
            log.info("sends", entries=names, at=self._clock.now().isoformat(timespec="seconds"))
            made = [self._signature(name) for name in names]
            (made[0] if len(made) == 1 else chain(*made)).apply_async()

    def _wanted(self, names: list[str]) -> bool:
        """Accept a training before it is sent; False if that very one is under way."""
        entry = self._entry(names[0])
        if entry["task"] != TRAIN:
            return True
        name, at = jobs.training(entry["kwargs"]["model"]), self._wall.now()
        return jobs.accept(self._store, name, entry["kwargs"], at)

    def _signature(self, name: str) -> Signature:
        entry = self._entry(name)
        return self.app.signature(
            entry["task"], kwargs=entry["kwargs"], options=dict(entry["options"]), immutable=True
        )

    def _pulse(self) -> None:
        """Send what goes by real time, whatever time the desk has. Forgotten when this ends."""
        for name, entry in self.app.conf.beat_schedule.items():
            if isinstance(entry["schedule"], crontab):
                continue
            every_so_often = entry["schedule"].run_every.total_seconds()
            if monotonic() - self._pulsed.get(name, float("-inf")) >= every_so_often:
                self._pulsed[name] = monotonic()
                self._signature(name).apply_async()

    def close(self) -> None:
        """Give the lease back: the next beat need not wait for it to run out."""
        try:
            lease.release(self._store, "beat", self.owner, self._wall.now())
        except OmegaError as error:
            log.warning("the lease runs out by itself", why=str(error))
        self._store.close()
        super().close()


@beat_init.connect
def end_between_ticks(sender: Service, **_: Any) -> None:
    """Let a signal end beat after the tick that is under way; a second one ends it at once.

    Celery's own handler raises `SystemExit` wherever the process happens to be. In the middle of
    an import or of a statement of the database that comes out as another error: of 60 beats that
    were stopped in their first tick, one ended with a traceback.
    """

    def stop(_number: int, _frame: object) -> None:
        sender._is_shutdown.set()
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
