"""Ready-made trades for doctests and tests: a condor on a quiet Friday, and a share."""

from datetime import datetime, timedelta
from typing import Any, Literal

from domain import examples
from domain.book import Costs
from domain.bot import Bot, Factor
from domain.decision import Proposal
from domain.market import Bar
from domain.trade import Fill, Intent, Order, Position
from domain.values import Action
from trading import contracts, exits
from trading.bots.valor import BRACKETS
from trading.costs import future_costs

OPENED = examples.CLOSE + timedelta(days=2, hours=17, minutes=30)
"""The open of the Monday after."""
EXPIRES = examples.CLOSE + timedelta(days=7)


def buyer(**fields: Any) -> Bot:
    """Return a bot that buys shares, with some fields replaced."""
    plain: dict[str, Any] = {
        "name": "buyer",
        "title": "BUYER",
        "strategy": "score",
        "symbols": ("KO",),
        "models": ("xgb",),
        "factor": Factor.PRICE,
        "structures": (),
        "horizon": 10,
        "distance": None,
        "wing": None,
        "strike_step": None,
        "min_credit": None,
        "profit_target": None,
        "stop_multiple": None,
        "min_score": 3,
        "sides": (Action.BUY,),
        "stop_ranges": 2.5,
        "trail_ranges": 2.5,
    }
    return examples.bot(**(plain | fields))


def shares(**fields: Any) -> Proposal:
    """Return the purchase of one share at 100, stopped at 96; a round trip costs 0.30."""
    one: dict[str, Any] = {
        "structure": "shares",
        "action": Action.BUY,
        "factor": Factor.PRICE,
        "side": 1,
        "entry": -100.0,
        "max_loss": 4.3,
        "costs": 0.3,
        "multiplier": 1.0,
        "horizon": 10,
        "stop": 4.0,
    }
    return Proposal(**(one | fields))


def future(symbol: str = "MES", side: Literal[-1, 1] = 1, price: float = 5_000.0) -> Proposal:
    """Return one contract at a price with VALOR's first stop, bought or sold."""
    contract = contracts.find(symbol)
    both_ways = 2 * future_costs(contract, Costs())
    return Proposal(
        structure=contracts.STRUCTURE,
        action=Action.BUY if side > 0 else Action.SELL,
        factor=Factor.PRICE,
        side=side,
        entry=-side * price,
        max_loss=BRACKETS.stop * price * contract.point + both_ways,
        costs=both_ways,
        multiplier=contract.point,
        horizon=1,
        stop=BRACKETS.stop * price,
    )


def order(proposal: Proposal, quantity: int, bot: Bot) -> Order:
    """Return the opening order of a proposal, decided on the quiet Friday."""
    return Order(
        id=f"{bot.name}-{bot.symbols[0]}-20170303T2100Z",
        decision_id=f"{bot.name}-{bot.symbols[0]}-20170303T2100Z",
        bot=bot.name,
        symbol=bot.symbols[0],
        intent=Intent.OPEN,
        action=proposal.action,
        quantity=quantity,
        proposal=proposal,
        placed_at=examples.CLOSE,
    )


def position(
    proposal: Proposal | None = None, quantity: int = 2, bot: Bot | None = None
) -> Position:
    """Return an open position, filled on Monday at just what was proposed."""
    bot = bot or examples.bot()
    opening = order(proposal or examples.proposal(), quantity, bot)
    fill = Fill(
        id=f"{opening.id}#fill",
        order_id=opening.id,
        decision_id=opening.decision_id,
        quantity=quantity,
        price=opening.proposal.entry,
        costs=opening.proposal.costs / 2 * quantity,
        at=OPENED,
    )
    return exits.open_position(opening, fill, EXPIRES, bot)


def holding(quantity: int = 10, bot: Bot | None = None) -> Position:
    """Return ten shares bought at 100, with a stop at 96."""
    return position(shares(), quantity, bot or buyer())


def bar(
    close: float,
    low: float | None = None,
    high: float | None = None,
    open: float | None = None,  # noqa: A002 -- as in `Bar`
    symbol: str = "KO",
    at: datetime = OPENED + timedelta(hours=6, minutes=30),
) -> Bar:
    """Return a bar; with a close alone, one of a feed that has only closes."""
    return Bar(symbol=symbol, at=at, open=open, high=high, low=low, close=close)
