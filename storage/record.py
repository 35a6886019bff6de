"""What a report reads: whole columns of the record, without the bodies."""

from hashlib import sha256

from pydantic import AwareDatetime
from sqlalchemy import func, select

from domain.book import Switch
from domain.trade import Intent
from storage import tables
from storage.engine import Store, reading


def digest(store: Store) -> str:
    """Return one hash over all sealed decisions: same decisions, same hash.

    SHA-256, in hex, over the decisions' own hashes in the order of their ids.
    """
    table = tables.decisions
    query = select(table.c.sha256).where(table.c.sha256.is_not(None)).order_by(table.c.id)
    content = sha256()
    with reading(store) as conn:
        for sha in conn.scalars(query):
            content.update(sha.encode())
    return content.hexdigest()


def opening_orders(store: Store) -> dict[tuple[str, str], int]:
    """Count the orders that open, by bot and status (open, filled, cancelled)."""
    table = tables.orders
    grouped = (table.c.bot, table.c.status)
    query = select(*grouped, func.count()).where(table.c.intent == Intent.OPEN.value)
    with reading(store) as conn:
        return {(row[0], row[1]): row[2] for row in conn.execute(query.group_by(*grouped))}


def latches(store: Store, since: AwareDatetime, until: AwareDatetime) -> list[Switch]:
    """Return every switch that was thrown from `since` up to `until`, released or not."""
    table = tables.switches
    query = select(*(table.c[name] for name in Switch.model_fields if name != "evidence"))
    query = query.where(table.c.set_at >= since, table.c.set_at <= until).order_by(table.c.id)
    with reading(store) as conn:
        rows = conn.execute(query).mappings().all()
    return [Switch.model_validate(dict(row)) for row in rows]
