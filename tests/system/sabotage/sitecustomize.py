"""What breaks a process of a fleet from within. Python runs this file before anything else.

A test that wants it puts this folder on the path and writes its wish into the file that SABOTAGE
names: ``TASK POINT WHAT``. The first process to which it applies takes the file away and obeys;
with ``always`` behind, all do, and the file stays.

POINT is ``begun``, before the task's function, or ``over``, after it has returned and the next hop
was sent, and before the worker is told. WHAT is whom SIGKILL ends: ``child``, the process itself,
or ``worker``, its parent; or it is ``hang``: for ever, and deaf to the soft time limit.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

WISH = os.environ.get("SABOTAGE")


def obey(task: str, point: str) -> None:
    if WISH is None or not Path(WISH).exists():
        return
    wanted, at, what, *always = Path(WISH).read_text().split()
    if (task, point) != (wanted, at):
        return
    with Path(f"{WISH}.log").open("a") as log:
        log.write(f"{os.getpid()} {task} {point} {what}\n")
    if not always:
        Path(WISH).unlink()
    if what == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        while True:
            time.sleep(3600)
    os.kill(os.getppid() if what == "worker" else os.getpid(), signal.SIGKILL)


if WISH is not None:
    from celery.signals import task_postrun, task_prerun

    @task_prerun.connect(weak=False)
    def begun(sender: Any = None, **_: Any) -> None:
        obey(sender.name, "begun")

    @task_postrun.connect(weak=False)
    def over(sender: Any = None, **_: Any) -> None:
        obey(sender.name, "over")
