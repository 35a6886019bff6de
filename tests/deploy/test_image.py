"""What the decision image leaves out is really not needed to decide."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.settings import Settings
from tests.deploy.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions

GONE = set(sys.argv.pop(1).split(","))
HOLDS = {top: {one.lower().replace("_", "-") for one in by}
         for top, by in packages_distributions().items()}

class Gone(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if HOLDS.get(name.partition(".")[0], {""}) <= GONE:
            raise ModuleNotFoundError(f"{name} is gone", name=name)

sys.meta_path.insert(0, Gone())
from api.cli import main
main()
"""


def left_out() -> set[str]:
    """Return the packages that the decision stage uninstalls."""
    [said] = re.findall(r'^ARG TRAINING_ONLY="([^"]+)"', DOCKERFILE, re.MULTILINE)
    return set(said.replace("\\", " ").split())


def locked() -> set[str]:
    lines = (ROOT / "requirements" / "core.txt").read_text().splitlines()
    return {line.partition("==")[0].lower() for line in lines if re.match(r"[A-Za-z0-9]", line)}


def omega(gone: set[str], home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(sorted(gone)), *words],
        env=os.environ | {"OMEGA_HOME": str(home), "OMP_NUM_THREADS": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_left_out_is_in_the_lock_and_the_data_packages_stay() -> None:
    assert left_out() <= locked()
    assert not left_out() & {"arch", "skfolio", "onnxruntime", "pyarrow", "bottleneck", "flower"}


def test_a_decision_is_made_without_what_is_left_out(copied: Callable[[str], Settings]) -> None:
    home = copied("home").home
    done = omega(left_out() | {"setuptools"}, home, "decide", "fortress", "--json")
    assert done.returncode in {0, 4}, done.stderr
    draft = json.loads(done.stdout)["draft"]
    assert {one["model"] for one in draft["predictions"]} >= {"wisdom", "prophet"}
    assert [one["layer"] for one in draft["verdicts"]][:2] == ["safety", "inference"]


def test_it_would_be_missed_if_something_needed_were_left_out(
    copied: Callable[[str], Settings],
) -> None:
    done = omega({"exchange-calendars"}, copied("home").home, "decide", "fortress")
    assert done.returncode != 0
    assert "exchange_calendars is gone" in done.stderr


@pytest.mark.parametrize("target", ["decision", "training"])
def test_an_image_runs_as_nobody_and_builds_nothing(target: str) -> None:
    stage = DOCKERFILE[DOCKERFILE.index(f"AS {target}\n") :].partition("\nFROM ")[0]
    assert "USER 10001:10001" in stage
    assert stage.index("USER") > stage.index("COPY --from=")
    assert "HEALTHCHECK" not in DOCKERFILE
    assert f"FROM base AS {target}" in DOCKERFILE
    assert not re.search(r"gcc|build-essential|python3?-dev|pip install", stage)


def test_the_lock_is_installed_by_its_hashes() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert "OMEGA_HOME=/var/lib/omega" in DOCKERFILE


def test_nothing_but_the_code_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    said = [line for line in lines if line and not line.startswith("#")]
    assert said[0] == "*"
    assert not [
        line for line in said if line.lstrip("!") in {"var", ".git", "deploy", ".", "*.key"}
    ]
    for package in ("api", "workers", "storage", "beat_schedule.py", "deploy/health.py"):
        assert f"!{package}" in said
