"""What a worker is measured by, for Prometheus to read at `/metrics`.

A worker is several processes. Each counts into files of its own, and the main one adds them up when
it is asked; it then looks at the broker and the store as well. What is seen there is the same from
every worker of a desk, so take the largest of it and not the sum.

Nothing in here runs, and no library for it is imported, unless `metrics_port` is set.
"""

import fcntl
import os
from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from celery import Celery, Task
from celery.signals import (
    task_failure,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_ready,
)

from domain.clock import WallClock
from domain.errors import OmegaError
from domain.settings import Settings, load
from orchestrator import desk as desks
from orchestrator import drill
from orchestrator.pulse import newest
from orchestrator.view import punctuality
from storage import dead, decisions, engine
from storage.engine import Store
from workers import roles
from workers.config import QUEUES
from workers.lifecycle import MEASURED as FOLDER
from workers.lifecycle import through

if TYPE_CHECKING:
    import prometheus_client
    from prometheus_client.metrics_core import Metric

log = structlog.get_logger("omega.metrics")

QUICK = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.12, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds. A decision has 0.12 from end to end."""
PATIENT = (*QUICK, 10.0, 30.0, 60.0, 240.0)
"""Seconds. After 240 a scheduled decision has expired."""
MAY_CHANGE = timedelta(days=1)
"""Decisions so much older than the newest are sealed and counted for good, unless one is pending.
Counting 17,000 takes 55 ms, a day's 0.2 ms."""


class Meters(NamedTuple):
    """What is counted where it happens."""

    outcomes: "prometheus_client.Counter"
    retries: "prometheus_client.Counter"
    seconds: "prometheus_client.Histogram"
    waits: "prometheus_client.Histogram"


@cache
def meters() -> Meters:
    """Return this process's meters; made once, and a forked child's count into files of its own."""
    from prometheus_client import Counter, Histogram, values

    # Flower is a plugin of the `celery` command, so the library is there before any of us could
    # have named the folder. Asked then, it counts in memory, where no other process sees it.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    return Meters(
        outcomes=Counter(
            "omega_tasks", "Tasks by how they ended", ["task", "state"], registry=None
        ),
        retries=Counter("omega_task_retries", "Tasks to be tried again", ["task"], registry=None),
        seconds=Histogram(
            "omega_task_seconds",
            "From start to end: result kept, next hop published",
            ["task", "layer"],
            registry=None,
            buckets=QUICK,
        ),
        waits=Histogram(
            "omega_task_wait_seconds",
            "From being published, or due, to start",
            ["queue"],
            registry=None,
            buckets=PATIENT,
        ),
    )


_held: IO[str] | None = None
"""The lock of the folder: closed with the process."""


def begin(home: Path, role: str) -> None:
    """Make a worker's main process measure, before it has any children."""
    global _held
    folder, _held = _own(home.resolve() / "metrics", role)
    os.environ[FOLDER] = str(folder)
    connect()


@cache
def connect() -> None:
    """Listen to what happens to tasks. What is forked afterwards listens too."""
    meters()
    task_prerun.connect(started)
    task_postrun.connect(ended)
    task_failure.connect(lost)
    task_revoked.connect(revoked)
    worker_ready.connect(serve)


def _own(shelf: Path, role: str) -> tuple[Path, IO[str]]:
    """Return an empty folder that no other worker counts in, and the lock on it.

    Two workers of one role may share a home, and in containers even the numbers of their processes.
    """
    for number in count(1):
        folder = shelf / (role if number == 1 else f"{role}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "owner.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        for old in folder.glob("*.db"):
            old.unlink()
        return folder, lock
    raise AssertionError


_began: dict[str, float] = {}


def started(task_id: str = "", task: Task | None = None, **_: Any) -> None:
    """Note when a task began, and how long its message was on its way."""
    if task is None:
        return
    _began[task_id] = perf_counter()
    sent = task.request.get("sent")
    if sent is None:
        return
    # What is tried again later is sent at once and waits on purpose until it is due.
    since = max(datetime.fromisoformat(at) for at in (sent, task.request.eta) if at)
    queue = through(task.request)
    wait = (WallClock().now() - since).total_seconds()
    meters().waits.labels(queue).observe(max(wait, 0.0))


def ended(task_id: str = "", task: Task | None = None, state: str | None = None, **_: Any) -> None:
    """Count what became of a task, and how long it took."""
    began = _began.pop(task_id, None)
    if task is None:
        return
    group, _, name = task.name.partition(".")
    meters().outcomes.labels(task.name, state or "ABORTED").inc()
    if state == "RETRY":
        meters().retries.labels(task.name).inc()
    if began is not None:
        layer = name if group == "decision" else ""
        meters().seconds.labels(task.name, layer).observe(perf_counter() - began)


def lost(sender: Task | None = None, **_: Any) -> None:
    """Count, in the main process, what a child could not: it was lost, or out of time."""
    if sender is not None and not desks.bound():
        meters().outcomes.labels(sender.name, "FAILURE").inc()


def revoked(sender: Task | None = None, expired: bool = False, **_: Any) -> None:
    """Count what was never begun, or was stopped."""
    if sender is not None:
        meters().outcomes.labels(sender.name, "EXPIRED" if expired else "REVOKED").inc()


def leave() -> None:
    """Add what this process has counted to what others before it have, and remove its files.

    The library keeps the files of the dead, for their counts still count. A child that trains lives
    for five tasks, which would be thousands of files a day, all of them read at every scrape.
    """
    from prometheus_client.mmap_dict import MmapedDict

    folder, pid = Path(os.environ[FOLDER]), os.getpid()
    with _folding(folder):
        for kind in ("counter", "histogram"):
            mine = folder / f"{kind}_{pid}.db"
            if not mine.exists():
                continue
            past = MmapedDict(str(folder / f"{kind}_0.db"))  # type: ignore[no-untyped-call]
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(mine)):  # type: ignore[no-untyped-call]
                before, _ = past.read_value(key)  # type: ignore[no-untyped-call]
                past.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
            past.close()  # type: ignore[no-untyped-call]
            mine.unlink()


class _folding:
    """Hold the folder's files as they are, while they are read or added up."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "files.lock").open("a")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


_still = Lock()
"""Held while somebody is answered, and by who forks: a child made in the middle of it would inherit
an open database and locks of a thread that it does not have."""


def serve(sender: Any = None, **_: Any) -> None:
    """Answer on the loopback, from the main process. Who cannot be measured still works."""
    from prometheus_client import CollectorRegistry, start_http_server

    settings = load()
    if settings.metrics_port is None:
        return
    address = roles.metrics(settings.metrics_port, sender.hostname.partition("@")[0])
    place = urlsplit(address)
    registry = CollectorRegistry()
    registry.register(Seen(sender.app, settings))
    try:
        server, _thread = start_http_server(place.port or 0, place.hostname or "", registry)
    except OSError as error:
        log.warning("no metrics", address=address, why=str(error))
        return

    def in_child() -> None:
        _still.release()
        server.socket.close()

    os.register_at_fork(
        before=_still.acquire, after_in_parent=_still.release, after_in_child=in_child
    )
    log.info("metrics", address=address)


class Seen:
    """All there is to see of a worker and its desk, at the moment somebody asks."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app, self._settings, self._tally = app, settings, Tally()

    def collect(self) -> "list[Metric]":
        """Return everything; of what cannot be reached, that it cannot."""
        from prometheus_client.metrics_core import GaugeMetricFamily
        from prometheus_client.multiprocess import MultiProcessCollector

        reachable = GaugeMetricFamily("omega_reachable", "1 if it answers", labels=["what"])
        folder = Path(os.environ[FOLDER])
        with _still:
            with _folding(folder):
                found = list(MultiProcessCollector(None, str(folder)).collect())  # type: ignore[no-untyped-call]
            for what, look in (("broker", self._broker), ("store", self._store)):
                try:
                    found += look()
                    reachable.add_metric([what], 1.0)
                except OmegaError:
                    reachable.add_metric([what], 0.0)
        return [*found, reachable]

    def _broker(self) -> "list[Metric]":
        from workers import watch

        waiting, unacknowledged = watch.depths(self._app)
        named = {name: depth for name, depth in waiting.items() if depth is not None}
        found = [_gauge("omega_queue_messages", "Waiting to be taken", named, "queue")]
        if unacknowledged is not None:
            told = {"": unacknowledged}
            found.append(_gauge("omega_unacknowledged_messages", "Taken, not yet done", told))
        return found

    def _store(self) -> "list[Metric]":
        from prometheus_client.metrics_core import CounterMetricFamily

        store, now = engine.connect(self._settings), WallClock().now()
        try:
            with engine.reading(store):
                kept = {name: newest(store, name) for name in QUEUES}
                pending, _ = decisions.waiting(store)
                letters, sealed = dead.count(store), self._tally.read(store)
                slow = punctuality(store).degraded
                drilled = drill.last(store)
        finally:
            store.close()
        pulses = {name: one for name, one in kept.items() if one is not None}
        ages = {name: (now - one.at).total_seconds() for name, one in pulses.items()}
        waits = {name: one.wait for name, one in pulses.items() if one.wait is not None}
        by_code = CounterMetricFamily(
            "omega_decisions", "Sealed, by what was decided and why", labels=["action", "code"]
        )
        for (action, code), number in sorted(sealed.items()):
            by_code.add_metric([action, code], number)
        return [
            _gauge("omega_pulse_age_seconds", "Since the newest pulse came through", ages, "queue"),
            _gauge("omega_pulse_wait_seconds", "What it took to come through", waits, "queue"),
            _gauge("omega_decisions_pending", "Due and not yet sealed", {"": pending}),
            _gauge("omega_dead_letters", "Waiting for a person", {"": letters}),
            _gauge(
                "omega_drill_age_seconds",
                "Since a drill was last played, passed or not",
                {name: (now - one.at).total_seconds() for name, one in drilled.items()},
                "drill",
            ),
            _gauge(
                "omega_drill_passed",
                "1 if the last drill of a name was passed",
                {name: float(one.passed) for name, one in drilled.items()},
                "drill",
            ),
            _gauge("omega_degraded", "1 while decisions come too late", {"": float(slow)}),
            by_code,
        ]


def _gauge(name: str, what: str, found: dict[str, Any], label: str = "") -> "Metric":
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=[label] if label else [])
    for key, value in found.items():
        family.add_metric([key] if label else [], value)
    return family


class Tally:
    """Sealed decisions by action and code; counted anew only where they may still change."""

    def __init__(self) -> None:
        self._past: Counter[tuple[str, str]] = Counter()
        self._since: datetime | None = None

    def read(self, store: Store) -> Counter[tuple[str, str]]:
        """Return how many there are, all read at one moment."""
        with engine.reading(store):
            recent = _counted(store, self._since)
            found, newest = self._past + recent, decisions.listing(store, limit=1)
            if newest:
                _, oldest = decisions.waiting(store)
                since = newest[0].asof - MAY_CHANGE
                since = since if oldest is None else min(since, oldest)
                if self._since is None or since > self._since:
                    self._past = found - _counted(store, since)
                    self._since = since
        return found


def _counted(store: Store, since: datetime | None) -> Counter[tuple[str, str]]:
    found = decisions.count_by(store, "action", "code", since=since)
    return Counter({(a, c): n for (a, c), n in found.items() if a is not None and c is not None})
