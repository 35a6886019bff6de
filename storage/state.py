"""Small state that must outlive a process: capital, accounts, heartbeats, what awaits an outcome.

Each key holds one JSON value and a revision that rises with every change.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.errors import Transient
from domain.values import canonical
from storage import tables
from storage.engine import Store, reading, writing

_TABLE = tables.state
# Statements are made once: making one takes longer than the database takes to answer it.
_ONE = select(_TABLE).where(_TABLE.c.key == bindparam("wanted"))


class Kept(NamedTuple):
    """A value and the revision it has."""

    revision: int
    body: Any


COUNT = "count"
"""Key, with a bot's name after it, of what its setups came to."""


def get(store: Store, key: str) -> Kept | None:
    """Return what is kept under a key, or None."""
    with reading(store) as conn:
        row = conn.execute(_ONE, {"wanted": key}).first()
    return None if row is None else Kept(row.revision, json.loads(row.body))


def listing(store: Store, prefix: str) -> dict[str, Kept]:
    """Return everything whose key starts with `prefix`, by key."""
    query = select(_TABLE)
    if prefix:  # as a range, which can use the index of the key; LIKE cannot
        after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = query.where(_TABLE.c.key >= prefix, _TABLE.c.key < after)
    with reading(store) as conn:
        rows = conn.execute(query.order_by(_TABLE.c.key)).all()
    return {row.key: Kept(row.revision, json.loads(row.body)) for row in rows}


def put(store: Store, key: str, body: Any, expected: int | None = None) -> int:
    """Keep a value and return its new revision.

    Parameters
    ----------
    expected
        The revision it must have now, 0 for none at all; None writes whatever is there.

    Raises
    ------
    Transient
        Somebody else changed it meanwhile: read again, and decide again.
    """
    text = canonical(body)
    with writing(store) as conn:
        new = tables.insert(conn, _TABLE).values(key=key, revision=1, body=text)
        changed = {"revision": _TABLE.c.revision + 1, "body": text}
        match = None if expected is None else _TABLE.c.revision == expected
        if expected == 0:
            kept = new.on_conflict_do_nothing()
        else:
            kept = new.on_conflict_do_update(index_elements=["key"], set_=changed, where=match)
        revision = conn.execute(kept.returning(_TABLE.c.revision)).scalar()
        if revision is None or (expected is not None and revision != expected + 1):
            raise Transient(f"{key} is not at revision {expected}: read it again")
    return revision


def put_many(
    store: Store, bodies: Mapping[str, Any], expected: Mapping[str, int] | None = None
) -> None:
    """Keep many values in one transaction.

    Parameters
    ----------
    expected
        Of keys that were read before, the revision each had, 0 for none; the others are written
        whatever is there.

    Raises
    ------
    Transient
        One of them was changed since. Nothing was written: read again, and decide again.
    """
    if not bodies:
        return
    rows = [
        {"key": key, "revision": 1, "body": canonical(body)} for key, body in sorted(bodies.items())
    ]
    with writing(store) as conn:
        if expected:
            query = select(_TABLE.c.key, _TABLE.c.revision).where(_TABLE.c.key.in_(expected))
            found = {row.key: row.revision for row in conn.execute(query.with_for_update())}
            changed = [key for key, revision in expected.items() if found.get(key, 0) != revision]
            if changed:
                raise Transient(f"{', '.join(changed)} changed meanwhile: read again")
        conn.execute(_upsert(conn.dialect.name), rows)


@cache
def _upsert(dialect: str) -> sqlite.Insert | postgresql.Insert:
    new = tables.insert_of(dialect, _TABLE)
    changed = {"revision": _TABLE.c.revision + 1, "body": new.excluded.body}
    return new.on_conflict_do_update(index_elements=["key"], set_=changed)
