"""Hard caps on the desk's risk: asked when a trade is sized, and again when it is sealed."""

from collections.abc import Sequence
from math import fsum

from domain.book import Exposure, Limits
from domain.decision import Effect, Reason, Verdict
from domain.values import Dollars, Value

CENT = 0.01
"""Sums of dollars are compared to the cent."""


class Room(Value):
    """What the caps leave. `left` is the least of them, and `cap` the one it comes from."""

    left: Dollars
    cap: Reason
    by_cap: dict[Reason, Dollars]


def room(
    limits: Limits,
    desk_equity: Dollars,
    exposures: Sequence[Exposure],
    symbol: str,
    shared: Dollars | None = None,
) -> Room:
    """Return how many dollars of risk may still be added in one symbol, never below zero.

    Parameters
    ----------
    exposures
        Of every bot of the desk.
    shared
        Risk held that moves along with the candidate (`SharedRisk.held`); None to leave that cap
        out.

    Examples
    --------
    >>> from domain.examples import exposure
    >>> left = room(Limits(), 600_000.0, [exposure()], "SPX")
    >>> left.left, left.cap
    (70000.0, <Reason.SYMBOL_CAP: 'SYMBOL_CAP'>)
    """
    equity = max(0.0, desk_equity)
    used = {
        # Exactly, or the last bit of what is recorded would depend on the order they came in.
        Reason.SYMBOL_CAP: fsum(e.risk for e in exposures if e.symbol == symbol),
        Reason.TOTAL_CAP: fsum(e.risk for e in exposures),
    }
    share = {Reason.SYMBOL_CAP: limits.symbol_risk, Reason.TOTAL_CAP: limits.total_risk}
    if shared is not None:
        used[Reason.SHARED_RISK], share[Reason.SHARED_RISK] = shared, limits.shared_risk
    left = {cap: max(0.0, share[cap] * equity - used[cap]) for cap in used}
    least = min(left, key=lambda cap: left[cap])
    return Room(left=left[least], cap=least, by_cap=left)


def check(
    limits: Limits,
    desk_equity: Dollars,
    exposures: Sequence[Exposure],
    symbol: str,
    risk: Dollars,
    shared: Dollars | None = None,
    layer: str = "sizing",
) -> Verdict | None:
    """Return a veto if `risk` more dollars in `symbol` would break a cap, else None.

    Other parameters as for `room`, which is also what a trade is sized by: there is one set of
    caps, so a trade that was sized alone passes when it is sealed alone.
    """
    left = room(limits, desk_equity, exposures, symbol, shared)
    if risk <= left.left + CENT:
        return None
    return Verdict(
        layer=layer,
        effect=Effect.VETO,
        code=left.cap,
        reason=f"{risk:,.0f} dollars at risk in {symbol}, {left.left:,.0f} left under {left.cap}",
        evidence={"risk": risk} | {f"left_{cap.lower()}": d for cap, d in left.by_cap.items()},
    )
