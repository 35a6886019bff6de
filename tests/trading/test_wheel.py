"""The wheel: what its two positions are worth, how they end, and which one is next."""

from datetime import datetime, timedelta
from functools import partial
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import examples
from domain.book import Costs
from domain.decision import Context, Proposal
from domain.errors import DataError, FeatureMismatch, SettingsError
from domain.examples import surface
from domain.market import Leg, Right
from domain.trade import Exit, Order, Position, Trade
from domain.values import Action
from market import pricing
from market.quotes import Simulated
from trading import accounting, exits
from trading.bots.catalog import BOTS
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.costs import expiry_costs, option_costs, unit_costs
from trading.examples import EXPIRES, OPENED, bar, position
from trading.strategies import wheel
from trading.structures.base import UNDERLYING, break_evens, payoff, value
from trading.structures.catalog import legs, propose
from trading.structures.offer import build

BOT = BOTS["cornerstone"]
COSTS = Costs()
CASH, INDEX = {wheel.HOLDS_INDEX: 0.0}, {wheel.HOLDS_INDEX: 1.0}
ONE_WAY = 0.15 * 2383 / 4500 * 10
"""Dollars that one option of ten dollars a point costs at 2383."""
TEN = (1.0, 1000.0, 2000.0, 2300.0, 2382.5, 2383.0, 2390.0, 2450.0, 2600.0, 9000.0)
lasting = st.floats(0.0, 25.0)
levels = st.floats(100.0, 9000.0)


def day(features: dict[str, float] = CASH, **fields: Any) -> Context:
    known = {"vix": 11.0} | features
    return examples.context(**{"bot": BOT, "features": known} | fields)


def unit(structure: str) -> Proposal:
    return propose(structure, BOT, surface(), 21, 11.0, COSTS)


def covered(strike: float) -> tuple[Leg, ...]:
    return (UNDERLYING, Leg(right=Right.CALL, strike=strike, quantity=-1))


def opened(structure: str, quantity: int = 2) -> Position:
    return position(unit(structure), quantity, BOT)


def ended(structure: str, why: Exit, closed_at: datetime = examples.CLOSE, **fields: Any) -> Trade:
    held = opened(structure)
    closing = exits.Closing(quantity=2, price=0.0, why=why, costs=0.0)
    return accounting.trade(held, closing, closed_at).model_copy(update=fields)


def settled(structure: str, spot: float, surfaced: bool = True) -> tuple[Position, exits.Closing]:
    """Return a position and how it closes in its last bar."""
    held, last = opened(structure), bar(spot, symbol="SPX")
    known = partial(pricing.shifted, surface()) if surfaced else None
    left, (closing,) = exits.step(held, last, BOT, COSTS, 0.0, known)
    assert left is None
    return held, closing


# the underlying as a leg


@pytest.mark.parametrize("spot", TEN)
@pytest.mark.parametrize("horizon", [0.0, 0.5, 1, 5, 21])
def test_the_underlying_is_worth_the_spot(spot: float, horizon: float) -> None:
    moved = pricing.shifted(surface(), spot)
    assert value((UNDERLYING,), moved, horizon) == spot
    assert payoff((UNDERLYING,), spot) == spot
    sold = pricing.price(moved, Right.CALL, 2420.0, horizon)
    assert value(covered(2420.0), moved, horizon) == spot - sold
    assert payoff(covered(2420.0), spot) == min(spot, 2420.0)


@given(levels, levels, lasting, st.floats(0.05, 0.9))
def test_a_covered_call_is_the_put_of_its_strike_and_the_money_for_it(
    spot: float, strike: float, horizon: float, vol: float
) -> None:
    cut = surface(spot=spot, sigmas={1: vol, 21: vol})
    put = (Leg(right=Right.PUT, strike=strike, quantity=-1),)
    parted = value(covered(strike), cut, horizon) - value(put, cut, horizon)
    assert parted == pytest.approx(strike, rel=1e-9)
    assert payoff(covered(strike), spot) == pytest.approx(payoff(put, spot) + strike)


@given(levels, st.floats(1.0, 60.0), st.floats(0.05, 0.9))
def test_the_underlying_moves_as_the_spot_does_and_with_nothing_else(
    spot: float, horizon: float, vol: float
) -> None:
    found = pricing.greeks(spot, Right.CALL, 0.0, vol, horizon)
    parts = (found.delta, found.gamma, found.theta, found.vega)
    assert [part.amount for part in parts] == [1.0, 0.0, 0.0, 0.0]
    up, down = (
        value((UNDERLYING,), surface(spot=at, sigmas={1: v}), horizon)
        for at, v in ((spot + 1.0, vol), (spot - 1.0, 2 * vol))
    )
    assert (up - down) / 2 == pytest.approx(1.0)


def test_a_put_struck_at_nothing_is_worth_nothing_and_has_no_greeks() -> None:
    assert pricing.price(surface(), Right.PUT, 0.0, 5) == 0.0
    for spot, right in ((2383.0, Right.PUT), (nan, Right.CALL), (0.0, Right.CALL)):
        with pytest.raises(DataError):
            pricing.greeks(spot, right, 0.0, 0.1, 5)


def test_the_scanner_builds_the_nine_and_says_so_of_the_wheels_two() -> None:
    for name in BOT.structures:
        with pytest.raises(SettingsError, match="is the wheel's; here are built iron_condor"):
            build(name, Simulated(surface(), 21, 5.0), COSTS)


# what it puts at stake


def test_a_put_can_lose_its_whole_strike_less_the_credit() -> None:
    put = unit("cash_secured_put")
    [leg] = put.legs
    assert (leg.right, leg.strike, leg.quantity) == (Right.PUT, 2345.0, -1)  # 37.8 points away
    credit = pricing.price(surface(), Right.PUT, 2345.0, 21)
    assert put.entry == pytest.approx(credit)
    assert (put.multiplier, put.action, put.side) == (10.0, Action.SELL, 1)
    assert put.costs == pytest.approx(2 * ONE_WAY)
    assert put.max_loss == pytest.approx((2345 - credit) * 10 + 2 * ONE_WAY)
    assert put.max_gain == pytest.approx(credit * 10 - 2 * ONE_WAY)


def test_a_covered_call_can_lose_what_was_paid_and_costs_what_shares_do() -> None:
    call = unit("covered_call")
    assert [(leg.strike, leg.quantity) for leg in call.legs] == [(0.0, 1), (2425.0, -1)]
    premium = pricing.price(surface(), Right.CALL, 2425.0, 21)
    shares = 0.0015 * 2383 * 10
    assert call.entry == pytest.approx(premium - 2383)
    assert (call.multiplier, call.action, call.side) == (10.0, Action.BUY, 1)
    assert call.costs == pytest.approx(2 * (ONE_WAY + shares))
    assert call.max_loss == pytest.approx((2383 - premium) * 10 + call.costs)
    assert call.max_gain == pytest.approx((2425 - 2383 + premium) * 10 - call.costs)
    [even] = break_evens(call.legs, call.entry)
    assert even == pytest.approx(2383 - premium)


@given(st.sampled_from(BOT.structures), st.floats(0.0, 9000.0))
def test_nothing_that_an_index_can_do_loses_more_than_was_said(name: str, spot: float) -> None:
    held, closing = opened(name), None
    _, (closing,) = exits.step(held, bar(spot, symbol="SPX"), BOT, COSTS, 0.0)
    lost = accounting.trade(held, closing, EXPIRES)
    assert lost.pnl >= -held.risk - 1e-6 - closing.costs
    assert lost.r >= -1 - closing.costs / held.risk
    assert held.risk == 2 * held.proposal.max_loss


def test_ten_dollars_a_point_is_a_tenth_of_a_hundred() -> None:
    whole = BOT.model_copy(update={"multiplier": 100.0})
    for name in BOT.structures:
        tenth, full = (propose(name, one, surface(), 21, 11.0, COSTS) for one in (BOT, whole))
        assert full.max_loss == pytest.approx(10 * tenth.max_loss)
        assert full.costs == pytest.approx(10 * tenth.costs)
        assert full.entry == tenth.entry
    assert examples.bot().multiplier == 100.0


def test_options_alone_cost_what_they_did_and_expire_for_nothing() -> None:
    condor = legs("iron_condor", 2383.0, 36.9, 1.0, 25.0, 5.0)
    assert unit_costs(condor, 2383.0, COSTS) == option_costs(4, 2383.0, COSTS)
    assert expiry_costs(condor, 2383.0, COSTS) == 0.0
    assert expiry_costs(covered(2420.0), 2400.0, COSTS, 10.0) == pytest.approx(36.0)


# how it ends


@pytest.mark.parametrize("surfaced", [True, False])
@pytest.mark.parametrize(
    ("structure", "spot", "why", "price"),
    [
        ("cash_secured_put", 2400.0, Exit.EXPIRY, 0.0),
        ("cash_secured_put", 2345.0, Exit.EXPIRY, 0.0),
        ("cash_secured_put", 2344.0, Exit.ASSIGNED, -1.0),
        ("cash_secured_put", 1200.0, Exit.ASSIGNED, -1145.0),
        ("covered_call", 1200.0, Exit.EXPIRY, 1200.0),
        ("covered_call", 2425.0, Exit.EXPIRY, 2425.0),
        ("covered_call", 2426.0, Exit.CALLED_AWAY, 2425.0),
        ("covered_call", 3000.0, Exit.CALLED_AWAY, 2425.0),
    ],
)
def test_at_expiry_it_pays_what_it_must_and_says_how_it_ended(
    structure: str, spot: float, why: Exit, price: float, surfaced: bool
) -> None:
    held, closing = settled(structure, spot, surfaced)
    assert (closing.why, closing.price, closing.quantity) == (why, price, 2)
    index = structure == "covered_call"
    assert closing.costs == pytest.approx(2 * 10 * 0.0015 * spot * index)
    trade = accounting.trade(held, closing, EXPIRES)
    way_in = held.proposal.costs
    assert trade.pnl == pytest.approx((held.entry + price) * 20 - way_in - closing.costs)


@pytest.mark.parametrize("spot", [1200.0, 2344.0, 2400.0, 3000.0])
@pytest.mark.parametrize("structure", BOT.structures)
def test_the_broker_charges_what_the_exit_did(structure: str, spot: float) -> None:
    held, closing = settled(structure, spot)
    last = bar(spot, symbol="SPX")
    order = Order.closing(held, 2, closing.why, last.at)
    fill = PaperBroker(COSTS).submit(order, Quote.of(closing, last))
    assert (fill.price, fill.quantity) == (closing.price, 2)
    assert fill.costs == pytest.approx(closing.costs)


@given(st.floats(1000.0, 2344.9), st.floats(1000.0, 4000.0))
def test_cash_and_the_index_at_that_close_are_a_delivery_at_the_strike(
    expired: float, later: float
) -> None:
    _, closing = settled("cash_secured_put", expired)
    in_cash = closing.price + (later - expired)
    delivered = later - 2345.0
    assert in_cash == pytest.approx(delivered, abs=1e-9)


@pytest.mark.parametrize("structure", BOT.structures)
def test_it_has_no_stop_and_no_target_and_is_marked_on_the_way(structure: str) -> None:
    held = opened(structure)
    assert held.stop is None
    known = partial(pricing.shifted, surface())
    for spot, remaining in ((2383.0, 20.0), (1700.0, 11.0), (2900.0, 1.0)):
        one = bar(spot, spot - 50, spot + 50, spot, symbol="SPX")
        left, closings = exits.step(held, one, BOT, COSTS, remaining, known)
        assert left is not None
        assert closings == ()
        assert left.mark == value(held.proposal.legs, known(spot), remaining)
        assert left.risk == held.risk
    assert exits.step(held, bar(2383.0, symbol="SPX"), BOT, COSTS, 3.0)[1] == ()


@pytest.mark.parametrize("structure", BOT.structures)
def test_to_close_it_early_is_to_trade_every_leg_of_it(structure: str) -> None:
    known = partial(pricing.shifted, surface())
    held, _ = exits.step(opened(structure), bar(2390.0, symbol="SPX"), BOT, COSTS, 11.0, known)
    assert held is not None
    closing = exits.flat(held, 2390.0, COSTS)
    assert (closing.price, closing.quantity) == (held.mark, 2)
    assert closing.costs == pytest.approx(2 * unit_costs(held.proposal.legs, 2390.0, COSTS, 10.0))
    assert closing.costs > 0


def test_what_no_wheel_turns_expires_as_it_did() -> None:
    _, (closing,) = exits.step(position(), bar(2330.0, symbol="SPX"), examples.bot(), COSTS, 0.0)
    assert (closing.why, closing.price, closing.costs) == (Exit.EXPIRY, -10.0, 0.0)


# which one is next


@pytest.mark.parametrize(
    ("structure", "why", "held"),
    [
        ("cash_secured_put", Exit.EXPIRY, 0.0),
        ("cash_secured_put", Exit.ASSIGNED, 1.0),
        ("cash_secured_put", Exit.STOP, 0.0),
        ("cash_secured_put", Exit.SESSION_END, 0.0),
        ("covered_call", Exit.EXPIRY, 1.0),
        ("covered_call", Exit.CALLED_AWAY, 0.0),
        ("covered_call", Exit.SESSION_END, 0.0),
    ],
)
def test_how_the_last_one_ended_says_whether_the_index_is_held(
    structure: str, why: Exit, held: float
) -> None:
    assert wheel.evidence([ended(structure, why)], examples.CLOSE) == {"holds_index": held}


def test_the_wheel_starts_with_cash_and_hears_the_newest_trade_only() -> None:
    assert wheel.evidence([], examples.CLOSE) == CASH
    before = examples.CLOSE - timedelta(days=30)
    put = ended("cash_secured_put", Exit.ASSIGNED, before)
    call = ended("covered_call", Exit.CALLED_AWAY)
    assert wheel.evidence([put], examples.CLOSE) == INDEX
    assert wheel.evidence([put, call], examples.CLOSE) == CASH
    # what is closed after the moment of the decision is not known at it
    assert wheel.evidence([put, call], examples.CLOSE - timedelta(minutes=1)) == INDEX


def test_a_put_is_sold_from_cash_and_the_index_bought_with_a_call_after() -> None:
    for features, structure, action in (
        (CASH, "cash_secured_put", Action.SELL),
        (INDEX, "covered_call", Action.BUY),
    ):
        context = day(features)
        setup, proposal = wheel.setup(context), wheel.propose(context)
        assert setup.action is proposal.action is action
        assert proposal.structure == structure
        assert setup.evidence == features
        assert proposal.distance == 0.5
        assert proposal.simulated.startswith("simulated: Black-76")
        assert "settled in cash" in proposal.simulated


def test_a_quoted_surface_is_still_settled_in_cash() -> None:
    quoted = wheel.propose(day(surface=surface(label="quoted: CBOE 2023-02-07")))
    assert quoted.simulated == wheel.SETTLED["cash_secured_put"]


def test_who_does_not_know_its_newest_trade_proposes_nothing() -> None:
    blind = examples.context(bot=BOT, features={"vix": 11.0})
    for asked in (wheel.setup, wheel.propose):
        with pytest.raises(FeatureMismatch, match="needs holds_index, which its newest trade says"):
            asked(blind)


def test_without_vix_or_a_surface_no_strike_is_placed() -> None:
    with pytest.raises(FeatureMismatch, match="needs vix"):
        wheel.propose(examples.context(bot=BOT, features=CASH))
    with pytest.raises(DataError, match="no volatility surface"):
        wheel.propose(day(surface=None))
    with pytest.raises(SettingsError, match="cornerstone does not trade 'iron_condor'"):
        wheel.propose(day(), "iron_condor")


def test_the_money_for_every_strike_is_there() -> None:
    """Even at an index of 7,000 a trade puts no more at stake than the bot may."""
    assert BOT.risk_per_trade * BOT.capital >= 10 * 7_000
    assert (BOT.max_open, BOT.stop_multiple, BOT.profit_target) == (1, None, None)
    assert OPENED < EXPIRES
