"""Keeping the record whole."""

import os
from datetime import datetime

from celery import Task, shared_task

from domain.clock import WallClock
from orchestrator import books, canvas
from orchestrator.build import build
from orchestrator.desk import desk
from storage import audit, state
from storage import backup as backups
from tasks.daily import DAILY


@shared_task(name="upkeep.reap", bind=True, ignore_result=True)
def reap(self: Task) -> int:
    """Publish again what is pending and in time; seal the rest as HOLD, EXPIRED."""
    again = desk().reap()
    canvas.publish(again, in_one=self.app.conf.omega_fused)
    return len(again)


@shared_task(name="upkeep.checkpoint", ignore_result=True, **DAILY)
def checkpoint() -> None:
    """Sign the head of every audit chain, in a file apart: a chain alone misses a cut tail."""
    audit.checkpoint(desk().store, desk().clock.now())


@shared_task(name="upkeep.backup", ignore_result=True, live=True, **DAILY)
def backup() -> None:
    """Keep a whole copy of a SQLite database beside it. A replay keeps one at its end."""
    backups.backup(desk().store)


@shared_task(name="upkeep.pulse", bind=True, ignore_result=True, live=True)
def pulse(self: Task, of: str) -> float | None:
    """Say that queue `of` is served, by whom, and how many seconds this message waited in it."""
    here, now = desk(), WallClock().now()
    sent = self.request.get("sent")
    wait = None if sent is None else (now - datetime.fromisoformat(sent)).total_seconds()
    host = self.request.hostname
    told = {"at": now.isoformat(), "wait": wait, "host": host, "pid": os.getpid()}
    state.put(here.store, f"{books.PULSE}{of}/{host}", told | {"build": build()})
    return wait
