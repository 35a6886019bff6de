"""Kill switches as they are stored: latches, releases, and what cannot be read."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from domain import examples
from domain.book import KillCode, Mode, Scope, Switches
from domain.errors import Refused, Transient
from domain.settings import Settings
from storage import audit, switches
from storage.engine import Store, writing
from tests.storage.made import AT, DAY, MINUTE, tamper


def automatic(**fields: object) -> object:
    plain = {"scope": Scope.BOT, "target": "fortress", "code": KillCode.LOSS_STREAK}
    plain |= {"who": "guardrails", "human": False, "expires_at": AT + DAY}
    return examples.switch(**(plain | {"evidence": {"losses": 3.0}} | fields))


def release(store: Store, *ids: int, human: bool = True, **fields: object) -> tuple[int, ...]:
    plain = {"who": "operator", "reason": "mended", "human": human, "at": AT + MINUTE}
    return switches.release(store, ids, **(plain | fields))


def test_nothing_is_set_at_first(store: Store) -> None:
    assert switches.read(store) == Switches(revision=0, latches=(), readable=True)


def test_a_switch_is_set_until_it_is_released(store: Store) -> None:
    thrown = switches.throw(store, examples.switch(id=0))
    assert switches.read(store) == Switches(revision=1, latches=(thrown,))
    assert thrown.id > 0
    assert release(store, thrown.id) == (thrown.id,)
    assert switches.read(store) == Switches(revision=2)
    assert release(store, thrown.id) == ()
    assert switches.read(store).revision == 2


def test_a_switch_survives_the_process_that_threw_it(
    settings: Settings, opened: Callable[..., Store]
) -> None:
    first = opened(settings)
    thrown = switches.throw(first, automatic())
    first.close()
    assert switches.read(opened(settings)).latches == (thrown,)


def test_who_and_why_enter_the_chain_of_the_bot_or_the_desk(store: Store) -> None:
    switches.throw(store, automatic())
    every = switches.throw(store, examples.switch())
    release(store, every.id)
    [kill] = audit.records(store, "fortress")
    assert (kill.kind, kill.body["code"], kill.body["who"]) == ("kill", "LOSS_STREAK", "guardrails")
    assert [r.kind for r in audit.records(store, "desk")] == ["kill", "release"]
    told = audit.records(store, "desk")[-1].body
    assert told == {"id": every.id, "who": "operator", "reason": "mended", "human": True}
    assert audit.verify(store).ok


def test_an_equal_automatic_switch_is_set_once(store: Store) -> None:
    first = switches.throw(store, automatic())
    assert switches.throw(store, automatic(set_at=AT + MINUTE)) == first
    assert switches.throw(store, automatic(expires_at=AT + MINUTE)) == first
    assert switches.read(store) == Switches(revision=1, latches=(first,))


@pytest.mark.parametrize(
    "other",
    [
        {"expires_at": AT + 2 * DAY},
        {"expires_at": None},
        {"mode": Mode.REDUCING},
        {"code": KillCode.DRAWDOWN},
        {"target": "anchor"},
        {"human": True},
    ],
)
def test_one_that_differs_or_lasts_longer_is_set_beside_it(
    store: Store, other: dict[str, object]
) -> None:
    switches.throw(store, automatic())
    switches.throw(store, automatic(**other))
    assert len(switches.read(store).latches) == 2


def test_one_without_an_end_covers_every_later_equal(store: Store) -> None:
    first = switches.throw(store, automatic(expires_at=None))
    assert switches.throw(store, automatic()) == first
    assert switches.throw(store, automatic(expires_at=None)) == first


def test_every_switch_of_a_person_is_recorded(store: Store) -> None:
    first, second = (switches.throw(store, examples.switch()) for _ in range(2))
    assert switches.find(store, Scope.ALL) == (first.id, second.id)
    assert switches.find(store, Scope.BOT, "fortress") == ()
    assert release(store, first.id, second.id) == (first.id, second.id)


def test_only_a_person_releases_what_a_person_set(store: Store) -> None:
    own, theirs = switches.throw(store, automatic()), switches.throw(store, examples.switch())
    with pytest.raises(Refused, match="only a person releases them"):
        release(store, own.id, theirs.id, human=False)
    assert len(switches.read(store).latches) == 2
    assert release(store, own.id, human=False) == (own.id,)


def test_a_release_needs_a_reason(store: Store) -> None:
    thrown = switches.throw(store, examples.switch())
    with pytest.raises(Refused, match="needs a reason"):
        release(store, thrown.id, reason="  ")
    assert len(switches.read(store).latches) == 1


def test_a_release_that_saw_an_older_list_is_refused(store: Store) -> None:
    first = switches.throw(store, examples.switch())
    seen = switches.read(store).revision
    switches.throw(store, examples.switch())
    with pytest.raises(Refused, match=r"changed \(1 -> 2\)"):
        release(store, first.id, revision=seen)
    assert release(store, first.id, revision=2) == (first.id,)


def test_automatic_switches_expire_and_those_of_people_do_not(store: Store) -> None:
    switches.throw(store, automatic())
    person = switches.throw(store, examples.switch(expires_at=AT + DAY))
    assert switches.expire(store, AT + DAY - MINUTE) == ()
    assert len(switches.expire(store, AT + DAY)) == 1
    assert switches.read(store).latches == (person,)
    assert audit.records(store, "fortress")[-1].body["reason"] == "expired"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE switches SET mode = 'paused'",
        "UPDATE switches SET evidence = 'no json'",
        "UPDATE switches SET set_at = 'yesterday'",
        "UPDATE switches SET set_at = '2018-02-05T21:00:00'",
        "UPDATE switches SET expires_at = '?'",
        "DELETE FROM counters",
        "ALTER TABLE switches RENAME TO hidden",
    ],
)
def test_what_cannot_be_read_is_not_readable(store: Store, change: str) -> None:
    switches.throw(store, examples.switch())
    with writing(store) as conn:
        conn.execute(text(change))
    assert switches.read(store) == Switches(readable=False)


def test_a_moment_that_is_no_text_is_not_readable(lite: Store) -> None:
    """SQLite keeps bytes as they are in a column of text."""
    switches.throw(lite, examples.switch())
    with writing(lite) as conn:
        conn.execute(text("UPDATE switches SET set_at = x'00'"))
    assert switches.read(lite) == Switches(readable=False)


def test_beside_a_switch_that_cannot_be_read_another_can_be_set(store: Store) -> None:
    switches.throw(store, examples.switch())
    with writing(store) as conn:
        conn.execute(text("UPDATE switches SET set_at = 'yesterday'"))
    automatic_one = switches.throw(store, automatic())
    with writing(store) as conn:
        conn.execute(text("DELETE FROM switches WHERE set_at = 'yesterday'"))
    assert switches.read(store).latches == (automatic_one,)


@pytest.mark.parametrize("change", ["mode = 'paused'", "set_at = 'yesterday'"])
def test_a_person_can_release_a_switch_that_cannot_be_read(store: Store, change: str) -> None:
    thrown = switches.throw(store, examples.switch())
    with writing(store) as conn:
        conn.execute(text(f"UPDATE switches SET {change}"))
    assert release(store, thrown.id) == (thrown.id,)
    assert switches.read(store).readable


def test_a_kill_that_cannot_be_written_is_not_said_to_be_set(
    settings: Settings, opened: Callable[..., Store]
) -> None:
    first, second = opened(settings), opened(settings, 0.05)
    with writing(first) as conn:
        switches.lock(conn)
        with pytest.raises(Transient):
            switches.throw(second, examples.switch())
    assert switches.read(second) == Switches()


def test_a_switch_removed_past_the_release_leaves_its_kill_in_the_chain(store: Store) -> None:
    switches.throw(store, examples.switch())
    tamper(store, "DELETE FROM switches")
    assert [r.kind for r in audit.records(store, "desk")] == ["kill"]
