"""The roles of a fleet, and the command line that each one is."""

import socket
import sys

from workers.config import QUEUES

APP = ("-q", "-A", "workers.app")
CELERY = (sys.executable, "-m", "celery", *APP)
"""Quiet: a banner is no line of a log."""


def worker(queue: str, concurrency: int | None = None, level: str = "INFO") -> list[str]:
    """Return the command of the worker of one queue. What its pool is like follows from the queue.

    Without gossip and mingle: nothing here looks at another worker, and each costs a start a
    second. Heartbeats stay, for Flower.
    """
    words = [*CELERY, "worker", "-Q", queue, "-n", node(queue), "-l", level]
    words += ["--without-gossip", "--without-mingle"]
    return words if concurrency is None else [*words, "-c", str(concurrency)]


def node(queue: str) -> str:
    """Return the name that a worker answers by."""
    if queue not in QUEUES:
        raise ValueError(f"no queue {queue!r}; there are {', '.join(QUEUES)}")
    return f"{queue}@{socket.gethostname()}"


def metrics(base: int, queue: str) -> str:
    """Return where a worker says how it is: one port after another, in the order of the queues.

    Examples
    --------
    >>> metrics(9800, "decision"), metrics(9800, "upkeep")
    ('http://127.0.0.1:9800/metrics', 'http://127.0.0.1:9802/metrics')
    """
    place = QUEUES.index(queue) if queue in QUEUES else 0
    return f"http://127.0.0.1:{base + place}/metrics"


def beat(level: str = "INFO") -> list[str]:
    """Return the command of beat."""
    return [*CELERY, "beat", "-l", level, "--pidfile="]


AUTH = "FLOWER_BASIC_AUTH"
"""Variable with NAME:PASSWORD, which Flower reads: what stands in a command, every `ps` shows."""


def flower(port: int, level: str = "WARNING", address: str = "127.0.0.1") -> list[str]:
    """Return the command of Flower: seen with the name and password in `AUTH`, changing nothing."""
    return [
        *(sys.executable, "-m", "workers.logs", *APP),
        "flower",
        f"--address={address}",
        f"--port={port}",
        "--read-only",
        f"--logging={level.lower()}",
    ]
