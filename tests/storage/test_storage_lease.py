"""Leases: one holder at a time, replaced when it dies."""

from datetime import timedelta

import pytest

from domain.errors import Transient
from storage import lease, state
from storage.engine import Store
from tests.storage.made import AT

LASTS = timedelta(seconds=10)


def test_one_holds_it_and_the_other_waits_until_it_has_run_out(store: Store) -> None:
    mine = lease.take(store, "beat", "a", LASTS, AT)
    assert mine == 1
    assert lease.take(store, "beat", "b", LASTS, AT + LASTS / 2) is None
    theirs = lease.take(store, "beat", "b", LASTS, AT + LASTS)
    assert theirs == 2
    assert lease.take(store, "beat", "a", LASTS, AT + LASTS) is None
    held = lease.holder(store, "beat")
    assert held is not None
    assert (held.owner, held.until) == ("b", AT + 2 * LASTS)


def test_holding_on_writes_only_when_half_is_gone(store: Store) -> None:
    assert lease.take(store, "beat", "a", LASTS, AT) == 1
    assert lease.take(store, "beat", "a", LASTS, AT + LASTS * 0.4) == 1
    assert lease.take(store, "beat", "a", LASTS, AT + LASTS * 0.6) == 2


def test_who_gives_it_back_keeps_nobody_waiting(store: Store) -> None:
    lease.take(store, "beat", "a", LASTS, AT)
    lease.release(store, "beat", "b", AT)
    assert lease.take(store, "beat", "b", LASTS, AT) is None
    lease.release(store, "beat", "a", AT)
    assert lease.take(store, "beat", "b", LASTS, AT) is not None


def test_two_that_take_it_at_once_do_not_both_have_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one writes between our look and our writing."""
    put = state.put

    def first_the_other(at: Store, key: str, body: object, expected: int | None = None) -> int:
        monkeypatch.setattr(state, "put", put)
        assert lease.take(store, "beat", "b", LASTS, AT) is not None
        return put(at, key, body, expected)

    monkeypatch.setattr(state, "put", first_the_other)
    assert lease.take(store, "beat", "a", LASTS, AT) is None
    held = lease.holder(store, "beat")
    assert held is not None
    assert held.owner == "b"


def test_nobody_holds_what_was_never_taken(store: Store) -> None:
    assert lease.holder(store, "beat") is None
    lease.release(store, "beat", "a", AT)
    with pytest.raises(Transient):
        state.put(store, "lease/beat", {}, 3)
