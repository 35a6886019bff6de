"""The equity scaler: the deeper the drawdown, the smaller the trade. It never enlarges."""

from domain.values import Dollars, Scale
from risk.measures import underwater

TIERS = ((0.05, 1.0), (0.10, 0.75), (0.15, 0.5))
"""Drawdown below which a scale holds, rising."""
LEAST = 0.25
"""Scale beyond the last tier."""


def scale(equity: Dollars, peak: Dollars) -> Scale:
    """Return what a drawdown leaves of the size.

    Raises `DataError` for a peak that is not positive.

    Examples
    --------
    >>> [scale(equity, 100.0) for equity in (120.0, 100.0, 95.0, 90.0, 85.0, 10.0)]
    [1.0, 1.0, 0.75, 0.5, 0.25, 0.25]
    """
    depth = underwater(equity, peak)
    return next((scale for below, scale in TIERS if depth < below), LEAST)
