"""The registry by hand."""

import pytest

from models.catalog import CATALOG


def versions(omega, model: str = "wisdom") -> list[dict]:
    return omega("models", "list", model, "--json").json["versions"]


def champion(omega, model: str = "wisdom") -> str | None:
    found = omega("models", "list", "--json").json["models"][model]["champion"]
    return found and found["version"]


def test_every_model_is_listed_with_who_answers(omega) -> None:
    told = omega("models", "list", "--json").json["models"]
    assert list(told) == list(CATALOG)
    assert champion(omega) in omega("models", "list").out


def test_a_version_shows_its_measures_with_interval_and_n(omega) -> None:
    text = omega("models", "show", "wisdom").out
    for word in ("brier_base", "n=", "features", "schedule"):
        assert word in text
    told = omega("models", "show", "wisdom", "--json").json
    assert told["version"]["version"] == champion(omega)
    assert omega("models", "show", "nobody").code == 2
    assert omega("models", "show", "wisdom", "000000000000").code == 1


def test_compare_says_what_the_gate_would(omega) -> None:
    told = omega("models", "compare", "wisdom", "--json").json
    assert told["against"]["version"] == champion(omega)
    assert told["gate"]["ruling"] in ("PROMOTE", "HOLD", "REJECT")
    assert "The gate would say" in omega("models", "compare", "wisdom").out


def test_promoting_needs_a_reason_and_is_compare_and_set(omega) -> None:
    now = champion(omega)
    other = next(v["version"] for v in versions(omega) if v["version"] != now)
    assert omega("models", "promote", "wisdom", other).code == 2
    assert omega("models", "promote", "wisdom", other, "--reason", " ").code == 2
    late = omega("models", "promote", "wisdom", other, "--reason", "r", "--expected", other)
    assert late.code == 2
    assert "compare again" in late.err
    dry = omega("models", "promote", "wisdom", other, "--reason", "r", "--dry-run")
    assert (dry.code, champion(omega)) == (0, now)

    said = omega("models", "promote", "wisdom", other, "--reason", "trial", "--who", "ann")
    assert (said.code, champion(omega)) == (0, other)
    last = omega("models", "show", "wisdom", other, "--json").json["ledger"][-1]
    assert (last["who"], last["reason"], last["ruling"]) == ("ann", "trial", "PROMOTE")
    assert "gate" in last["measures"]

    assert omega("models", "rollback", "wisdom").code == 2
    assert omega("models", "rollback", "wisdom", "--reason", "back", "--dry-run").code == 0
    assert champion(omega) == other
    back = omega("models", "rollback", "wisdom", "--reason", "back", "--json")
    assert (back.code, back.json["before"]) == (0, other)
    assert champion(omega) == back.json["champion"] != other


def test_a_changed_artifact_is_named(omega) -> None:
    assert omega("models", "verify").code == 0
    version = champion(omega)
    [sha] = [v["sha256"] for v in versions(omega) if v["version"] == version]
    file = omega.home / "artifacts" / sha[:2] / sha
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    said = omega("models", "verify")
    assert said.code == 6
    assert f"wisdom {version}" in said.err
    assert omega("models", "verify", "--json").json["bad"][0]["version"] == version
    doctor = omega("doctor", "--json")
    assert doctor.code == 3
    failed = {c["check"]: c["what"] for c in doctor.json["checks"] if c["state"] == "fail"}
    assert version in failed["artifacts"]


@pytest.mark.live_worker
def test_training_goes_through_the_queue_and_the_gate(omega) -> None:
    before = len(versions(omega))
    said = omega("train", "wisdom", "--json")
    assert said.code == 0
    [row] = said.json["trained"]
    assert row["ruling"] in ("PROMOTE", "HOLD", "REJECT")
    assert {"brier", "brier_base", "brier_logistic"} <= row["version"]["measures"].keys()
    assert len(versions(omega)) == before + 1
    assert omega("train").code == 2
    assert omega("train", "nobody").code == 2


def test_a_dry_training_keeps_nothing(fresh) -> None:
    said = fresh("train", "prophet-condor", "--dry-run")
    assert said.code == 0
    assert "Brier" in said.out
    assert versions(fresh, "prophet-condor") == []


def test_the_walk_forward_ends_in_a_sentence(fresh) -> None:
    said = fresh("validate", "wisdom", "--distance", "1.0", "--json")
    found = said.json["models"]["wisdom"]
    assert [year["label"] for year in found["years"]] == ["2016", "2017", "2018"]
    assert found["health"] in ("adds", "adds nothing", "worse")
    assert "base rate" in found["sentence"]
    assert fresh("validate", "wisdom", "--distance", "9").code == 2
