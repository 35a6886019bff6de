"""What is to be published: written with the decision it follows from, published afterwards.

A message may go out twice, when a publisher dies between sending and saying so; it never fails to
go out. Payloads are ids, not values: the receiver reads the truth from the database.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import Connection, select, update

from domain.values import canonical
from storage import tables
from storage.engine import Store, reading, writing

EXECUTE = "trading.execute"
"""The topic of a new order."""


class Message(NamedTuple):
    """One thing to publish."""

    id: int
    topic: str
    payload: dict[str, Any]


def add(
    conn: Connection, topic: str, payloads: Sequence[Mapping[str, Any]], at: AwareDatetime
) -> None:
    """Put messages into the box, within the transaction of `conn`."""
    rows = [
        {"topic": topic, "payload": canonical(payload), "created_at": at} for payload in payloads
    ]
    if rows:
        conn.execute(tables.insert(conn, tables.outbox), rows)


def pending(store: Store, limit: int = 100) -> list[Message]:
    """Return what is still to be published, oldest first."""
    box = tables.outbox
    waiting = (
        select(box.c.id, box.c.topic, box.c.payload)
        .where(box.c.published_at.is_(None))
        .order_by(box.c.id)
        .limit(limit)
    )
    with reading(store) as conn:
        rows = conn.execute(waiting).all()
    return [Message(row.id, row.topic, json.loads(row.payload)) for row in rows]


def published(store: Store, ids: Sequence[int], at: AwareDatetime) -> None:
    """Say that messages went out."""
    box = tables.outbox
    with writing(store) as conn:
        conn.execute(
            update(box)
            .where(box.c.id.in_(ids), box.c.published_at.is_(None))
            .values(published_at=at)
        )
