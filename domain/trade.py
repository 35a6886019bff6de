"""From a sealed decision to an order, a fill, a position, a trade and its outcome."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import AwareDatetime, Field

from domain.bot import Factor
from domain.decision import OmegaDecision, Proposal
from domain.errors import Refused
from domain.values import Action, Dollars, Points, Value


class Intent(StrEnum):
    """What an order does to the exposure."""

    OPEN = "open"
    CLOSE = "close"
    """Reduces; never blocked."""


class Exit(StrEnum):
    """Why a position, or a part of it, was closed."""

    PROFIT_TARGET = "profit_target"
    STOP = "stop"
    GAP_STOP = "gap_stop"
    """The market opened beyond the stop; filled where it opened."""
    PARTIAL = "partial"
    """Half at one unit of risk."""
    TRAIL = "trail"
    BREAK_EVEN = "break_even"
    REVERSE = "reverse"
    """On the wrong side from the start. It opens nothing: the other side is a decision of its
    own."""
    MAX_LOSS = "max_loss"
    """Behind by more than a stop should have let it be."""
    EMERGENCY = "emergency"
    """Behind by so much that something is wrong."""
    TIME = "time"
    EXPIRY = "expiry"
    ASSIGNED = "assigned"
    """Expired with the put that was sold in the money: the wheel goes on with the index."""
    CALLED_AWAY = "called_away"
    """Expired with the call that was sold in the money: the wheel goes on with cash."""
    SESSION_END = "session_end"
    """The replay's last bar."""


class Order(Value):
    """An instruction to a broker. Made by `Order.of` a decision or `Order.closing` a position."""

    id: str
    decision_id: str
    bot: str
    symbol: str
    intent: Intent
    action: Action
    quantity: int = Field(gt=0)
    proposal: Proposal
    placed_at: AwareDatetime

    @classmethod
    def of(cls, decision: OmegaDecision) -> Self:
        """Return the opening order of a sealed decision; `Refused` if it says HOLD."""
        if decision.action is Action.HOLD or decision.proposal is None or not decision.quantity:
            raise Refused(f"{decision.id} is a HOLD ({decision.code}); there is nothing to order")
        return cls(
            id=decision.id,
            decision_id=decision.id,
            bot=decision.bot,
            symbol=decision.symbol,
            intent=Intent.OPEN,
            action=decision.action,
            quantity=decision.quantity,
            proposal=decision.proposal,
            placed_at=decision.context.asof,
        )

    @classmethod
    def closing(cls, position: "Position", quantity: int, why: Exit, at: AwareDatetime) -> Self:
        """Return an order that closes `quantity` units of a position."""
        if not 0 < quantity <= position.quantity:
            raise Refused(f"{position.id} holds {position.quantity}, cannot close {quantity}")
        opposite = {Action.BUY: Action.SELL, Action.SELL: Action.BUY}
        return cls(
            id=f"{position.decision_id}/{why}-{at:%Y%m%dT%H%MZ}",
            decision_id=position.decision_id,
            bot=position.bot,
            symbol=position.symbol,
            intent=Intent.CLOSE,
            action=opposite[position.proposal.action],
            quantity=quantity,
            proposal=position.proposal,
            placed_at=at,
        )


class Fill(Value):
    """What a broker did. `price` is in points per unit: received positive, paid negative."""

    id: str
    order_id: str
    decision_id: str
    quantity: int = Field(gt=0)
    price: Points
    costs: Dollars = Field(ge=0)
    at: AwareDatetime


class Position(Value):
    """An open trade. `mark` is what closing one unit would bring (+) or cost (-), in points.

    `stop` is the level that closes it: a price, or for options a debit in points. `best`
    is the best mark since entry. `expires` is when its options or its time run out.
    """

    id: str
    decision_id: str
    bot: str
    symbol: str
    proposal: Proposal
    factor: Factor
    side: Literal[-1, 1]
    quantity: int = Field(gt=0)
    initial_quantity: int = Field(gt=0)
    entry: Points
    """Received (+) or paid (-) per unit at the fill."""
    entry_costs: Dollars
    """Of the units still open."""
    opened_at: AwareDatetime
    expires: AwareDatetime
    risk: Dollars = Field(ge=0)
    """Most that can still be lost on the units still open."""
    mark: Points
    stop: Points | None = None
    best: Points | None = None
    bars: int = 0
    marked_at: AwareDatetime | None = None
    """Close of the last bar it was carried through; None before the first."""

    @property
    def unrealised(self) -> Dollars:
        """Profit, in dollars, if it were closed at the mark, before the costs of closing."""
        return (self.entry + self.mark) * self.proposal.multiplier * self.quantity


class Trade(Value):
    """What was closed, all costs counted. `r` is the profit in units of the risk taken."""

    id: str
    decision_id: str
    bot: str
    symbol: str
    structure: str
    quantity: int
    entry: Points
    exit: Points
    pnl: Dollars
    costs: Dollars
    risk: Dollars
    r: float
    why: Exit
    opened_at: AwareDatetime
    closed_at: AwareDatetime
    simulated: str = ""


class Outcome(Value):
    """What came true of a prediction, at its fixed horizon, whether or not it was traded."""

    decision_id: str
    model: str
    version: str
    target: str
    probability: float
    base_rate: float
    happened: bool
    at: AwareDatetime
