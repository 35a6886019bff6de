"""DISCERNMENT's choice among the nine: from a view of direction and size to priced candidates.

The view is turned into odds at expiry (`trading.structures.odds`), all nine are really priced, and
what the view makes them worth beyond what the market does is, after costs, their edge. Without one
a structure is listed with size 0. A rise favours bull spreads and calls, a fall their mirrors, and
staying the condor and the butterfly, not by rule but because that is where their odds are better;
a straddle is neutral on direction and needs the opposite of staying.

Both worths are taken from a lognormal at the money, which has no skew. A view that agrees with the
market has then an edge of minus its costs; the lognormal against the quoted price would find
3 % of the risk in a put spread of 2023-02-07 for nothing but its own lack of a skew.

Whether premium is bought or sold is settled by whether the index is expected to move more than is
priced, and not by the level of VIX. The rule this replaces bought calls and puts only above a VIX
of 20 and straddles above 25, and its opposite would be no better. Over 2011-24 the index moved in
five sessions, per unit of the at-the-money straddle as VIX9D prices it (block bootstrap, 95 %),

=========================  =====  ====  ============
of all sessions            3,516  .928  .886 to .972
VIX below 15               1,409  .871  .802 to .939
dealers' gamma positive    3,105  .921  .874 to .965
dealers' gamma negative      330  .980  .883 to 1.063
=========================  =====  ====  ============

and by VIX .949 from 15, .956 from 20, .964 from 25, .928 from 30. So bought premium lost in every
band of VIX, most where VIX was low, and in none was it cheap: to buy it takes a view of size. Where
the view has none, the cautious end of these intervals stands in. With negative gamma what was
priced cannot be told from what came, and one expected move held 73 % of the time instead of 84:
premium is not sold around the spot there.
"""

from enum import StrEnum
from math import hypot

from pydantic import AwareDatetime, Field

from domain.book import Costs
from domain.errors import DataError
from domain.units import PerContract
from domain.values import Fraction, Points, Probability, Value
from market import quotes
from market.quotes import Board
from risk import kelly
from trading.structures import odds
from trading.structures.odds import World
from trading.structures.offer import Structured, build, contract

MOST = 5
"""Candidates that are listed."""
BAND = 0.005
"""Moves below half a percent are neither up nor down, as DISCERNMENT's classes have it."""
KELLY = 0.5
"""Share of the Kelly stake that is taken at most."""
LOW_VIX = 15.0
MOVED_LOW, MOVED_POSITIVE, MOVED_NEGATIVE, MOVED = 0.939, 0.965, 1.0, 0.972
"""What the index moved at most per unit that was priced, at 95 %; see the table above."""


class Direction(StrEnum):
    """Where the underlying is expected."""

    BULLISH = "bullish"
    NEUTRAL = "neutral"
    BEARISH = "bearish"


CHOICE: dict[Direction, tuple[str, ...]] = {
    Direction.BULLISH: ("bull_call", "bull_put", "long_call"),
    Direction.NEUTRAL: ("iron_condor", "iron_butterfly", "long_straddle"),
    Direction.BEARISH: ("bear_put", "bear_call", "long_put"),
}
"""What suits a direction, and so what a candidate is shown under."""
BOUGHT = ("long_call", "long_put", "long_straddle")
"""Premium bought and nothing sold."""
AROUND = ("iron_condor", "iron_butterfly")
"""Premium sold on both sides of the spot."""


class View(Value):
    """What DISCERNMENT expects until expiry.

    Parameters
    ----------
    bullish, neutral, bearish
        Probabilities of a rise above, a move within and a fall below half a percent. Sum 1.
    size
        How far the underlying is expected to move, whichever way: a part of its level (0.01 is
        1 %). None where nothing says; what moves were at most, per unit priced, then stands in.
    vix
        In points; None where unknown.
    gamma
        Dealers' net gamma in any unit, of which only the sign counts: units differ by model. None
        where unknown.
    """

    bullish: Probability
    neutral: Probability
    bearish: Probability
    size: float | None = Field(None, gt=0, lt=1)
    vix: float | None = Field(None, ge=1)
    gamma: float | None = None


class Candidate(Value):
    """A structure that the view suggests, priced and weighed.

    Parameters
    ----------
    implied
        Probability of a gain after costs as the options have it: lognormal around the forward with
        the volatility at the money. Not a forecast.
    probability
        The same as the view has it.
    expected
        What the view makes of one contract beyond what the market does, after costs.
    gain, loss
        Mean of the winners and of the losers as the view has them, in units of what can be lost at
        most, the loss without sign.
    edge
        What is expected over what can be lost at most. What the odds alone would find in the
        price of the skew is not in it.
    stake
        Share of equity that half Kelly, or the ruin-safe stake if less, puts at risk; 0 without an
        edge, or where the rules are against it.
    reason
        Why it has that size.
    """

    direction: Direction
    found: Structured
    implied: Probability
    probability: Probability
    expected: PerContract
    gain: float
    loss: float
    edge: float
    stake: Fraction
    reason: str

    @property
    def growth(self) -> float:
        """What equity is expected to gain by the stake: what candidates are ranked by."""
        return self.stake * self.edge


class Scan(Value):
    """What there is to do at one expiry: the candidates, best first, and what was refused."""

    symbol: str
    asof: AwareDatetime
    spot: Points
    horizon: float
    priced_move: Fraction
    """How far the options expect it to move, whichever way, as a part of the level."""
    expected_move: Fraction
    """How far the view does."""
    candidates: tuple[Candidate, ...]
    refused: dict[str, str]
    """Structures that could not be priced, and why."""
    label: str


def scan(board: Board, view: View, costs: Costs, distance: float | None = None) -> Scan:
    """Price all nine and rank them by what the view makes of them.

    Parameters
    ----------
    board
        The expiry that all candidates share, and with it their horizon.
    distance
        Of short strikes, in expected moves; 1 if None, and debit spreads then by delta.

    Raises
    ------
    DataError
        The view's probabilities do not add up to 1, or leave no room for one of them.
    """
    implied = odds.lognormal(board.forward, quotes.deviation(board), BAND)
    priced = odds.expected_move(implied, board.forward)
    world = _seen(board, view, priced)
    expects = odds.expected_move(world, board.forward)
    found: list[Candidate] = []
    refused: dict[str, str] = {}
    for direction, names in CHOICE.items():
        for name in names:
            try:
                structured = build(name, board, costs, distance=distance)
            except DataError as error:
                refused[name] = str(error)
                continue
            against = _against(name, view, priced)
            found.append(_candidate(direction, structured, implied, world, against))
    ranked = sorted(found, key=lambda one: (one.growth, one.edge), reverse=True)
    return Scan(
        symbol=board.symbol,
        asof=board.asof,
        spot=board.spot,
        horizon=board.horizon,
        priced_move=priced,
        expected_move=expects,
        candidates=tuple(ranked[:MOST]),
        refused=refused,
        label=board.label if board.label.startswith("simulated") else "",
    )


def wavering(board: Board, view: View, found: Structured, up: float, down: float) -> float:
    """Return the standard error of a structure's chance that those of the view's sides make.

    The chance is the mean of those in a rise, in a fall and between, weighted as the view has them,
    so it moves with a side by as much as it differs there from between: what a side does not have,
    neither has. Both sides err apart from each other.

    Parameters
    ----------
    up, down
        Standard errors of the view's chances of a rise and of a fall.
    """
    implied = odds.lognormal(board.forward, quotes.deviation(board), BAND)
    world = _seen(board, view, odds.expected_move(implied, board.forward))
    net = -odds.worth(found, implied) - found.costs
    fall, stay, rise = odds.apart(found, world, net)
    return hypot(up * _differ(rise, stay), down * _differ(fall, stay))


def _differ(one: float | None, other: float | None) -> float:
    """Return how far two chances are apart; as far as can be where one is not known."""
    return 1.0 if one is None or other is None else one - other


def _seen(board: Board, view: View, priced: Fraction) -> World:
    """Return the world of a view, where the options expect a move of `priced`."""
    size = priced * _moved(view) if view.size is None else view.size
    shape = odds.lognormal(board.forward, odds.deviation_of(size), BAND)
    return odds.weighed(shape, view.bearish, view.neutral, view.bullish)


def _moved(view: View) -> float:
    if view.vix is not None and view.vix < LOW_VIX:
        return MOVED_LOW
    if view.gamma is None:
        return MOVED
    return MOVED_NEGATIVE if view.gamma < 0 else MOVED_POSITIVE


def _against(name: str, view: View, priced: Fraction) -> str:
    """Return what speaks against a structure before it is weighed, or nothing."""
    if name in BOUGHT and view.size is None:
        return "premium is dear in the mean, and no view of size says otherwise"
    if name in BOUGHT and view.size is not None and view.size <= priced:
        return f"premium is dear: a move of {view.size:.2%} expected, {priced:.2%} priced"
    if name in AROUND and view.gamma is not None and view.gamma < 0:
        return "dealers' gamma is negative, where no premium is sold around the spot"
    return ""


def _candidate(
    direction: Direction, found: Structured, implied: World, world: World, against: str
) -> Candidate:
    fair = -odds.worth(found, implied) - found.costs
    ours, risk = odds.odds(found, world, fair), found.max_loss.amount
    edge = ours.expected.amount / risk
    # a world without a loser is a view that is too sure; the worst case then stands for one
    win = 0.0 if ours.win is None else ours.win.amount / risk
    loss = 1.0 if ours.loss is None else ours.loss.amount / risk
    stake = 0.0
    if against:
        reason = against
    elif edge <= 0:
        reason = f"no edge: {edge:+.3f} per dollar at risk, after costs"
    else:
        stake = kelly.stake(ours.probability, win, loss, KELLY)
        reason = f"{edge:+.3f} per dollar at risk, after costs"
    return Candidate(
        direction=direction,
        found=found,
        implied=odds.odds(found, implied).probability,
        probability=ours.probability,
        expected=contract(ours.expected),
        gain=win,
        loss=loss,
        edge=edge,
        stake=stake,
        reason=reason,
    )
