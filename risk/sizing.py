"""How many units to trade: the stake on the edge, cut by everything that may cut it.

No factor enlarges. The quantity is rounded down and may be zero; then the binding factor is named.
"""

from itertools import accumulate
from math import floor
from operator import mul

from domain.decision import Context, Proposal, Reason
from domain.errors import DataError
from domain.values import Dollars, Fraction, Probability, Scale, Value
from risk import caps, kelly, scaler
from risk.correlation import shared

INTERVAL = 0.9
"""What the interval of a probability holds that sizes a trade."""
NORMAL = 1.6449
"""Standard errors from the middle of a normal distribution to either end of that interval."""


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


def standard_error(low: Probability, high: Probability) -> float:
    """Return the standard error that a 90 % interval of a probability says it has.

    Examples
    --------
    >>> round(standard_error(0.70, 0.80), 4), standard_error(0.75, 0.75)
    (0.0304, 0.0)
    """
    return max(0.0, high - low) / (2 * NORMAL)


def shrink(
    probability: Probability, gain: float, loss: float, error: float | None = None
) -> Fraction:
    """Return the most of the Kelly stake that an edge is worth which is known so badly.

    ``edge^2 / (edge^2 + ((gain + loss) * error)^2)``, where the second is the variance of the edge
    that the probability's own error makes: Baker and McHale's rule of thumb [1]_, written for a
    trade that loses other than what was staked. An edge of one standard error is worth half the
    stake.

    It caps the fraction of Kelly and does not multiply it. A fraction is an allowance for the same
    error: of 400,000 made-up trades whose chance was estimated on 40, 150 and 600 outcomes, with
    the payoffs of condors and of shares, half Kelly capped like this grows 4 to 7, 1 to 2 and 0 %
    slower than without; multiplied, 13 to 17, 9 to 13 and 3 to 5; and sized by the low end of the
    interval, 74 to 75, 48 to 59 and 24 to 34. What it takes are stakes on edges that can hardly be
    told from none.

    Parameters
    ----------
    gain, loss
        Of winners and losers in units of risk, the loss positive.
    error
        Standard error of the probability; None where none was measured.

    Returns
    -------
    Fraction
        1 where there is no error or none was measured, 0 without an edge.

    References
    ----------
    .. [1] R. D. Baker and I. G. McHale, "Optimal betting under parameter uncertainty: improving the
       Kelly criterion", Decision Analysis 10, 2013.

    Examples
    --------
    >>> round(shrink(0.6, 1.0, 1.0, error=0.1), 3), shrink(0.6, 1.0, 1.0)
    (0.5, 1.0)
    """
    edge = kelly.edge(probability, gain, loss)
    if edge <= 0:
        return 0.0
    if not error:
        return 1.0
    return 1.0 / (1.0 + ((gain + loss) * error / edge) ** 2)


def size(
    context: Context,
    proposal: Proposal,
    probability: Probability,
    gain: float,
    loss: float,
    scale: Scale,
    error: float | None = None,
) -> Sizing:
    """Return the quantity of one proposal.

    The stake (the lesser of ruin-safe Kelly and the bot's fraction of Kelly, which `shrink` caps)
    times the bot's equity, less what the bot has at stake already on what moves along, and no more
    than its `risk_per_trade`: Kelly says how much to bet on one outcome, and five condors on one
    index are one bet. Times the scale of the layers before, the equity scaler and the share of
    capital that the bot was allotted relative to an equal share, at most 1. That budget and the
    room under the desk's caps, over the risk of one unit, rounded down. Of shares, no more than an
    equal part of the bot's equity buys; of anything, no more than the bot's `max_quantity`.

    Parameters
    ----------
    gain, loss
        Mean result of winners and losers in units of risk, after costs, the loss positive.
    scale
        Product of the scales so far, 0 to 1.
    error
        Standard error of the probability, None where none was measured: nothing is cut then.

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
    worth, equity = shrink(probability, gain, loss, error), max(0.0, book.equity)
    stake = kelly.stake(probability, gain, loss, min(bot.kelly, worth))
    mine = tuple(held for held in book.exposures if held.bot == bot.name)
    own = shared(proposal.side, 0.0, context.correlations, mine).held
    free, most = max(0.0, stake * equity - own), bot.risk_per_trade * equity
    first = "risk_per_trade" if free > most else "kelly" if worth >= bot.kelly else "shrink"
    cuts = {
        first: min(free, most),
        "scale": scale,
        "equity_scaler": scaler.scale(book.equity, book.peak),
        "thompson": min(1.0, book.allocation * book.bots),
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
            **({} if error is None else {"error": error, "shrink": worth}),
            **{f"units_{name}": units for name, units in bounds.items()},
        },
    )


def _affordable(context: Context, proposal: Proposal) -> float:
    """Return how many shares an equal part of the bot's equity buys."""
    if context.price is None or context.price <= 0:
        raise DataError(f"the price of {context.symbol} is unknown; its shares cannot be sized")
    part = max(0.0, context.book.equity) / context.bot.max_open
    return part / (context.price * proposal.multiplier)
