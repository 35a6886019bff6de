"""Dead letters: what was tried as often as it may be, and what a person made of it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import Connection, func, select, update

from domain.errors import Refused
from domain.values import Value, canonical
from storage import tables
from storage.audit import DESK, Entry, extend
from storage.engine import Store, reading, writing

_TABLE = tables.dead


class Letter(Value):
    """One piece of work that failed for good."""

    id: int
    task: str
    """Its name; ``decision`` for one that no worker came to the end of."""
    queue: str
    payload: dict[str, Any]
    """``args`` and ``kwargs`` of a task."""
    error: str
    attempts: int
    at: AwareDatetime
    settled: str | None = None
    """``requeued`` or ``dropped``; None while it waits for a person."""
    settled_at: AwareDatetime | None = None


class Work(NamedTuple):
    """What failed for good; the fields are those of its letter."""

    task: str
    queue: str
    payload: Mapping[str, Any]
    attempts: int


def bury(
    store: Store,
    task: str,
    queue: str,
    payload: Mapping[str, Any],
    error: str,
    attempts: int,
    at: AwareDatetime,
) -> int:
    """Keep what failed for good, and return its number."""
    with writing(store) as conn:
        return add(conn, store, Work(task, queue, payload, attempts), error, at)


def add(conn: Connection, store: Store, work: Work, error: str, at: AwareDatetime) -> int:
    """Keep what failed for good within the transaction of `conn`, and return its number."""
    row = work._asdict() | {"payload": canonical(work.payload), "error": error, "at": at}
    new = tables.insert(conn, _TABLE).values(row).returning(_TABLE.c.id)
    number: int = conn.execute(new).scalar_one()
    told = {"letter": number, "task": work.task, "error": error, "attempts": work.attempts}
    extend(conn, store, [Entry(DESK, "dead", told)], at)
    return number


def letters(store: Store, every: bool = False, limit: int = 100) -> list[Letter]:
    """Return the newest letters that wait for a person, or of all there are; newest first."""
    query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit)
    if not every:
        query = query.where(_TABLE.c.settled.is_(None))
    with reading(store) as conn:
        rows = conn.execute(query).mappings().all()
    return [Letter(**{**row, "payload": json.loads(row["payload"])}) for row in rows]


def get(store: Store, number: int) -> Letter:
    """Return one letter; `Refused` if there is none of that number."""
    with reading(store) as conn:
        row = conn.execute(select(_TABLE).where(_TABLE.c.id == number)).mappings().first()
    if row is None:
        raise Refused(f"no dead letter {number}; `omega queues dead list` shows them")
    return Letter(**{**row, "payload": json.loads(row["payload"])})


def settle(store: Store, number: int, how: str, who: str, reason: str, at: AwareDatetime) -> Letter:
    """Say what became of a letter, once, and return it as it was before.

    Raises
    ------
    Refused
        There is none of that number, or it was settled before.
    """
    letter = get(store, number)
    waiting = (_TABLE.c.id == number) & _TABLE.c.settled.is_(None)
    with writing(store) as conn:
        done = conn.execute(update(_TABLE).where(waiting).values(settled=how, settled_at=at))
        if not done.rowcount:
            raise Refused(f"dead letter {number} was {get(store, number).settled} already")
        told = {"letter": number, "task": letter.task, "who": who, "reason": reason}
        extend(conn, store, [Entry(DESK, how, told)], at)
    return letter


def count(store: Store) -> int:
    """Return how many wait for a person."""
    with reading(store) as conn:
        query = select(func.count()).select_from(_TABLE).where(_TABLE.c.settled.is_(None))
        return conn.execute(query).scalar_one()
