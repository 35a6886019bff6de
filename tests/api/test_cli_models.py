"""The registry by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from domain.settings import Settings
from models.catalog import CATALOG
from models.prophet import Directional
from models.xgb import Xgb
from storage import engine, registry
from storage.engine import Store

GEX = "import a GEX history"
CONDOR = CATALOG["prophet-condor"]
AT = datetime(2018, 1, 5, tzinfo=UTC)


@contextmanager
def opened(omega) -> Iterator[Store]:
    store = engine.open_store(Settings(home=omega.home))
    yield store
    store.close()


def versions(omega, model: str = "wisdom") -> list[dict]:
    return omega("models", "list", model, "--json").json["versions"]


def champion(omega, model: str = "wisdom") -> str | None:
    found = omega("models", "list", "--json").json["models"][model]["champion"]
    return found and found["version"]


def test_every_model_is_listed_with_who_answers(omega) -> None:
    told = omega("models", "list", "--json").json["models"]
    assert list(told) == list(CATALOG)
    assert champion(omega) in omega("models", "list").out


def states(omega) -> dict[str, tuple[str, str]]:
    told = omega("models", "list", "--json").json["models"]
    return {name: (one["state"], one["reason"]) for name, one in told.items()}


def test_every_learner_has_a_state_and_its_reason(omega, fresh, monkeypatch) -> None:
    """Champion, challenger, untrained, unavailable: each out of a real store."""
    monkeypatch.setattr(Xgb, "requires", ("GEX_NET",))
    assert states(omega)["xgb"][0] == "champion", (
        "what was trained answers, whatever is missing now"
    )
    assert states(omega)["wisdom"][1].startswith("promote: ")
    why = registry.Why(who="ann", reason="out of service")
    with opened(omega) as store:
        registry.retire(store, "wisdom", champion(omega), why, AT)
    assert states(omega)["wisdom"] == ("challenger", "retire: out of service")

    found = states(fresh)
    assert list(found) == list(CATALOG)
    assert found["xgb"] == ("unavailable", GEX)
    assert found["wisdom"] == ("untrained", "`omega train wisdom`")
    text = fresh("models", "list").out
    assert "unavailable" in text
    assert GEX in text


def test_a_feed_that_cannot_be_opened_is_said_and_the_list_is_there(fresh, monkeypatch) -> None:
    monkeypatch.setenv("OMEGA_FEED", "files")
    said = fresh("models", "list", "--json")
    assert said.code == 0
    assert "does not exist" in said.json["feed"]
    assert {one["state"] for one in said.json["models"].values()} == {"untrained"}
    assert "whether their data is there is unknown" in fresh("models", "list").err


def test_of_what_can_always_be_trained_no_feed_is_opened(fresh, monkeypatch) -> None:
    monkeypatch.setenv("OMEGA_FEED", "files")
    for name in CATALOG:
        kind = CATALOG[name].load()
        monkeypatch.setattr(kind, "requires", ())
        monkeypatch.setattr(kind, "extra", "")
        monkeypatch.setattr(kind, "target", Directional.target)
    assert fresh("models", "list", "--json").json["feed"] is None


@pytest.fixture
def in_order() -> Iterator[None]:
    """Put the catalog back as it was, order and all: an entry that is set again comes last."""
    whole = dict(CATALOG)
    yield
    CATALOG.clear()
    CATALOG.update(whole)


@pytest.mark.live_worker
def test_an_unavailable_model_fails_who_named_it_and_not_who_asked_for_all(
    fresh, in_order, monkeypatch
) -> None:
    every = list(CATALOG)
    for name in every[1:]:
        monkeypatch.delitem(CATALOG, name)
    monkeypatch.setitem(CATALOG, "prophet-condor", CONDOR)
    monkeypatch.setattr(CATALOG[every[0]].load(), "requires", ("GEX_NET",))
    lacking = f"{every[0]} is unavailable: {GEX}"

    named = fresh("train", every[0])
    assert (named.code, named.err.count(lacking)) == (1, 1)
    told = fresh("train", every[0], "--json")
    assert (told.code, told.json["unavailable"], told.json["failed"]) == (
        1,
        {every[0]: lacking},
        {},
    )
    dry = fresh("train", every[0], "--dry-run")
    assert (dry.code, lacking in dry.err) == (1, True)

    dry = fresh("train", "--all", "--dry-run", "--json")
    assert (dry.code, dry.json["unavailable"]) == (0, {every[0]: lacking})
    for said in (fresh("train", "--all", "--json"), fresh("train", "--all")):
        assert (said.code, lacking in said.err or lacking in said.out) == (0, True)
    assert states(fresh) == {
        every[0]: ("unavailable", GEX),
        "prophet-condor": ("champion", states(fresh)["prophet-condor"][1]),
    }


def test_a_version_shows_its_measures_with_interval_and_n(omega) -> None:
    text = omega("models", "show", "wisdom").out
    for word in ("Brier", "base rate", "logistic", "n=", "features", "schedule", "Shallow trees"):
        assert word in text
    told = omega("models", "show", "wisdom", "--json").json
    assert told["version"]["version"] == champion(omega)
    assert omega("models", "show", "nobody").code == 2
    assert omega("models", "show", "wisdom", "000000000000").code == 1


def test_a_card_is_of_the_fit_that_was_judged(omega) -> None:
    name = "prophet"
    told = omega("models", "show", name, "--card", "--json").json
    held, one = told["held"], told["version"]
    assert held["rows"] == one["measures"]["brier"]["n"]
    assert sum(group["n"] for group in held["bins"]) == held["rows"]
    assert held["until"] == one["trained_to"]
    shown = [feature for group in held["influences"] for feature in group["features"]]
    assert sorted(shown) == sorted(one["features"])
    assert 0 < told["latency"]["p50"] <= told["latency"]["p99"]
    assert len(told["schema_hash"]) == 12
    assert told["about"]["purpose"].startswith("The chance that a premium trade works out")

    text = omega("models", "show", name, "--card").out
    for word in ("Calibration: ", "● came true", "┼", "Brier rises by", "strike_distance", "µs"):
        assert word in text
    plain = omega("models", "show", name)
    assert "--card" in plain.out
    assert "Brier rises by" not in plain.out
    assert omega("models", "show", name, "--json").json["held"] is None


def test_a_card_has_the_champion_before_beside_it(omega) -> None:
    with opened(omega) as store:
        ruled = [r for r in registry.ledger(store, "wisdom") if r.ruling is registry.Ruling.PROMOTE]
    first, second = ruled[0].version, ruled[1].version
    told = omega("models", "show", "wisdom", second, "--json").json
    assert told["previous"]["version"] == first
    assert f"champion before, {first}" in " ".join(
        omega("models", "show", "wisdom", second).out.split()
    )
    assert omega("models", "show", "wisdom", first, "--json").json["previous"] is None


def test_a_card_of_data_that_is_not_there_any_more_is_refused(omega, tmp_path, monkeypatch) -> None:
    bars = "".join(f"2015-{m:02}-{d:02},{20 + d}\n" for m in range(1, 13) for d in range(5, 25))
    for name in ("SPX", "VIX"):
        (tmp_path / f"{name}.csv").write_text(f"date,close\n{bars}")
    monkeypatch.setenv("OMEGA_FEED", "files")
    monkeypatch.setenv("OMEGA_DATA", str(tmp_path))
    said = omega("models", "show", "prophet", "--card")
    assert (said.code, "Brier" in said.out) == (1, False)
    assert omega("models", "show", "prophet").code == 0


def test_who_never_learned_has_a_card_too(fresh, monkeypatch) -> None:
    monkeypatch.setattr(Xgb, "requires", ("GEX_NET",))
    told = fresh("models", "show", "xgb", "--json").json
    assert (told["version"], told["ledger"], told["held"]) == (None, [], None)
    assert (told["standing"]["state"], told["standing"]["reason"]) == ("unavailable", GEX)
    text = fresh("models", "show", "xgb", "--card").out
    assert f"unavailable: {GEX}" in text
    assert "survived to 2022" in text
    assert fresh("models", "show", "wisdom").code == 0
    assert fresh("models", "show", "wisdom", "000000000000").code == 1


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
