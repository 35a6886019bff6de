"""`omega queues` without a fleet: what waits is unknown, and a dead letter is never lost."""

from datetime import UTC, datetime

import pytest

from domain.settings import Settings
from storage import dead, engine
from tests.api.conftest import Omega

AT = datetime(2026, 1, 5, 21, tzinfo=UTC)
TRAINING = {"args": [], "kwargs": {"model": "wisdom"}}
DECISION = {"decision": "fortress-SPX-20160104T2100Z", "bot": "fortress", "symbol": "SPX"}


@pytest.fixture
def buried(fresh: Omega) -> Omega:
    """Return a home with two dead letters: 1 is a training, 2 a decision."""
    store = engine.open_store(Settings(home=fresh.home))
    dead.bury(store, "learning.train", "training", TRAINING, "OSError: full", 3, AT)
    dead.bury(store, "decision", "decision", DECISION, "3 attempts", 3, AT)
    store.close()
    return fresh


def test_without_a_broker_what_waits_is_unknown_and_not_zero(fresh: Omega) -> None:
    told = fresh("queues", "--json").json
    assert {one["waiting"] for one in told["queues"].values()} == {None}
    assert told["unacknowledged"] is None
    assert (told["pending"], told["dead"]) == (0, 0)
    assert "memory://" in fresh("queues").out


def test_letters_are_listed_and_shown(buried: Omega) -> None:
    assert [one["id"] for one in buried("queues", "dead", "list", "--json").json["letters"]] == [
        2,
        1,
    ]
    assert buried("queues", "dead", "show", "1", "--json").json["payload"] == TRAINING
    assert "OSError: full" in buried("queues", "dead", "show", "1").out
    assert buried("queues", "--json").json["dead"] == 2
    assert buried("queues", "dead", "show", "9").code == 2


def test_a_letter_is_dropped_once_and_with_a_reason(buried: Omega) -> None:
    assert buried("queues", "dead", "drop", "1").code == 2
    assert "would drop" in buried("queues", "dead", "drop", "1", "--reason", "x", "--dry-run").out
    assert buried("queues", "--json").json["dead"] == 2
    assert buried("queues", "dead", "drop", "1", "--reason", "the disk was full").code == 0
    assert buried("queues", "--json").json["dead"] == 1
    again = buried("queues", "dead", "drop", "1", "--reason", "x")
    assert (again.code, "was dropped already" in again.err) == (2, True)
    assert len(buried("queues", "dead", "list", "--all", "--json").json["letters"]) == 2


@pytest.mark.parametrize(
    ("number", "why"), [("1", "needs a fleet"), ("2", "omega decide fortress SPX")]
)
def test_what_cannot_be_sent_once_more_stays_a_letter(buried: Omega, number: str, why: str) -> None:
    said = buried("queues", "dead", "requeue", number, "--reason", "mended")
    assert (said.code, why in said.err) == (2, True)
    assert buried("queues", "--json").json["dead"] == 2


def test_a_broker_that_is_away_leaves_the_letter(
    buried: Omega, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_BROKER_URL", "redis://127.0.0.1:1/0")
    assert buried("queues", "dead", "requeue", "1", "--reason", "mended").code == 5
    assert buried("queues").code == 5
    monkeypatch.delenv("OMEGA_BROKER_URL")
    assert buried("queues", "--json").json["dead"] == 2
