"""Leases: one holder at a time, for as long as it says so, and a number that tells old from new.

A holder that dies is replaced when its time has run out. One that was only slow finds out when it
writes: what it guards is moved by compare-and-set, so the loser of a race changes nothing.
"""

from datetime import timedelta

from pydantic import AwareDatetime

from domain.errors import Transient
from domain.values import Value
from storage import state
from storage.engine import Store


class Lease(Value):
    """Who holds something, and until when, in real time."""

    owner: str
    until: AwareDatetime


def take(store: Store, name: str, owner: str, lasts: timedelta, at: AwareDatetime) -> int | None:
    """Take a lease or hold it longer; return its number, None while another one holds it.

    The number rises with every taking, so that of two who believe they hold it the later one is
    known. Half of the time must have gone before a holder's asking writes anything.
    """
    key = f"lease/{name}"
    kept = state.get(store, key)
    if kept is not None:
        held = Lease.model_validate(kept.body)
        if held.owner != owner and held.until > at:
            return None
        if held.owner == owner and held.until - at > lasts / 2:
            return kept.revision
    mine = Lease(owner=owner, until=at + lasts)
    try:
        return state.put(store, key, mine.model_dump(mode="json"), kept.revision if kept else 0)
    except Transient:
        return None


def release(store: Store, name: str, owner: str, at: AwareDatetime) -> None:
    """Give a lease back, so that the next one need not wait; another's is left alone."""
    kept = state.get(store, f"lease/{name}")
    if kept is not None and (held := Lease.model_validate(kept.body)).owner == owner:
        gone = held.model_copy(update={"until": at})
        state.put(store, f"lease/{name}", gone.model_dump(mode="json"), kept.revision)


def holder(store: Store, name: str) -> Lease | None:
    """Return who holds a lease or held it last; None if nobody ever did."""
    kept = state.get(store, f"lease/{name}")
    return None if kept is None else Lease.model_validate(kept.body)
