"""How positions end."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import examples
from domain.book import Costs
from domain.errors import DataError, Refused
from domain.market import Bar, Leg, Right, Surface
from domain.trade import Exit, Fill, Position
from market import pricing
from trading import exits
from trading.examples import EXPIRES, OPENED, bar, buyer, holding, order, position, shares
from trading.structures.base import value

COSTS = Costs()
FREE = Costs(option_leg=0.0, share_slippage=0.0, share_commission=0.0)
CONDOR = examples.bot()
BUYER = buyer()
LEGS = examples.proposal().legs


# the condor of the examples, sold at 5.00, is worth 5.26 on the usual surface and 1.58 on the quiet
QUIET = examples.surface()
USUAL = examples.surface(sigmas={1: 0.105, 5: 0.12, 10: 0.1275, 21: 0.1335})
WILD = examples.surface(sigmas={1: 0.4, 5: 0.35, 10: 0.3, 21: 0.28})


def quiet(spot: float) -> Surface:
    return pricing.shifted(QUIET, spot)


def usual(spot: float) -> Surface:
    return pricing.shifted(USUAL, spot)


def wild(spot: float) -> Surface:
    return pricing.shifted(WILD, spot)


def spx(
    close: float, low: float | None = None, high: float | None = None, opened: float | None = None
) -> Bar:
    return bar(close, low, high, opened, symbol="SPX")


def through(
    held: Position,
    *bars: Bar,
    remaining: int = 5,
    close_range: float | None = 0.01,
) -> tuple[Position | None, list[exits.Closing]]:
    left: Position | None = held
    done: list[exits.Closing] = []
    for one in bars:
        assert left is not None
        left, closings = exits.step(left, one, BUYER, FREE, remaining, close_range=close_range)
        done += closings
    return left, done


# a position


def filled(price: float, order_id: str = "") -> Fill:
    return Fill(
        id="a#fill",
        order_id=order_id or "fortress-SPX-20170303T2100Z",
        decision_id="fortress-SPX-20170303T2100Z",
        quantity=1,
        price=price,
        costs=30.0,
        at=OPENED,
    )


def test_a_fill_becomes_a_position_with_its_risk_and_its_stop() -> None:
    held = position()
    assert held.entry == 5.0
    assert held.entry_costs == 60.0
    assert held.stop == 15.0
    assert held.risk == 2 * 4_560.0
    assert held.unrealised == 0.0
    assert held.initial_quantity == held.quantity == 2


def test_a_worse_fill_puts_more_at_risk() -> None:
    opening = order(examples.proposal(), 1, CONDOR)
    worse = exits.open_position(opening, filled(4.0), EXPIRES, CONDOR)
    assert worse.risk == 4_660.0
    assert worse.stop == 12.0


def test_the_fill_of_another_order_opens_nothing() -> None:
    opening = order(examples.proposal(), 1, CONDOR)
    with pytest.raises(Refused, match="fills anchor, not fortress-SPX"):
        exits.open_position(opening, filled(5.0, "anchor"), EXPIRES, CONDOR)


def test_a_share_sold_short_is_refused() -> None:
    opening = order(shares(side=-1, entry=100.0), 1, BUYER)
    with pytest.raises(Refused, match="short"):
        exits.open_position(opening, filled(100.0, opening.id), EXPIRES, BUYER)


def test_shares_without_a_stop_are_refused() -> None:
    opening = order(shares(stop=None), 1, BUYER)
    with pytest.raises(Refused, match="stop"):
        exits.open_position(opening, filled(-100.0, opening.id), EXPIRES, BUYER)


def test_a_bar_of_another_symbol_is_refused() -> None:
    with pytest.raises(Refused, match="the bar is of KO"):
        exits.step(position(), bar(100.0), CONDOR, COSTS, 4, usual)


# options


def test_a_usual_day_carries_a_condor_on_and_marks_it_at_the_close() -> None:
    held = position(quantity=2)
    left, closings = exits.step(held, spx(2383.0, 2380.0, 2386.0, 2382.0), CONDOR, COSTS, 4, usual)
    assert closings == ()
    assert left is not None
    assert left.mark == left.best == pytest.approx(value(LEGS, usual(2383.0), 4))
    assert left.mark == pytest.approx(-3.85, abs=0.005)
    assert (left.bars, left.risk, left.stop) == (1, held.risk, held.stop)


def test_an_open_beyond_the_stop_is_filled_at_the_open_and_not_at_the_stop() -> None:
    left, (closing,) = exits.step(
        position(), spx(2330.0, 2290.0, 2335.0, 2300.0), CONDOR, COSTS, 4, usual
    )
    assert left is None
    assert closing.why is Exit.GAP_STOP
    assert closing.price == pytest.approx(value(LEGS, usual(2300.0), 5))
    assert closing.price == pytest.approx(-30.35, abs=0.005)
    assert closing.quantity == 2


@pytest.mark.parametrize(("low", "high"), [(2310.0, 2384.0), (2380.0, 2462.0)])
def test_a_stop_reached_inside_the_bar_is_filled_at_the_stop(low: float, high: float) -> None:
    left, (closing,) = exits.step(
        position(), spx(2383.0, low, high, 2382.0), CONDOR, COSTS, 4, usual
    )
    assert left is None
    assert (closing.why, closing.price) == (Exit.STOP, -15.0)


def test_a_bar_of_five_minutes_has_five_minutes_of_time_value() -> None:
    held, one = position(), spx(2383.0, 2382.0, 2384.0, 2383.0)
    price = -value(LEGS, usual(2383.0), 4.5) + 0.1
    near = held.model_copy(update={"stop": price})
    left, closings = exits.step(near, one, CONDOR, COSTS, 4.5, usual, length=1 / 78)
    assert closings == ()
    assert left is not None
    assert left.mark == pytest.approx(value(LEGS, usual(2383.0), 4.5))
    left, (closing,) = exits.step(near, one, CONDOR, COSTS, 4.5, usual)
    assert left is None
    assert closing.why is Exit.GAP_STOP
    assert closing.price == pytest.approx(value(LEGS, usual(2383.0), 5.5))


def test_a_lone_close_beyond_the_stop_is_filled_at_that_close() -> None:
    _, (closing,) = exits.step(position(), spx(2300.0), CONDOR, COSTS, 4, usual)
    assert closing.why is Exit.STOP
    assert closing.price == pytest.approx(value(LEGS, usual(2300.0), 4))
    assert closing.price < -15.0


@pytest.mark.parametrize("one", [spx(2383.0), spx(2383.0, 2345.0, 2386.0, 2350.0)])
def test_a_profit_target_is_filled_at_its_level_and_no_better(one: Bar) -> None:
    left, (closing,) = exits.step(position(), one, CONDOR, COSTS, 1, usual)
    assert left is None
    assert (closing.why, closing.price) == (Exit.PROFIT_TARGET, -2.5)


def test_an_open_beyond_the_target_is_filled_at_the_target_and_after_the_worst() -> None:
    one = spx(2383.0, 2380.0, 2386.0, 2383.0)
    _, (closing,) = exits.step(position(), one, CONDOR, COSTS, 1, usual)
    assert (closing.why, closing.price) == (Exit.PROFIT_TARGET, -2.5)
    one = spx(2383.0, 2290.0, 2386.0, 2383.0)
    _, (closing,) = exits.step(position(), one, CONDOR, COSTS, 1, usual)
    assert (closing.why, closing.price) == (Exit.STOP, -15.0)


def test_in_a_bar_that_reaches_both_the_stop_comes_first() -> None:
    one = spx(2383.0, 2290.0, 2386.0, 2345.0)
    _, (closing,) = exits.step(position(), one, CONDOR, COSTS, 1, usual)
    assert (closing.why, closing.price) == (Exit.STOP, -15.0)
    one = spx(2383.0, 2340.0, 2386.0, 2345.0)
    _, (closing,) = exits.step(position(), one, CONDOR, COSTS, 1, usual)
    assert closing.why is Exit.PROFIT_TARGET


def test_expiry_pays_what_the_options_are_worth_at_the_last_close() -> None:
    one = spx(2330.0, 2329.0, 2340.0, 2340.0)
    _, (closing,) = exits.step(position(), one, CONDOR, COSTS, 0, usual)
    assert (closing.why, closing.price, closing.costs) == (Exit.EXPIRY, -10.0, 0.0)


def test_expiry_needs_no_volatility() -> None:
    _, (closing,) = exits.step(position(), spx(2383.0, 2380.0, 2386.0, 2382.0), CONDOR, COSTS, 0)
    assert (closing.why, closing.price) == (Exit.EXPIRY, 0.0)


def test_without_a_surface_the_last_mark_stays() -> None:
    held = position()
    left, closings = exits.step(held, spx(2300.0), CONDOR, COSTS, 4)
    assert closings == ()
    assert left == held.model_copy(
        update={"bars": 1, "marked_at": left.marked_at if left else None}
    )


def test_bought_options_have_no_stop_and_live_until_they_expire() -> None:
    bought = examples.proposal(
        structure="bull_call",
        side=1,
        legs=(
            Leg(right=Right.CALL, strike=2380.0, quantity=1),
            Leg(right=Right.CALL, strike=2400.0, quantity=-1),
        ),
        entry=-8.0,
        max_loss=830.0,
    )
    held = position(bought)
    assert held.stop is None
    one = spx(2300.0, 2290.0, 2383.0, 2382.0)
    left, closings = exits.step(held, one, CONDOR, COSTS, 1, usual)
    assert left is not None
    assert closings == ()
    one = spx(2390.0, 2380.0, 2395.0, 2382.0)
    _, (closing,) = exits.step(left, one, CONDOR, COSTS, 0, usual)
    assert (closing.why, closing.price) == (Exit.EXPIRY, 10.0)


def test_a_bot_without_stop_and_target_lets_its_options_expire() -> None:
    bare = examples.bot(profit_target=None, stop_multiple=None)
    held = position(bot=bare)
    left, closings = exits.step(held, spx(2300.0, 2290.0, 2310.0, 2300.0), bare, COSTS, 1, usual)
    assert closings == ()
    assert left is not None
    assert left.mark == pytest.approx(value(LEGS, usual(2300.0), 1))


def test_closing_options_early_costs_every_leg() -> None:
    _, (closing,) = exits.step(position(), spx(2300.0), CONDOR, COSTS, 4, usual)
    assert closing.costs == pytest.approx(2 * 4 * 0.15 * 2300 / 4500 * 100)


def test_a_mark_needs_a_surface_until_the_options_expire() -> None:
    with pytest.raises(DataError, match="no volatility surface"):
        exits.mark(position(), 2383.0, None, 3)
    marked = exits.mark(position(), 2390.0, USUAL, 3)
    assert marked.mark == pytest.approx(value(LEGS, usual(2390.0), 3))
    assert exits.mark(position(), 2330.0).mark == -10.0
    assert exits.mark(holding(), 103.0).unrealised == 30.0


def test_shares_stop_at_the_stop() -> None:
    left, (closing,) = through(holding(), bar(97.0, 95.0, 101.0, 99.0))
    assert left is None
    assert (closing.quantity, closing.price, closing.why) == (10, 96.0, Exit.STOP)


def test_shares_that_open_beyond_the_stop_are_filled_at_the_open() -> None:
    _, (closing,) = through(holding(), bar(95.0, 90.0, 101.0, 93.0))
    assert (closing.quantity, closing.price, closing.why) == (10, 93.0, Exit.GAP_STOP)


def test_half_is_sold_at_one_unit_of_risk_and_the_stop_is_raised_for_the_next_bar() -> None:
    left, (closing,) = through(holding(), bar(103.0, 99.0, 104.5, 100.0), close_range=None)
    assert (closing.quantity, closing.price, closing.why) == (5, 104.0, Exit.PARTIAL)
    assert left is not None
    assert (left.quantity, left.stop, left.risk) == (5, 100.0, 5 * 0.3)
    left, (closing,) = through(left, bar(99.0, 98.0, 103.0, 102.0), close_range=None)
    assert left is None
    assert (closing.quantity, closing.price, closing.why) == (5, 100.0, Exit.BREAK_EVEN)


def test_break_even_counts_the_costs() -> None:
    left, _ = exits.step(holding(), bar(105.0), BUYER, COSTS, 5)
    assert left is not None
    assert left.stop == pytest.approx(100.30)


def test_the_trail_follows_the_best_price_and_never_falls() -> None:
    left, _ = through(holding(), bar(110.0, 101.0, 112.0, 102.0))
    assert left is not None
    assert left.stop == pytest.approx(112.0 - 2.5 * 0.01 * 110.0)
    calm, _ = through(left, bar(110.0, 109.9, 110.0, 110.0), close_range=0.05)
    assert calm is not None
    assert calm.stop == left.stop
    _, (closing,) = through(calm, bar(108.0, 107.0, 111.0, 110.0))
    assert (closing.why, closing.price) == (Exit.TRAIL, left.stop)


def test_an_open_beyond_one_unit_of_risk_sells_half_there() -> None:
    left, closings = through(holding(), bar(99.0, 95.0, 107.0, 106.0))
    assert left is None
    assert [(c.quantity, c.price, c.why) for c in closings] == [
        (5, 106.0, Exit.PARTIAL),
        (5, 96.0, Exit.STOP),
    ]


def test_time_runs_out() -> None:
    left, (closing,) = through(holding(), bar(101.0, 99.0, 102.0, 100.0), remaining=0)
    assert left is None
    assert (closing.price, closing.why) == (101.0, Exit.TIME)


def test_half_and_the_rest_may_go_on_the_last_bar() -> None:
    left, closings = through(holding(), bar(103.0, 99.0, 105.0, 100.0), remaining=0)
    assert left is None
    assert [(c.quantity, c.price, c.why) for c in closings] == [
        (5, 104.0, Exit.PARTIAL),
        (5, 103.0, Exit.TIME),
    ]


def test_with_closes_alone_a_stop_is_filled_at_the_close_beyond_it() -> None:
    _, (closing,) = through(holding(), bar(94.0))
    assert (closing.price, closing.why) == (94.0, Exit.STOP)


def test_with_closes_alone_half_is_sold_at_the_level_and_no_better() -> None:
    left, (closing,) = through(holding(), bar(107.0))
    assert left is not None
    assert (closing.quantity, closing.price, closing.why) == (5, 104.0, Exit.PARTIAL)


def test_one_share_has_no_half_but_its_stop_is_raised_all_the_same() -> None:
    left, closings = through(holding(quantity=1), bar(105.0), close_range=None)
    assert closings == []
    assert left is not None
    assert (left.quantity, left.stop) == (1, 100.0)


def test_shares_without_a_stop_are_reported_and_not_guessed_at() -> None:
    bare = holding().model_copy(update={"stop": None})
    with pytest.raises(DataError, match="without a stop"):
        through(bare, bar(100.0))


# by hand


def test_what_is_left_can_be_closed_at_its_last_mark() -> None:
    marked = exits.mark(position(), 2390.0, USUAL, 3)
    closing = exits.flat(marked, 2390.0, COSTS)
    assert (closing.quantity, closing.price, closing.why) == (2, marked.mark, Exit.SESSION_END)
    assert closing.costs == pytest.approx(2 * 4 * 0.15 * 2390 / 4500 * 100)


def test_a_reduced_position_carries_its_part_of_the_costs_and_the_risk() -> None:
    left = exits.reduced(holding(), 4)
    assert left is not None
    assert (left.quantity, left.initial_quantity) == (4, 10)
    assert left.entry_costs == pytest.approx(4 * 0.15)
    assert left.risk == pytest.approx(4 * 4.3)
    assert exits.reduced(holding(), 0) is None
    with pytest.raises(Refused, match="11 cannot be left"):
        exits.reduced(holding(), 11)


# whatever happens

PRICES = st.floats(50.0, 200.0)
CONSISTENT = st.tuples(PRICES, PRICES, PRICES, PRICES).map(
    lambda p: bar(p[0], min(p), max(p), p[1])
)
LONE = PRICES.map(bar)


@given(st.lists(st.one_of(CONSISTENT, LONE), min_size=1, max_size=12), st.integers(1, 40))
def test_no_more_is_closed_than_was_held_and_time_closes_the_rest(
    bars: list[Bar], quantity: int
) -> None:
    left: Position | None = holding(quantity)
    closed = 0
    for remaining, one in zip(range(len(bars) - 1, -1, -1), bars, strict=True):
        if left is None:
            break
        before = left
        left, closings = exits.step(left, one, BUYER, COSTS, remaining, close_range=0.02)
        closed += sum(closing.quantity for closing in closings)
        held = 0 if left is None else left.quantity
        assert sum(closing.quantity for closing in closings) == before.quantity - held
        assert closed + held == quantity
        if left is not None:
            assert left.stop is not None
            assert before.stop is not None
            assert left.stop >= before.stop
            assert left.risk <= before.risk
    assert left is None
    assert closed == quantity


@given(
    st.tuples(*[st.floats(2100.0, 2700.0)] * 4),
    st.integers(0, 4),
    st.sampled_from([quiet, wild]),
)
def test_a_condor_never_brings_more_than_nothing_nor_costs_more_than_its_wing(
    prices: tuple[float, float, float, float], remaining: int, surface: exits.Priced
) -> None:
    close, opened, *_ = prices
    left, closings = exits.step(
        position(quantity=3),
        spx(close, min(prices), max(prices), opened),
        CONDOR,
        COSTS,
        remaining,
        surface,
    )
    assert (left is None) == bool(closings)
    assert sum(closing.quantity for closing in closings) in (0, 3)
    for closing in closings:
        assert -50.0 - 1e-9 <= closing.price <= 1e-9


@given(st.floats(2100.0, 2330.0))
def test_no_stop_is_filled_better_than_the_open_that_gapped_through_it(opened: float) -> None:
    at_open = value(LEGS, wild(opened), 5)
    one = spx(opened, opened - 5, opened + 5, opened)
    _, closings = exits.step(position(), one, CONDOR, COSTS, 4, wild)
    if -at_open >= 15.0:
        assert [(c.why, c.price) for c in closings] == [(Exit.GAP_STOP, at_open)]


def test_positions_expire_a_week_after_the_decision() -> None:
    assert position().expires - examples.CLOSE == timedelta(days=7)
