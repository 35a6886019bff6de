"""The supervisor: whether signals are lopsided beyond what the market itself has been.

In a rising market most signals are rightly to buy, so the share of buys is compared with the share
of moves that were up, not with one half; and what looks biased is made smaller, not blocked.
"""

from collections.abc import Sequence

from domain.decision import Effect, Reason, Verdict
from domain.values import Action, Probability
from risk.measures import wilson

FEWEST = 20
"""Signals below which nothing is concluded."""
CONFIDENCE = 0.99
"""Of the interval. Neighbouring signals resemble each other, so 95 % would cry wolf."""
SCALE = 0.5


def supervise(
    action: Action, recent: Sequence[Action], base_rate: Probability | None
) -> Verdict | None:
    """Return a reduction if a signal goes the way that recent signals lean too far, else None.

    Parameters
    ----------
    action
        The signal to judge.
    recent
        Signals so far, of the same regime and within a rolling window; HOLD does not count.
    base_rate
        Share of the market's moves that were up over the same time; None if unknown, and then a
        full window of signals is reduced, for nobody can say that it is not biased.
    """
    buys, sells = recent.count(Action.BUY), recent.count(Action.SELL)
    n = buys + sells
    if action is Action.HOLD or n < FEWEST:
        return None
    low, high = wilson(buys, n, CONFIDENCE)
    evidence = {"share": buys / n, "low": low, "high": high, "n": float(n)}
    if base_rate is None:
        reason = f"{buys} of {n} signals buy, and the market's base rate is unknown"
    else:
        evidence["base_rate"] = base_rate
        leans = base_rate < low if action is Action.BUY else base_rate > high
        if not leans:
            return None
        reason = (
            f"{buys} of {n} signals buy ({low:.0%} to {high:.0%}), "
            f"the market rose in {base_rate:.0%}"
        )
    return Verdict(
        layer="inference",
        effect=Effect.ADJUST,
        code=Reason.BIASED,
        reason=f"{reason}: half size",
        scale=SCALE,
        evidence=evidence,
    )
