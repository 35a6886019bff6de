"""A structure that could be traded now: real legs with their prices, and all that follows of them.

The same for a chain and for a simulation; what differs is who gives the strikes and the prices, a
`market.quotes.Board`, and the label says which it was.
"""

from collections.abc import Iterator
from functools import reduce
from operator import add

import numpy as np
from pydantic import AwareDatetime, Field

from domain.book import Costs
from domain.decision import Proposal
from domain.errors import DataError, SettingsError
from domain.market import Leg
from domain.units import Greeks, PerContract, PerShare
from domain.units import per_contract as greeks_per_contract
from domain.values import FloatArray, Points, Value
from market import quotes
from market.quotes import Board, Quote
from trading.costs import MULTIPLIER, option_costs
from trading.structures.base import ON_THE_GRID, Structure, break_evens, extremes
from trading.structures.catalog import NINE
from trading.structures.catalog import structure as find

DELTAS = {"bull_call": (0.45, 0.25), "bear_put": (0.45, 0.25)}
"""Delta of what is bought and of what is sold, without sign, where no distance is asked for."""
WING = 0.01
"""Part of spot that a wing is wide where none is asked for."""


class Priced(Value):
    """One leg with its quote."""

    leg: Leg
    quote: Quote


class Structured(Value):
    """A structure with the price of every leg. Amounts are per share; `contract` makes dollars.

    Parameters
    ----------
    forward
        What the strikes lie around: the level that the options themselves have at the money.
    horizon
        Sessions until expiry.
    expires
        None where simulated.
    entry
        At mid: a credit above 0, a debit below.
    natural
        With every bid and ask crossed; None where nothing was quoted.
    costs
        In and out. Each way the greater of what trading costs usually and of the way from mid to
        natural.
    max_gain, max_loss
        At the best and the worst level at expiry, after costs. `max_gain` is None where it has no
        bound.
    break_evens
        Levels at expiry, rising, after costs.
    label
        ``simulated: ...``, or empty for quotes.
    """

    structure: str
    symbol: str
    asof: AwareDatetime
    spot: Points
    forward: Points
    horizon: float = Field(gt=0)
    expires: AwareDatetime | None
    distance: float | None
    """Of the anchors, in expected moves; None where they were chosen by delta."""
    legs: tuple[Priced, ...]
    entry: PerShare
    natural: PerShare | None
    costs: PerShare
    max_gain: PerShare | None
    max_loss: PerShare
    break_evens: tuple[Points, ...]
    greeks: Greeks[PerShare]
    label: str

    @property
    def bare(self) -> tuple[Leg, ...]:
        """The legs without their prices."""
        return tuple(priced.leg for priced in self.legs)

    @property
    def net(self) -> PerShare:
        """The entry after costs."""
        return self.entry - self.costs

    @property
    def contract_greeks(self) -> Greeks[PerContract]:
        return greeks_per_contract(self.greeks, MULTIPLIER)


def contract(amount: PerShare) -> PerContract:
    """Return an amount per share as dollars per contract of a hundred."""
    return amount.per_contract(MULTIPLIER)


def build(
    name: str,
    board: Board,
    costs: Costs,
    *,
    distance: float | None = None,
    wing: Points | None = None,
    move: Points | None = None,
    around: Points | None = None,
) -> Structured:
    """Return a structure of a board's strikes, priced leg by leg.

    Parameters
    ----------
    distance
        Of the anchors, in expected moves. None is 1, but for the debit spreads, which then buy a
        delta of .45 and sell one of .25, as far as the strikes allow.
    wing
        In points, of which every wing has exactly so many. If None, a wing ends at the listed
        strike that is nearest to a hundredth of the spot away from its anchor.
    move
        One expected move, in points; what the board's own volatility implies if None.
    around
        What distances are counted from; the forward if None. Options trade on when the index has
        closed: on 2026-06-24 they stood 45 points above its close.

    Raises
    ------
    DataError
        A leg is not listed or not quoted, or its price cannot be: names strike and expiry.
    SettingsError
        The structure is unknown or none of the nine, or distance or wing are impossible.
    """
    shape = find(name)
    if name not in NINE:
        raise SettingsError(f"{name} is the wheel's; here are built {', '.join(NINE)}")
    if not (distance is None or distance >= 0) or not (wing is None or wing > 0):
        raise SettingsError(f"{name} with a distance of {distance} and a wing of {wing}")
    if distance is None and name in DELTAS:
        bought = _spread_by_delta(shape, board, *DELTAS[name])
        return _priced(name, board, costs, None, bought)
    away = 0.0 if shape.atm else 1.0 if distance is None else distance
    move = quotes.move(board) if move is None else move
    centre = board.forward if around is None else around
    legs = tuple(_legs(shape, board, centre, away * move, wing))
    found = tuple(
        Priced(leg=leg, quote=board.quote(leg.right, leg.strike, leg.quantity))
        for leg in sorted(legs, key=lambda leg: leg.strike)
    )
    return _priced(name, board, costs, away, found)


def proposal(found: Structured) -> Proposal:
    """Return what a decision would propose: one unit, in points and dollars."""
    shape = find(found.structure)
    return Proposal(
        structure=found.structure,
        action=shape.action,
        factor=shape.factor,
        side=shape.side,
        legs=found.bare,
        entry=found.entry.amount,
        max_loss=contract(found.max_loss).amount,
        max_gain=None if found.max_gain is None else contract(found.max_gain).amount,
        costs=contract(found.costs).amount,
        multiplier=MULTIPLIER,
        horizon=max(1, round(found.horizon)),
        distance=found.distance,
        simulated=found.label,
    )


def _legs(
    shape: Structure, board: Board, centre: Points, away: Points, wing: Points | None
) -> Iterator[Leg]:
    # of one strike, or a straddle whose put is not listed there would become something else
    listed = {row.right: board.strikes(row.right) for row in shape.rows}
    for row in shape.rows:
        strikes = listed[row.right]
        if shape.atm:
            anchor = _nearest(reduce(np.intersect1d, listed.values()), centre, board)
        else:
            anchor = _outward(strikes, centre + row.side * away, row.side, board)
        strike = _wing(strikes, anchor, row.side * row.wings, wing, board)
        yield Leg(right=row.right, strike=strike, quantity=row.quantity)


def _nearest(strikes: FloatArray, level: Points, board: Board) -> Points:
    if not len(strikes):
        raise DataError(f"{quotes.where(board)}: no strike is listed near {level:g}")
    # from the top, so that the upper one is taken of two as near
    falling = strikes[::-1]
    return float(falling[np.abs(falling - level).argmin()])


def _outward(strikes: FloatArray, level: Points, side: int, board: Board) -> Points:
    slack = ON_THE_GRID * board.step
    beyond = strikes[side * (strikes - level) >= -slack]
    if not len(beyond):
        where = f"at or {'above' if side > 0 else 'below'} {level:g}"
        raise DataError(f"{quotes.where(board)}: no strike is listed {where}")
    return float(beyond.min() if side > 0 else beyond.max())


def _wing(
    strikes: FloatArray, anchor: Points, wings: int, width: Points | None, board: Board
) -> Points:
    """Return the strike so many wings away; one that is not listed is for the board to refuse."""
    if not wings:
        return anchor
    if width is None:
        beyond = strikes[wings * (strikes - anchor) > ON_THE_GRID * board.step]
        return _nearest(beyond, anchor + wings * WING * board.spot, board)
    wanted = anchor + wings * width
    near = strikes[np.abs(strikes - wanted) <= ON_THE_GRID * board.step]
    return float(near[0]) if len(near) else wanted


def _spread_by_delta(
    shape: Structure, board: Board, bought: float, sold: float
) -> tuple[Priced, ...]:
    right = shape.rows[0].right
    near = quotes.by_delta(board, right, bought, 1)
    far = quotes.by_delta(board, right, sold, -1)
    if near.strike == far.strike:
        raise DataError(
            f"{quotes.where(board)}: deltas of {bought:g} and {sold:g} are nearest to one strike, "
            f"{near.strike:g}: no spread"
        )
    pair = (
        Priced(leg=Leg(right=right, strike=near.strike, quantity=1), quote=near),
        Priced(leg=Leg(right=right, strike=far.strike, quantity=-1), quote=far),
    )
    return tuple(sorted(pair, key=lambda priced: priced.leg.strike))


def _priced(
    name: str, board: Board, costs: Costs, distance: float | None, legs: tuple[Priced, ...]
) -> Structured:
    bare = tuple(priced.leg for priced in legs)
    entry = -sum(priced.leg.quantity * priced.quote.mid for priced in legs)
    natural = _natural(legs)
    one_way = option_costs(len(legs), board.spot, costs) / MULTIPLIER
    if natural is not None:
        one_way = max(one_way, entry - natural)
    worst, best = extremes(bare)
    lost = 2 * one_way - (entry + worst)
    if not lost > 0:
        raise DataError(
            f"{quotes.where(board)}: {name} could lose nothing at an entry of {entry:g} points, "
            "so a price of it is a mistake"
        )
    return Structured(
        structure=name,
        symbol=board.symbol,
        asof=board.asof,
        spot=board.spot,
        forward=board.forward,
        horizon=board.horizon,
        expires=board.expires,
        distance=distance,
        legs=legs,
        entry=PerShare(amount=entry),
        natural=None if natural is None else PerShare(amount=natural),
        costs=PerShare(amount=2 * one_way),
        max_gain=None if best is None else PerShare(amount=entry + best - 2 * one_way),
        max_loss=PerShare(amount=lost),
        break_evens=break_evens(bare, entry - 2 * one_way),
        greeks=reduce(add, (priced.quote.greeks.times(priced.leg.quantity) for priced in legs)),
        label=board.label if board.label.startswith("simulated") else "",
    )


def _natural(legs: tuple[Priced, ...]) -> Points | None:
    """Return the entry with what is bought paid at the ask and what is sold given at the bid."""
    total = 0.0
    for priced in legs:
        price = priced.quote.ask if priced.leg.quantity > 0 else priced.quote.bid
        if price is None:
            return None
        total -= priced.leg.quantity * price
    return total
