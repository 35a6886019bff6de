"""What a paper broker fills, and what it refuses to."""

from datetime import timedelta

import pytest

from domain import examples
from domain.book import Costs
from domain.errors import DataError, Refused
from domain.trade import Exit, Order
from market import pricing
from trading import exits
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.examples import EXPIRES, OPENED, bar, buyer, holding, order, position, shares
from trading.structures.base import value

BROKER = PaperBroker(Costs())
CONDOR = order(examples.proposal(), 3, examples.bot())
BUY = order(shares(), 10, buyer())
LEGS = examples.proposal().legs


def spx(**fields: object) -> Quote:
    plain = {"symbol": "SPX", "at": OPENED, "price": 2390.0, "surface": examples.surface()}
    return Quote.model_validate(plain | fields)


def ko(**fields: object) -> Quote:
    return Quote.model_validate({"symbol": "KO", "at": OPENED, "price": 100.5} | fields)


def test_a_condor_is_sold_at_the_next_open_and_the_spread_is_a_cost() -> None:
    fill = BROKER.submit(CONDOR, spx())
    at_open = pricing.shifted(examples.surface(), 2390.0)
    assert fill.price == pytest.approx(-value(LEGS, at_open, 5))
    assert fill.price > 0
    assert fill.costs == pytest.approx(3 * 4 * 0.15 * 2390 / 4500 * 100)
    assert (fill.quantity, fill.at, fill.decision_id) == (3, OPENED, CONDOR.decision_id)


def test_shares_are_bought_at_the_price_and_slippage_is_a_cost() -> None:
    fill = BROKER.submit(BUY, ko())
    assert fill.price == -100.5
    assert fill.costs == pytest.approx(10 * 100.5 * 0.0015)
    held = exits.open_position(BUY, fill, EXPIRES, buyer())
    assert (held.entry, held.stop) == (-100.5, 96.5)


def test_the_same_order_gets_the_same_fill() -> None:
    assert BROKER.submit(CONDOR, spx()) == BROKER.submit(CONDOR, spx())
    assert BROKER.submit(CONDOR, spx()).id == "fortress-SPX-20170303T2100Z#fill"


@pytest.mark.parametrize("price", [None, 0.0, -1.0])
def test_nothing_is_filled_without_a_price(price: float | None) -> None:
    with pytest.raises(DataError, match="has no price"):
        BROKER.submit(BUY, ko(price=price))


def test_options_are_not_filled_without_a_surface() -> None:
    with pytest.raises(DataError, match="no volatility surface"):
        BROKER.submit(CONDOR, spx(surface=None))


def test_the_quote_of_another_symbol_is_refused() -> None:
    with pytest.raises(Refused, match="the quote is of SPX"):
        BROKER.submit(BUY, spx())


def test_nothing_is_filled_at_the_close_it_was_decided_at_or_before() -> None:
    with pytest.raises(Refused, match="next open"):
        BROKER.submit(BUY, ko(at=BUY.placed_at))
    with pytest.raises(Refused, match="later bar"):
        BROKER.submit(BUY, ko(at=BUY.placed_at - timedelta(days=1)))


@pytest.mark.parametrize("remaining", [3, 0])
def test_what_an_exit_rule_saw_is_what_the_broker_fills(remaining: int) -> None:
    held, one = position(), bar(2330.0, symbol="SPX")
    tight = examples.bot(stop_multiple=1.0) if remaining else examples.bot()
    held = held.model_copy(update={"stop": 10.0 if remaining else 15.0})
    _, (closing,) = exits.step(
        held, one, tight, Costs(), remaining, lambda spot: examples.surface(spot=spot)
    )
    assert closing.why is (Exit.STOP if remaining else Exit.EXPIRY)
    selling = Order.closing(held, closing.quantity, closing.why, one.at)
    fill = BROKER.submit(selling, Quote.of(closing, one))
    assert (fill.price, fill.quantity) == (closing.price, closing.quantity)
    assert fill.costs == pytest.approx(closing.costs)
    assert (fill.costs > 0) == bool(remaining)


def test_a_closing_order_can_be_priced_too() -> None:
    selling = Order.closing(holding(), 4, Exit.TIME, OPENED)
    fill = BROKER.submit(selling, ko(price=103.0))
    assert (fill.price, fill.quantity) == (103.0, 4)
    buying = Order.closing(position(), 2, Exit.TIME, OPENED)
    fill = BROKER.submit(buying, spx(horizon=2))
    assert fill.price == pytest.approx(value(LEGS, pricing.shifted(examples.surface(), 2390.0), 2))
