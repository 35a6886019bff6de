"""An order is made of a sealed decision or of a position, and of nothing else."""

from datetime import timedelta
from typing import Any

import pytest

from domain import examples
from domain.decision import Effect, OmegaDecision, Reason, Verdict
from domain.errors import Refused
from domain.trade import Exit, Intent, Order, Position
from domain.values import Action

KILL = Verdict(layer="seal", effect=Effect.VETO, code=Reason.KILLED, reason="drill")


def position(**fields: Any) -> Position:
    proposal = examples.proposal()
    plain: dict[str, Any] = {
        "id": "p",
        "decision_id": "fortress-SPX-20170303T2100Z",
        "bot": "fortress",
        "symbol": "SPX",
        "proposal": proposal,
        "factor": proposal.factor,
        "side": -1,
        "quantity": 4,
        "initial_quantity": 4,
        "entry": 5.0,
        "entry_costs": 120.0,
        "opened_at": examples.CLOSE,
        "expires": examples.CLOSE + timedelta(days=7),
        "risk": 18_240.0,
        "mark": -5.0,
    }
    return Position(**(plain | fields))


def test_an_order_carries_the_decision_that_it_is_of() -> None:
    decision = OmegaDecision.seal(examples.draft(quantity=3))
    order = Order.of(decision)
    assert order.id == order.decision_id == decision.id
    assert (order.bot, order.symbol, order.quantity) == ("fortress", "SPX", 3)
    assert (order.intent, order.action) == (Intent.OPEN, Action.SELL)
    assert order.proposal == decision.proposal
    assert order.placed_at == decision.context.asof


@pytest.mark.parametrize(
    "decision",
    [
        OmegaDecision.seal(examples.draft(quantity=3).add(KILL)),
        OmegaDecision.seal(examples.draft()),
        OmegaDecision.seal(examples.draft(quantity=3)).model_copy(update={"quantity": 0}),
        OmegaDecision.seal(examples.draft(quantity=3)).model_copy(
            update={"draft": examples.draft().model_copy(update={"verdicts": ()})}
        ),
    ],
    ids=["vetoed", "without a size", "size taken away", "proposal taken away"],
)
def test_nothing_can_be_ordered_of_a_hold(decision: OmegaDecision) -> None:
    with pytest.raises(Refused, match="nothing to order"):
        Order.of(decision)


def test_a_draft_is_no_decision() -> None:
    with pytest.raises(AttributeError):
        Order.of(examples.draft(quantity=3))  # type: ignore[arg-type]


@pytest.mark.parametrize("quantity", [1, 4])
def test_closing_goes_the_other_way_for_as_much_as_is_held(quantity: int) -> None:
    at = examples.CLOSE + timedelta(days=1)
    order = Order.closing(position(), quantity, Exit.STOP, at)
    assert (order.intent, order.action, order.quantity) == (Intent.CLOSE, Action.BUY, quantity)
    assert order.id == "fortress-SPX-20170303T2100Z/stop-20170304T2100Z"
    assert order.decision_id == "fortress-SPX-20170303T2100Z"


def test_what_was_bought_is_sold() -> None:
    bought = position(proposal=examples.proposal(action=Action.BUY))
    assert Order.closing(bought, 1, Exit.TIME, examples.CLOSE).action is Action.SELL


@pytest.mark.parametrize("quantity", [-1, 0, 5])
def test_no_more_is_closed_than_is_held(quantity: int) -> None:
    with pytest.raises(Refused, match=f"holds 4, cannot close {quantity}"):
        Order.closing(position(), quantity, Exit.STOP, examples.CLOSE)


def test_unrealised_is_what_the_mark_leaves_of_the_entry() -> None:
    assert position(mark=-2.5).unrealised == (5.0 - 2.5) * 100 * 4
    assert position(mark=-7.0, quantity=1).unrealised == -200.0
