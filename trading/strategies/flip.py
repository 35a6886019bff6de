"""Trade around the gamma flip: back to it where dealers calm the market, along where they drive it.

Above the flip dealers are long gamma: they sell what rises and buy what falls, so near it a future
is sold back to it. Below it they are short, and sell what falls: there it is traded along with its
own newest moves. Far from the flip nothing is known of either; overnight, when few trade and the
open interest behind the flip is a day old, far begins sooner.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.bot import Factor
from domain.decision import Context, Proposal
from domain.errors import DataError, FeatureMismatch
from domain.trade import Exit, Trade
from domain.values import Action
from market import calendar
from trading import contracts
from trading.costs import future_costs
from trading.strategies.base import Setup

REACH, OVERNIGHT = 0.5, 0.15
"""Furthest from the flip, in percent of the price: within the session, and outside of it."""
FRESH = timedelta(minutes=5)
"""For how long a trade that was on the wrong side speaks for the other one."""
REVERSAL = "reversal"
"""What `evidence` adds to the features of a context: the side that it speaks for, 1 or -1."""

FEATURES = ("bar_flip_pct", "bar_gamma_positive", "bar_change_6")
INDEX = "SPX"
"""Whose gamma the features of the first two names are of; see `market.features.within`."""


def evidence(closed: Sequence[Trade], asof: datetime) -> dict[str, float]:
    """Return what the newest trade of a bot and symbol says of the next one, as features.

    A trade that ended as REVERSE was on the wrong side from the start, which speaks for the other
    one. It opens nothing: who decides next hears of it, and every layer judges that decision as any
    other.

    Parameters
    ----------
    closed
        Of one bot and one symbol, oldest first.
    asof
        What was closed more than five minutes before, or after it, is not heard.
    """
    known = [trade for trade in closed if trade.closed_at <= asof]
    if not known or known[-1].why is not Exit.REVERSE or asof - known[-1].closed_at > FRESH:
        return {}
    # a future that was sold was received for, and the other side of that is to buy
    return {REVERSAL: 1.0 if known[-1].entry > 0 else -1.0}


def _known(context: Context) -> dict[str, float]:
    contract = contracts.find(context.symbol)
    if contract.index != INDEX:
        raise FeatureMismatch(
            f"flip reads the gamma of {INDEX}, and {context.symbol} follows {contract.index}; "
            f"import option chains of {contract.index}"
        )
    missing = [name for name in FEATURES if name not in context.features]
    if missing:
        raise FeatureMismatch(
            f"flip needs {', '.join(missing)} of {context.symbol}; import a history of GEX_NET and "
            f"GEX_FLIP, or option chains of {INDEX}, and bars of {context.symbol} within sessions"
        )
    return {name: context.features[name] for name in FEATURES}


def setup(context: Context) -> Setup:
    """Say which side of the flip to trade, if the price is near it.

    Raises
    ------
    FeatureMismatch
        The gamma is unknown, or is that of another index.
    """
    known = _known(context)
    away, reversal = known["bar_flip_pct"], context.features.get(REVERSAL)
    night = calendar.session_of(context.asof) is None
    reach = OVERNIGHT if night else REACH
    told = known | {"reach": reach, "overnight": float(night)}
    if abs(away) > reach:
        reason = f"{away:+.2f} % from the flip, {reach:g} % is near"
        return Setup(action=Action.HOLD, reason=reason, evidence=told)
    action, reason = _side(known)
    if reversal is not None:
        told |= {REVERSAL: reversal}
        action = Action.BUY if reversal > 0 else Action.SELL
        reason = "the last trade was on the wrong side from the start"
    if action is not Action.HOLD and action not in context.bot.sides:
        reason = f"{context.bot.name} does not {action}: {reason}"
        action = Action.HOLD
    return Setup(action=action, reason=reason, evidence=told)


def _side(known: dict[str, float]) -> tuple[Action, str]:
    away, moved = known["bar_flip_pct"], known["bar_change_6"]
    positive = known["bar_gamma_positive"] > 0
    if (away > 0) is not positive or away == 0:
        gamma = "positive" if positive else "not"
        return Action.HOLD, f"{away:+.2f} % from the flip and gamma is {gamma}: they disagree"
    if positive:
        return Action.SELL, f"{away:+.2f} % above the flip in positive gamma: back to it"
    if moved == 0:
        return Action.HOLD, "below the flip, and it does not move"
    action = Action.BUY if moved > 0 else Action.SELL
    return action, f"{away:+.2f} % below the flip in negative gamma: along with {moved:+.2%}"


def propose(context: Context, structure: str | None, distance: float | None) -> Proposal:
    """Return one contract on the side of the setup, with its first stop.

    The most that it can lose is the way to the stop and the costs of getting in and out; a gap may
    lose more. `structure` and `distance` are of options and change nothing here.

    Raises
    ------
    DataError
        There is no price, no side to trade, or the bot has no brackets.
    """
    price, rules, action = context.price, context.bot.brackets, setup(context).action
    if price is None:
        raise DataError(f"{context.symbol} has no price at {context.bar:%Y-%m-%d %H:%M}")
    if rules is None:
        raise DataError(f"{context.bot.name} trades futures and has no brackets; set them")
    if action is Action.HOLD:
        raise DataError(f"there is no side of {context.symbol} to trade at {context.bar:%H:%M}")
    contract = contracts.find(context.symbol)
    stop, both_ways = rules.stop * price, 2 * future_costs(contract, context.costs)
    return Proposal(
        structure=contracts.STRUCTURE,
        action=action,
        factor=Factor.PRICE,
        side=1 if action is Action.BUY else -1,
        entry=-price if action is Action.BUY else price,
        max_loss=stop * contract.point + both_ways,
        costs=both_ways,
        multiplier=contract.point,
        horizon=context.bot.horizon,
        stop=stop,
        simulated=contracts.simulated(context.symbol),
    )
