"""Every drill on a running fleet, as a person plays it: passed, timed, recorded."""

import json
import sys
from typing import Any

import pytest

from domain.settings import Settings
from orchestrator import drill
from storage import audit, registry
from tests.system.fleet import omega, up
from tests.system.record import Looking
from workers.drills import DRILLS

pytestmark = pytest.mark.system


def played(settings: Settings, name: str) -> dict[str, Any]:
    done = omega(settings.home, "drill", name, "--yes", "--json")
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if told["passed"] else 1), done.stderr
    return told


def test_every_drill_is_passed_by_a_fleet_that_is_well(trading: Settings, looking: Looking) -> None:
    desk = looking(trading)
    champions = {v.model: v.version for v in registry.versions(desk.store) if v.stage == "champion"}
    with up(trading):
        for name in DRILLS:
            told = played(trading, name)
            for check in told["checks"]:
                if check["seconds"] is not None:
                    sys.stdout.write(f"drill {name}, {check['what']}: {check['seconds']:.2f} s\n")
            slow = [c for c in told["checks"] if not c["ok"] and c["seconds"] is None]
            assert slow == [], told  # how long it took is for a machine of its own
        status = json.loads(omega(trading.home, "status", "--json").stdout)
        assert {n: d["stale"] for n, d in status["drills"].items()} == dict.fromkeys(DRILLS, False)
        assert status["drills"]["kill-switch"]["passed"]
    assert set(drill.last(desk.store)) == set(DRILLS)
    assert len(audit.records(desk.store, audit.DESK, "drill")) == len(DRILLS)
    after = {v.model: v.version for v in registry.versions(desk.store) if v.stage == "champion"}
    assert champions.items() <= after.items(), "what had none may have one by now"
    assert audit.verify(desk.store).ok


def test_a_drill_that_breaks_something_wants_a_yes_and_a_fleet(home: Settings) -> None:
    assert "say --yes" in omega(home.home, "drill", "worker").stderr
    refused = omega(home.home, "drill", "worker", "--yes")
    assert (refused.returncode, "start one with `omega up`" in refused.stderr) == (2, True)
    unknown = omega(home.home, "drill", "earthquake")
    assert unknown.returncode == 2
    assert "kill-switch, worker, broker" in unknown.stderr
    listed = json.loads(omega(home.home, "drill", "--json").stdout)
    assert listed == {"drills": dict.fromkeys(DRILLS)}
