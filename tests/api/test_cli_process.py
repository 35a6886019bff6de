"""The command line from outside: exit codes, one sentence, one JSON object."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import VERBS
from tests.workers.live import place
from trading.bots.catalog import BOTS

ROOT = Path(__file__).parents[2]
SLOW = ("numpy", "pandas", "sqlalchemy", "celery", "onnxruntime", "pydantic")


def one_sentence(err: str) -> bool:
    return err.startswith("omega: ") and len(err.splitlines()) == 1


def test_help_waits_for_nothing_heavy() -> None:
    code = f"import sys, api.cli; print([m for m in {SLOW} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_verb_is_in_the_help(fresh) -> None:
    said = fresh.apart("--help")
    assert said.code == 0
    for verbs in VERBS.values():
        for verb in verbs:
            assert f" {verb} " in said.out
    assert fresh("").code == 2


def test_wrong_usage_ends_with_2(fresh) -> None:
    for words in (("nosuch",), ("decide",), ("status", "--nosuch"), ("replay", "--from", "May")):
        said = fresh(*words)
        assert said.code == 2, words
        assert one_sentence(said.err), words
        assert "--help" in said.err
    told = fresh("decide", "--json")
    assert told.json["error"]["exit_code"] == 2


def test_a_misspelt_setting_ends_with_3_and_names_the_right_one(fresh) -> None:
    said = fresh.apart("status", OMEGA_SED="8")
    assert said.code == 3
    assert one_sentence(said.err)
    assert "OMEGA_SEED" in said.err
    assert not fresh.home.exists()


def test_a_home_that_cannot_be_made_ends_with_3(tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "api", f"--home={file / 'home'}", "status", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["kind"] == "SettingsError"
    assert one_sentence(done.stderr)


def test_a_database_that_does_not_answer_ends_with_5(fresh) -> None:
    said = fresh.apart("status", OMEGA_DATABASE_URL="postgresql://127.0.0.1:1/omega")
    assert said.code == 5
    assert one_sentence(said.err)


def test_a_corrupt_database_ends_with_6_and_the_way_back(omega) -> None:
    assert omega("db", "backup").code == 0
    (omega.home / "omega.db").write_bytes(b"this is no database" * 100)
    said = omega.apart("status")
    assert said.code == 6
    assert one_sentence(said.err)
    assert "omega db restore" in said.err
    assert omega("trail", "verify").code == 6
    assert omega("doctor").code == 3
    assert omega("db", "restore").code == 2
    assert omega("db", "restore", "--dry-run").code == 0
    done = omega("db", "restore", "--yes", "--json")
    assert done.code == 0
    assert Path(done.json["aside"]).exists()
    assert omega("trail", "verify").code == 0
    assert omega("db", "check").code == 0
    assert omega("db", "upgrade", "--json").json["now"]


@pytest.mark.live_worker
def test_a_decision_goes_through_real_workers(omega) -> None:
    said = omega.apart("decide", "anchor", "--json")
    assert said.code in (0, 4)
    told = said.json
    assert [v["layer"] for v in told["draft"]["verdicts"]][:2] == ["safety", "inference"]
    [(status,)] = omega.sql("SELECT status FROM decisions WHERE id = ?", told["id"])
    assert status == "SEALED"


@pytest.mark.live_worker
def test_no_answer_in_time_ends_with_7_and_is_closed_as_a_hold(omega, tmp_path: Path) -> None:
    """Through a broker that no worker listens to: nobody can be quicker than the wait is over."""
    with place(tmp_path / "broker") as nobody:
        url = nobody.environ["OMEGA_BROKER_URL"]
        words = ("decide", "anchor", "--timeout", "0.1", "--json")
        said = omega.apart(*words, OMEGA_BROKER_URL=url)
    assert said.code == 7
    assert said.json["error"]["kind"] == "TimedOut"
    rows = omega.sql("SELECT status, action FROM decisions WHERE bar LIKE '2018-12-31%'")
    assert rows == [("SEALED", "hold")]


def test_an_interrupt_ends_with_130(fresh) -> None:
    words = ("train", "--all", "--home", str(fresh.home))
    running = subprocess.Popen(
        [sys.executable, "-m", "api", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("training"):
            break
    os.kill(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.live_worker
def test_the_doctor_finds_a_played_home_in_order(omega) -> None:
    said = omega.apart("doctor", "--json")
    assert said.code == 0, said.out
    checks = {check["check"]: check for check in said.json["checks"]}
    assert "1,257 bars" in checks["feed"]["what"]
    assert checks["broker"]["state"] == "ok"


def test_the_doctor_names_a_setting_that_is_wrong(fresh) -> None:
    said = fresh.apart("doctor", OMEGA_FEDE="files")
    assert said.code == 3
    assert "OMEGA_FEED" in said.out


def test_the_bots_are_those_of_the_catalog(fresh) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api", "bots", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["bots"].keys() == BOTS.keys()
    assert "FORTRESS" in fresh("bots", "fortress").out
    assert fresh("bots", "nobody").code == 2


def test_a_replay_from_the_command_line(fresh) -> None:
    words = ("replay", "--from", "2016-01-04", "--to", "2016-01-08", "--bots", "samson,fortress")
    dry = fresh(*words, "--dry-run", "--json")
    assert (dry.code, dry.json["sessions"]) == (0, 5)
    assert not fresh.home.exists()
    said = fresh.apart(*words, "--json")
    assert said.code == 0, said.err
    told = said.json
    assert told["sessions"] == 5
    assert told["decisions"] == 10
    assert set(told["bots"]) == {"samson", "fortress"}
    assert Path(told["report"]).is_file()
    assert len(told["digest"]) == 64
    assert any("Option prices" in line for line in told["simulated"])
    assert [line.split()[1] for line in said.err.splitlines()][-1] == "100"
    assert fresh("report", "--json").json["digest"] == told["digest"]
    strangers = "SELECT id FROM trades WHERE decision_id NOT IN (SELECT id FROM decisions)"
    assert fresh.sql(strangers) == []


def test_a_replay_that_cannot_be_leaves_the_record_where_it_is(omega) -> None:
    for words in (
        ("--bots", "nobody"),
        ("--from", "2020-01-01", "--to", "2020-02-01"),
        ("--from", "2016-02-01", "--to", "2016-01-04"),
        ("--data", "nowhere"),
    ):
        assert omega("replay", *words).code == 2, words
    assert not (omega.home / "archive").exists()
    assert omega("trail", "verify").code == 0


@pytest.mark.parametrize("verb", ["status", "queues"])
def test_watching_looks_again_until_ctrl_c(tmp_path: Path, verb: str) -> None:
    command = [sys.executable, "-m", "api", "--home", str(tmp_path), verb, "--watch", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert seen[0].keys() == seen[1].keys()
    assert all(json.loads(line) for line in rest.splitlines())
