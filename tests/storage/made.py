"""What the tests of the storage room are made of."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import text

from domain import examples
from domain.book import Exposure, Switches
from domain.decision import Draft, Effect, OmegaDecision, Reason, Verdict
from domain.trade import Exit, Fill, Order, Outcome, Position, Trade
from domain.version import Version
from storage import orders, outbox
from storage.engine import Store, writing

AT = examples.CLOSE
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def hold(number: int = 1, bot: str = "fortress", **fields: Any) -> Draft:
    """Return the number-th draft of a bot, which wants nothing."""
    at = AT + number * MINUTE
    fields = {"bar": at, "asof": at, "deadline": at + DAY} | fields
    return examples.draft(bot=examples.bot(name=bot), **fields)


def want(number: int = 1, bot: str = "fortress", quantity: int = 2, **fields: Any) -> Draft:
    """Return the number-th draft of a bot, which wants some condors of 4,560 dollars."""
    return hold(number, bot, **fields).add(Verdict(layer="sizing", quantity=quantity))


def within(limit: float) -> Callable[[Draft, Switches, tuple[Exposure, ...]], Verdict]:
    """Return an admission that knows the switches and one limit on the whole desk's risk."""

    def admit(draft: Draft, switches: Switches, held: tuple[Exposure, ...]) -> Verdict:
        context, proposal = draft.context, draft.proposal
        latches = switches.covering(
            context.bot.name, context.bot.strategy, context.symbol, context.asof
        )
        if latches:
            return veto(Reason.KILLED)
        risk = sum(exposure.risk for exposure in held) + draft.quantity * proposal.max_loss
        return veto(Reason.TOTAL_CAP) if risk > limit else Verdict(layer="seal")

    return admit


def veto(code: Reason) -> Verdict:
    return Verdict(layer="seal", effect=Effect.VETO, code=code, reason=code.lower())


anything = within(float("inf"))


def fill(order: str, number: int = 1, quantity: int = 2, **fields: Any) -> Fill:
    plain = {
        "id": f"{order}#{number}",
        "order_id": order,
        "decision_id": order.partition("/")[0],
        "quantity": quantity,
        "price": 5.0,
        "costs": 60.0,
        "at": AT + DAY,
    }
    return Fill(**(plain | fields))


def position(decision: OmegaDecision, quantity: int = 2, **fields: Any) -> Position:
    proposal = decision.proposal
    plain = {
        "id": decision.id,
        "decision_id": decision.id,
        "bot": decision.bot,
        "symbol": decision.symbol,
        "proposal": proposal,
        "factor": proposal.factor,
        "side": proposal.side,
        "quantity": quantity,
        "initial_quantity": 2,
        "entry": 5.0,
        "entry_costs": 60.0,
        "opened_at": AT + DAY,
        "expires": AT + 7 * DAY,
        "risk": quantity * 4_000.0,
        "mark": -5.0,
    }
    return Position(**(plain | fields))


def trade(decision: OmegaDecision, number: int = 1, quantity: int = 2, **fields: Any) -> Trade:
    plain = {
        "id": f"{decision.id}#{number}",
        "decision_id": decision.id,
        "bot": decision.bot,
        "symbol": decision.symbol,
        "structure": "iron_condor",
        "quantity": quantity,
        "entry": 5.0,
        "exit": -2.5,
        "pnl": 440.0,
        "costs": 60.0,
        "risk": 9_120.0,
        "r": 0.048,
        "why": Exit.PROFIT_TARGET,
        "opened_at": AT + DAY,
        "closed_at": AT + 2 * DAY,
    }
    return Trade(**(plain | fields))


def outcome(decision_id: str, **fields: Any) -> Outcome:
    plain = {
        "decision_id": decision_id,
        "model": "wisdom",
        "version": "0123456789ab",
        "target": "survives",
        "probability": 0.9,
        "base_rate": 0.83,
        "happened": True,
        "at": AT + 7 * DAY,
    }
    return Outcome(**(plain | fields))


def version(content: bytes, model: str = "wisdom", **fields: Any) -> Version:
    sha = sha256(content).hexdigest()
    plain = {
        "model": model,
        "version": sha[:12],
        "sha256": sha,
        "features": ("vix",),
        "trained_from": AT - 400 * DAY,
        "trained_to": AT - DAY,
        "trained_at": AT,
        "n": 900,
        "data_hash": "0123456789ab",
    }
    return Version(**(plain | fields))


def unfilled(store: Store) -> list[Order]:
    """Return the orders that wait for a fill, as whoever works off the outbox finds them."""
    found = [orders.get(store, message.payload["order"]) for message in outbox.pending(store, 1000)]
    return [order for order, status in found if status == "open"]


def tamper(store: Store, statement: str, **values: Any) -> None:
    """Change what the triggers protect, as somebody who owns the database could."""
    with writing(store) as conn:
        if store.file is None:
            conn.execute(text("SET session_replication_role = replica"))
            conn.execute(text(statement), values)
            conn.execute(text("SET session_replication_role = origin"))
            return
        named = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        triggers = conn.execute(text(named)).all()
        for name, _ in triggers:
            conn.execute(text(f"DROP TRIGGER {name}"))
        conn.execute(text(statement), values)
        for _, made in triggers:
            conn.exec_driver_sql(made)
