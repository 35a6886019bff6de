"""Real Celery without a server: in-process workers on the in-memory broker.

Messages are serialised, routed and acknowledged as on Redis. What is missing is what a process
gives: time limits, and survival. It is what the verbs use when no broker is configured; the eager
mode, which hides the queue altogether, is for tests.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import Celery
from celery.result import _set_task_join_will_block
from celery.worker import WorkController, state
from kombu.exceptions import OperationalError

from domain.errors import Transient
from domain.settings import Settings, without_passwords
from workers.app import create
from workers.config import rabbit
from workers.lifecycle import declared

log = logging.getLogger("omega.embedded")

READY = 10.0
STOP = 10.0
"""Seconds to wait for a worker to be up, and to be gone."""
PATIENCE = 1.0
"""Seconds that a broker has to answer somebody who waits in a terminal."""


class Worker(WorkController):  # type: ignore[misc]
    """A worker that says when it is ready."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.ready = threading.Event()
        super().__init__(*args, **options)

    def on_consumer_ready(self, consumer: Any) -> None:
        self.ready.set()


@contextmanager
def running(
    settings: Settings, queues: tuple[str, ...] = ("decision", "upkeep")
) -> Iterator[Celery]:
    """Run one solo worker for each queue, in threads of this process, and yield an application.

    Raises
    ------
    Transient
        A worker was not ready, or not gone, within ten seconds.
    """
    with ExitStack() as stack:
        for queue in queues:
            stack.enter_context(_worker(settings, queue))
        client = create(settings)
        client.set_current()
        yield client


@contextmanager
def client(settings: Settings, queue: str) -> Iterator[Celery]:
    """Yield an application whose messages in one queue are worked off.

    By a worker of this process where the broker is in memory; by those of the fleet where it is a
    server, for only they have what a process gives.

    Raises
    ------
    Transient
        The broker does not answer.
    """
    if settings.broker_url.startswith("memory://"):
        with running(settings, (queue,)) as application:
            yield application
        return
    with create(settings) as application:
        application.conf.update(_impatient(settings.broker_url, application))
        application.set_current()
        try:
            yield application
        except OperationalError as error:
            why = without_passwords(f"the broker {settings.broker_url} does not answer: {error}")
            raise Transient(why) from error


def _impatient(url: str, application: Celery) -> dict[str, Any]:
    """Return the settings of a person's client, who is told within seconds that a broker hangs."""
    if rabbit(url):
        waits: dict[str, Any] = {"read_timeout": PATIENCE, "write_timeout": PATIENCE}
    else:
        waits = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "max_retries": 0}
    return {
        "broker_transport_options": application.conf.broker_transport_options | waits,
        "broker_connection_timeout": PATIENCE,
        "task_publish_retry": False,
    }


@contextmanager
def _worker(settings: Settings, queue: str) -> Iterator[None]:
    application = create(settings)
    worker = Worker(
        app=application,
        hostname=f"{queue}@embedded",
        pool="solo",
        concurrency=1,
        queues=[queue],
        loglevel=settings.log_level,
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )

    declared(application)

    def work() -> None:
        # the next hop of a chain is sent by the application that is current in this thread
        application.set_current()
        worker.start()

    thread = threading.Thread(target=work, name=f"omega-{queue}", daemon=True)
    thread.start()
    if not worker.ready.wait(READY):
        raise Transient(f"the {queue} worker was not ready within {READY:.0f} s")
    late = f"the {queue} worker did not stop within {STOP:.0f} s"
    try:
        yield
    except BaseException:
        # Why it ends matters more than how: a Ctrl-C that came out as a Transient would be retried.
        if not _stopped(application, thread, queue):
            log.warning(late)
        raise
    if not _stopped(application, thread, queue):
        raise Transient(late)


def _stopped(application: Celery, thread: threading.Thread, queue: str) -> bool:
    """Ask a worker to stop, and return whether it did in time."""
    state.should_terminate = 0
    try:
        if application.conf.broker_url.startswith("memory://"):
            # The loop waits two seconds for a message, looks at the flag, and waits once more: two
            # messages of no consequence end both waits at once (0.02 s instead of 4).
            for _ in range(2):
                application.send_task("celery.accumulate", queue=queue, ignore_result=True)
        thread.join(STOP)
    finally:
        state.should_terminate = None
        # a worker forbids its process to wait for results; it is gone, so waiting is allowed again
        _set_task_join_will_block(False)
    return not thread.is_alive()
