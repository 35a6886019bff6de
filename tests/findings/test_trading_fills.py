"""Backtests of the seed earned money that no market would have paid."""

from datetime import timedelta

import pytest

from domain import examples
from domain.book import Costs
from domain.errors import DataError, Refused
from domain.market import Surface
from domain.trade import Exit
from market import pricing
from trading import accounting, exits
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.examples import OPENED, bar, buyer, holding, order, position, shares

COSTS = Costs()


def surface(spot: float) -> Surface:
    return pricing.shifted(examples.surface(), spot)


def test_a_decision_is_not_filled_at_the_close_it_was_taken_on() -> None:
    buying = order(shares(), 10, buyer())
    own = Quote(symbol="KO", at=buying.placed_at, price=100.0)
    with pytest.raises(Refused, match="decided on this very bar"):
        PaperBroker(COSTS).submit(buying, own)
    later = own.model_copy(update={"at": OPENED})
    assert PaperBroker(COSTS).submit(buying, later).at == OPENED


def test_a_missing_price_is_not_replaced_by_a_default() -> None:
    buying = order(shares(), 10, buyer())
    with pytest.raises(DataError):
        PaperBroker(COSTS).submit(buying, Quote(symbol="KO", at=OPENED, price=None))


def test_a_bars_high_does_not_raise_the_stop_that_its_own_low_hits() -> None:
    # 112 would put the trail at 109.25; the low of the same bar was 101
    left, closings = exits.step(
        holding(), bar(110.0, 101.0, 112.0, 102.0), buyer(), COSTS, 5, None, 0.01
    )
    assert [closing.why for closing in closings] == [Exit.PARTIAL]
    assert left is not None
    assert left.stop is not None
    assert left.stop > 101.0


def test_the_low_of_a_bar_comes_before_its_high() -> None:
    _, closings = exits.step(holding(), bar(103.0, 95.0, 112.0, 100.0), buyer(), COSTS, 5)
    assert [(closing.why, closing.price) for closing in closings] == [(Exit.STOP, 96.0)]


def test_a_gap_through_the_stop_is_filled_at_the_open_and_not_at_the_stop() -> None:
    _, (closing,) = exits.step(holding(), bar(92.0, 90.0, 94.0, 93.0), buyer(), COSTS, 5)
    assert (closing.why, closing.price) == (Exit.GAP_STOP, 93.0)
    gap = bar(2330.0, 2290.0, 2335.0, 2300.0, symbol="SPX")
    _, (closing,) = exits.step(position(), gap, examples.bot(), COSTS, 4, surface)
    assert closing.why is Exit.GAP_STOP
    assert closing.price < -15.0


def test_a_feed_of_closes_fills_a_stop_at_the_close_beyond_it() -> None:
    _, (closing,) = exits.step(holding(), bar(91.0), buyer(), COSTS, 5)
    assert closing.price == 91.0


def test_an_open_that_is_missing_is_not_an_open_at_zero() -> None:
    left, closings = exits.step(holding(), bar(101.0), buyer(), COSTS, 5)
    assert closings == ()
    assert left is not None


def test_no_target_is_filled_better_than_its_limit() -> None:
    _, (closing, *_) = exits.step(holding(), bar(130.0), buyer(), COSTS, 5)
    assert (closing.why, closing.price) == (Exit.PARTIAL, 104.0)
    calm = bar(2383.0, 2380.0, 2386.0, 2383.0, symbol="SPX")
    _, (closing,) = exits.step(position(), calm, examples.bot(), COSTS, 1, surface)
    assert (closing.why, closing.price) == (Exit.PROFIT_TARGET, -2.5)


def test_the_result_of_a_trade_has_every_commission_in_it() -> None:
    held = holding()
    _, (closing,) = exits.step(held, bar(101.0, 99.0, 102.0, 100.0), buyer(), COSTS, 0)
    trade = accounting.trade(held, closing, OPENED + timedelta(hours=6))
    paid = 10 * 100.0 * 0.0015 + 10 * 101.0 * 0.0015
    assert trade.costs == pytest.approx(paid)
    assert trade.pnl == pytest.approx(10 * 1.0 - paid)


def test_options_are_not_closed_for_nothing() -> None:
    lone = bar(2300.0, symbol="SPX")
    _, (closing,) = exits.step(position(), lone, examples.bot(), COSTS, 4, surface)
    assert closing.costs > 0
