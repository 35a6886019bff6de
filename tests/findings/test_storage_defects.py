"""Defects that systems of this kind had where they store things; each stays away here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from domain import examples
from domain.book import KillCode, Switches
from domain.decision import Draft, Effect, Reason, Verdict
from domain.errors import IntegrityError, Refused
from domain.settings import Settings
from domain.version import Version
from storage import artifacts, decisions, engine, record, registry, state, switches, tables
from storage.engine import Store, reading, writing
from storage.registry import Why

AT = examples.CLOSE
WHY = Why(who="gate", reason="better")


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    stores: list[Store] = []

    def opened() -> Store:
        stores.append(engine.open_store(Settings(home=tmp_path)))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(opening: Callable[[], Store]) -> Store:
    return opening()


def wanting() -> Draft:
    return examples.draft(quantity=1)


def admit(draft: Draft, now: Switches, _: object) -> Verdict:
    context = draft.context
    if now.covering(context.bot.name, context.bot.strategy, context.symbol, context.asof):
        return Verdict(layer="seal", effect=Effect.VETO, code=Reason.KILLED)
    return Verdict(layer="seal")


def candidate(store: Store, content: bytes) -> Version:
    sha = artifacts.put(store, content)
    made = Version(
        model="wisdom",
        version=sha[:12],
        sha256=sha,
        features=("vix",),
        trained_from=AT,
        trained_to=AT,
        trained_at=AT,
        n=900,
        data_hash="0" * 12,
    )
    registry.register(store, made)
    return made


def test_a_kill_store_that_cannot_be_read_does_not_count_as_clear(store: Store) -> None:
    """Fail-open safety: a missing table read as "no switch is set"."""
    with writing(store) as conn:
        conn.execute(text("DROP TABLE switches"))
    assert not switches.read(store).readable


def test_a_kill_between_two_layers_stops_the_order(store: Store) -> None:
    """The switch was read once, at the start of the decision."""
    draft = wanting()
    switches.throw(store, examples.switch())
    [sealed] = decisions.seal(store, [draft], admit, AT)
    assert sealed.code is Reason.KILLED
    assert record.opening_orders(store) == {}


def test_a_machine_does_not_resume_what_a_person_had_stopped(store: Store) -> None:
    """A scheduler resumed at an hour that the switch itself named."""
    thrown = switches.throw(store, examples.switch())
    with pytest.raises(Refused, match="only a person releases them"):
        switches.release(store, [thrown.id], "scheduler", "its hour has come", False, AT)
    assert switches.read(store).latches == (thrown,)


def test_an_automatic_latch_has_an_end(store: Store) -> None:
    """A latch without an expiry was removed by its owner, safety with it."""
    latch = examples.switch(
        human=False, code=KillCode.LOSS_STREAK, expires_at=AT + (examples.context().deadline - AT)
    )
    switches.throw(store, latch)
    switches.expire(store, latch.expires_at)
    assert switches.read(store).latches == ()


def test_state_is_not_the_process_s(opening: Callable[[], Store]) -> None:
    """Loss streaks, positions and kills lived in a process and died with it."""
    first = opening()
    state.put(first, "capital", {"fortress": 0.4})
    thrown = switches.throw(first, examples.switch())
    first.close()
    second = opening()
    assert state.get(second, "capital") == (1, {"fortress": 0.4})
    assert switches.read(second).latches == (thrown,)


def test_a_promotion_that_lost_the_race_is_told_so(store: Store) -> None:
    """Two retrains promoted at once and the last writer won, whatever it was compared with."""
    first, second = candidate(store, b"first"), candidate(store, b"second")
    registry.promote(store, "wisdom", first.version, None, WHY, AT)
    with pytest.raises(Refused, match="compare again"):
        registry.promote(store, "wisdom", second.version, None, WHY, AT)


def test_a_candidate_is_not_live_by_being_stored(store: Store) -> None:
    """Saving a model deactivated the rest: deployed first, evaluated afterwards."""
    candidate(store, b"first")
    assert registry.champion(store, "wisdom") is None


def test_an_artifact_is_not_trusted_because_the_database_names_it(store: Store) -> None:
    """Whatever the database held was unpickled, without a hash."""
    made = candidate(store, b"first")
    file = store.home / "artifacts" / made.sha256[:2] / made.sha256
    file.write_bytes(
        b"\x80\x04\x8c\x08builtins\x94\x8c\x05print\x94\x93\x94."
    )  # a pickle of a call
    with pytest.raises(IntegrityError):
        artifacts.get(store, made.sha256)


@pytest.mark.parametrize("table", ["orders", "fills", "positions", "trades"])
def test_nothing_that_moves_money_lacks_its_decision(store: Store, table: str) -> None:
    """Outcomes could not be joined with the decision they came from."""
    column = tables.metadata.tables[table].c.decision_id
    assert not column.nullable
    assert {key.target_fullname for key in column.foreign_keys} == {"decisions.id"}


def test_the_entry_features_are_there_when_the_outcome_comes(store: Store) -> None:
    """Features were computed again at the exit, or not stored at all."""
    draft = wanting()
    decisions.seal(store, [draft], admit, AT)
    assert decisions.get(store, draft.context.id).context.features == {"vix_level": 11.0}


def test_a_message_delivered_twice_makes_one_order(store: Store) -> None:
    for _ in range(2):
        decisions.pend(store, [wanting().context], AT)
        decisions.seal(store, [wanting()], admit, AT)
    with reading(store) as conn:
        assert conn.scalar(text("SELECT count(*) FROM orders")) == 1


def test_a_decision_that_failed_is_on_record(store: Store) -> None:
    """What failed for a reason of the machinery left no trace."""
    context = wanting().context
    decisions.fail(store, context, "worker lost", AT)
    assert decisions.get(store, context.id).code is Reason.FAILED


def test_a_malformed_database_is_not_traded_on(
    opening: Callable[[], Store], tmp_path: Path
) -> None:
    """ "Database disk image is malformed" was logged, and trading went on."""
    opening().close()
    (tmp_path / "omega.db").write_bytes(b"\0" * 9000)
    with pytest.raises(IntegrityError, match="omega db restore"):
        opening()
