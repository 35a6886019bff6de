"""How much to stake on an edge: fractional Kelly, no more than survives, nothing without an edge.

A trade wins `gain` or loses `loss`, both in units of the risk taken and after costs, so a stake of
``f`` of the equity multiplies it with ``1 + f * gain`` or ``1 - f * loss``.
"""

from math import expm1, isfinite, log, log1p

from domain.errors import DataError
from domain.values import Fraction, Probability


def _checked(p: Probability, gain: float, loss: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise DataError(f"{p} is not a probability")
    if not isfinite(gain):
        raise DataError(f"a gain of {gain} cannot be sized; it must be measured")
    if not (isfinite(loss) and loss > 0):
        raise DataError(f"a loss of {loss} cannot be sized; it must be measured and positive")


def edge(p: Probability, gain: float, loss: float) -> float:
    """Return the expected result of a trade, in units of risk.

    Raises `DataError` for what is no probability, or a loss that is unknown or not positive.
    """
    _checked(p, gain, loss)
    return p * gain - (1.0 - p) * loss


def full(p: Probability, gain: float, loss: float) -> Fraction:
    """Return the stake that grows equity fastest [1]_; exactly 0 without an edge, at most 1.

    References
    ----------
    .. [1] J. L. Kelly, "A new interpretation of information rate", Bell System Technical
       Journal 35, 1956.

    Examples
    --------
    >>> full(0.75, 1.0, 1.0)
    0.5
    >>> full(0.5, 1.0, 1.0)
    0.0
    """
    expected = edge(p, gain, loss)
    return min(1.0, expected / (gain * loss)) if expected > 0 else 0.0


def fractional(p: Probability, gain: float, loss: float, fraction: Fraction) -> Fraction:
    """Return a fraction of the Kelly stake: half of it costs a quarter of the growth."""
    return fraction * full(p, gain, loss)


def ruin_safe(
    p: Probability,
    gain: float,
    loss: float,
    floor: Fraction = 0.25,
    survival: Probability = 0.95,
) -> Fraction:
    """Return the largest stake at which equity stays above `floor`, for ever, with `survival`.

    With ``W`` the factor by which one trade multiplies equity, ``E[W ** -a] <= 1`` bounds the
    chance of ever falling below ``floor`` by ``floor ** a`` [1]_. That is a bound where a diffusion
    of log equity is an approximation, and one that errs on the wrong side for many small gains
    and few large losses. The expectation is convex in the stake and falls from 1 while there is an
    edge, so its other crossing of 1 is found by bisection.

    Returns
    -------
    Fraction
        0 without an edge, at most 1.

    References
    ----------
    .. [1] E. Busseti, E. K. Ryu and S. Boyd, "Risk-constrained Kelly gambling", Journal of
       Investing 25, 2016.
    """
    if edge(p, gain, loss) <= 0:
        return 0.0
    power = log(1.0 - survival) / log(floor)

    def survives(stake: float) -> bool:
        if stake * loss >= 1.0:
            return p == 1.0
        won = p * expm1(-power * log1p(stake * gain))
        return won + (1.0 - p) * expm1(-power * log1p(-stake * loss)) <= 0.0

    low, high = 0.0, 1.0
    if survives(high):
        return high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if survives(middle) else (low, middle)
    return low


def stake(p: Probability, gain: float, loss: float, fraction: Fraction) -> Fraction:
    """Return the share of equity to put at risk: the lesser of fractional and ruin-safe Kelly.

    Exactly 0 where there is no edge: surviving is no reason to trade.

    Examples
    --------
    >>> stake(0.75, 1.0, 1.0, 0.5)
    0.25
    >>> stake(0.5, 1.0, 1.2, 0.5)
    0.0
    """
    return min(fractional(p, gain, loss, fraction), ruin_safe(p, gain, loss))
