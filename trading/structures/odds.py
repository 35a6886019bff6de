"""What a structure pays at expiry, weighed by where the underlying may then be.

Levels at expiry are lognormal around the forward. A `World` may weigh falls, stays and rises
otherwise than that: within each of the three the shape stays, which is the least that can be
changed to give them other probabilities [1]_. Everything is in closed form: a pay-off is straight
between its strikes, and a lognormal has its mean between two levels by the normal distribution.

References
----------
.. [1] S. Kullback and R. A. Leibler, "On information and sufficiency", Annals of Mathematical
   Statistics 22, 1951: of all distributions with those probabilities the one nearest to it.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import erfc, inf, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from domain.errors import DataError
from domain.market import Leg, Right
from domain.units import PerShare
from domain.values import Fraction, Points, Probability, Value
from trading.structures.base import break_evens
from trading.structures.offer import Structured

NORMAL = NormalDist()
LEAST = 1e-9
"""Probability below which a class cannot be weighed: nothing of its shape is left."""


class Odds(Value):
    """How a structure held to expiry comes out, after costs.

    `win` and `loss` are the means of winners and losers per share, the loss without sign; each is
    None where there are none.
    """

    probability: Probability
    """That it gains anything."""
    expected: PerShare
    win: PerShare | None
    loss: PerShare | None


class World(NamedTuple):
    """Where the underlying may be at expiry.

    Parameters
    ----------
    forward
        Its mean, before the weights.
    deviation
        Standard deviation of its logarithm.
    low, high
        Levels below which it has fallen, above which it has risen.
    weights
        Of having fallen, stayed and risen; 1 each leaves the lognormal alone.
    """

    forward: Points
    deviation: float
    low: Points
    high: Points
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)


class _Piece(NamedTuple):
    """Levels between two: how likely they are, and how likely times their mean."""

    left: Points
    right: Points
    chance: float
    moment: Points


_ALONE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def lognormal(forward: Points, deviation: float, band: Fraction) -> World:
    """Return the world of a lognormal; what moves less than `band` has stayed."""
    if not (forward > 0 and deviation > 0 and 0 < band < 1):
        raise DataError(f"no odds around {forward} with a deviation of {deviation} and ±{band}")
    return World(forward, deviation, forward * (1 - band), forward * (1 + band))


def classes(world: World) -> tuple[Probability, Probability, Probability]:
    """Return the probabilities of having fallen, stayed and risen.

    Examples
    --------
    >>> [round(p, 3) for p in classes(lognormal(2400.0, 0.0113, 0.005))]
    [0.331, 0.342, 0.327]
    """
    low, middle, high = (
        sum(piece.chance for piece in _pieces(world, ends))
        for ends in ((0.0, world.low), (world.low, world.high), (world.high, inf))
    )
    return low, middle, high


def weighed(world: World, fall: Probability, stay: Probability, rise: Probability) -> World:
    """Return the world in which the three have these probabilities.

    Raises
    ------
    DataError
        They do not add up to 1, or one is likely that the lognormal has as good as no room for.
    """
    wanted = (fall, stay, rise)
    if not (min(wanted) >= 0 and abs(sum(wanted) - 1) < 1e-6):
        raise DataError(f"probabilities of {fall}, {stay} and {rise} do not add up to 1")
    flat = world._replace(weights=(1.0, 1.0, 1.0))
    known = classes(flat)
    if any(p > 0 and q < LEAST for p, q in zip(wanted, known, strict=True)):
        raise DataError(
            f"moves of {world.deviation:.2%} leave no room for one of {fall}, {stay} and {rise}"
        )
    low, middle, high = (p / q if q >= LEAST else 0.0 for p, q in zip(wanted, known, strict=True))
    return flat._replace(weights=(low, middle, high))


def expected_move(world: World, around: Points) -> Fraction:
    """Return the mean of how far it is from a level, whichever way, as a part of the level."""
    pieces = list(_pieces(world, (0.0, around, inf)))
    away = sum(abs(piece.moment - around * piece.chance) for piece in pieces)
    return away / around


def deviation_of(size: Fraction) -> float:
    """Return the deviation at which a lognormal moves by `size` of its forward, in the mean.

    Examples
    --------
    >>> round(deviation_of(0.009), 5)
    0.01128
    >>> round(expected_move(lognormal(100.0, deviation_of(0.009), 0.005), 100.0), 6)
    0.009
    """
    if not 0 < size < 1:
        raise DataError(f"an expected move of {size} of the level is none")
    return 2 * NORMAL.inv_cdf((1 + size / 2) / 2)


def worth(found: Structured, world: World) -> PerShare:
    """Return what a structure is worth in a world: the mean of its pay-off."""
    total = 0.0
    for piece in _pieces(world, (0.0, *sorted({leg.strike for leg in found.bare}), inf)):
        slope, start = _line(found.bare, piece)
        total += start * piece.chance + slope * piece.moment
    return PerShare(amount=total)


def odds(found: Structured, world: World, net: PerShare | None = None) -> Odds:
    """Return how a structure comes out in a world.

    Parameters
    ----------
    net
        What it was entered at, after the costs of both ways; its own, at mid, if None.
    """
    net = found.net if net is None else net
    even = break_evens(found.bare, net.amount)
    cuts = sorted({0.0, *(leg.strike for leg in found.bare), *even})
    won = lost = good = bad = 0.0
    for piece in _pieces(world, (*cuts, inf)):
        slope, start = _line(found.bare, piece)
        start += net.amount
        inside = 2 * piece.left + 1 if piece.right == inf else (piece.left + piece.right) / 2
        result = start * piece.chance + slope * piece.moment
        if start + slope * inside > 0:
            won, good = won + piece.chance, good + result
        else:
            lost, bad = lost + piece.chance, bad - result
    return Odds(
        probability=min(1.0, won / (won + lost)),
        expected=PerShare(amount=good - bad),
        win=PerShare(amount=good / won) if won > 0 else None,
        loss=PerShare(amount=bad / lost) if lost > 0 else None,
    )


def apart(
    found: Structured, world: World, net: PerShare | None = None
) -> tuple[Probability | None, Probability | None, Probability | None]:
    """Return the chance of a gain in a fall, in staying and in a rise, each taken by itself.

    None for one that the world has as good as no room for.
    """
    flat = world._replace(weights=(1.0, 1.0, 1.0))
    low, middle, high = (
        odds(found, flat._replace(weights=alone), net).probability if room >= LEAST else None
        for room, alone in zip(classes(flat), _ALONE, strict=True)
    )
    return low, middle, high


def _pieces(world: World, ends: tuple[Points, ...]) -> Iterator[_Piece]:
    """Cut the levels at `ends`, and where the weights change."""
    inner = [level for level in (world.low, world.high) if ends[0] < level < ends[-1]]
    for left, right in pairwise(sorted({*ends, *inner})):
        place = 0 if right <= world.low else 2 if left >= world.high else 1
        weight = world.weights[place]
        (p0, m0), (p1, m1) = _below(world, left), _below(world, right)
        yield _Piece(left, right, weight * (p1 - p0), weight * (m1 - m0))


def _below(world: World, level: Points) -> tuple[float, Points]:
    """Return the probability of ending below a level, and that times the mean there."""
    if level <= 0:
        return 0.0, 0.0
    if level == inf:
        return 1.0, world.forward
    z = log(level / world.forward) / world.deviation + world.deviation / 2
    return _normal(z), world.forward * _normal(z - world.deviation)


def _line(legs: tuple[Leg, ...], piece: _Piece) -> tuple[float, Points]:
    """Return slope and start of the pay-off within a piece."""
    slope = start = 0.0
    for leg in legs:
        if leg.right is Right.CALL and leg.strike <= piece.left:
            slope, start = slope + leg.quantity, start - leg.quantity * leg.strike
        elif leg.right is Right.PUT and leg.strike >= piece.right:
            slope, start = slope - leg.quantity, start + leg.quantity * leg.strike
    return slope, start


def _normal(x: float) -> float:
    return 0.5 * erfc(-x / sqrt(2))
