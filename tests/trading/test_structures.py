"""Structures: their legs, what they pay, and what a proposal says of them."""

from math import nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.book import Costs
from domain.bot import Factor
from domain.decision import Proposal
from domain.errors import DataError, SettingsError
from domain.examples import bot, surface
from domain.market import Leg, Right
from domain.values import Action
from market import pricing
from trading.costs import option_costs, share_costs
from trading.structures.base import break_evens, extremes, payoff, value
from trading.structures.catalog import CATALOG, NINE, legs, propose, structure

EVERY = pytest.mark.parametrize("name", CATALOG)
PUT, CALL = Right.PUT, Right.CALL
ATM = {"long_call", "long_put", "iron_butterfly", "long_straddle"}
UNBOUNDED = {"long_call", "long_straddle"}
WINGED = sorted(NINE.keys() - {"long_call", "long_put", "long_straddle"})

# Spot 2383, one expected move of 36.9 away, wings of 25: short strikes at 2345 and 2420. At the
# money 2385 is the nearest.
LEGS = {
    "iron_condor": [(PUT, 2320, 1), (PUT, 2345, -1), (CALL, 2420, -1), (CALL, 2445, 1)],
    "bull_put": [(PUT, 2320, 1), (PUT, 2345, -1)],
    "bear_call": [(CALL, 2420, -1), (CALL, 2445, 1)],
    "bull_call": [(CALL, 2395, 1), (CALL, 2420, -1)],
    "bear_put": [(PUT, 2345, -1), (PUT, 2370, 1)],
    "long_call": [(CALL, 2385, 1)],
    "long_put": [(PUT, 2385, 1)],
    "iron_butterfly": [(PUT, 2360, 1), (PUT, 2385, -1), (CALL, 2385, -1), (CALL, 2410, 1)],
    "long_straddle": [(PUT, 2385, 1), (CALL, 2385, 1)],
    "cash_secured_put": [(PUT, 2345, -1)],
    "covered_call": [(CALL, 0, 1), (CALL, 2420, -1)],
}
SPOTS = [2000, 2320, 2330, 2345, 2360, 2370, 2400, 2420, 2435, 2445, 2900]
PAYOFFS = {
    "iron_condor": [-25, -25, -15, 0, 0, 0, 0, 0, -15, -25, -25],
    "bull_put": [-25, -25, -15, 0, 0, 0, 0, 0, 0, 0, 0],
    "bear_call": [0, 0, 0, 0, 0, 0, 0, 0, -15, -25, -25],
    "bull_call": [0, 0, 0, 0, 0, 0, 5, 25, 25, 25, 25],
    "bear_put": [25, 25, 25, 25, 10, 0, 0, 0, 0, 0, 0],
    "long_call": [0, 0, 0, 0, 0, 0, 15, 35, 50, 60, 515],
    "long_put": [385, 65, 55, 40, 25, 15, 0, 0, 0, 0, 0],
    "iron_butterfly": [-25, -25, -25, -25, -25, -15, -15, -25, -25, -25, -25],
    "long_straddle": [385, 65, 55, 40, 25, 15, 15, 35, 50, 60, 515],
    "cash_secured_put": [-345, -25, -15, 0, 0, 0, 0, 0, 0, 0, 0],
    "covered_call": [2000, 2320, 2330, 2345, 2360, 2370, 2400, 2420, 2420, 2420, 2420],
}


def standard(name: str) -> tuple[Leg, ...]:
    return legs(name, 2383.0, 36.9, 1.0, 25.0, 5.0)


def proposed(name: str = "iron_condor", **fields: float) -> Proposal:
    trader = bot(**({"distance": 1.0, "wing": 25.0, "strike_step": 5.0} | fields))
    return propose(name, trader, surface(), 5, 11.0, Costs())


@EVERY
def test_legs_are_the_table_s(name: str) -> None:
    found = [(leg.right, leg.strike, leg.quantity) for leg in standard(name)]
    assert found == LEGS[name]


@EVERY
def test_pay_off_is_the_direct_sum(name: str) -> None:
    assert [payoff(standard(name), spot) for spot in SPOTS] == PAYOFFS[name]


@EVERY
def test_extremes_are_those_of_a_grid(name: str) -> None:
    grid = [payoff(standard(name), spot) for spot in np.arange(0.0, 6000.0, 5.0)]
    assert extremes(standard(name)) == (min(grid), None if name in UNBOUNDED else max(grid))
    if name in UNBOUNDED:
        further = [payoff(standard(name), spot) for spot in (1e4, 1e6, 1e8)]
        assert grid[-1] < further[0] < further[1] < further[2]


@pytest.mark.parametrize("name", NINE)
def test_what_is_sold_is_covered_so_that_the_worst_loss_is_known(name: str) -> None:
    for right in Right:
        mine = [leg.quantity for leg in standard(name) if leg.right is right]
        assert sum(mine) >= 0
        assert sum(mine) == 0 or name.startswith("long_")


def test_there_are_the_nine_of_discernment_and_a_straddle_has_two_legs() -> None:
    assert sorted(CATALOG) == sorted(LEGS)
    assert len(NINE) == 9
    assert CATALOG.keys() - NINE.keys() == {"cash_secured_put", "covered_call"}
    assert [leg.right for leg in standard("long_straddle")] == [PUT, CALL]


@given(st.floats(100.0, 9000.0), st.sampled_from([1.0, 2.5, 5.0, 25.0]))
def test_at_the_money_is_the_strike_nearest_to_spot(spot: float, step: float) -> None:
    assume(spot > 3 * step)
    for name in ATM:
        strikes = {leg.strike for leg in legs(name, spot, spot / 50, 1.0, step, step)}
        anchor = sorted(strikes)[len(strikes) // 2]
        assert abs(anchor - spot) <= step / 2 * (1 + 1e-9)
        assert strikes == {anchor} or strikes == {anchor - step, anchor, anchor + step}


def test_of_two_strikes_as_near_the_upper_one_is_at_the_money() -> None:
    assert [leg.strike for leg in legs("long_straddle", 2382.5, 50.0, 1.0, 5.0, 5.0)] == [
        2385.0
    ] * 2


@EVERY
def test_a_credit_is_sold_and_a_debit_bought(name: str) -> None:
    offer = proposed(name)
    assert (offer.entry > 0) == (offer.action is Action.SELL)
    assert offer.action is not Action.HOLD


@EVERY
def test_the_side_is_what_the_pay_off_earns_by(name: str) -> None:
    shape, mine = structure(name), standard(name)
    low, middle, high = (payoff(mine, spot) for spot in (2000.0, 2383.0, 2900.0))
    if shape.factor is Factor.VOLATILITY:
        assert shape.side == np.sign((low + high) / 2 - middle)
    else:
        assert shape.side == np.sign(high - low)


def test_strikes_already_on_the_grid_stay() -> None:
    assert [leg.strike for leg in legs("bull_put", 2400.0, 50.0, 1.0, 5.0, 5.0)] == [2345.0, 2350.0]
    assert [leg.strike for leg in legs("bull_put", 240.3, 0.2, 1.5, 0.1, 0.1)] == pytest.approx(
        [239.9, 240.0]
    )


def test_an_iron_fly_shares_its_short_strike() -> None:
    fly = legs("iron_condor", 2400.0, 50.0, 0.0, 25.0, 5.0)
    assert [leg.strike for leg in fly] == [2375.0, 2400.0, 2400.0, 2425.0]


@given(
    st.sampled_from(sorted(CATALOG.keys() - ATM)),
    st.floats(500.0, 9000.0),
    st.floats(0.002, 0.08),
    st.floats(0.0, 2.5),
    st.integers(1, 20),
    st.sampled_from([1.0, 2.5, 5.0, 25.0]),
)
def test_short_strikes_are_never_nearer_than_asked(
    name: str, spot: float, share: float, distance: float, wings: int, step: float
) -> None:
    move = spot * share
    assume(spot - distance * move - step * (wings + 1) > 0)
    found = legs(name, spot, move, distance, step * wings, step)
    assert [leg.strike for leg in found] == sorted(leg.strike for leg in found)
    for leg in found:
        assert leg.strike / step == pytest.approx(round(leg.strike / step), abs=1e-6)
        if leg.quantity < 0:
            away = spot - leg.strike if leg.right is PUT else leg.strike - spot
            assert distance * move - 1e-6 * step <= away < distance * move + step * (1 + 1e-6)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"wing": 12.0}, SettingsError),
        ({"wing": 0.0}, SettingsError),
        ({"step": 0.0}, SettingsError),
        ({"distance": -0.5}, SettingsError),
        ({"distance": nan}, SettingsError),
        ({"spot": nan}, DataError),
        ({"expected_move": nan}, DataError),
        ({"spot": 40.0}, DataError),
    ],
)
def test_legs_that_cannot_be_are_refused(wrong: dict[str, float], error: type[Exception]) -> None:
    plain = {"spot": 2383.0, "expected_move": 36.9, "distance": 1.0, "wing": 25.0, "step": 5.0}
    with pytest.raises(error):
        legs("iron_condor", **(plain | wrong))


def test_an_unknown_structure_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'butterfly'; known: iron_condor, bull_put"):
        structure("butterfly")


@EVERY
def test_value_is_the_sum_of_the_options_and_at_expiry_the_pay_off(name: str) -> None:
    mine = standard(name)
    direct = sum(leg.quantity * pricing.price(surface(), leg.right, leg.strike, 3) for leg in mine)
    assert value(mine, surface(), 3) == pytest.approx(direct)
    for spot in SPOTS:
        assert value(mine, pricing.shifted(surface(), spot), 0) == payoff(mine, spot)


@EVERY
def test_a_proposal_counts_costs_in_and_out(name: str) -> None:
    offer = proposed(name)
    mine = list(offer.legs)
    options = sum(leg.strike > 0 for leg in mine)
    dollars = 0.15 * options * 2 * (2383 / 4500) * 100
    # the underlying is bought and sold as shares are
    dollars += (len(mine) - options) * 2 * 0.0015 * 2383 * 100
    assert offer.costs == pytest.approx(dollars)
    grid = [payoff(offer.legs, spot) for spot in np.arange(0.0, 6000.0, 5.0)]
    assert offer.max_loss == pytest.approx(-(min(grid) + offer.entry) * 100 + dollars)
    if name in UNBOUNDED:
        assert offer.max_gain is None
    else:
        assert offer.max_gain == pytest.approx((max(grid) + offer.entry) * 100 - dollars)
    assert offer.entry == -value(offer.legs, surface(), 5)


@EVERY
def test_a_proposal_says_what_it_is(name: str) -> None:
    offer, shape = proposed(name), structure(name)
    assert (offer.structure, offer.horizon, offer.multiplier) == (name, 5, 100.0)
    assert (offer.factor, offer.side, offer.action) == (shape.factor, shape.side, shape.action)
    assert offer.distance == (0.0 if name in ATM else 1.0)
    assert offer.simulated == "simulated: Black-76, SPX+VIX term structure, skew"


def test_strikes_of_a_proposal_lie_the_distance_away_in_moves_of_vix() -> None:
    offer = proposed(distance=1.2)
    away = 1.2 * 2383 * 0.11 * (5 / 252) ** 0.5
    assert [leg.strike for leg in offer.legs][1:3] == [2335.0, 2430.0]
    assert 2335 <= 2383 - away < 2340
    assert 2425 < 2383 + away <= 2430


def test_a_quoted_surface_is_not_called_simulated() -> None:
    quoted = surface(label="quoted: CBOE 2023-02-07")
    assert propose("bull_put", bot(), quoted, 5, 11.0, Costs()).simulated == ""


def test_a_condor_is_two_verticals() -> None:
    condor, put, call = (proposed(name) for name in ("iron_condor", "bull_put", "bear_call"))
    assert condor.entry == pytest.approx(put.entry + call.entry)
    assert condor.costs == pytest.approx(put.costs + call.costs)
    assert condor.max_loss < put.max_loss + call.max_loss


@given(
    st.sampled_from(WINGED),
    st.floats(1000.0, 8000.0),
    st.floats(9.0, 80.0),
    st.floats(0.0, 3.0),
    st.integers(1, 20),
    st.sampled_from([1, 5, 10, 21]),
)
def test_whatever_the_market_a_proposal_risks_between_its_costs_and_a_wing(
    name: str, spot: float, vix: float, distance: float, wings: int, horizon: int
) -> None:
    cut = pricing.surface("SPX", surface().asof, spot, vix, vix, vix, 0.0, False)
    trader = bot(distance=distance, wing=5.0 * wings, strike_step=5.0)
    assume(spot - distance * pricing.expected_move(spot, vix, horizon) > 5 * (wings + 1))
    offer = propose(name, trader, cut, horizon, vix, Costs())
    assert offer.costs - 1e-6 <= offer.max_loss <= 500 * wings + offer.costs + 1e-6
    assert offer.max_gain is not None
    assert offer.max_gain + offer.max_loss == pytest.approx(500 * wings)


@given(
    st.sampled_from(["long_call", "long_put", "long_straddle"]),
    st.floats(1000.0, 8000.0),
    st.floats(9.0, 80.0),
    st.sampled_from([1, 5, 10, 21]),
)
def test_whatever_the_market_what_is_bought_risks_its_premium_and_its_costs(
    name: str, spot: float, vix: float, horizon: int
) -> None:
    cut = pricing.surface("SPX", surface().asof, spot, vix, vix, vix, 0.0, False)
    offer = propose(name, bot(distance=None, wing=None), cut, horizon, vix, Costs())
    assert offer.max_loss == pytest.approx(-100 * offer.entry + offer.costs)
    assert (offer.max_gain is None) == (name != "long_put")


@pytest.mark.parametrize("missing", ["distance", "wing", "strike_step"])
def test_a_bot_that_lacks_a_number_is_told_which(missing: str) -> None:
    with pytest.raises(SettingsError, match="distance, wing and strike_step"):
        propose("iron_condor", bot(**{missing: None}), surface(), 5, 11.0, Costs())


@pytest.mark.parametrize("vix", [nan, 0.0, -3.0])
def test_an_unknown_vix_proposes_nothing(vix: float) -> None:
    with pytest.raises(DataError, match="VIX"):
        propose("iron_condor", bot(), surface(), 5, vix, Costs())


def test_a_horizon_of_no_session_proposes_nothing() -> None:
    with pytest.raises(SettingsError, match="horizon"):
        propose("iron_condor", bot(), surface(), 0, 11.0, Costs())


@EVERY
def test_break_evens_give_back_the_entry(name: str) -> None:
    offer = proposed(name)
    spots = break_evens(offer.legs, offer.entry)
    two = {"iron_condor", "iron_butterfly", "long_straddle"}
    assert len(spots) == (2 if name in two else 1)
    for spot in spots:
        assert payoff(offer.legs, spot) + offer.entry == pytest.approx(0.0, abs=1e-9)


def test_a_trade_that_cannot_win_or_cannot_lose_breaks_even_nowhere() -> None:
    assert break_evens(standard("iron_condor"), -1.0) == ()
    assert break_evens(standard("iron_condor"), 30.0) == ()


@pytest.mark.parametrize("covered", [0, 1])
def test_a_naked_call_has_no_extremes_and_breaks_even_nowhere(covered: int) -> None:
    sold = (Leg(right=CALL, strike=2400.0, quantity=-1 - covered),)
    bought = (Leg(right=CALL, strike=2425.0, quantity=1),) * covered
    for asked in (extremes, lambda naked: break_evens(naked, 5.0)):
        with pytest.raises(SettingsError, match="no bound"):
            asked(sold + bought)


def test_a_bought_call_breaks_even_above_its_strike_by_what_it_cost() -> None:
    assert break_evens(standard("long_call"), -40.0) == (2425.0,)
    assert break_evens(standard("long_straddle"), -70.0) == (2315.0, 2455.0)
    assert break_evens(standard("long_call"), 1.0) == ()


@pytest.mark.parametrize(
    ("legs", "spot", "dollars"), [(4, 4500.0, 60.0), (4, 9000.0, 60.0), (2, 2250.0, 15.0)]
)
def test_an_option_leg_costs_less_on_a_lower_index(legs: int, spot: float, dollars: float) -> None:
    assert option_costs(legs, spot, Costs()) == pytest.approx(dollars)
    assert option_costs(legs, spot, Costs(), multiplier=10.0) == pytest.approx(dollars / 10)


def test_a_share_costs_slippage_and_commission_and_nothing_where_both_are_off() -> None:
    assert share_costs(100.0, Costs()) == pytest.approx(0.15)
    free = Costs(option_leg=0, share_slippage=0, share_commission=0)
    assert (share_costs(100.0, free), option_costs(4, 4500.0, free)) == (0.0, 0.0)
