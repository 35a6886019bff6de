"""Every model of the catalog in one process, asked about one row: time, and memory."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from time import perf_counter

import numpy as np

from domain import examples
from domain.errors import Unavailable
from domain.version import Stage, Version
from models import catalog
from models.base import FROM_TRADE, Artifact, Model
from models.serving import Champions

BARS, STOCKS = 600, 20
ASKED = 3000
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
    time = f"{told['median']:,.0f} µs (p99 {told['p99']:,.0f})"
    rest = "with the contributions, the interval and the novelty of each"
    memory = f"they add {told['mb']:.0f} MB to the {told['before']:.0f} of a worker's own modules"
    return time, f"{told['models']} models{without}, {rest}; {memory}"


def peak() -> float:
    """Return the most memory that this process has had, in MB.

    What `getrusage` says may be of the process that started this one, which has trained.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def main(folder: Path) -> None:
    """Load them into a process that has what a decision worker imports, and ask."""
    import_module("workers.app")
    import_module("workers.lifecycle")
    before = peak()
    loader = Folder(folder)
    champions = Champions(loader)
    bot = examples.bot(models=loader.names(), distance=1.0)
    features = {f for name in loader.names() for f in catalog.entry(name).features} - FROM_TRADE
    context = examples.context(bot=bot, features=dict.fromkeys(sorted(features), USUAL))
    silent = [said.model for said in champions.answer(context) if said.probability is None]
    if silent:
        raise SystemExit(f"not everybody answered: {', '.join(silent)}")
    taken = np.empty(ASKED)
    for i in range(ASKED):
        began = perf_counter()
        champions.answer(context)
        taken[i] = (perf_counter() - began) * 1e6
    told = {
        "models": len(bot.models),
        "median": float(np.median(taken)),
        "p99": float(np.quantile(taken, 0.99)),
        "before": before,
        "mb": peak() - before,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]))
