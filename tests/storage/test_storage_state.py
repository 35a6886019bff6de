"""Small state, and the outbox."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from domain.errors import Transient
from domain.settings import Settings
from storage import decisions, outbox, state
from storage.engine import Store
from tests.storage.made import AT, anything, want


def test_state_is_kept_with_a_revision(store: Store) -> None:
    assert state.get(store, "capital") is None
    assert state.put(store, "capital", {"fortress": [1.0, 2.0]}) == 1
    assert state.put(store, "capital", {"fortress": [1.5, 2.0]}) == 2
    assert state.get(store, "capital") == (2, {"fortress": [1.5, 2.0]})


def test_state_changes_only_from_the_revision_that_was_read(store: Store) -> None:
    assert state.put(store, "a", 1, expected=0) == 1
    assert state.put(store, "a", 2, expected=1) == 2
    for stale in (0, 1, 3):
        with pytest.raises(Transient, match=f"not at revision {stale}"):
            state.put(store, "a", 9, expected=stale)
    assert state.get(store, "a") == (2, 2)
    with pytest.raises(Transient, match="not at revision 4"):
        state.put(store, "b", 1, expected=4)
    assert state.get(store, "b") is None


def test_keys_are_listed_by_what_they_start_with(store: Store) -> None:
    state.put_many(store, {"due/2": 2, "due/1": 1, "due_3": 3, "a%": 4})
    state.put_many(store, {"due/1": 5})
    state.put_many(store, {})
    assert state.listing(store, "due/") == {"due/1": (2, 5), "due/2": (1, 2)}
    assert list(state.listing(store, "due_")) == ["due_3"]


def test_of_two_changes_at_once_none_is_lost(
    settings: Settings, opened: Callable[..., Store]
) -> None:
    start = Barrier(2)

    def count(store: Store) -> None:
        start.wait()
        done = 0
        while done < 20:
            kept = state.get(store, "n")
            try:
                state.put(store, "n", kept.body + 1 if kept else 1, kept.revision if kept else 0)
            except Transient:
                continue
            done += 1

    stores = [opened(settings), opened(settings)]
    threads = [Thread(target=count, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.get(stores[0], "n") == (40, 40)


def test_what_is_published_is_no_longer_pending(store: Store) -> None:
    sealed = decisions.seal(store, [want(1), want(2)], anything, AT)
    first, second = outbox.pending(store)
    assert [first.payload["order"], second.payload["order"]] == [d.id for d in sealed]
    assert outbox.pending(store, limit=1) == [first]
    outbox.published(store, [first.id], AT)
    outbox.published(store, [first.id], AT)
    assert outbox.pending(store) == [second]


def test_names_sort_alike_on_every_database(store: Store) -> None:
    keys = [
        "a-b",
        "aB",
        "ab",
        "a_b",
        "a/b",
        "A",
        "a b",
        "a",
        "b",
        "\u00e4",
        "a-",
        "a1",
        "a10",
        "a2",
    ]
    state.put_many(store, dict.fromkeys(keys, 1))
    assert list(state.listing(store, "")) == sorted(keys)


def test_what_was_changed_since_it_was_read_is_not_written_over(store: Store) -> None:
    state.put_many(store, {"a": 1, "b": 1})
    read = {"a": 1, "b": 1, "c": 0}
    state.put(store, "b", 2)
    with pytest.raises(Transient, match="b changed meanwhile"):
        state.put_many(store, {"a": 9, "b": 9, "c": 9, "free": 9}, read)
    assert {key: kept.body for key, kept in state.listing(store, "").items()} == {"a": 1, "b": 2}
    state.put_many(store, {"a": 9, "free": 9}, {"a": 1})
    assert state.get(store, "a") == state.Kept(2, 9)
    with pytest.raises(Transient, match="a changed"):
        state.put_many(store, {"a": 9}, {"a": 0})
