"""DISCERNMENT's choice: what a view makes of the nine, and what has no size and why."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.book import Costs
from domain.errors import DataError
from domain.examples import surface
from domain.market import Right
from market import chain, quotes
from market.quotes import Board, Simulated
from tests.market.chains import contracts, made
from trading.structures import odds
from trading.structures.catalog import NINE
from trading.structures.scanner import (
    BAND,
    CHOICE,
    MOST,
    Candidate,
    Direction,
    Scan,
    View,
    scan,
)

FILE = Path(__file__).parents[2].parent / "shared" / "data/options/cboe/SPX_2023-02-07.csv.gz"
LISTED = quotes.nearest(made(contracts()), 5)
MADE = Simulated(surface(), 5, 5.0)
BOARDS = pytest.mark.parametrize("board", [LISTED, MADE], ids=["listed", "simulated"])
FAMILY = {name: direction for direction, names in CHOICE.items() for name in names}


def view(bullish: float, neutral: float, bearish: float, **more: float) -> View:
    return View(bullish=bullish, neutral=neutral, bearish=bearish, **more)


def sized(found: Scan) -> list[str]:
    return [one.found.structure for one in found.candidates if one.stake > 0]


def agreeing(board: Board, **more: float) -> View:
    """Return the view that the options themselves have."""
    implied = odds.lognormal(board.forward, quotes.deviation(board), BAND)
    fall, _, rise = odds.classes(implied)
    size = odds.expected_move(implied, board.forward)
    return view(rise, 1 - rise - fall, fall, size=size, **more)


def test_every_structure_suits_one_direction() -> None:
    assert sorted(FAMILY) == sorted(NINE)
    assert {direction: len(names) for direction, names in CHOICE.items()} == dict.fromkeys(
        Direction, 3
    )


@BOARDS
@pytest.mark.parametrize(
    ("expects", "chosen"),
    [
        (view(0.6, 0.2, 0.2), {"bull_call", "bull_put"}),
        (view(0.2, 0.2, 0.6), {"bear_put", "bear_call"}),
    ],
)
def test_a_direction_chooses_the_spreads_that_suit_it(
    board: Board, expects: View, chosen: set[str]
) -> None:
    found = scan(board, expects, Costs())
    assert set(sized(found)[:2]) == chosen
    assert found.candidates[0].direction is max(
        (Direction.BULLISH, Direction.BEARISH), key=lambda one: getattr(expects, one.value)
    )


@BOARDS
def test_staying_chooses_premium_sold_around_the_spot(board: Board) -> None:
    found = scan(board, view(0.15, 0.7, 0.15), Costs())
    assert {"iron_butterfly", "iron_condor"} <= set(sized(found)[:3])
    assert found.expected_move < found.priced_move


@BOARDS
def test_a_large_move_either_way_chooses_the_straddle(board: Board) -> None:
    size = 1.5 * scan(board, agreeing(board), Costs()).priced_move
    found = scan(board, view(0.46, 0.08, 0.46, size=size), Costs())
    assert sized(found)[0] == "long_straddle"
    assert not {"iron_condor", "iron_butterfly", "bull_put", "bear_call"} & set(sized(found))


@BOARDS
@given(st.floats(0.0, 40.0), st.sampled_from([None, -1.0, 1.0]))
def test_a_view_that_agrees_with_the_market_has_no_edge_and_no_size(
    board: Board, more: float, gamma: float | None
) -> None:
    agrees = agreeing(board).model_copy(update={"vix": 10 + more, "gamma": gamma})
    found = scan(board, agrees, Costs())
    assert sized(found) == []
    for one in found.candidates:
        costs = one.found.costs.amount
        assert one.expected.amount == pytest.approx(-100 * costs, abs=1e-6)
        assert one.edge == pytest.approx(-costs / one.found.max_loss.amount)
        assert one.reason.startswith(("no edge", "premium is dear", "dealers' gamma"))


@given(
    st.tuples(st.floats(0.02, 1), st.floats(0.02, 1), st.floats(0.02, 1)),
    st.sampled_from([None, 0.004, 0.01, 0.03]),
    st.sampled_from([None, -2.0, 3.0]),
    st.sampled_from([None, 12.0, 22.0, 40.0]),
)
def test_only_an_edge_has_a_size_and_whatever_has_none_says_why(
    parts: tuple[float, float, float],
    size: float | None,
    gamma: float | None,
    vix: float | None,
) -> None:
    up, stay, down = (part / sum(parts) for part in parts)
    expects = View(bullish=up, neutral=stay, bearish=down, size=size, gamma=gamma, vix=vix)
    found = scan(LISTED, expects, Costs())
    assert len(found.candidates) == MOST
    for one in found.candidates:
        assert 0 <= one.stake < 1
        assert one.stake == 0 or one.edge > 0
        assert one.edge == pytest.approx(one.expected.amount / 100 / one.found.max_loss.amount)
        assert one.reason
        assert one.found.horizon == found.horizon == 5.0
        dear = size is None or size <= found.priced_move
        if one.found.structure.startswith("long_") and dear:
            assert one.stake == 0
            assert one.reason.startswith("premium is dear")
        if one.found.structure in ("iron_condor", "iron_butterfly") and gamma == -2.0:
            assert one.stake == 0
    order = [(one.growth, one.edge) for one in found.candidates]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("vix", [12.0, 18.0, 22.0, 27.0, 45.0, None])
def test_no_level_of_vix_makes_premium_cheap(vix: float | None) -> None:
    found = scan(LISTED, View(bullish=0.8, neutral=0.1, bearish=0.1, vix=vix), Costs())
    call = candidate(found, "long_call")
    assert (call.stake, call.edge > 0) == (0, True)
    assert call.reason == "premium is dear in the mean, and no view of size says otherwise"


def test_premium_is_bought_where_more_is_expected_than_is_priced() -> None:
    found = scan(LISTED, view(0.8, 0.1, 0.1, size=0.03), Costs())
    assert found.expected_move > found.priced_move
    assert candidate(found, "long_call").stake > 0
    less = scan(LISTED, view(0.8, 0.1, 0.1, size=0.01), Costs())
    assert candidate(less, "long_call").reason == (
        "premium is dear: a move of 1.00% expected, 1.80% priced"
    )


def test_premium_is_not_sold_around_the_spot_where_gamma_is_negative() -> None:
    plus, minus, unknown = (
        scan(LISTED, View(bullish=0.15, neutral=0.7, bearish=0.15, gamma=gamma), Costs())
        for gamma in (5.0, -5.0, None)
    )
    assert "iron_condor" in sized(plus)
    assert "iron_condor" in sized(unknown)
    condor = candidate(minus, "iron_condor")
    assert (condor.stake, condor.edge > 0) == (0, True)
    assert condor.reason == ("dealers' gamma is negative, where no premium is sold around the spot")


@pytest.mark.parametrize(
    ("known", "moved"),
    [
        ({}, 0.972),
        ({"vix": 14.9}, 0.939),
        ({"vix": 15.0}, 0.972),
        ({"gamma": 1.0}, 0.965),
        ({"gamma": -1.0}, 1.0),
        ({"vix": 14.0, "gamma": -1.0}, 0.939),
    ],
)
def test_without_a_view_of_size_what_moves_were_stands_in(
    known: dict[str, float], moved: float
) -> None:
    priced = scan(LISTED, agreeing(LISTED), Costs()).priced_move
    shape = odds.lognormal(LISTED.forward, odds.deviation_of(moved * priced), BAND)
    fall, _, rise = odds.classes(shape)
    found = scan(LISTED, view(rise, 1 - rise - fall, fall, **known), Costs())
    assert found.expected_move == pytest.approx(moved * priced)


def test_the_implied_probability_is_of_the_lognormal_at_the_money() -> None:
    found = scan(MADE, view(0.6, 0.2, 0.2), Costs())
    world = odds.lognormal(2383.0, 0.08 * (5 / 252) ** 0.5, BAND)
    for one in found.candidates:
        assert one.implied == pytest.approx(odds.odds(one.found, world).probability)
    assert found.label.startswith("simulated")


def test_what_cannot_be_priced_is_named_with_the_reason_and_the_rest_is_ranked() -> None:
    silent = [
        row | {"ask": 0.0} if row["call"] and row["strike"] > 2450 else row for row in contracts()
    ]
    found = scan(quotes.nearest(made(silent), 5), view(0.2, 0.2, 0.6), Costs())
    assert found.refused.keys() == {"iron_condor", "bear_call"}
    assert found.refused["bear_call"] == "SPX 2023-02-14: the 2460 call has no ask"
    assert found.candidates[0].found.structure == "bear_put"


@pytest.mark.parametrize("wrong", [(0.5, 0.5, 0.5), (0.2, 0.2, 0.2)])
def test_a_view_whose_probabilities_do_not_add_up_is_refused(
    wrong: tuple[float, float, float],
) -> None:
    with pytest.raises(DataError, match="do not add up to 1"):
        scan(LISTED, view(*wrong), Costs())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: view(1.2, -0.1, -0.1),
        lambda: view(0.4, 0.3, 0.3, size=0.0),
        lambda: view(0.4, 0.3, 0.3, vix=0.18),
    ],
)
def test_an_impossible_view_is_no_value(wrong: Callable[[], View]) -> None:
    with pytest.raises(ValidationError):
        wrong()


@pytest.mark.skipif(not FILE.exists(), reason="real chains are not here")
def test_a_real_chain_is_scanned_and_its_skew_is_no_edge() -> None:
    board = quotes.nearest(chain.read(FILE), 5)
    found = scan(board, agreeing(board), Costs())
    assert found.refused == {}
    assert sized(found) == []
    by = {one.found.structure: one for one in found.candidates}
    assert max(one.edge for one in by.values()) < 0
    # priced at the lognormal of the money, the put spread alone would have looked like a gain
    naive = scan_naively(board)
    assert naive["bear_put"] > 0.02
    bull = scan(board, view(0.6, 0.2, 0.2), Costs())
    assert sized(bull)[:2] == ["bull_put", "bull_call"] or sized(bull)[:2] == [
        "bull_call",
        "bull_put",
    ]
    assert {leg.right for leg in bull.candidates[0].found.bare} <= set(Right)


def scan_naively(board: Board) -> dict[str, float]:
    """Return the edges that the quoted prices have in a world without a skew."""
    from trading.structures.offer import build

    implied = odds.lognormal(board.forward, quotes.deviation(board), BAND)
    return {
        name: odds.odds(found, implied).expected.amount / found.max_loss.amount
        for name in NINE
        for found in [build(name, board, Costs())]
    }


def candidate(found: Scan, name: str) -> Candidate:
    return next(one for one in found.candidates if one.found.structure == name)
