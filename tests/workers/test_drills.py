"""Drills that are failed: what does not come back is found, said and recorded."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import Refused
from orchestrator import drill
from orchestrator.desk import Desk
from tests.orchestrator.made import desk_at
from workers import drills, supervise

CLOSE = datetime(2016, 3, 7, 21, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path, CLOSE) as opened:
        yield opened


@pytest.fixture
def dummy() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that nobody starts again."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_worker_that_is_not_started_again_fails_its_drill(
    desk: Desk, dummy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills, "PATIENCE", 1.0)
    home = desk.settings.home
    with supervise.alone(home):
        supervise.write(home, {"broker_url": "memory://", "pids": {"decision": dummy.pid}})
        played = drills.play(desk, "worker")
        with pytest.raises(Refused, match="did not start the broker"):
            drills.play(desk, "broker")
    assert dummy.wait(10) == -9, "it was killed for real"
    assert not played.passed
    [again] = [check for check in played.checks if check.what == "it is started again"]
    assert (again.ok, again.told) == (False, "not it is started again within 1 s")
    assert drill.last(desk.store) == {"worker": played}


def test_without_a_fleet_only_the_kill_switch_can_be_drilled(desk: Desk) -> None:
    with pytest.raises(Refused, match="start one with `omega up`"):
        drills.play(desk, "beat")
    assert drill.last(desk.store) == {}
    assert drills.play(desk, "kill-switch").passed
    with pytest.raises(Refused, match="no drill 'earthquake'"):
        drills.play(desk, "earthquake")
