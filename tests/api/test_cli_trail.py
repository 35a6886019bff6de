"""Why it did not trade, decided again, and proven."""

import json
import shutil
from pathlib import Path

import pytest

from domain.decision import Draft
from orchestrator import replay
from storage import audit
from trading.structures.base import payoff

NO_UTF8 = 0xFF


def flip(omega, where: bytes, to: int | None = None) -> None:
    """Change one byte of the database file, at the first place that reads so."""
    file = database(omega)
    content = bytearray(file.read_bytes())
    place = content.index(where)
    content[place] = to if to is not None else content[place] ^ 1
    file.write_bytes(content)


def database(omega) -> Path:
    """Return the file of the database, with all that was written in it."""
    omega.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    file: Path = omega.home / "omega.db"
    return file


def body_of(omega, key: str) -> bytes:
    """Return a piece of a decision that nothing else in the file has."""
    [(text,)] = omega.sql("SELECT body FROM decisions WHERE id = ?", key)
    body, content = text.encode(), database(omega).read_bytes()
    pieces = (body[at : at + 80] for at in range(0, len(body), 40))
    return next(piece for piece in pieces if content.count(piece) == 1)


def test_a_whole_trail_verifies(omega) -> None:
    said = omega("trail", "verify", "--json")
    assert said.code == 0
    assert said.json["ok"]
    [(records,)] = omega.sql("SELECT count(*) FROM audit")
    assert said.json["records"] == records


@pytest.mark.parametrize("to", [None, NO_UTF8])
def test_one_changed_byte_is_found_and_the_record_is_named(omega, to) -> None:
    key = "samson-SPX-20160211T2100Z"
    [(seq,)] = omega.sql("SELECT seq FROM audit WHERE ref = ? AND kind = 'decision'", key)
    # Far enough in for the byte to be on the decision's own page.
    flip(omega, body_of(omega, key), to)
    said = omega.apart("trail", "verify")
    assert said.code == 6
    assert f"samson {seq}: the body of decision {key} was changed" in said.err
    assert "Traceback" not in said.err
    told = omega("trail", "verify", "--json")
    assert told.code == 6
    assert told.json["fault"] == {
        "bot": "samson",
        "seq": seq,
        "what": f"the body of decision {key} was changed",
    }


def test_a_changed_decision_is_neither_shown_nor_decided_again(omega) -> None:
    key = "samson-SPX-20160211T2100Z"
    flip(omega, body_of(omega, key))
    assert omega("trail", "show", key).code == 6
    assert omega("trail", "replay", key).code == 6


def test_two_hundred_of_two_hundred_are_decided_again(omega) -> None:
    said = omega("trail", "replay", "--sample", "200", "--json")
    assert said.code == 0
    assert said.json == {"equal": 200, "asked": 200, "different": []}


def test_a_decision_that_comes_out_otherwise_is_named(omega, monkeypatch) -> None:
    monkeypatch.setitem(replay.pipeline.LAYERS, "sizing", lambda draft: draft)
    said = omega("trail", "replay", "samson-SPX-20160211T2100Z")
    assert said.code == 6
    assert "samson-SPX-20160211T2100Z" in said.err


def test_the_causes_add_up_to_all_decisions(omega) -> None:
    [(total,)] = omega.sql("SELECT count(*) FROM decisions")
    told = omega("trail", "list", "--json").json
    assert told["total"] == total == sum(cause["n"] for cause in told["causes"])
    assert len(told["decisions"]) == 20


def test_why_one_bot_did_not_trade(omega) -> None:
    counted = omega.sql(
        "SELECT layer, code, count(*) FROM decisions WHERE bot = 'samson' GROUP BY layer, code"
    )
    told = omega("trail", "list", "--bot", "samson", "--json").json
    assert {(c["layer"], c["code"]): c["n"] for c in told["causes"]} == {
        (layer, code): n for layer, code, n in counted
    }
    some = omega("trail", "list", "--bot", "samson", "--code", "no_edge", "--limit", "3").out
    assert "NO_EDGE" in some
    assert "sizing" in some
    nobody = omega("trail", "list", "--code", "NOSUCH")
    assert nobody.code == 2
    assert "NO_EDGE" in nobody.err


def test_show_has_the_verdicts_the_order_and_the_place_in_the_chain(omega) -> None:
    [(key, sha)] = omega.sql(
        "SELECT id, sha256 FROM decisions WHERE quantity > 0 ORDER BY id LIMIT 1"
    )
    told = omega("trail", "show", key, "--json").json
    assert told["hash"] == sha
    assert told["order"]["quantity"] == told["quantity"] > 0
    [(seq,)] = omega.sql("SELECT seq FROM audit WHERE ref = ? AND kind = 'decision'", key)
    assert told["chain"]["seq"] == seq
    text = omega("trail", "show", key).out
    for layer in ("safety", "inference", "advisor", "correlation", "sizing", "seal"):
        assert layer in text
    assert omega("trail", "show", "nothing").code == 2


def test_why_says_what_every_feature_added_from_the_record_alone(omega) -> None:
    [(key,)] = omega.sql(
        "SELECT id FROM decisions WHERE quantity > 0 AND symbol = 'SPX' ORDER BY id LIMIT 1"
    )
    shutil.rmtree(omega.home / "artifacts")
    told = omega("trail", "show", key, "--json").json
    assert "feature" not in omega("trail", "show", key).out
    text = omega("trail", "show", key, "--why").out
    answered = [p for p in told["draft"]["predictions"] if p["probability"] is not None]
    assert answered
    for said in answered:
        why = said["why"]
        assert why["kind"] == "shap"
        assert said["low"] <= said["probability"] <= said["high"]
        assert f"[{said['low']:.4f}, {said['high']:.4f}]" in text
        part = text[text.index(f"version{' ' * 17}{said['version']}") :]
        lines = [line.split() for line in part.splitlines()]
        places = [[line[0] for line in lines if line].index(name) for name in why["parts"]]
        sizes = [abs(part) for part in why["parts"].values()]
        in_order = [size for _, size in sorted(zip(places, sizes, strict=True))]
        assert in_order == sorted(sizes, reverse=True), "the largest first"
        odds = why["base"] + sum(why["parts"].values())
        assert f"makes {odds:+.4f}" in part


def test_show_says_what_a_trade_can_bring_and_where_it_breaks_even(omega) -> None:
    [(key,)] = omega.sql(
        "SELECT id FROM decisions WHERE quantity > 0 AND symbol = 'SPX' ORDER BY id LIMIT 1"
    )
    told = omega("trail", "show", key, "--json").json
    offer = Draft.model_validate(told["draft"]).proposal
    assert told["break_evens"]
    text = omega("trail", "show", key).out
    for spot in told["break_evens"]:
        result = (payoff(offer.legs, spot) + offer.entry) * offer.multiplier - offer.costs
        assert result == pytest.approx(0, abs=1e-6)
        assert f"{spot:,.2f}" in text
    assert f"${offer.max_loss:,.2f} a unit" in text
    assert f"${offer.max_gain:,.2f} a unit" in text


def test_export_writes_every_record_with_its_signature(omega, tmp_path) -> None:
    file = tmp_path / "trail.jsonl"
    said = omega("trail", "export", str(file), "--json")
    lines = [audit.Record.model_validate_json(line) for line in file.read_text().splitlines()]
    [(records,)] = omega.sql("SELECT count(*) FROM audit")
    assert len(lines) == said.json["records"] == records
    assert all(line.hash and line.prev for line in lines)


def test_an_empty_home_has_nothing_to_prove_or_export(fresh, tmp_path) -> None:
    assert fresh("trail", "verify").code == 2
    file = tmp_path / "trail.jsonl"
    assert fresh("trail", "export", str(file)).code == 2
    assert list(tmp_path.glob("*trail*")) == []
    assert "no decision is recorded" in fresh("trail", "list").out


def test_the_page_is_made_anew_from_the_record(omega) -> None:
    said = omega("report", "--json")
    assert said.code == 0
    assert {
        "sessions",
        "decisions",
        "vetoes",
        "trades",
        "bots",
        "models",
        "mvs",
        "digest",
        "simulated",
    } <= said.json.keys()
    page = Path(said.json["report"])
    assert page.parent == omega.home / "reports"
    assert "</html>" in page.read_text()
    again = omega("report", "--json").json
    assert json.dumps(again, sort_keys=True) == json.dumps(said.json, sort_keys=True)


def test_without_a_decision_there_is_no_page(fresh) -> None:
    said = fresh("report")
    assert said.code == 2
    assert "omega replay" in said.err
    assert not (fresh.home / "reports").exists()
