"""The kill switches: one list for the desk, in one line with everything that reserves risk."""

import json
from collections.abc import Sequence

from pydantic import AwareDatetime
from sqlalchemy import Connection, RowMapping, select, update
from sqlalchemy.exc import SQLAlchemyError

from domain.book import Scope, Switch, Switches
from domain.errors import OmegaError, Refused
from domain.values import canonical
from storage import tables
from storage.audit import DESK, Entry, extend
from storage.engine import Store, reading, writing

_REVISION = select(tables.counters.c.value).where(tables.counters.c.name == "desk")
_LOCKED = _REVISION.with_for_update()
_SET = (
    select(tables.switches)
    .where(tables.switches.c.released_at.is_(None))
    .order_by(tables.switches.c.id)
)


def lock(conn: Connection) -> int:
    """Wait for the desk's row, hold it until the transaction ends, and return the revision.

    Whoever reserves risk and whoever throws a switch holds it, so one comes wholly before the
    other: once `throw` has returned, no order can be committed that did not see the switch.
    """
    return conn.execute(_LOCKED).scalar_one()


def read(store: Store) -> Switches:
    """Return the switches that are set. What cannot be read counts as everything halted."""
    try:
        with reading(store) as conn:
            return current(conn)
    except (OmegaError, SQLAlchemyError):
        return Switches(readable=False)


def current(conn: Connection) -> Switches:
    """Return the switches as this transaction sees them."""
    revision = conn.scalar(_REVISION)
    if revision is None:
        return Switches(readable=False)
    try:
        rows = conn.execute(_SET).mappings().all()
        return Switches(revision=revision, latches=tuple(_switch(row) for row in rows))
    except (ValueError, TypeError):
        # A mode, scope or code that this build does not know, a broken JSON; a moment that is none
        # (TypeError: no text even), which the driver's rows cannot be made of.
        return Switches(readable=False)


def _switch(row: RowMapping) -> Switch:
    fields = {name: row[name] for name in Switch.model_fields}
    return Switch.model_validate(fields | {"evidence": json.loads(row["evidence"])})


def throw(store: Store, switch: Switch) -> Switch:
    """Set a switch and return it with its id.

    An automatic switch that is already set as long and as strictly is returned as it is: a rule
    that sees the same loss every minute does not set a latch every minute. A person's is always
    recorded.
    """
    with writing(store) as conn:
        lock(conn)
        known = None if switch.human else _equal(conn, switch)
        if known is not None:
            return known
        row = switch.model_dump(exclude={"id", "evidence"}) | {
            "evidence": canonical(switch.evidence)
        }
        new = conn.execute(
            tables.insert(conn, tables.switches).values(row).returning(tables.switches.c.id)
        ).scalar_one()
        switch = switch.model_copy(update={"id": new})
        body = switch.model_dump(mode="json")
        _changed(
            conn, store, [Entry(_chain(switch.scope, switch.target), "kill", body)], switch.set_at
        )
    return switch


def _equal(conn: Connection, switch: Switch) -> Switch | None:
    for latch in current(conn).latches:
        alike = ("scope", "target", "mode", "code", "human")
        lasting = latch.expires_at is None or (
            switch.expires_at is not None and latch.expires_at >= switch.expires_at
        )
        if lasting and all(getattr(latch, name) == getattr(switch, name) for name in alike):
            return latch
    return None


def find(store: Store, scope: Scope, target: str = "*") -> tuple[int, ...]:
    """Return the ids of the switches set for one target, for `release`.

    Also of those that cannot be read: a person must be able to release what halts everything.
    """
    table = tables.switches
    query = select(table.c.id).where(
        table.c.scope == scope.value, table.c.target == target, table.c.released_at.is_(None)
    )
    with reading(store) as conn:
        return tuple(conn.scalars(query.order_by(table.c.id)))


def release(
    store: Store,
    ids: Sequence[int],
    who: str,
    reason: str,
    human: bool,
    at: AwareDatetime,
    revision: int | None = None,
) -> tuple[int, ...]:
    """Release switches and return the ids of those that were set; the others already were not.

    Parameters
    ----------
    human
        Whether a person asks. Only a person, with a reason, releases what a person has set.
    revision
        What the caller last saw. Given and outdated, nothing is released: the caller may be
        looking at a list that lacks the newest switch.

    Raises
    ------
    Refused
        Nothing was released; the message says why.
    """
    if not reason.strip():
        raise Refused("a release needs a reason: say what was found and mended")
    table = tables.switches
    told_by = (table.c.id, table.c.human, table.c.scope, table.c.target)  # the rest may be broken
    with writing(store) as conn:
        now = lock(conn)
        if revision is not None and revision != now:
            raise Refused(f"the switches changed ({revision} -> {now}): look again, then release")
        rows = conn.execute(
            select(*told_by)
            .where(table.c.id.in_(ids), table.c.released_at.is_(None))
            .order_by(table.c.id)
        ).all()
        latched = [row.id for row in rows if row.human]
        if latched and not human:
            raise Refused(f"switches {latched} were set by a person; only a person releases them")
        if rows:
            conn.execute(
                update(table).where(table.c.id.in_([r.id for r in rows])).values(released_at=at)
            )
            told = {"who": who, "reason": reason, "human": human}
            entries = [
                Entry(_chain(row.scope, row.target), "release", told | {"id": row.id})
                for row in rows
            ]
            _changed(conn, store, entries, at)
    return tuple(row.id for row in rows)


def expire(store: Store, at: AwareDatetime) -> tuple[int, ...]:
    """Release the automatic switches whose time has run out; returns their ids."""
    over = tuple(
        latch.id
        for latch in read(store).latches
        if latch.expires_at is not None and not latch.human and latch.expires_at <= at
    )
    return release(store, over, "omega", "expired", human=False, at=at) if over else ()


def _chain(scope: str, target: str) -> str:
    return target if scope == Scope.BOT else DESK


def _changed(conn: Connection, store: Store, entries: Sequence[Entry], at: AwareDatetime) -> None:
    """Raise the revision and record what was changed."""
    conn.execute(
        update(tables.counters)
        .where(tables.counters.c.name == "desk")
        .values(value=tables.counters.c.value + 1)
    )
    extend(conn, store, entries, at)
