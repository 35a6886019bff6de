"""Turn the wheel: sell a put against cash, and calls against the index once it was assigned.

Options of an index are settled in cash, so nothing is delivered. A put that expires in the money is
paid out, and what goes on is the index, bought at the next price: at the close of that day a
delivery at the strike is worth the same. A call that expires in the money leaves cash, and the next
put is sold.

Which of the two it is follows from the newest trade alone. Whoever closes a position early leaves
cash, too: the index is sold with the call.
"""

from collections.abc import Sequence
from datetime import datetime

from domain.decision import Context, Proposal
from domain.errors import FeatureMismatch
from domain.trade import Exit, Trade
from domain.values import Action
from trading.strategies import options
from trading.strategies.base import Setup

FEATURES = ("vix",)
HOLDS_INDEX = "holds_index"
"""What `evidence` adds to the features of a context: 1 where calls are to be sold, 0 for puts."""
PUT, CALL = "cash_secured_put", "covered_call"
SETTLED = {
    PUT: "settled in cash: a put in the money is paid out and the index bought at the next price, "
    "where a delivery would be at the strike",
    CALL: "settled in cash: the index is a price without its dividends, bought at the next price "
    "and sold at expiry, where shares would be kept or called away",
}
"""What is not real about either position."""


def evidence(closed: Sequence[Trade], asof: datetime) -> dict[str, float]:
    """Return whether the newest trade of a bot and symbol left it with the index.

    However long ago that was: a wheel that was halted goes on where it had stopped.

    Parameters
    ----------
    closed
        Of one bot and one symbol, oldest first.
    asof
        What was closed after it is not heard.

    Returns
    -------
    dict
        `HOLDS_INDEX`, 1 or 0; 0 before the first trade, for the wheel starts with cash.
    """
    known = [trade for trade in closed if trade.closed_at <= asof]
    if not known:
        return {HOLDS_INDEX: 0.0}
    last = known[-1]
    assigned = last.structure == PUT and last.why is Exit.ASSIGNED
    kept = last.structure == CALL and last.why is Exit.EXPIRY
    return {HOLDS_INDEX: float(assigned or kept)}


def phase(context: Context) -> str:
    """Return which structure is next: the call where the index is held, else the put.

    Raises `FeatureMismatch` where nobody has looked at the newest trades.
    """
    if HOLDS_INDEX not in context.features:
        raise FeatureMismatch(
            f"{context.bot.name} needs {HOLDS_INDEX}, which its newest trade says; let a desk "
            "gather the context"
        )
    return CALL if context.features[HOLDS_INDEX] > 0 else PUT


def setup(context: Context) -> Setup:
    """Say SELL for a put and BUY for the index with a call sold against it, in any session."""
    told = {HOLDS_INDEX: float(phase(context) == CALL)}
    if phase(context) == CALL:
        reason = "the index was assigned: a call is sold against it"
        return Setup(action=Action.BUY, reason=reason, evidence=told)
    return Setup(action=Action.SELL, reason="cash secures a put", evidence=told)


def propose(
    context: Context, structure: str | None = None, distance: float | None = None
) -> Proposal:
    """Return one unit of what is next, or of a named structure; see `options.propose`."""
    name = structure or phase(context)
    unit = options.propose(context, name, distance)
    told = "; ".join(text for text in (unit.simulated, SETTLED[name]) if text)
    return unit.model_copy(update={"simulated": told})
