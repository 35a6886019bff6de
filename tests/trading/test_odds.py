"""Odds: closed forms against sums over a fine grid, and worlds that are weighed otherwise."""

from math import exp, inf, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.book import Costs
from domain.errors import DataError
from domain.examples import surface
from domain.units import PerShare
from market import quotes
from market.quotes import Simulated
from trading.structures import odds
from trading.structures.catalog import NINE
from trading.structures.odds import World
from trading.structures.offer import Structured, build

NAMES = st.sampled_from(sorted(NINE))
BOARD = Simulated(surface(), 5, 5.0)
BUILT = {name: build(name, BOARD, Costs()) for name in NINE}
WORLD = odds.lognormal(BOARD.forward, quotes.deviation(BOARD), 0.005)
POINTS = (np.arange(200_000) + 0.5) / 200_000
NORMAL = np.array([NormalDist().inv_cdf(p) for p in POINTS[::10]])
"""20,000 equally likely outcomes of a standard normal."""
deviations = st.floats(0.005, 0.08)
shares = st.tuples(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.05, 1))


def levels(world: World) -> np.ndarray:
    return world.forward * np.exp(world.deviation * NORMAL - world.deviation**2 / 2)


def weights(world: World) -> np.ndarray:
    at = levels(world)
    low, middle, high = world.weights
    chosen = np.where(at < world.low, low, np.where(at > world.high, high, middle))
    return chosen / chosen.sum()


def results(found: Structured, world: World) -> np.ndarray:
    at = levels(world)
    paid = sum(
        leg.quantity * np.maximum(0.0, at - leg.strike if leg.right == "call" else leg.strike - at)
        for leg in found.bare
    )
    return paid + found.net.amount


def wanted(parts: tuple[float, float, float]) -> tuple[float, float, float]:
    low, middle, high = (part / sum(parts) for part in parts)
    return low, middle, high


@given(NAMES, deviations, shares)
def test_odds_are_those_of_twenty_thousand_equally_likely_outcomes(
    name: str, deviation: float, parts: tuple[float, float, float]
) -> None:
    flat = odds.lognormal(BOARD.forward, deviation, 0.005)
    found = BUILT[name]
    for world in (flat, odds.weighed(flat, *wanted(parts))):
        mine = odds.odds(found, world)
        counted, weight = results(found, world), weights(world)
        scale = BOARD.spot * deviation
        assert mine.expected.amount == pytest.approx(counted @ weight, abs=2e-3 * scale)
        won = counted > 0
        assert mine.probability == pytest.approx(weight[won].sum(), abs=3e-3)
        gained, given_up = (counted * weight)[won].sum(), -(counted * weight)[~won].sum()
        win = 0.0 if mine.win is None else mine.win.amount * mine.probability
        loss = 0.0 if mine.loss is None else mine.loss.amount * (1 - mine.probability)
        assert win == pytest.approx(gained, abs=3e-3 * scale)
        assert loss == pytest.approx(given_up, abs=3e-3 * scale)


@given(NAMES, deviations)
def test_worth_in_the_lognormal_is_the_price_of_black(name: str, deviation: float) -> None:
    found = BUILT[name]
    vol = deviation / sqrt(5 / 252)
    world = odds.lognormal(BOARD.forward, deviation, 0.005)
    from market import pricing

    root = sqrt(5 / 252)
    price = sum(
        leg.quantity
        * pricing.price_at(pricing.Smile(BOARD.forward, vol, 0, 0, root), leg.right, leg.strike)
        for leg in found.bare
    )
    assert odds.worth(found, world).amount == pytest.approx(price, abs=1e-8)


@given(deviations, shares)
def test_a_weighed_world_has_the_probabilities_that_it_was_given(
    deviation: float, parts: tuple[float, float, float]
) -> None:
    flat = odds.lognormal(2400.0, deviation, 0.005)
    assert sum(odds.classes(flat)) == pytest.approx(1.0)
    asked = wanted(parts)
    assert odds.classes(odds.weighed(flat, *asked)) == pytest.approx(asked)
    same = odds.weighed(flat, *odds.classes(flat))
    assert same.weights == pytest.approx((1.0, 1.0, 1.0))


@given(deviations)
def test_a_size_and_the_deviation_it_takes_are_one_to_one(deviation: float) -> None:
    world = odds.lognormal(2400.0, deviation, 0.005)
    size = odds.expected_move(world, 2400.0)
    assert odds.deviation_of(size) == pytest.approx(deviation)
    assert size == pytest.approx(np.abs(levels(world) / 2400.0 - 1).mean(), rel=1e-3)


@given(NAMES, st.floats(0, 5))
def test_the_more_it_costs_to_enter_the_less_it_wins(name: str, more: float) -> None:
    found = BUILT[name]
    dearer = odds.odds(found, WORLD, found.net - PerShare(amount=more))
    own = odds.odds(found, WORLD)
    assert dearer.probability <= own.probability + 1e-12
    assert dearer.expected.amount == pytest.approx(own.expected.amount - more, abs=1e-9)


def test_a_condor_wins_between_its_break_evens() -> None:
    found = BUILT["iron_condor"]
    low, high = found.break_evens
    w = WORLD.deviation
    below = [NormalDist().cdf(np.log(x / BOARD.forward) / w + w / 2) for x in (low, high)]
    assert odds.odds(found, WORLD).probability == pytest.approx(below[1] - below[0])


def test_what_cannot_lose_or_cannot_win_has_no_loser_or_no_winner() -> None:
    found = BUILT["iron_condor"]
    gift = odds.odds(found, WORLD, PerShare(amount=100.0))
    assert (gift.probability, gift.loss) == (1.0, None)
    theft = odds.odds(found, WORLD, PerShare(amount=-1.0))
    assert (theft.probability, theft.win) == (0.0, None)


def test_a_pay_off_without_bound_has_a_mean_all_the_same() -> None:
    mean = odds.worth(BUILT["long_call"], WORLD).amount
    [leg] = BUILT["long_call"].bare
    counted = np.maximum(levels(WORLD) - leg.strike, 0).mean()
    assert mean == pytest.approx(counted, rel=1e-3)
    assert mean < inf


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ((0.5, 0.5, 0.5), "do not add up to 1"),
        ((-0.1, 0.6, 0.5), "do not add up to 1"),
        ((0.3, 0.4, 0.3), "leave no room"),
    ],
)
def test_probabilities_that_cannot_be_are_refused(
    asked: tuple[float, float, float], why: str
) -> None:
    calm = odds.lognormal(2400.0, 0.0005, 0.005)
    with pytest.raises(DataError, match=why):
        odds.weighed(calm, *asked)
    assert odds.classes(odds.weighed(calm, 0.0, 1.0, 0.0)) == pytest.approx((0.0, 1.0, 0.0))


@pytest.mark.parametrize(
    "wrong", [(0.0, 0.01, 0.005), (2400.0, 0.0, 0.005), (2400.0, 0.01, 0.0), (2400.0, 0.01, 1.0)]
)
def test_no_world_of_nothing(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="no odds"):
        odds.lognormal(*wrong)


@pytest.mark.parametrize("size", [0.0, 1.0, -0.1])
def test_an_impossible_size_is_refused(size: float) -> None:
    with pytest.raises(DataError, match="expected move"):
        odds.deviation_of(size)


def test_the_mean_of_a_lognormal_is_its_forward() -> None:
    assert levels(WORLD).mean() == pytest.approx(BOARD.forward, rel=1e-5)
    assert exp(0) * WORLD.forward == BOARD.forward
