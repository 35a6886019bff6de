"""Dead letters: kept until a person settles them, once."""

import pytest

from domain.errors import Refused
from storage import audit, dead
from storage.engine import Store
from tests.storage.made import AT

PAYLOAD = {"args": [], "kwargs": {"model": "wisdom"}}


def bury(store: Store) -> int:
    return dead.bury(store, "learning.train", "training", PAYLOAD, "OSError: full", 3, AT)


def test_what_failed_is_kept_with_all_that_it_carried(store: Store) -> None:
    number = bury(store)
    [letter] = dead.letters(store)
    assert letter == dead.get(store, number)
    assert (letter.task, letter.queue, letter.payload) == ("learning.train", "training", PAYLOAD)
    assert (letter.error, letter.attempts, letter.at) == ("OSError: full", 3, AT)
    assert dead.count(store) == 1
    assert audit.records(store, audit.DESK)[-1].kind == "dead"


def test_a_letter_is_settled_once_and_stays(store: Store) -> None:
    number = bury(store)
    dead.settle(store, number, "dropped", "ann", "seen to", AT)
    assert dead.letters(store) == []
    assert dead.count(store) == 0
    [kept] = dead.letters(store, every=True)
    assert (kept.settled, kept.settled_at) == ("dropped", AT)
    told = audit.records(store, audit.DESK)[-1]
    assert (told.kind, told.body["who"], told.body["reason"]) == ("dropped", "ann", "seen to")
    with pytest.raises(Refused, match=f"letter {number} was dropped already"):
        dead.settle(store, number, "requeued", "bob", "again", AT)
    assert audit.records(store, audit.DESK)[-1] == told


def test_a_number_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(Refused, match="no dead letter 7"):
        dead.get(store, 7)
