"""Who belongs where, and since when."""

from datetime import UTC, datetime

import numpy as np

from market import universe
from market.panel import Panel


def test_every_symbol_is_an_index_or_a_stock() -> None:
    symbols = ("SPX", "AAPL", "NDX", "XOM")
    assert universe.members("index", symbols) == ("SPX", "NDX")
    assert universe.members("stocks", symbols) == ("AAPL", "XOM")


def test_there_are_twenty_stocks_in_order() -> None:
    assert len(universe.STOCKS) == 20
    assert list(universe.STOCKS) == sorted(universe.STOCKS)


def test_alive_is_who_traded_lately_and_not_who_will() -> None:
    times = np.datetime64("2018-01-02T21:00:00", "s") + np.arange(20) * np.timedelta64(1, "D")
    close = np.full((20, 3), 10.0)
    close[5:, 1] = np.nan  # delisted
    close[:15, 2] = np.nan  # listed later
    gone = np.full_like(close, np.nan)
    panel = Panel(times, ("SPX", "OLD", "NEW"), gone, gone, gone, close, gone)
    assert universe.alive(panel, datetime(2018, 1, 4, tzinfo=UTC)) == ("SPX", "OLD")
    assert universe.alive(panel, datetime(2018, 1, 15, tzinfo=UTC)) == ("SPX",)
    assert universe.alive(panel, datetime(2018, 1, 18, tzinfo=UTC)) == ("SPX", "NEW")
    assert universe.alive(panel, datetime(2017, 1, 1, tzinfo=UTC)) == ()
