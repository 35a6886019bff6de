"""Open positions, closed trades, and what came true of the predictions."""

from collections.abc import Sequence

from pydantic import AwareDatetime
from sqlalchemy import bindparam, delete, func, select, update

from domain.errors import Refused
from domain.trade import Fill, Outcome, Position, Trade
from domain.values import canonical
from storage import exposure, tables
from storage.audit import Entry, extend
from storage.engine import Store, reading, writing
from storage.orders import hold, take

_POSITIONS, _TRADES, _OUTCOMES = tables.positions, tables.trades, tables.outcomes


def positions(store: Store, bot: str | None = None) -> list[Position]:
    """Return the open positions, oldest first."""
    query = select(_POSITIONS.c.body).order_by(_POSITIONS.c.opened_at, _POSITIONS.c.id)
    if bot is not None:
        query = query.where(_POSITIONS.c.bot == bot)
    with reading(store) as conn:
        bodies = conn.scalars(query).all()
    return [Position.model_validate_json(body) for body in bodies]


def mark(store: Store, marked: Sequence[Position]) -> int:
    """Store new marks, stops and risks of open positions; returns how many were still the same.

    A position that was closed, or partly closed, since it was read is left alone, so that a mark
    can never bring back what was sold.
    """
    if not marked:
        return 0
    change = update(_POSITIONS).where(
        _POSITIONS.c.id == bindparam("of"), _POSITIONS.c.quantity == bindparam("units")
    )
    with writing(store) as conn:
        same = [
            position
            for position in sorted(marked, key=lambda position: position.id)
            if conn.execute(
                change.values(body=bindparam("new")),
                {"of": position.id, "units": position.quantity, "new": canonical(position)},
            ).rowcount
        ]
        exposure.adjust(conn, {position.decision_id: position.risk for position in same})
    return len(same)


def close(store: Store, fill: Fill, trade: Trade, left: Position | None = None) -> bool:
    """Record a closing fill and the trade it makes; False if the fill is known.

    One transaction: fill, order, trade, the position that is left or its end, the risk that is
    left or its release, audit records.

    Parameters
    ----------
    left
        The position with fewer units after a partial close; None when it is gone.

    Raises
    ------
    Refused
        The position is not open with the units that this trade and `left` account for.
    """
    remaining = 0 if left is None else left.quantity
    of = _POSITIONS.c.decision_id == trade.decision_id
    with writing(store) as conn:
        if not take(conn, store, fill):
            return False
        held = conn.scalar(select(_POSITIONS.c.quantity).where(of).with_for_update())
        if held is None or held != trade.quantity + remaining:
            raise Refused(
                f"{trade.id}: {held or 0} units are held, {trade.quantity} closed, "
                f"{remaining} left over; read the position again"
            )
        if left is None:
            conn.execute(delete(_POSITIONS).where(of))
            exposure.release(conn, trade.decision_id, trade.closed_at)
        else:
            hold(conn, left)
        conn.execute(tables.insert(conn, _TRADES), trade.model_dump())
        body = trade.model_dump(mode="json")
        extend(conn, store, [Entry(trade.bot, "trade", body, trade.id)], trade.closed_at)
    return True


def trades(
    store: Store,
    bot: str | None = None,
    symbol: str | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: int | None = None,
) -> list[Trade]:
    """Return the newest trades closed from `since` on and before `until`, oldest first."""
    query = select(_TRADES).order_by(_TRADES.c.closed_at.desc(), _TRADES.c.id.desc()).limit(limit)
    if bot is not None:
        query = query.where(_TRADES.c.bot == bot)
    if symbol is not None:
        query = query.where(_TRADES.c.symbol == symbol)
    if since is not None:
        query = query.where(_TRADES.c.closed_at >= since)
    if until is not None:
        query = query.where(_TRADES.c.closed_at < until)
    with reading(store) as conn:
        rows = conn.execute(query).mappings().all()
    return [Trade.model_validate(dict(row)) for row in reversed(rows)]


def count(store: Store) -> dict[str, int]:
    """Return how many trades each bot has made; a bot without one is not listed."""
    query = select(_TRADES.c.bot, func.count().label("n")).group_by(_TRADES.c.bot)
    with reading(store) as conn:
        return {row.bot: row.n for row in conn.execute(query)}


def record_outcomes(store: Store, found: Sequence[Outcome]) -> int:
    """Record what came true; returns how many were new. What is recorded does not change."""
    if not found:
        return 0
    with writing(store) as conn:
        new = tables.insert(conn, _OUTCOMES).on_conflict_do_nothing()
        rows = [outcome.model_dump() for outcome in found]
        return len(conn.execute(new.returning(_OUTCOMES.c.model), rows).all())


def outcomes(
    store: Store, model: str, since: AwareDatetime | None = None, limit: int | None = None
) -> list[Outcome]:
    """Return the newest outcomes of a model, oldest first."""
    query = select(_OUTCOMES).where(_OUTCOMES.c.model == model).limit(limit)
    if since is not None:
        query = query.where(_OUTCOMES.c.at >= since)
    query = query.order_by(_OUTCOMES.c.at.desc(), _OUTCOMES.c.decision_id.desc())
    with reading(store) as conn:
        rows = conn.execute(query).mappings().all()
    return [Outcome.model_validate(dict(row)) for row in reversed(rows)]
