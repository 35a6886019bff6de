"""What can be seen of a running fleet from outside: its queues, its roles, its backlog."""

from datetime import datetime
from typing import Any

from amqp.exceptions import NotFound
from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from domain.errors import Transient
from domain.settings import Settings, without_passwords
from orchestrator.pulse import Pulse, newest
from storage import dead, decisions, engine, lease
from storage.engine import Store
from workers.app import create
from workers.config import QUEUES, redis

PATIENCE = 1.0
"""Seconds that a worker has to answer."""


def look(settings: Settings, at: datetime) -> dict[str, Any]:
    """Return what waits where, and for how long.

    `waiting` is None where there is no broker to ask. `wait_seconds` is what the newest pulse took
    through the queue, `silent_seconds` how long ago it was; None before the first.

    Raises
    ------
    Transient
        The broker that is set does not answer.
    """
    store = engine.open_store(settings)
    try:
        depths, unacknowledged = _depths(settings)
        pulses = {name: newest(store, name) for name in QUEUES}
        waiting, _ = decisions.waiting(store)
        return {
            "broker": without_passwords(settings.broker_url),
            "queues": {
                name: {"waiting": depths[name], **_pulse(pulse, at)}
                for name, pulse in pulses.items()
            },
            "unacknowledged": unacknowledged,
            "pending": waiting,
            "dead": dead.count(store),
        }
    finally:
        store.close()


def _pulse(pulse: Pulse | None, at: datetime) -> dict[str, Any]:
    if pulse is None:
        return {"wait_seconds": None, "silent_seconds": None, "worker": None}
    silent = (at - pulse.at).total_seconds()
    return {"wait_seconds": pulse.wait, "silent_seconds": silent, "worker": pulse.host}


def _depths(settings: Settings) -> tuple[dict[str, int | None], int | None]:
    if settings.broker_url.startswith("memory://"):
        return dict.fromkeys(QUEUES), None
    with create(settings) as client:
        return depths(client)


def depths(client: Celery) -> tuple[dict[str, int | None], int | None]:
    """Return how many messages wait in each queue, and how many were taken and are not done.

    None is what cannot be known: by AMQP, how many were taken, and what a queue holds that no
    worker has declared yet.

    Raises
    ------
    Transient
        The broker does not answer, or does not let us in.
    """
    url = client.conf.broker_url
    try:
        with client.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)
            if redis(url):
                # An empty list is no key, so here a queue that is empty cannot be declared.
                server = connection.default_channel.client
                return {n: server.llen(n) for n in QUEUES}, server.zcard("unacked_index")
            return {name: _declared(connection, name) for name in QUEUES}, None
    except (OperationalError, OSError) as error:
        raise Transient(without_passwords(f"the broker {url} does not answer: {error}")) from error


def _declared(connection: Connection, name: str) -> int | None:
    """Return how many messages are ready in a queue; None if there is none of that name."""
    with connection.channel() as channel:  # type: ignore[no-untyped-call]
        try:
            return int(channel.queue_declare(queue=name, passive=True).message_count)
        except NotFound:  # the server has closed the channel, so each queue is asked in its own
            return None


def roles(settings: Settings, store: Store, at: datetime) -> dict[str, dict[str, Any]]:
    """Return which roles are alive: workers that answer a ping, and beat by its lease."""
    found: dict[str, dict[str, Any]] = {}
    if not settings.broker_url.startswith("memory://"):
        with create(settings) as client:
            answers = answering(client)
        for queue in QUEUES:
            nodes = sorted(node for node in answers if node.startswith(f"{queue}@"))
            found[queue] = {"alive": bool(nodes), "by": nodes}
    held = lease.holder(store, "beat")
    alive = held is not None and held.until > at
    if alive or found:
        found["beat"] = {"alive": alive, "by": [held.owner] if held and alive else []}
    return found


def answering(client: Celery) -> set[str]:
    """Return the names of the workers that answer a ping; none where the broker does not."""
    try:
        return {node for answer in client.control.ping(timeout=PATIENCE) for node in answer}
    except (OperationalError, OSError):
        return set()
