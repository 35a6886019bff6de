"""What training costs a decision: ``make contention``.

Two processes train for real, one model after another, which fills both cores. Beside them runs the
worker that decides, and what it takes for a scan of 25 is measured: alone, and under each way there
is of keeping training out of its way. Every round measures all of them, so that what else the
machine does falls on all alike. Medians over the rounds, with the least and the most.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date
from itertools import count
from pathlib import Path
from time import monotonic

import numpy as np

from bench import fleet
from domain.settings import Settings, load
from orchestrator import canvas
from workers import history
from workers.config import CORES
from workers.lifecycle import freeze, open_desk, yield_to_decisions

START, END = date(2016, 1, 4), date(2016, 6, 30)
RUNS, ROUNDS, SCAN = 5, 100, 25
GROUP = Path("/sys/fs/cgroup/cpu/omega-bench")
"""A control group of the first kind, where this machine has it: weight 2 of 1,024."""


def _nice() -> None:
    os.nice(19)


def _autogroup() -> None:
    os.nice(19)
    Path("/proc/self/autogroup").write_text("19")


def _idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _idle_group() -> None:
    _autogroup()
    _idle()


def _pinned() -> None:
    os.sched_setaffinity(0, {CORES - 1})


def _weight() -> None:
    GROUP.mkdir(exist_ok=True)
    (GROUP / "cpu.shares").write_text("2")
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))


SCHEMES: dict[str, Callable[[], None]] = {
    "nothing done": lambda: None,
    "nice 19": _nice,
    "nice 19, of the session too": _autogroup,
    "idle class": _idle,
    "idle class, nice 19 of the session": _idle_group,
    "one core only": _pinned,
    "weight of a control group": _weight,
    "as the training worker does": yield_to_decisions,
}


def train(scheme: str, folder: str) -> None:
    """Train one model after another until somebody ends this process, and count."""
    SCHEMES[scheme]()
    from learning import trainer
    from market.feeds.packaged import Packaged
    from models.catalog import CATALOG

    panel, settings = Packaged().panel(), load(environ={})
    asof = panel.times[-1].item().replace(tzinfo=UTC)
    # Those that core trains: what else is installed must not change the mixture.
    names = [name for name, line in CATALOG.items() if not line.load().extra]
    for number in count():
        name = names[number % len(names)]
        trainer.train(name, panel, asof, settings.seed, settings.costs)
        Path(folder, f"{os.getpid()}").write_text(str(number + 1))


@contextmanager
def busy(scheme: str) -> Iterator[Path]:
    """Let as many processes train as there are cores; yields the folder in which they count."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.training", "train", scheme, folder]
        trainers = [
            subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
            for _ in range(CORES)
        ]
        try:
            fleet.until(lambda: len(list(Path(folder).iterdir())) == CORES, "they train", 300)
            yield Path(folder)
        finally:
            for one in trainers:
                one.send_signal(signal.SIGKILL)
                one.wait()


def trained(folder: Path) -> int:
    return sum(int(file.read_text() or 0) for file in folder.iterdir())


def measure(ask: fleet.Asking) -> np.ndarray:
    """Return the milliseconds that each of `ROUNDS` scans took."""
    chains = (canvas.decisions(ask(SCAN), awaited=True) for _ in range(ROUNDS))
    return np.array([fleet.taken(one) for one in chains])


def compared(
    settings: Settings, schemes: list[str], runs: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Return p50, p99 and trainings per minute of each run, by scheme; "alone" among them."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("alone", *schemes)}
    desk = open_desk(settings)
    ask = fleet.Asking(desk)
    with fleet.workers(settings, CORES):
        for _ in range(runs):
            fleet.at_close(settings)
            measure(ask)  # the first ones open connections and load models
            found["alone"].append((*_quantiles(measure(ask)), 0.0))
            for scheme in schemes:
                fleet.at_close(settings)
                with busy(scheme) as folder:
                    before, began = trained(folder), monotonic()
                    times = measure(ask)
                    done = trained(folder) - before
                rate = 60 * done / (monotonic() - began)
                found[scheme].append((*_quantiles(times), rate))
    desk.close()
    return found


def _quantiles(times: np.ndarray) -> tuple[float, float]:
    return float(np.median(times)), float(np.quantile(times, 0.99))


def table(found: dict[str, list[tuple[float, float, float]]]) -> str:
    alone = np.median([p99 for _, p99, _ in found["alone"]])
    lines = [
        "| training | p50, ms | p99, ms (least to most) | p99 of it alone | trainings a minute |",
        "|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        p50, p99, rate = (np.array([run[i] for run in runs]) for i in range(3))
        lines.append(
            f"| {name} | {np.median(p50):.0f} | {np.median(p99):.0f} ({p99.min():.0f} to "
            f"{p99.max():.0f}) | {np.median(p99) / alone:.2f} x | {np.median(rate):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    there = [s for s in SCHEMES if s != "weight of a control group" or GROUP.parent.exists()]
    with tempfile.TemporaryDirectory() as folder:
        settings = load(environ={}).model_copy(update={"home": Path(folder)})
        history.replay(settings, START, END)
        freeze()  # the client is measured too
        with fleet.broker(settings.model_copy(update={"feed": "playback"})) as reached:
            fleet.at_close(reached)
            found = compared(reached, there, RUNS)
    print(f"{table(found)}\n\nOne run of `make contention`: {CORES} processors, {RUNS} rounds.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(*sys.argv[2:])
    else:
        main()
