"""Orders and what became of them."""

from collections.abc import Sequence
from functools import cache

from pydantic import AwareDatetime
from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from domain.errors import IntegrityError, Refused
from domain.trade import Fill, Intent, Order, Position
from domain.values import canonical
from storage import exposure, outbox, switches, tables
from storage.audit import Entry, extend
from storage.engine import Store, reading, writing

_TABLE = tables.orders
# Statements are made once: making one takes longer than the database takes to answer it.
_WANTED = _TABLE.c.id == bindparam("wanted")
_ONE = select(_TABLE.c.body, _TABLE.c.status).where(_WANTED)
_ORDERED = (
    select(_TABLE.c.bot, _TABLE.c.decision_id, _TABLE.c.status, _TABLE.c.quantity)
    .where(_WANTED)
    .with_for_update()
)
_DONE = update(_TABLE).where(_WANTED).values(status="filled")
_TOTAL = select(func.coalesce(func.sum(tables.fills.c.quantity), 0)).where(
    tables.fills.c.order_id == bindparam("wanted")
)


def opening(conn: Connection, orders: Sequence[Order]) -> None:
    """Write opening orders. Only `decisions.seal` calls this, in its transaction.

    The database refuses an opening order without a sealed decision that has a quantity, and a
    second one of the same decision.
    """
    if orders:
        conn.execute(tables.insert(conn, _TABLE), [_row(order) for order in orders])


def _row(order: Order) -> dict[str, object]:
    named = ("id", "decision_id", "bot", "symbol", "quantity", "placed_at")
    return {name: getattr(order, name) for name in named} | {
        "intent": order.intent.value,
        "status": "open",
        "body": canonical(order),
    }


def place(store: Store, order: Order, at: AwareDatetime) -> bool:
    """Place an order that closes; False if it was placed before.

    Raises
    ------
    Refused
        It opens: only sealing a decision does that.
    """
    if order.intent is not Intent.CLOSE:
        raise Refused(f"{order.id} opens a position; only a sealed decision places such an order")
    with writing(store) as conn:
        new = tables.insert(conn, _TABLE).values(_row(order)).on_conflict_do_nothing()
        placed = conn.execute(new.returning(_TABLE.c.id)).first() is not None
        if placed:
            outbox.add(conn, outbox.EXECUTE, [{"order": order.id}], at)
    return placed


def get(store: Store, key: str) -> tuple[Order, str]:
    """Return an order and its status: ``open``, ``filled`` or ``cancelled``."""
    with reading(store) as conn:
        row = conn.execute(_ONE, {"wanted": key}).first()
    if row is None:
        raise Refused(f"no order {key!r}")
    return Order.model_validate_json(row.body), row.status


def known(store: Store, key: str) -> bool:
    """Return whether there is such an order."""
    with reading(store) as conn:
        return conn.execute(_ONE, {"wanted": key}).first() is not None


def placed(store: Store, since: AwareDatetime) -> dict[tuple[str, str], int]:
    """Count the opening orders since a moment, by bot and symbol; none is not listed."""
    query = (
        select(_TABLE.c.bot, _TABLE.c.symbol, func.count())
        .where(_TABLE.c.intent == "open", _TABLE.c.placed_at >= since)
        .group_by(_TABLE.c.bot, _TABLE.c.symbol)
    )
    with reading(store) as conn:
        return {(bot, symbol): count for bot, symbol, count in conn.execute(query)}


def entered(store: Store, since: AwareDatetime) -> dict[str, frozenset[str]]:
    """Return which decisions of each bot had an opening order filled since a moment.

    By id, so that whoever counts them beside what waits for its fill counts none twice. A bot
    without one is not listed.
    """
    fills = tables.fills
    query = (
        select(_TABLE.c.bot, _TABLE.c.decision_id)
        .join_from(fills, _TABLE, fills.c.order_id == _TABLE.c.id)
        .where(_TABLE.c.intent == "open", fills.c.at >= since)
    )
    found: dict[str, set[str]] = {}
    with reading(store) as conn:
        for bot, decision in conn.execute(query):
            found.setdefault(bot, set()).add(decision)
    return {bot: frozenset(ids) for bot, ids in found.items()}


def cancel(store: Store, key: str, why: str, at: AwareDatetime) -> bool:
    """Give up an order that nothing was filled of; False if it is not open.

    An opening order gives its reservation back.
    """
    with writing(store) as conn:
        row = conn.execute(select(_TABLE).where(_TABLE.c.id == key).with_for_update()).first()
        if row is None or row.status != "open" or _filled(conn, key):
            return False
        conn.execute(update(_TABLE).where(_TABLE.c.id == key).values(status="cancelled"))
        if row.intent == "open":
            exposure.release(conn, row.decision_id, at)
        extend(conn, store, [Entry(row.bot, "cancel", {"order": key, "why": why}, key)], at)
    return True


def _filled(conn: Connection, key: str) -> int:
    return int(conn.execute(_TOTAL, {"wanted": key}).scalar_one())


def record_fill(
    store: Store, fill: Fill, position: Position | None = None, revision: int | None = None
) -> bool:
    """Record what a broker did, with the position it opened; False if nothing was written.

    One transaction: fill, order, position, the risk still at stake, audit record.

    Parameters
    ----------
    revision
        Of the switches that let the order pass. If one was thrown since, nothing is written, and
        whoever asks looks at them again. None where the broker has filled it for real.

    Raises
    ------
    IntegrityError
        The order is unknown or cancelled, or the fill is more than was ordered: our books and
        the broker's differ, so a person must look.
    """
    with writing(store) as conn:
        if revision is not None and switches.lock(conn) != revision:
            return False
        if not take(conn, store, fill):
            return False  # it is known
        if position is not None:
            hold(conn, position)
    return True


def take(conn: Connection, store: Store, fill: Fill) -> bool:
    """Record a fill within the transaction of `conn`; False if it is known."""
    order = conn.execute(_ORDERED, {"wanted": fill.order_id}).first()
    if order is None or order.decision_id != fill.decision_id:
        raise IntegrityError(f"fill {fill.id}: there is no order {fill.order_id!r} of its decision")
    if conn.execute(_new_fill(conn.dialect.name), fill.model_dump()).first() is None:
        return False
    filled = _filled(conn, fill.order_id)
    if order.status == "cancelled" or filled > order.quantity:
        raise IntegrityError(
            f"fill {fill.id}: {filled} of {order.quantity} ordered by {fill.order_id} "
            f"({order.status}); compare with the broker's account before trading on"
        )
    if filled == order.quantity:
        conn.execute(_DONE, {"wanted": fill.order_id})
    body = fill.model_dump(mode="json")
    extend(conn, store, [Entry(order.bot, "fill", body, fill.id)], fill.at)
    return True


@cache
def _new_fill(dialect: str) -> ReturningInsert[tuple[str]]:
    new = tables.insert_of(dialect, tables.fills).on_conflict_do_nothing()
    return new.returning(tables.fills.c.id)


@cache
def _held(dialect: str) -> sqlite.Insert | postgresql.Insert:
    upsert = tables.insert_of(dialect, tables.positions)
    changed = {name: upsert.excluded[name] for name in ("quantity", "body")}
    return upsert.on_conflict_do_update(index_elements=["id"], set_=changed)


def hold(conn: Connection, position: Position) -> None:
    """Write an open position, new or changed, and set its reservation to the risk it has left."""
    named = ("id", "decision_id", "bot", "symbol", "quantity", "opened_at")
    row = {name: getattr(position, name) for name in named} | {"body": canonical(position)}
    conn.execute(_held(conn.dialect.name), row)
    exposure.adjust(conn, {position.decision_id: position.risk})
