"""Giving a process its desk, and taking it away again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.signals import worker_process_init, worker_process_shutdown

from domain.clock import Clock, WallClock
from domain.settings import Settings, load
from domain.values import Env
from market.feeds.base import Feed
from orchestrator import desk as desks
from orchestrator.desk import Desk

THREADS = "OMP_NUM_THREADS"
"""Set before numpy is imported: one thread each, or a child that trains after a fork hangs."""


def open_desk(
    settings: Settings,
    clock: Clock | None = None,
    env: Env | None = None,
    feed: Feed | None = None,
) -> Desk:
    """Open the database, the feed and the champions of this process."""
    os.environ.setdefault(THREADS, "1")
    return Desk.open(settings, clock or WallClock(), env, feed)


@contextmanager
def bound(desk: Desk) -> Iterator[Desk]:
    """Make `desk` the one that this process's tasks use, and close it in the end."""
    desks.bind(desk)
    try:
        yield desk
    finally:
        desks.bind(None)
        desk.close()


@worker_process_init.connect
def start(**_: Any) -> None:
    """Open a desk in each child of a prefork pool: connections must not cross a fork.

    A solo pool sends the same signal in the process that runs it, which may have its desk by then.
    """
    if not desks.bound():
        desks.bind(open_desk(load()))


@worker_process_shutdown.connect
def stop(**_: Any) -> None:
    """Close it with the child."""
    if desks.bound():
        desks.desk().close()
        desks.bind(None)
