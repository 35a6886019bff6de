"""Stopping, deciding while stopped, and going on."""

import json

import pytest
from celery.schedules import crontab

from api import opening
from beat_schedule import SCHEDULE
from domain.settings import Settings
from orchestrator import books
from orchestrator.view import accounts
from storage import state
from trading.accounting import Account
from trading.bots.catalog import BOTS

LAYERS = ["safety", "inference", "advisor", "correlation", "sizing"]


def orders(omega) -> list:
    return omega.sql("SELECT id FROM orders ORDER BY id")


def test_a_killed_bot_holds_with_the_code_and_writes_no_order(omega) -> None:
    before = orders(omega)
    assert omega("kill", "--bot", "fortress", "--reason", "drill", "--who", "ann").code == 0
    said = omega("decide", "fortress", "--inline", "--json")
    assert said.code == 4
    assert (said.json["action"], said.json["code"]) == ("hold", "KILLED")
    assert "drill -- ann" in said.json["reason"]
    assert [v["layer"] for v in said.json["draft"]["verdicts"]] == ["safety"]
    assert said.json["draft"]["predictions"] == []
    assert orders(omega) == before


def test_a_kill_outlives_the_process_that_threw_it(omega) -> None:
    assert omega.apart("kill", "all", "--reason", "drill").code == 0
    said = omega.apart("decide", "samson", "--inline", "--json")
    assert (said.code, said.json["code"]) == (4, "KILLED")


def test_switches_that_cannot_be_read_hold(omega) -> None:
    omega("kill", "--symbol", "AAPL", "--reason", "drill")
    omega.sql("UPDATE switches SET mode = 'sideways'")
    before = orders(omega)
    said = omega("decide", "anchor", "--inline", "--json")
    assert (said.code, said.json["code"]) == (4, "SWITCHES_UNREADABLE")
    assert orders(omega) == before
    assert "cannot be read" in omega("status").out


def test_resume_without_a_reason_is_refused_and_releases_nothing(omega) -> None:
    omega("kill", "--bot", "fortress", "--reason", "drill")
    for words in (
        ("resume", "--bot", "fortress"),
        ("resume", "--bot", "fortress", "--reason", " "),
    ):
        said = omega(*words)
        assert said.code == 2
        assert "reason" in said.err
    assert omega("status", "--json").json["bots"]["fortress"]["mode"] == "halted"


def test_resume_releases_and_the_layers_are_asked_again(omega) -> None:
    omega("kill", "--bot", "fortress", "--reason", "drill")
    said = omega("resume", "--bot", "fortress", "--reason", "over", "--json")
    assert (said.code, len(said.json["released"])) == (0, 1)
    again = omega("decide", "fortress", "--inline", "--json").json
    assert again["code"] != "KILLED"
    assert "inference" in [v["layer"] for v in again["draft"]["verdicts"]]
    [released] = omega.sql("SELECT body FROM audit WHERE bot = 'fortress' AND kind = 'release'")
    assert '"reason":"over"' in released[0]


def test_a_switch_that_cannot_be_read_halts_everything_until_a_person_releases_it(omega) -> None:
    omega("kill", "--bot", "fortress", "--reason", "drill")
    omega.sql("UPDATE switches SET set_at = 'yesterday'")
    stopped = omega("decide", "samson", "--inline", "--json").json
    assert stopped["code"] == "SWITCHES_UNREADABLE"
    said = omega("resume", "--bot", "fortress", "--reason", "a broken row", "--json")
    assert (said.code, len(said.json["released"])) == (0, 1), said.err
    again = omega("decide", "samson", "--inline", "--json").json
    assert again["code"] != stopped["code"]


@pytest.fixture
def drawn_down(omega) -> Account:
    """FORTRESS a third below its peak, and the latch that the sweep threw for it."""
    with opening.desk(Settings(home=omega.home)) as desk:
        account = accounts(desk.store, desk.bots)["fortress"]
        account = account.model_copy(update={"peak": 1.5 * account.equity, "losses_in_row": 2})
        state.put(desk.store, "account/fortress", account.model_dump(mode="json"))
        assert books.sweep(desk) == 1
    return account


def kept(omega, name: str = "fortress") -> Account:
    [(body,)] = omega.sql("SELECT body FROM state WHERE key = ?", f"account/{name}")
    return Account.model_validate_json(body)


def acts(omega) -> list[tuple[str, dict]]:
    told = omega.sql(
        "SELECT kind, body FROM audit WHERE bot = 'fortress'"
        " AND kind IN ('release', 'acknowledge') ORDER BY seq"
    )
    return [(kind, json.loads(body)) for kind, body in told]


def test_a_person_who_resumes_a_bot_begins_its_drawdown_anew(omega, drawn_down) -> None:
    other = kept(omega, "samson")
    stopped = omega("decide", "fortress", "--inline", "--json")
    assert (stopped.code, stopped.json["code"]) == (4, "KILLED")
    assert "DRAWDOWN" in stopped.json["reason"]
    words = ("--bot", "fortress", "--reason", "the model was wrong", "--who", "ann")
    said = omega("resume", *words, "--json")
    assert (said.code, len(said.json["released"]), said.json["left"]) == (0, 1, [])
    account = kept(omega)
    assert account.equity == drawn_down.equity
    assert (account.peak, account.losses_in_row) == (account.equity, 0)
    (released, first), (acknowledged, second) = acts(omega)
    assert (released, acknowledged) == ("release", "acknowledge")
    for body in (first, second):
        assert (body["who"], body["reason"]) == ("ann", "the model was wrong")
    assert (second["peak"], second["equity"]) == (drawn_down.peak, drawn_down.equity)
    again = omega("decide", "fortress", "--inline", "--json").json
    assert again["draft"]["verdicts"][0]["effect"] != "veto"
    assert "inference" in [v["layer"] for v in again["draft"]["verdicts"]]
    assert kept(omega, "samson") == other
    assert omega("trail", "verify").code == 0


def test_a_drawdown_is_not_forgiven_without_a_reason(omega, drawn_down) -> None:
    for words in ((), ("--reason", " "), ("--reason", "drill", "--dry-run")):
        said = omega("resume", "--bot", "fortress", *words)
        assert said.code == (0 if "--dry-run" in words else 2)
        assert kept(omega) == drawn_down
        assert acts(omega) == []
    assert omega("decide", "fortress", "--inline", "--json").json["code"] == "KILLED"


def test_resume_says_when_there_is_nothing_to_release(omega) -> None:
    said = omega("resume", "all", "--reason", "over")
    assert said.code == 2
    assert "no switch is set for the whole desk" in said.err


def test_a_switch_for_nobody_is_refused_and_not_thrown(omega) -> None:
    for target in (("--bot", "nobody"), ("--symbol", "ZZZ"), ("--strategy", "hope"), ("some",), ()):
        said = omega("kill", *target, "--reason", "drill")
        assert said.code == 2, target
    both = omega("kill", "--bot", "fortress", "--symbol", "SPX", "--reason", "drill")
    assert both.code == 2
    assert "say one of" in both.err
    assert omega("status", "--json").json["latches"] == []


def test_a_strategy_and_a_symbol_stop_those_they_cover(omega) -> None:
    omega("kill", "--strategy", "condor", "--reason", "drill", "--reduce")
    omega("kill", "--symbol", "aapl", "--reason", "drill")
    told = omega("status", "--json").json["bots"]
    reduced = {name for name, bot in told.items() if bot["mode"] == "reducing"}
    assert reduced == {"fortress", "anchor", "samson"}
    assert {bot["mode"] for name, bot in told.items() if name not in reduced} == {"active"}
    assert told["autotrader"]["symbols_stopped"] == ["AAPL"]


def test_a_dry_run_throws_and_releases_nothing(omega) -> None:
    said = omega("kill", "all", "--reason", "drill", "--dry-run")
    assert said.code == 0
    assert "would be HALTED" in said.out
    assert omega("status", "--json").json["latches"] == []
    omega("kill", "all", "--reason", "drill")
    omega("resume", "all", "--reason", "over", "--dry-run")
    assert len(omega("status", "--json").json["latches"]) == 1


def test_status_shows_the_whole_desk(omega) -> None:
    told = omega("status", "--json").json
    assert set(told["bots"]) == set(BOTS)
    assert {bot["mode"] for bot in told["bots"].values()} == {"active"}
    assert told["data"]["newest_bar"].startswith("2016-03-04T21:00")
    heads = dict(omega.sql("SELECT bot, max(seq) FROM audit GROUP BY bot"))
    assert {name: head["seq"] for name, head in told["chains"].items()} == heads
    assert told["champions"]["wisdom"]
    text = omega("status").out
    for word in ("FORTRESS", "ACTIVE", "champions", "2016-03-04 21:00Z"):
        assert word in text


def test_decide_shows_what_every_layer_said(omega) -> None:
    said = omega("decide", "anchor", "--inline")
    told = omega("decide", "anchor", "--inline", "--json").json
    assert said.code == (4 if told["action"] == "hold" else 0)
    for layer in LAYERS:
        assert layer in said.out
    assert "playback" in said.err
    assert told["draft"]["context"]["env"] == "playback"
    assert told["id"] == "anchor-SPX-20181231T2100Z-2"


def test_decide_tells_why_each_model_says_what_it_says(omega) -> None:
    told = omega("decide", "anchor", "--dry-run", "--json").json
    text = omega("decide", "anchor", "--dry-run", "--why").out
    wisdom = told["draft"]["predictions"][0]
    assert wisdom["model"] == "wisdom"
    largest = max(wisdom["why"]["parts"], key=lambda name: abs(wisdom["why"]["parts"][name]))
    adds = f"{wisdom['why']['parts'][largest]:+.4f}"
    [row] = [line for line in text.splitlines() if line.startswith(largest) and adds in line]
    assert row.endswith("\N{FULL BLOCK}" * 12)
    assert f"{wisdom['low']:.4f}, {wisdom['high']:.4f}" in text
    assert f"makes {wisdom['why']['base'] + sum(wisdom['why']['parts'].values()):+.4f}" in text
    assert "log-odds" not in omega("decide", "anchor", "--dry-run").out


def test_a_dry_decision_is_the_same_and_is_not_recorded(omega) -> None:
    dry = omega("decide", "anchor", "--dry-run", "--json").json
    assert dry["recorded"] is False
    assert omega("trail", "show", dry["id"]).code == 2
    made = omega("decide", "anchor", "--inline", "--json").json
    assert (made["id"], made["code"], made["recorded"]) == (dry["id"], dry["code"], True)


def test_a_bot_of_many_symbols_wants_to_know_which(omega) -> None:
    said = omega("decide", "autotrader")
    assert said.code == 2
    assert "AAPL" in said.err
    assert omega("decide", "fortress", "AAPL", "--inline").code == 2


def test_without_champions_it_holds_and_says_what_to_run(fresh) -> None:
    said = fresh("decide", "fortress", "--inline", "--json")
    assert (said.code, said.json["code"]) == (4, "UNTRAINED")
    assert "omega train --all" in said.err


def test_the_timetable_shown_is_the_one_that_runs(fresh) -> None:
    told = fresh("schedule", "--json").json
    assert {e["name"]: e["task"] for e in told["schedule"]} == {
        name: entry["task"] for name, entry in SCHEDULE.items()
    }
    real_time = {name for name, e in SCHEDULE.items() if not isinstance(e["schedule"], crontab)}
    assert {e["name"] for e in told["schedule"] if not e["next_utc"]} == real_time
    assert next(e["when"] for e in told["schedule"] if e["name"] == "reap") == "every 2 s"
    assert told["schedule"][0]["when"] == "25 8 * * mon-fri"
    assert "America/Chicago" in fresh("schedule").out
