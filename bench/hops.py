"""What a process does that decides, whichever queue hands it the batch: Omega's own four hops."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from domain.settings import load
from orchestrator import desk as desks
from orchestrator.canvas import STEPS, Batch
from tasks import decision
from workers.lifecycle import open_desk

READY = "BENCH_READY"
"""Names the folder in which every process that decides puts a file with its number for a name."""
Send = Callable[[Batch], None]
"""Puts a batch before the first hop."""
AFTER = dict(pairwise(STEPS))
"""The hop that follows; none follows the last, which seals."""


def run(step: str, batch: Batch) -> Batch | list[str]:
    """Return what a hop makes of a batch: the function of our task, called as Celery calls it."""
    return getattr(decision, step).run(batch)


def prepare() -> None:
    """Give this process its desk, as a worker of ours has it, and say that it is there."""
    desks.bind(open_desk(load()))
    ready()


def ready() -> None:
    Path(os.environ[READY], str(os.getpid())).touch()
