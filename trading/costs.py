"""What trading costs: fees, and the part of the spread that a marketable order gives away."""

from collections.abc import Sequence

from domain.book import Costs
from domain.market import Leg
from domain.values import Dollars, Points
from trading.contracts import Contract

MULTIPLIER = 100.0
"""Dollars per point of one index option."""
FULL_SPREAD_AT = 4500.0
"""Level of the index at which the spread of an option was measured; below it is narrower."""


def option_costs(legs: int, spot: Points, costs: Costs, multiplier: float = MULTIPLIER) -> Dollars:
    """Return what one unit of a structure costs to open, or to close, in dollars.

    Parameters
    ----------
    legs
        Options per unit, whichever way they are traded.
    spot
        Level of the underlying, in points.

    Examples
    --------
    >>> round(option_costs(4, 5000.0, Costs()), 2)
    60.0
    >>> round(option_costs(4, 2250.0, Costs()), 2)
    30.0
    """
    return costs.option_leg * legs * min(spot / FULL_SPREAD_AT, 1.0) * multiplier


def unit_costs(
    legs: Sequence[Leg], spot: Points, costs: Costs, multiplier: float = MULTIPLIER
) -> Dollars:
    """Return what one unit of a structure costs to open, or to close, its underlying included.

    Examples
    --------
    >>> from domain.market import Right
    >>> put = Leg(right=Right.PUT, strike=2340.0, quantity=-1)
    >>> round(unit_costs([put], 2250.0, Costs(), 10.0), 2)
    0.75
    """
    options = sum(abs(leg.quantity) for leg in legs if not leg.underlying)
    traded = option_costs(options, spot, costs, multiplier)
    return traded + expiry_costs(legs, spot, costs, multiplier)


def expiry_costs(
    legs: Sequence[Leg], spot: Points, costs: Costs, multiplier: float = MULTIPLIER
) -> Dollars:
    """Return what one unit costs to get out of at expiry.

    Options are settled in cash, for nothing. An underlying that is held with them does not expire:
    it is sold, at what shares cost to sell.
    """
    held = sum(abs(leg.quantity) for leg in legs if leg.underlying)
    return held * share_costs(spot, costs) * multiplier


def share_costs(price: Points, costs: Costs) -> Dollars:
    """Return what one share costs to buy, or to sell, beside its price: slippage and commission.

    Examples
    --------
    >>> round(share_costs(200.0, Costs()), 2)
    0.3
    """
    return price * (costs.share_slippage + costs.share_commission)


def future_costs(contract: Contract, costs: Costs) -> Dollars:
    """Return what one contract costs to open, or to close: ticks given away, and commission.

    Examples
    --------
    >>> from trading.contracts import find
    >>> round(future_costs(find("MES"), Costs()), 2), round(future_costs(find("MNQ"), Costs()), 2)
    (1.87, 1.12)
    """
    return costs.future_ticks * contract.tick * contract.point + costs.future_commission
