"""What a task takes of the process that runs it. A worker is told to import this: ``-I``.

Each child appends a line per task to the file that `FILE` names: the task, the seconds of a
processor that it took, and the seconds that it waited for somebody else. Not counted as waiting is
what it waited for a processor: that depends on what else runs, and is what the model is for.
"""

import os
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

from celery.signals import task_postrun, task_prerun

FILE = "BENCH_METER"
SCHEDULED = Path("/proc/self/schedstat")
"""Nanoseconds on a processor, nanoseconds ready and waiting for one, and how often."""


class Taken(NamedTuple):
    """What one task took, in seconds."""

    task: str
    cpu: float
    """Of a processor, since the task before: with what comes before and after the task itself."""
    waited: float
    """From start to end, without what it ran or could have run."""


class _Marks:
    ended = process_time()
    began = queued = cpu = 0.0


def queued() -> float:
    """Return the seconds that this process could have run and waited for a processor."""
    return int(SCHEDULED.read_text().split()[1]) / 1e9


@task_prerun.connect
def _started(**_: Any) -> None:
    _Marks.queued, _Marks.cpu, _Marks.began = queued(), process_time(), perf_counter()


@task_postrun.connect
def _ended(task: Any = None, **_: Any) -> None:
    wall, cpu = perf_counter() - _Marks.began, process_time()
    waited = max(wall - (cpu - _Marks.cpu) - (queued() - _Marks.queued), 0.0)
    line = f"{task.name} {cpu - _Marks.ended:.9f} {waited:.9f}\n"
    _Marks.ended = cpu
    where = os.environ.get(FILE)
    if where:
        with Path(where).open("a") as file:
            file.write(line)


def read(file: Path) -> list[Taken]:
    """Return what was measured, in the order in which it ended."""
    lines = (line.split() for line in file.read_text().splitlines())
    return [Taken(name, float(cpu), float(waited)) for name, cpu, waited in lines]
