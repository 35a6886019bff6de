"""Rules of the seed that stood in for measurements, or stood in the way of getting out."""

from inspect import signature

import pytest

from domain import examples
from domain.book import Costs
from domain.decision import Context
from domain.errors import FeatureMismatch, Refused
from domain.trade import Exit, Order
from domain.values import Action
from trading import accounting, exits
from trading.accounting import Account
from trading.bots.catalog import BOTS
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.examples import OPENED, bar, buyer, holding
from trading.exits import Closing
from trading.strategies import catalog
from trading.strategies.score import FEATURES

STRONG = {
    "close_range_14": 0.01,
    "sma_ratio_5": 0.005,
    "sma_ratio_10": 0.01,
    "sma_ratio_20": 0.02,
    "sma_ratio_50": 0.04,
    "rsi_14": 60.0,
    "macd_histogram": 0.001,
    "vix": 12.0,
}


def stock(**fields: object) -> Context:
    plain = {"bot": BOTS["autotrader"], "symbol": "KO", "price": 100.0, "features": STRONG}
    return examples.context(**(plain | fields))


def test_exits_that_reduce_are_never_blocked() -> None:
    # neither the rule nor the broker is handed a switch, so no mode can keep a position open
    for asked in (exits.step, exits.flat, PaperBroker.submit):
        assert not {"switches", "limits", "mode", "context"} & signature(asked).parameters.keys()
    held, one = holding(), bar(95.0, 94.0, 99.0, 98.0)
    left, (closing,) = exits.step(held, one, buyer(), Costs(), 5)
    selling = Order.closing(held, closing.quantity, closing.why, one.at)
    assert left is None
    assert PaperBroker(Costs()).submit(selling, Quote.of(closing, one)).quantity == 10


def test_a_trend_that_began_long_ago_can_still_be_joined() -> None:
    # nothing has crossed anything: every state is what it was on the bar before
    first = catalog.setup(stock())
    later = catalog.setup(stock(bar=OPENED, asof=OPENED))
    assert first.action is later.action is Action.BUY


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_that_is_missing_is_not_zero(name: str) -> None:
    blind = {key: value for key, value in STRONG.items() if key != name}
    with pytest.raises(FeatureMismatch, match=name):
        catalog.setup(stock(features=blind))


def test_no_other_strategy_steps_in_for_one_that_is_missing() -> None:
    lost = BOTS["autotrader"].model_copy(update={"strategy": "mean_reversion_ml"})
    with pytest.raises(Refused, match="mean_reversion_ml"):
        catalog.setup(stock(bot=lost))
    with pytest.raises(Refused, match="mean_reversion_ml"):
        catalog.propose(stock(bot=lost))


def test_breaking_even_is_neither_a_win_nor_a_loss() -> None:
    account = Account.of(buyer()).model_copy(update={"losses_in_row": 2})
    held = holding()
    even = exits.break_even(held, Costs())
    costs = exits.closing_costs(held, even, even, Exit.BREAK_EVEN, Costs()) * 10
    closing = Closing(quantity=10, price=even, why=Exit.BREAK_EVEN, costs=costs)
    trade = accounting.trade(held, closing, OPENED)
    assert trade.r == pytest.approx(0.0, abs=0.001)
    after = accounting.applied(account, trade)
    assert (after.losses_in_row, after.wins, after.losses) == (2, 0, 0)


def test_equity_counts_what_is_open_once() -> None:
    account, held = Account.of(buyer()), exits.mark(holding(), 103.0)
    for _ in range(3):
        account = accounting.marked(account, accounting.unrealised([held]))
    assert account.equity == pytest.approx(100_000.0 + 30.0 - 1.5)


def test_the_day_begins_anew_every_session() -> None:
    account = accounting.marked(Account.of(buyer()), -900.0)
    assert account.day_pnl == -900.0
    assert accounting.rolled(account, OPENED.date()).day_pnl == 0.0


def test_no_bot_asks_for_strikes_that_are_not_listed() -> None:
    # SAMSON's ancestor wanted wings of 12 points where strikes are 5 apart
    for bot in BOTS.values():
        if bot.wing is not None and bot.strike_step is not None:
            assert bot.wing % bot.strike_step == 0
            assert bot.strike_step % 5 == 0
