"""Where the money is."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import examples
from domain.book import Costs
from domain.trade import Exit, Position, Trade
from trading import accounting, exits
from trading.accounting import Account
from trading.bots.catalog import BOTS
from trading.examples import OPENED, bar, buyer, holding, position
from trading.exits import Closing

COSTS = Costs()
AT = OPENED + timedelta(hours=6, minutes=30)
MONDAY = date(2017, 3, 6)


def account(**fields: object) -> Account:
    return Account.of(examples.bot()).model_copy(update=fields)


def closed(pnl: float, r: float, costs: float = 0.0) -> Trade:
    one = accounting.trade(
        position(), Closing(quantity=1, price=-2.5, why=Exit.STOP, costs=0.0), AT
    )
    return one.model_copy(update={"pnl": pnl, "r": r, "costs": costs})


def test_a_trade_counts_every_cost_and_its_profit_in_units_of_risk() -> None:
    held = position(quantity=2)
    closing = Closing(quantity=1, price=-2.5, why=Exit.PROFIT_TARGET, costs=30.0)
    trade = accounting.trade(held, closing, AT)
    assert trade.pnl == 250.0 - 30.0 - 30.0
    assert trade.costs == 60.0
    assert trade.risk == 4_560.0
    assert trade.r == pytest.approx(190.0 / 4_560.0)
    assert trade.id == "fortress-SPX-20170303T2100Z/profit_target-20170306T2100Z"
    assert trade.simulated.startswith("simulated")


def test_the_worst_case_of_a_condor_is_one_unit_of_risk() -> None:
    held = position(quantity=1)
    closing = Closing(quantity=1, price=-50.0, why=Exit.STOP, costs=30.0)
    assert accounting.trade(held, closing, AT).r == pytest.approx(-1.0)


def test_a_share_stopped_at_its_first_stop_loses_one_unit_of_risk() -> None:
    _, (closing,) = exits.step(holding(), bar(96.0, 95.0, 99.0, 98.0), buyer(), COSTS, 5)
    assert accounting.trade(holding(), closing, AT).r == pytest.approx(-1.0, abs=0.002)


def test_what_is_unrealised_has_paid_to_get_in() -> None:
    marked = exits.mark(holding(), 103.0)
    assert accounting.unrealised([marked]) == pytest.approx(30.0 - 1.5)
    assert accounting.unrealised([]) == 0.0


def test_a_new_high_is_the_new_peak_and_a_loss_leaves_it() -> None:
    up = accounting.marked(account(), 5_000.0)
    assert (up.equity, up.peak, up.drawdown) == (105_000.0, 105_000.0, 0.0)
    down = accounting.marked(up, -5_500.0)
    assert (down.equity, down.peak) == (94_500.0, 105_000.0)
    assert down.drawdown == pytest.approx(0.1)


def test_three_losses_make_a_streak_and_a_win_breaks_it() -> None:
    one = account()
    for _ in range(3):
        one = accounting.applied(one, closed(-500.0, -0.1))
    assert (one.losses_in_row, one.losses, one.trades) == (3, 3, 3)
    assert accounting.applied(one, closed(500.0, 0.1)).losses_in_row == 0
    assert accounting.reset_streak(one).losses_in_row == 0


def test_a_trade_that_comes_out_even_neither_wins_nor_loses() -> None:
    two = account(losses_in_row=2)
    for r in (-0.001, 0.0, 0.001):
        even = accounting.applied(two, closed(0.0, r))
        assert (even.losses_in_row, even.wins, even.losses, even.trades) == (2, 0, 0, 1)


def test_half_a_hundredth_of_a_strike_is_a_win_and_breaks_a_streak() -> None:
    """A put that is sold against its whole strike never brings more; it once counted as even."""
    won = accounting.applied(account(losses_in_row=2), closed(320.0, 0.006))
    assert (won.losses_in_row, won.wins) == (0, 1)


def test_a_session_starts_its_result_again_and_only_once() -> None:
    rolled = accounting.rolled(accounting.marked(account(), 1_000.0), MONDAY)
    assert (rolled.day_open_equity, rolled.day_pnl) == (101_000.0, 0.0)
    again = accounting.marked(rolled, 400.0)
    assert again.day_pnl == -600.0
    assert accounting.rolled(again, MONDAY) == again
    with pytest.raises(ValueError, match="cannot go back"):
        accounting.rolled(again, MONDAY - timedelta(days=1))


def test_a_book_shows_the_bots_own_money_and_everybodys_risk() -> None:
    mine = accounting.marked(account(losses_in_row=1), 500.0)
    others = Account.of(BOTS["anchor"])
    held = position()
    book = accounting.book(
        mine, [mine, others], [accounting.exposure(held)], [held, holding()], 0.3, 2, 1
    )
    assert book.equity == 100_500.0
    assert book.day_pnl == 500.0
    assert book.desk_equity == 300_500.0
    assert (book.losses_in_row, book.trades_today, book.orders_today) == (1, 2, 1)
    assert book.open_positions == 1
    assert (book.allocation, book.bots) == (0.3, 2)
    assert [(e.id, e.risk, e.side) for e in book.exposures] == [(held.id, held.risk, -1)]


PRICES = st.floats(60.0, 160.0)


@given(
    st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES), min_size=1, max_size=25),
    st.integers(1, 30),
)
def test_what_an_account_started_with_and_its_trades_are_all_its_money(
    bars: list[tuple[float, float, float, float]], quantity: int
) -> None:
    money, left, trades = Account.of(buyer()), None, []
    for i, prices in enumerate(bars):
        held: Position = left or holding(quantity)
        one = bar(prices[0], min(prices), max(prices), prices[1])
        left, closings = exits.step(held, one, buyer(), COSTS, len(bars) - 1 - i, None, 0.01)
        for closing in closings:
            trades.append(accounting.trade(held, closing, AT))
            money = accounting.applied(money, trades[-1])
        open_now = [] if left is None else [left]
        money = accounting.marked(money, accounting.unrealised(open_now))
        assert money.peak >= money.equity
    assert left is None
    assert money.unrealised == 0.0
    assert money.equity == pytest.approx(money.capital + sum(trade.pnl for trade in trades))
    assert money.costs == pytest.approx(sum(trade.costs for trade in trades))
    assert money.trades == len(trades)
    for trade in trades:
        gross = (trade.entry + trade.exit) * trade.quantity
        assert trade.pnl == pytest.approx(gross - trade.costs)


@given(st.integers(2, 30), st.data())
def test_a_position_closed_in_parts_pays_its_costs_once(quantity: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, quantity - 1))
    held = holding(quantity)
    left = exits.reduced(held, quantity - first)
    assert left is not None
    parts = [
        accounting.trade(held, Closing(quantity=first, price=104.0, why=Exit.PARTIAL, costs=0), AT),
        accounting.trade(
            left, Closing(quantity=quantity - first, price=101.0, why=Exit.TIME, costs=0), AT
        ),
    ]
    assert sum(part.costs for part in parts) == pytest.approx(held.entry_costs)
    assert sum(part.risk for part in parts) == pytest.approx(held.risk)
