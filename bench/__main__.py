"""Print the table: ``make bench``. Medians; ratios carry from machine to machine, times do not."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from bench import fleet, floor
from bench import rows as names
from bench.tables import table
from domain.clock import VirtualClock
from domain.settings import Settings, load
from domain.values import Env
from market import calendar, window
from market.features import compute
from market.features.catalog import CATALOG as FEATURES
from models.base import Artifact
from models.catalog import CATALOG as MODELS
from models.onnx import Served
from orchestrator import pipeline
from orchestrator.desk import Desk
from storage import audit, decisions
from trading.bots.catalog import BOTS
from workers.history import Run, replay
from workers.lifecycle import bound, open_desk

START, END = date(2016, 1, 4), date(2016, 6, 30)
Row = tuple[str, str, str]


def timed(work: Callable[[], object], times: int) -> np.ndarray:
    """Return how long each call took, in microseconds, after a tenth of them to warm up."""
    for _ in range(max(times // 10, 1)):
        work()
    taken = np.empty(times)
    for i in range(times):
        began = perf_counter()
        work()
        taken[i] = (perf_counter() - began) * 1e6
    return taken


def spread(taken: np.ndarray) -> str:
    return f"{np.median(taken):,.0f} µs (p99 {np.quantile(taken, 0.99):,.0f})"


def deciding(desk: Desk) -> list[Row]:
    """Inline decisions on recorded contexts, champions in memory, nothing written."""
    sample = [d.context for d in decisions.sample(desk.store, 300, seed=7)]
    answer = desk.answers()
    taken = []
    for context in sample:
        taken.append(timed(lambda c=context: pipeline.decide(c, answer), 5))
    asked = [c for c in sample if pipeline.decide(c, answer).draft.predictions]
    hashed = timed(lambda: pipeline.decide(asked[0], answer).hash, 200)
    n = f"n={len(sample)} recorded contexts"
    return [
        (names.DECIDE, spread(np.concatenate(taken)), n),
        (names.HASHED, spread(hashed), "n=200"),
    ]


def serving(desk: Desk) -> list[Row]:
    """One row through ONNX Runtime against the library's own scikit-learn call."""
    import lightgbm
    import xgboost

    rng = np.random.default_rng(7)
    rows: list[Row] = []
    native = {
        ("xgb", names.XGB): xgboost.XGBClassifier(n_estimators=60, max_depth=3, n_jobs=1),
        ("lgbm", names.LGBM): lightgbm.LGBMClassifier(
            n_estimators=60, num_leaves=8, n_jobs=1, verbosity=-1
        ),
    }
    for (name, row), library in native.items():
        version = desk.registry.champion(name)
        if version is None:
            raise SystemExit(f"{name} has no champion after the replay; nothing to measure")
        served = Served(Artifact.from_bytes(desk.registry.artifact(version)))
        width = len(served.artifact.features)
        x = rng.normal(size=(4000, width)).astype(np.float32)
        library.fit(x, rng.random(4000) > 0.5)
        one = x[:1]
        theirs = np.median(timed(partial(library.predict_proba, one), 500))
        ours = np.median(timed(partial(served.predict, one), 2000))
        rows.append(
            (
                row,
                f"{theirs / ours:.0f} x faster",
                f"{ours:.0f} µs against {theirs:.0f} µs, calibration included",
            )
        )
    return rows


def seeing(desk: Desk) -> list[Row]:
    """All features of one new bar, for every symbol."""
    panel = desk.feed.panel()
    asof = calendar.closes(date(2016, 7, 1))

    def look() -> object:
        return compute.newest(window.until(panel, asof, compute.TAIL))

    taken = timed(look, 50)
    what = f"{len(FEATURES)} features x {len(panel.symbols)} symbols"
    return [(names.FEATURES, spread(taken), what)]


def recording(desk: Desk) -> list[Row]:
    """Audit appends, one transaction each, and verification of the whole trail."""
    at = desk.clock.now()
    taken = timed(lambda: audit.append(desk.store, "bench", "note", {"x": 1.0}, at), 1000)
    began = perf_counter()
    verified = audit.verify(desk.store)
    seconds = perf_counter() - began
    return [
        (names.APPENDED, f"{1e6 / np.median(taken):,.0f} /s", "SQLite, a transaction each"),
        (
            names.VERIFIED,
            f"{verified.records / seconds:,.0f} /s",
            f"{verified.records:,} records, {verified.decisions:,} decision bodies",
        ),
    ]


def playing(run: Run) -> list[Row]:
    return [
        (
            names.REPLAY,
            f"{run.sessions / run.seconds:.1f} sessions/s",
            f"{run.sessions} sessions, {len(BOTS)} bots, {len(MODELS)} models, start-up included",
        )
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings: Settings = load(environ={}).model_copy(update={"home": Path(folder)})
        run = replay(settings, START, END)
        clock = VirtualClock(calendar.closes(date(2016, 7, 1)))
        with bound(open_desk(settings, clock, Env.REPLAY)) as desk:
            rows = deciding(desk) + serving(desk) + [(names.FLOOR, *floor.measured())]
            rows += seeing(desk) + recording(desk) + playing(run)
        rows += fleet.measured(settings)
    if tuple(row[0] for row in rows) != names.NAMES:
        raise SystemExit("the rows are not those that bench/rows.py names: change both together")
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    if "--json" in sys.argv:
        print(json.dumps({"machine": machine, "rows": rows}))
    else:
        print(f"{table('what|measured|how', rows)}\n\nOne run of `make bench`: {machine}. Medians.")


if __name__ == "__main__":
    main()
