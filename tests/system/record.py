"""What must be true of the record, whatever was broken on the way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import func, select

from domain.decision import Context
from domain.errors import Transient
from domain.settings import Settings
from orchestrator.desk import Desk
from risk.caps import CENT
from storage import audit, decisions, tables
from storage.engine import reading
from tests.system.fleet import until

Looking = Callable[[Settings], Desk]
"""Opens a desk of this process on a fleet's home."""
Tell = Callable[[str, float, float], None]
"""Told what recovered, when it was broken, and the seconds aimed at."""


def sealed(desk: Desk, contexts: Sequence[Context]) -> dict[str, int]:
    """Return the quantity of each of these decisions that is sealed, by id."""
    found = _quantities(desk)
    return {c.id: found[c.id] for c in contexts if c.id in found}


def faults(desk: Desk, contexts: Sequence[Context]) -> list[str]:
    """Return what is wrong with the record once these were accepted; nothing, if all is well.

    Every decision is sealed, and in its chain, once. What trades has one order and one reservation;
    what does not has none. No cap is broken, nothing is left pending, and the chains hold.
    """
    quantities = _quantities(desk)
    once = dict.fromkeys(quantities, 1)
    trading = {key: 1 for key, quantity in quantities.items() if quantity}
    orders, audited, exposures = tables.orders, tables.audit, tables.exposures
    expected: list[tuple[str, Any, Any]] = [
        ("lost", {context.id for context in contexts} - quantities.keys(), set()),
        ("pending", decisions.waiting(desk.store)[0], 0),
        ("audited", _times(desk, audited.c.ref, audited.c.kind == "decision"), once),
        ("ordered", _times(desk, orders.c.decision_id, orders.c.intent == "open"), trading),
        ("reserved", _times(desk, exposures.c.id), trading),
        ("chains", audit.verify(desk.store).fault, None),
    ]
    wrong = [f"{what}: {got}, not {due}" for what, got, due in expected if got != due]
    return [*wrong, *_over(desk)]


def _quantities(desk: Desk) -> dict[str, int]:
    table = tables.decisions
    query = select(table.c.id, table.c.quantity).where(table.c.status == decisions.SEALED)
    with reading(desk.store) as conn:
        return {row.id: row.quantity for row in conn.execute(query)}


def _times(desk: Desk, column: Any, *where: Any) -> dict[str, int]:
    with reading(desk.store) as conn:
        query = select(column, func.count()).where(*where).group_by(column)
        return {row[0]: row[1] for row in conn.execute(query)}


def _over(desk: Desk) -> Iterator[str]:
    """Yield what is at risk beyond a cap, and who holds more than it may."""
    view, limits = desk.view(desk.clock.now()), desk.settings.limits
    equity = sum(account.equity for account in view.accounts.values())
    caps = dict.fromkeys({e.symbol for e in view.exposures}, limits.symbol_risk)
    for symbol, share in {**caps, "": limits.total_risk}.items():
        risk = sum(e.risk for e in view.exposures if symbol in ("", e.symbol))
        if risk > share * equity + CENT:
            yield f"{risk:,.0f} at risk in {symbol or 'all'}, of {equity:,.0f}"
    for bot in desk.bots.values():
        open_now = sum(e.bot == bot.name for e in view.exposures)
        if open_now > bot.max_open:
            yield f"{bot.name} has {open_now} open, may have {bot.max_open}"


def whole(desk: Desk, contexts: Sequence[Context], seconds: float = 60) -> None:
    """Wait until all is sealed, then find no fault with it."""

    def done() -> bool:
        with suppress(Transient):  # the database may be what was broken
            return (
                len(sealed(desk, contexts)) == len(contexts)
                and not decisions.waiting(desk.store)[0]
            )
        return False

    until(done, seconds, "all is sealed")
    assert faults(desk, contexts) == []
    assert any(sealed(desk, contexts).values()), "none of them trades, so no order can be doubled"
