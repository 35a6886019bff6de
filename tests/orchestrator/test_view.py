"""The books and switches of the desk at one moment."""

from datetime import UTC, datetime

import pytest

from domain.book import Switches
from domain.decision import Reason
from domain.errors import DataError
from orchestrator import pipeline
from orchestrator.desk import Desk
from orchestrator.view import allotted, opened
from storage import state
from tests.orchestrator.made import CLOSE, DAY, MINUTE, vetoed, wanting
from trading.bots.catalog import BOTS


def test_an_order_that_waits_for_its_fill_counts_as_open(flat: Desk) -> None:
    bot = BOTS["autotrader"].model_copy(update={"max_open": 2})
    flat.bots["autotrader"] = bot
    flat.seal([wanting(flat.ask(bot, symbol)) for symbol in ("KO", "JPM")])
    third = flat.ask(bot, "XOM")
    assert (third.book.open_positions, third.book.trades_today) == (2, 2)
    stopped = pipeline.run(third, lambda _: ())
    assert vetoed(stopped) == ("safety", Reason.MAX_OPEN)


def test_the_books_are_read_at_one_moment(flat: Desk) -> None:
    view = flat.view(CLOSE)
    assert view.switches == Switches()
    assert set(view.accounts) == set(view.allotted) == set(BOTS)
    assert sum(view.allotted.values()) == pytest.approx(1)
    book = view.book(BOTS["anchor"], "SPX")
    assert (book.equity, book.peak, book.day_pnl) == (200_000.0, 200_000.0, 0.0)
    assert (book.open_positions, book.trades_today, book.orders_today) == (0, 0, 0)


def test_capital_that_was_drawn_for_the_day_is_not_drawn_again(flat: Desk) -> None:
    bots = flat.bots
    one = allotted(flat.store, bots, CLOSE, 7)
    assert allotted(flat.store, bots, CLOSE, 7) == one
    drawn = dict.fromkeys(bots, 0.25)
    state.put(flat.store, "capital", {"day": "2016-03-07", "allotted": drawn})
    assert allotted(flat.store, bots, CLOSE, 7) == drawn != one
    assert allotted(flat.store, bots, CLOSE + DAY, 7) != drawn


def test_the_session_that_counts_is_the_one_that_is_on_or_was_last() -> None:
    monday = datetime(2016, 3, 7, 14, 30, tzinfo=UTC)
    assert opened(monday) == opened(CLOSE) == opened(CLOSE + 5 * MINUTE) == monday
    assert opened(monday - MINUTE) == datetime(2016, 3, 4, 14, 30, tzinfo=UTC)
    assert opened(datetime(2016, 3, 6, 12, tzinfo=UTC)).day == 4
    with pytest.raises(DataError, match="no session had opened by 1900"):
        opened(datetime(1900, 1, 1, tzinfo=UTC))
