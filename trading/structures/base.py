"""What a structure is: a table of legs, placed around the spot."""

from itertools import pairwise
from math import ceil, floor
from typing import Literal, NamedTuple

from domain.bot import Factor
from domain.errors import DataError, SettingsError
from domain.market import Leg, Right, Surface
from domain.values import Action, Points
from market.pricing import price_at, smile

Legs = tuple[Leg, ...]

UNDERLYING = Leg(right=Right.CALL, strike=0.0, quantity=1)
"""One unit of the underlying itself."""
ON_THE_GRID = 1e-6
"""Part of a strike step by which a strike may be out and still be the one that was meant."""


class Row(NamedTuple):
    """One leg of a structure.

    The anchor of a side, which is the short strike of all but what is only bought, lies the bot's
    distance away from spot; `wings` counts the wings from there to this leg, outward positive.
    """

    right: Right
    quantity: Literal[-1, 1]
    side: Literal[-1, 1]
    """-1 below spot, 1 above."""
    wings: int


class Structure(NamedTuple):
    """An option structure whose worst loss is limited.

    `action` is SELL where it brings a credit and BUY where it takes a debit; `factor` and `side`
    say what it earns by. Where `atm`, both sides are anchored at the strike nearest to spot,
    whatever the bot's distance. Where `held`, the underlying is held beside the options.
    """

    title: str
    action: Action
    factor: Factor
    side: Literal[-1, 1]
    rows: tuple[Row, ...]
    atm: bool = False
    held: bool = False

    @property
    def winged(self) -> bool:
        """Whether the width of a wing matters to it."""
        return any(row.wings for row in self.rows)


def place(
    structure: Structure,
    spot: Points,
    expected_move: Points,
    distance: float,
    wing: Points,
    step: Points,
) -> Legs:
    """Return the legs of a structure around a spot, lowest strike first.

    Short strikes are ``spot -+ distance * expected_move``, rounded outward (down below spot, up
    above it) to a multiple of `step`: a strike is never nearer than asked. The long strike of a
    credit lies one wing further out, that of a debit one wing further in. At the money the anchor
    is the multiple nearest to spot, the upper one of two as near.

    Raises
    ------
    SettingsError
        A distance below 0, or a wing that is no multiple of the step.
    DataError
        The spot or the move is unknown, or too small for such strikes.
    """
    if not (step > 0 and wing > 0 and abs(wing / step - round(wing / step)) < ON_THE_GRID):
        raise SettingsError(f"a wing of {wing} is no multiple of the strike step {step}")
    if not distance >= 0:
        raise SettingsError(f"a distance of {distance} expected moves is below 0")
    if not (spot > 0 and expected_move > 0):
        raise DataError(f"no strikes around spot {spot} with an expected move of {expected_move}")
    away = distance * expected_move
    short = {
        -1: floor((spot - away) / step + ON_THE_GRID) * step,
        1: ceil((spot + away) / step - ON_THE_GRID) * step,
    }
    if structure.atm:
        short = dict.fromkeys(short, floor(spot / step + 0.5) * step)
    strikes = [short[row.side] + row.side * row.wings * wing for row in structure.rows]
    if min(strikes) <= 0:
        raise DataError(f"a strike of {min(strikes)}: spot {spot} is too low for wings of {wing}")
    legs = [
        Leg(right=row.right, strike=float(strike), quantity=row.quantity)
        for row, strike in zip(structure.rows, strikes, strict=True)
    ]
    legs += [UNDERLYING] * structure.held
    return tuple(sorted(legs, key=lambda leg: leg.strike))


def value(legs: Legs, surface: Surface, horizon: float) -> Points:
    """Return what holding the legs is worth `horizon` sessions before expiry, at mid.

    Positive for an asset, negative for a liability: a short condor is worth less than nothing.
    """
    cut = smile(surface, horizon)
    return sum(leg.quantity * price_at(cut, leg.right, leg.strike) for leg in legs)


def payoff(legs: Legs, spot: Points) -> Points:
    """Return what the legs are worth at expiry.

    Examples
    --------
    >>> from domain.examples import proposal
    >>> payoff(proposal().legs, 2400.0), payoff(proposal().legs, 2435.0)
    (0.0, -10.0)
    """
    return sum(
        leg.quantity * max(0.0, spot - leg.strike if leg.right is Right.CALL else leg.strike - spot)
        for leg in legs
    )


def extremes(legs: Legs) -> tuple[Points, Points | None]:
    """Return the least and the most that the legs can be worth at expiry.

    The pay-off is straight between strikes, so it is at a strike or at zero that it is extreme.
    The most is None where more calls are bought than sold: there is no bound to what they gain.

    Raises
    ------
    SettingsError
        Calls are sold that no bought call covers: there is no bound to what they lose.

    Examples
    --------
    >>> extremes((Leg(right=Right.CALL, strike=2400.0, quantity=1),))
    (0.0, None)
    """
    slope = _slope(legs)
    if slope < 0:
        raise SettingsError("calls are sold that none bought covers; the loss has no bound")
    worths = [payoff(legs, spot) for spot in (0.0, *(leg.strike for leg in legs))]
    return min(worths), None if slope else max(worths)


def break_evens(legs: Legs, entry: Points) -> tuple[Points, ...]:
    """Return the spots at which the legs, held to expiry, give back what they brought or cost.

    Parameters
    ----------
    entry
        Points per unit, a credit positive, a debit negative; net of costs if the answer shall be.

    Returns
    -------
    tuple
        Rising; empty where the trade wins or loses at every spot.

    Examples
    --------
    >>> from domain.examples import proposal
    >>> break_evens(proposal().legs, 5.0)
    (2335.0, 2430.0)
    """
    extremes(legs)
    spots = (0.0, *sorted({leg.strike for leg in legs}))
    results = [(spot, payoff(legs, spot) + entry) for spot in spots]
    between = tuple(
        left + (right - left) * before / (before - after)
        for (left, before), (right, after) in pairwise(results)
        if (before < 0) != (after < 0)
    )
    # above the last strike the pay-off rises for ever where a call is left over
    last, result = results[-1]
    slope = _slope(legs)
    return (*between, last - result / slope) if slope and result < 0 else between


def _slope(legs: Legs) -> int:
    """Return the calls bought less the calls sold: what the pay-off gains a point far above."""
    return sum(leg.quantity for leg in legs if leg.right is Right.CALL)
