"""What breaks a process of a fleet from within. Python runs this file before anything else.

A test that wants it puts this folder on the path and writes its wish into the file that SABOTAGE
names: ``TASK POINT WHAT``. The first process to which it applies takes the file away and obeys;
with ``always`` behind, all do, and the file stays. ``TASK@NAME`` is only what is told that name: a
batch with that decision, a training of that model.

POINT is ``begun``, before the task's function, or ``over``, after it has returned and the next hop
was sent, and before the worker is told. WHAT is whom SIGKILL ends: ``child``, the process itself,
or ``worker``, its parent; or it is ``hang``: for ever, and deaf to the soft time limit; or
``clock``: from then on the process believes that it is five seconds later.
"""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

WISH = os.environ.get("SABOTAGE")


def obey(task: str, point: str, told: Any) -> None:
    if WISH is None:
        return
    try:
        wanted, at, what, *always = Path(WISH).read_text().split()
    except FileNotFoundError:
        return
    wanted, _, name = wanted.partition("@")
    if (task, point) != (wanted, at) or (name and f"'{name}'" not in str(told)):
        return
    if not always and not _taken(Path(WISH)):
        return
    with Path(f"{WISH}.log").open("a") as log:
        log.write(f"{os.getpid()} {task} {point} {what}\n")
    if what == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        while True:
            time.sleep(3600)
    if what == "clock":
        from domain.clock import WallClock

        really = WallClock.now
        WallClock.now = lambda self: really(self) + timedelta(seconds=5)  # type: ignore[method-assign]
        return
    os.kill(os.getppid() if what == "worker" else os.getpid(), signal.SIGKILL)


def _taken(wish: Path) -> bool:
    """Take a wish away; False where another process was quicker by a moment."""
    try:
        wish.unlink()
    except FileNotFoundError:
        return False
    return True


if WISH is not None:
    from celery.signals import task_postrun, task_prerun

    @task_prerun.connect(weak=False)
    def begun(sender: Any = None, args: Any = (), kwargs: Any = None, **_: Any) -> None:
        obey(sender.name, "begun", (args, kwargs))

    @task_postrun.connect(weak=False)
    def over(sender: Any = None, args: Any = (), kwargs: Any = None, **_: Any) -> None:
        obey(sender.name, "over", (args, kwargs))
