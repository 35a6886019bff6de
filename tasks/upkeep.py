"""Keeping the record whole."""

import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from celery import Task, shared_task
from celery.canvas import signature

from orchestrator import canvas, reaper
from orchestrator.build import build
from orchestrator.desk import JOBS, desk
from orchestrator.pulse import Pulse, keep
from storage import audit, engine
from storage import backup as backups
from storage.jobs import TRAINING, Stands
from tasks.daily import DAILY
from tasks.learning import over
from tasks.sending import published


@shared_task(name="upkeep.reap", bind=True, ignore_result=True, live=True)
def reap(self: Task, lost: Sequence[str] = ()) -> int:
    """Publish again what is pending and was lost, and jobs that nobody is at any more.

    Decisions that are late are sealed as HOLD, EXPIRED.
    """
    groups, jobs = reaper.reap(desk(), lost), reaper.abandoned(desk())
    for contexts in groups:
        if published(partial(canvas.publish, contexts, in_one=self.app.conf.omega_fused)):
            reaper.sent(desk(), contexts)
    for job in jobs:
        if job.stands is Stands.WAITING:
            published(signature(JOBS[job.kind], kwargs=job.kwargs).apply_async)
        elif job.kind == TRAINING:
            over(job.kwargs["model"], job.why, job.kwargs.get("together", False))
    return sum(map(len, groups)) + len(jobs)


@shared_task(name="upkeep.checkpoint", ignore_result=True, **DAILY)
def checkpoint() -> None:
    """Sign the head of every audit chain, in a file apart: a chain alone misses a cut tail."""
    audit.checkpoint(desk().store, desk().clock.now())


@shared_task(name="upkeep.backup", ignore_result=True, live=True, **DAILY)
def backup() -> None:
    """Keep a whole copy of a SQLite database beside it. A replay keeps one at its end."""
    if desk().store.file is not None:  # PostgreSQL is backed up by its own means
        backups.backup(desk().store)


@shared_task(name="upkeep.pulse", bind=True, ignore_result=True, live=True)
def pulse(self: Task, of: str) -> float | None:
    """Say that queue `of` is served, by whom, and how many seconds this message waited in it."""
    here = desk()
    now, sent = here.wall.now(), self.request.get("sent")
    wait = None if sent is None else (now - datetime.fromisoformat(sent)).total_seconds()
    told = Pulse(
        queue=of,
        host=self.request.hostname,
        pid=os.getpid(),
        build=build(),
        at=now,
        wait=wait,
        skew=(here.wall.now() - engine.now(here.store)).total_seconds(),
    )
    keep(here.store, told)
    return wait
