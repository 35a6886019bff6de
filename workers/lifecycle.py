"""Giving a process its desk, and taking it away again."""

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from amqp.exceptions import PreconditionFailed
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery
from celery.signals import (
    celeryd_after_setup,
    celeryd_init,
    setup_logging,
    task_failure,
    worker_process_init,
    worker_process_shutdown,
)
from kombu.exceptions import OperationalError

from domain.clock import Clock, WallClock
from domain.errors import DataError, IntegrityError, SettingsError
from domain.settings import Settings, load
from domain.values import Env
from market.feeds import apart
from market.feeds.base import Feed
from orchestrator import desk as desks
from orchestrator import playback
from orchestrator.desk import JOBS, TRAIN, Desk
from storage import dead, jobs
from storage.engine import connect
from workers.config import POOLS, rabbit

THREADS = "OMP_NUM_THREADS"
"""Set before numpy is imported: one thread each, or a child that trains after a fork hangs."""
GONE = (WorkerLostError, TimeLimitExceeded)
"""What a task ends with whose process was lost, or was ended since it took too long."""
MEASURED = "PROMETHEUS_MULTIPROC_DIR"
"""Set by the main process of a worker that is measured; without it no child looks for more."""


def open_desk(
    settings: Settings,
    clock: Clock | None = None,
    env: Env | None = None,
    feed: Feed | None = None,
) -> Desk:
    """Open the database, the feed and the champions of this process."""
    os.environ.setdefault(THREADS, "1")
    desk = Desk.open(settings, clock or WallClock(), env, feed)
    if clock is None and desk.feed.name == "playback":
        desk.clock = playback.Playing(desk.store, playback.days(desk.feed.panel()), WallClock())
    return desk


@contextmanager
def bound(desk: Desk) -> Iterator[Desk]:
    """Make `desk` the one that this process's tasks use, and close it in the end."""
    desks.bind(desk)
    try:
        yield desk
    finally:
        desks.bind(None)
        desk.close()


@setup_logging.connect
def log(loglevel: int = logging.WARNING, logfile: str | None = None, **_: Any) -> None:
    """Say everything in lines of JSON: workers, their children and beat, and nobody else.

    The level is the one that was set, else what the command says.
    """
    from workers import logs

    settings = load()
    level = settings.log_level if "log_level" in settings.model_fields_set else loglevel
    logs.configure(os.environ.get(logs.ROLE, "beat"), level, logfile)


@celeryd_init.connect
def measure(sender: str = "", **_: Any) -> None:
    """Tell a worker what it is called, and have it measured where that is wanted."""
    from workers import logs

    settings, role = load(), sender.partition("@")[0]
    os.environ[logs.ROLE] = role
    logs.configure(role, settings.log_level)  # what it has to say before Celery asks how
    if settings.metrics_port is not None:
        from workers import metrics

        metrics.begin(settings.home, role)


def stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Write on a message when it was sent; a message that is sent again is stamped again."""
    if headers is not None:
        headers["sent"] = WallClock().now().isoformat()


@celeryd_init.connect
def suit(conf: Any = None, options: dict[str, Any] | None = None, **_: Any) -> None:
    """Give a worker the pool that suits the queue it consumes, however it was started."""
    queues = (options or {}).get("queues") or ()
    queues = queues.split(",") if isinstance(queues, str) else list(queues)
    if len(queues) == 1:
        conf.update(POOLS[queues[0]])
    if queues == ["training"]:
        yield_to_decisions()
    else:
        apart.give_hours()  # before the children are forked, which share it


@celeryd_after_setup.connect
def declare(instance: Any = None, **_: Any) -> None:
    """Have every queue before a worker begins; where the broker is away, what it says then stands.

    By RabbitMQ a worker binds all queues, not only its own, to what holds messages back, and says
    that nothing will be held back when another's is not there yet.
    """
    if instance is not None:
        with suppress(OperationalError, OSError):
            declared(instance.app)


def declared(application: Celery) -> None:
    """Declare every queue of an application. Redis has none: there a queue is what was sent to it.

    Raises
    ------
    OperationalError, OSError
        The broker does not answer.
    SettingsError
        A queue of that name is there and is no quorum queue of ours.
    """
    if not rabbit(application.conf.broker_url):
        return
    with application.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)
        for queue in application.amqp.queues.values():
            try:
                queue.bind(connection.default_channel).declare()
            except PreconditionFailed as error:
                why = f"{error.reply_text}: delete it, or name another virtual host in the URL"
                raise SettingsError(why) from error


def yield_to_decisions() -> None:
    """Keep this process out of the way of decisions.

    `nice` alone does nothing between sessions where the kernel groups processes by session, as it
    does by default; there the group's own number counts.
    """
    os.nice(19)
    group = Path("/proc/self/autogroup")
    if group.exists():
        try:
            group.write_text("19")
        except OSError:
            return


@worker_process_init.connect
def start(**_: Any) -> None:
    """Open a desk in each child of a prefork pool: connections must not cross a fork.

    A solo pool sends the same signal in the process that runs it, which may have its desk by then.
    """
    from workers import logs

    if desks.bound():
        return
    settings = load()
    if settings.metrics_port is not None and MEASURED in os.environ:
        from workers import metrics

        metrics.connect()
    if os.environ.get(logs.ROLE) == "training":  # which needs what reads a history anyway
        desks.bind(open_desk(settings))
    else:
        desks.bind(open_desk(settings, feed=apart.create(settings)))
        with suppress(DataError, IntegrityError):  # what cannot be read, each task says for itself
            desks.desk().feed.panel()
    freeze()


def freeze() -> None:
    """Take what is there now out of the garbage collector's rounds: it stays until the end.

    A round through all of it stops a process that decides for 60 ms, in one scan of a hundred: the
    p99 beside two trainings on two cores was 2.1 times that of the desk alone, and is 1.4 times.
    """
    gc.collect()
    gc.freeze()


def through(request: Any) -> str:
    """Return the queue that a task came through, empty if it came through none.

    By RabbitMQ the routing key of one that was held back for a while begins with for how long.

    Examples
    --------
    >>> from types import SimpleNamespace as Request
    >>> through(Request(delivery_info={"routing_key": "0.0.1.0.1.upkeep"}))
    'upkeep'
    >>> through(Request(delivery_info=None))
    ''
    """
    return str((request.delivery_info or {}).get("routing_key") or "").rpartition(".")[2]


@task_failure.connect
def bury(
    sender: Any = None,
    exception: BaseException | None = None,
    args: Any = (),
    kwargs: Any = None,
    **_: Any,
) -> None:
    """Keep what has failed for good among the dead letters, for a person to see.

    Told in the child that failed, or, where the child was lost or out of time, in its parent, which
    has no desk. What a decision comes to is the reaper's business. An eager task raises anyway.
    """
    if sender is None or sender.name.startswith("decision.") or sender.request.is_eager:
        return
    if sender.name in JOBS.values() and isinstance(exception, GONE):
        return  # it is begun again, until the record says that it was often enough
    settings = load()
    store = desks.desk().store if desks.bound() else connect(settings)
    error = f"{type(exception).__name__}: {exception}"
    payload = {"args": list(args or ()), "kwargs": dict(kwargs or {})}
    queue = through(sender.request) or "upkeep"
    attempts = 1 + (sender.request.retries or 0)
    dead.bury(store, sender.name, queue, payload, error, attempts, WallClock().now())
    if not desks.bound():
        store.close()


@task_failure.connect
def lost(
    sender: Any = None,
    task_id: str = "",
    exception: BaseException | None = None,
    args: Any = (),
    kwargs: Any = None,
    **_: Any,
) -> None:
    """Have what died with its process done again at once.

    The main process of a worker knows what its child was doing. Without this the reaper finds out
    in a few seconds, or when a lease has run out; and so it does where the whole worker is gone.
    """
    from workers import logs

    if sender is None or not isinstance(exception, GONE):
        return
    if sender.name.startswith("decision."):
        asked = {"lost": logs.ids(args)}
        sender.app.send_task("upkeep.reap", kwargs=asked, ignore_result=True)
    if sender.name in JOBS.values():
        store = connect(load())
        trained = sender.name == TRAIN
        name = jobs.training(str((kwargs or {}).get("model"))) if trained else jobs.VALIDATION
        jobs.died(store, name, task_id, WallClock().now())
        store.close()


@worker_process_shutdown.connect
def stop(**_: Any) -> None:
    """Close it with the child."""
    if MEASURED in os.environ and load().metrics_port is not None:
        from workers import metrics

        metrics.leave()
    if desks.bound():
        desks.desk().close()
        desks.bind(None)
