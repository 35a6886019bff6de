"""How many units to trade: the stake on the edge, cut by everything that may cut it.

No factor enlarges. The quantity is rounded down and may be zero; then the binding factor is named.
"""

from itertools import accumulate
from math import floor
from operator import mul

from domain.decision import Context, Proposal, Reason
from domain.errors import DataError
from domain.values import Dollars, Probability, Scale, Value
from risk import caps, kelly, scaler
from risk.correlation import shared


class Sizing(Value):
    """How much to trade and why. `dollars` is what all units together can lose at most."""

    quantity: int
    dollars: Dollars
    code: Reason
    """SIZED, NO_EDGE or TOO_SMALL."""
    reason: str
    binding: str
    """What kept it from being larger."""
    evidence: dict[str, float]


def unit_risk(proposal: Proposal) -> Dollars:
    """Return what one unit can lose: the most, or for shares at least the way to the stop."""
    return max(proposal.max_loss, (proposal.stop or 0.0) * proposal.multiplier)


def size(
    context: Context,
    proposal: Proposal,
    probability: Probability,
    gain: float,
    loss: float,
    scale: Scale,
    n_bots: int,
) -> Sizing:
    """Return the quantity of one proposal.

    The stake (the lesser of fractional and ruin-safe Kelly) times the bot's equity, less what the
    bot has at stake already on what moves along, and no more than its `risk_per_trade`: Kelly says
    how much to bet on one outcome, and five condors on one index are one bet. Times the scale of
    the layers before, the equity scaler and the share of capital that the bot was allotted
    relative to an equal share, at most 1. That budget and the room under the desk's caps, over
    the risk of one unit, rounded down. Of shares, no more than an equal part of the bot's equity
    buys; of anything, no more than the bot's `max_quantity`.

    Parameters
    ----------
    gain, loss
        Mean result of winners and losers in units of risk, after costs, the loss positive.
    scale
        Product of the scales so far, 0 to 1.
    n_bots
        Bots that the desk's capital is allotted to.

    Raises
    ------
    DataError
        A number that is needed is unknown: the price of shares, a loss that was never measured.
    """
    bot, book = context.bot, context.book
    edge = kelly.edge(probability, gain, loss)
    if edge <= 0:
        return Sizing(
            quantity=0,
            dollars=0.0,
            code=Reason.NO_EDGE,
            reason=f"edge of {edge:.4f} units of risk: no trade of any size",
            binding="edge",
            evidence={"edge": edge, "probability": probability, "gain": gain, "loss": loss},
        )
    stake, equity = kelly.stake(probability, gain, loss, bot.kelly), max(0.0, book.equity)
    mine = tuple(held for held in book.exposures if held.bot == bot.name)
    own = shared(proposal.side, 0.0, context.correlations, mine).held
    free, most = max(0.0, stake * equity - own), bot.risk_per_trade * equity
    first = "kelly" if free <= most else "risk_per_trade"
    cuts = {
        first: min(free, most),
        "scale": scale,
        "equity_scaler": scaler.scale(book.equity, book.peak),
        "thompson": min(1.0, book.allocation * n_bots),
    }
    unit = unit_risk(proposal)
    running = dict(zip(cuts, accumulate(cuts.values(), mul), strict=True))
    budget = running["thompson"]
    # The cut that takes the budget below one unit; the stake where none does.
    short = next((name for name, dollars in running.items() if dollars < unit), first)
    held = shared(proposal.side, 0.0, context.correlations, book.exposures).held
    left = caps.room(context.limits, book.desk_equity, book.exposures, context.symbol, held)
    bounds = {
        short: budget / unit,
        left.cap.lower(): left.left / unit,
        "max_quantity": float(bot.max_quantity),
    }
    if not proposal.legs:
        bounds["notional"] = _affordable(context, proposal)
    binding = min(bounds, key=lambda name: bounds[name])
    quantity = floor(bounds[binding])
    text = f"{quantity} units, {quantity * unit:,.2f} dollars at risk; {binding} binds"
    if quantity < 1:
        text = f"{bounds[binding]:.2f} of a unit that risks {unit:,.2f}; {binding} binds"
    return Sizing(
        quantity=quantity,
        dollars=quantity * unit,
        code=Reason.SIZED if quantity else Reason.TOO_SMALL,
        reason=text,
        binding=binding,
        evidence={
            "edge": edge,
            "probability": probability,
            "gain": gain,
            "loss": loss,
            "stake": stake,
            "own": own,
            "risk_per_trade": bot.risk_per_trade,
            "equity": book.equity,
            "scale": scale,
            "equity_scaler": cuts["equity_scaler"],
            "thompson": cuts["thompson"],
            "budget": budget,
            "unit_risk": unit,
            "room": left.left,
            "shared": held,
            **{f"units_{name}": units for name, units in bounds.items()},
        },
    )


def _affordable(context: Context, proposal: Proposal) -> float:
    """Return how many shares an equal part of the bot's equity buys."""
    if context.price is None or context.price <= 0:
        raise DataError(f"the price of {context.symbol} is unknown; its shares cannot be sized")
    part = max(0.0, context.book.equity) / context.bot.max_open
    return part / (context.price * proposal.multiplier)
