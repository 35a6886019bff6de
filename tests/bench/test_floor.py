"""The bench of the full floor counts every model, and the memory of its own process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import floor
from models import catalog

ROOT = Path(__file__).parents[2]


def test_each_artifact_of_the_folder_is_asked_and_memory_is_that_of_the_process(
    tmp_path: Path,
) -> None:
    for name in ("wisdom", "xgb"):
        content = floor.fitted(catalog.create(name, seed=7)).to_bytes()
        (tmp_path / f"{name}.json").write_bytes(content)
    command = [sys.executable, "-m", "bench.floor", str(tmp_path), "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    told = json.loads(done.stdout)
    assert told["models"] == 2
    assert set(told["quantiles"]) == {"alone", "training", "equal"}
    for taken in told["quantiles"].values():
        assert 0 < taken[0] <= taken[1] <= taken[2] <= taken[3]
    assert 50 < told["before"] < 400
    assert 0 <= told["mb"] < 100
    assert 0 <= told["panel"] < 30, "what reads a history is not in this process"
    assert told["whole"] == pytest.approx(told["before"] + told["panel"] + told["mb"])
