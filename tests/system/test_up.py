"""`omega up`: from nothing to sealed decisions, seen from outside, and gone without a trace."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from urllib.request import Request, urlopen

import pytest

from domain.settings import Settings
from storage import dead, decisions, engine
from tests.system.fleet import Fleet, children, lives, now, omega, until, up
from workers import supervise

pytestmark = pytest.mark.system


def test_from_an_empty_home_a_scan_leads_to_sealed_decisions_and_ctrl_c_ends_it_all(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path / "home", feed="playback")
    began = monotonic()
    with up(settings) as fleet:
        store = engine.open_store(settings)
        sealed = until(
            lambda: decisions.count_by(store, "status").get(("SEALED",), 0),
            30 - (monotonic() - began),
            "beat's scan led to sealed decisions",
        )
        assert sealed > 0
        store.close()

        told = json.loads(omega(settings.home, "status", "--json").stdout)
        assert set(told["roles"]) == {"decision", "training", "upkeep", "beat"}
        assert all(role["alive"] for role in told["roles"].values())

        queues = json.loads(omega(settings.home, "queues", "--json").stdout)
        assert queues["broker"] == fleet.told["broker"]
        assert queues["queues"]["decision"]["wait_seconds"] < 5

        auth = base64.b64encode(fleet.told["flower_auth"].encode()).decode()
        page = Request(f"{fleet.told['flower']}/tasks", headers={"Authorization": f"Basic {auth}"})
        assert b"Flower" in urlopen(page).read()

        def named() -> set[str]:
            url = f"{fleet.told['flower']}/api/tasks?limit=500"
            asked = Request(url, headers={"Authorization": f"Basic {auth}"})
            return {task["name"] for task in json.load(urlopen(asked)).values()}

        until(lambda: {"market.scan", "decision.limits"} <= named(), 20, "Flower names the tasks")

        pids = [pid for role in fleet.told["pids"] for pid in (fleet.pid(role),)]
        pids += [child for pid in pids for child in children(pid)]
        stopped = monotonic()
        assert fleet.stop() == 0
        assert monotonic() - stopped < 13, "it drains within ten seconds"
        assert [pid for pid in pids if lives(pid)] == []
    assert json.loads(omega(settings.home, "status", "--json").stdout)["roles"] == {}
    assert not (settings.home / "up.json").exists()
    assert supervise.found(settings.home) is None
    with supervise.alone(settings.home):
        pass


def test_two_fleets_in_one_home_are_refused(home: Settings) -> None:
    with up(home):
        second = omega(home.home, "up")
        assert second.returncode == 2
        assert "a fleet is up" in second.stderr
        replayed = omega(home.home, "replay")
        assert replayed.returncode == 2
        assert "a fleet is up" in replayed.stderr


def test_what_cannot_be_started_is_refused_in_a_sentence(home: Settings) -> None:
    nowhere = home.model_copy(update={"database_url": "sqlite:////proc/none/omega.db"})
    fleet = Fleet(nowhere)
    assert fleet.process.wait(60) == 3
    assert "/proc/none" in fleet.complained
    assert "Traceback" not in fleet.complained


def test_a_worker_that_dies_is_started_again_and_decides(
    home: Settings, looking: Callable[[Settings], object]
) -> None:
    with up(home) as fleet:
        before = fleet.kill("decision")
        until(lambda: fleet.pid("decision") != before, 15, "the worker was started again")
        made = omega(home.home, "decide", "fortress", "--json", "--timeout", "20")
        assert made.returncode in (0, 4), made.stderr
        assert json.loads(made.stdout)["recorded"]


def test_a_dead_letter_is_sent_once_more_and_worked_off(home: Settings) -> None:
    store = engine.open_store(home)
    empty = {"args": [], "kwargs": {}}
    number = dead.bury(store, "upkeep.checkpoint", "upkeep", empty, "OSError: full", 6, now())
    with up(home):
        sent = omega(home.home, "queues", "dead", "requeue", str(number), "--reason", "made room")
        assert sent.returncode == 0, sent.stderr
        kept = home.home / "checkpoints.jsonl"
        until(kept.exists, 20, "the checkpoint is written")
        assert dead.count(store) == 0
        assert dead.get(store, number).settled == "requeued"
    store.close()
