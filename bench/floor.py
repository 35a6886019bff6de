"""Every model of the catalog in one process, asked about one row: time, and memory.

Time is measured alone and while every core is busy, with two kinds of load: loops that stand back
as Omega's own training does, and loops of the same priority as the one who answers. It is asked as
a worker is, one question after a wait: a process that never waits has used up its turn like any
other loop, and is then measured by how long the kernel's turns are (4 ms, at 250 ticks a second).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from threading import Event
from time import perf_counter

import numpy as np

from domain import examples
from domain.errors import Unavailable
from domain.settings import load
from domain.version import Stage, Version
from market.feeds import apart
from models import catalog
from models.base import FROM_TRADE, Artifact, Model, of_market
from models.serving import Champions
from orchestrator import sight

BARS, STOCKS = 600, 20
ASKED, ROUNDS = 1000, 3
"""Questions, and how often so many are put under each load, in turn."""
WAIT = 0.005
"""Seconds from an answer to the next question."""
LOADS = {
    "alone": "",
    "training": "from workers.lifecycle import yield_to_decisions as stand_back\nstand_back()",
    "equal": "pass",
}
"""What a process does before it is busy for ever, one on each core; nothing runs beside the first.
"""
SHARES = (0.5, 0.9, 0.99, 0.999)
AT = datetime(2018, 1, 5, 21, tzinfo=UTC)
USUAL = 0.25
"""What every feature is when they are asked: a quarter of a deviation."""


class Folder:
    """A `models.serving.Loader` of artifacts that lie in a folder, one file each."""

    def __init__(self, folder: Path) -> None:
        self._content = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.json"))}

    def names(self) -> tuple[str, ...]:
        return tuple(self._content)

    def epoch(self) -> int:
        return 1

    def champion(self, model: str) -> Version | None:
        if model not in self._content:
            return None
        artifact = Artifact.from_bytes(self._content[model])
        return Version(
            model=model,
            version=artifact.version,
            sha256=artifact.sha256,
            stage=Stage.CHAMPION,
            features=artifact.features,
            trained_from=AT,
            trained_to=AT,
            trained_at=AT,
            n=BARS,
            data_hash="0" * 12,
        )

    def artifact(self, version: Version) -> bytes:
        return self._content[version.model]


def fitted(model: Model) -> Artifact:
    """Return what a model makes of two years of made samples with a real edge."""
    import pandas as pd

    rng = np.random.default_rng(7)
    each = len(model.target.distances) or (STOCKS if model.target.universe == "stocks" else 1)
    index = pd.bdate_range("2014-01-03", periods=BARS).repeat(each)
    drawn = rng.normal(size=(len(index), len(model.features))).astype(np.float32)
    X = pd.DataFrame(drawn, index=index, columns=list(model.features))
    edge = 0.8 * X.iloc[:, 0].to_numpy(float) + 0.4 * X.iloc[:, 1].to_numpy(float)
    for name in FROM_TRADE.intersection(model.features):
        X[name] = np.tile(np.array(model.target.distances, np.float32), BARS)
    y = pd.Series((rng.random(len(index)) < 1 / (1 + np.exp(-edge))).astype(int), index=index)
    return model.fit(X, y).export()


def measured() -> tuple[str, str]:
    """Return what a process takes that has all of them: the number, and how it was taken."""
    with tempfile.TemporaryDirectory() as name:
        folder, lacking = Path(name), []
        for model in catalog.CATALOG:
            try:
                content = fitted(catalog.create(model, seed=7)).to_bytes()
            except Unavailable:
                lacking.append(model)
                continue
            (folder / f"{model}.json").write_bytes(content)
        command = [sys.executable, "-m", "bench.floor", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    without = f", without {', '.join(lacking)}, which need an extra" if lacking else ""
    p = told["quantiles"]
    time = f"{p['alone'][0]:,.0f} µs (p99 {p['alone'][2]:,.0f})"
    rest = "with the contributions, the interval and the novelty of each"
    beside = (
        f"p50, p90, p99 and p99.9 alone {_listed(p['alone'])}, beside a busy loop on each core "
        f"that yields as training does {_listed(p['training'])}, of its own priority "
        f"{_listed(p['equal'])} µs ({ROUNDS * ASKED:,} questions each, every {WAIT * 1e3:.0f} ms)"
    )
    memory = (
        f"they add {told['mb']:.0f} MB to the {told['before']:.0f} of a worker's own modules, the "
        f"panel and its features {told['panel']:.0f}: {told['whole']:.0f} in all"
    )
    return time, f"{told['models']} models{without}, {rest}; {beside}; {memory}"


def _listed(quantiles: list[float]) -> str:
    return " / ".join(f"{one:,.0f}" for one in quantiles)


@contextmanager
def busy(first: str) -> Iterator[None]:
    """Keep every core busy; nothing where there is nothing to do first."""
    command = [sys.executable, "-c", f"{first}\nprint(flush=True)\nwhile True: pass"]
    cores = range(os.cpu_count() or 1) if first else ()
    # A session each: where the kernel groups by session, those of one would share one turn.
    loops = [
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) for _ in cores
    ]
    try:
        for loop in loops:
            if loop.stdout is not None:
                loop.stdout.readline()
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.communicate()


def asked(answer: Callable[[], object], n: int) -> dict[str, list[float]]:
    """Return the quantiles `SHARES` of what an answer takes under each load, in microseconds."""
    pause, taken = Event(), {name: np.empty((ROUNDS, n)) for name in LOADS}
    for i in range(ROUNDS):
        for name, first in LOADS.items():
            with busy(first):
                for j in range(n):
                    pause.wait(WAIT)
                    began = perf_counter()
                    answer()
                    taken[name][i, j] = (perf_counter() - began) * 1e6
    return {name: np.quantile(times, SHARES).tolist() for name, times in taken.items()}


def peak() -> float:
    """Return the most memory that this process has had, in MB.

    What `getrusage` says may be of the process that started this one, which has trained.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def main(folder: Path, n: int = ASKED) -> None:
    """Load them into a process that has what a decision worker has, and ask."""
    import_module("workers.app")
    lifecycle = import_module("workers.lifecycle")
    before = peak()
    loader = Folder(folder)
    features = {f for name in loader.names() for f in catalog.entry(name).features} - FROM_TRADE
    apart.give_hours()
    panel = apart.create(load(environ={})).panel()
    sight.see(panel, sight.moment(panel, -1), of_market(features))
    panelled = peak()
    champions = Champions(loader)
    bot = examples.bot(models=loader.names(), distance=1.0)
    context = examples.context(bot=bot, features=dict.fromkeys(sorted(features), USUAL))
    silent = [said.model for said in champions.answer(context) if said.probability is None]
    if silent:
        raise SystemExit(f"not everybody answered: {', '.join(silent)}")
    whole = peak()
    lifecycle.freeze()  # as a worker does
    told = {
        "models": len(bot.models),
        "quantiles": asked(lambda: champions.answer(context), n),
        "before": before,
        "panel": panelled - before,
        "mb": whole - panelled,
        "whole": whole,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
