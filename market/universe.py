"""What is traded: which symbols are an index, which are stocks, and which are alive."""

from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from market import window
from market.panel import Panel

Universe = Literal["index", "stocks"]

INDICES = frozenset({"SPX", "NDX", "RUT", "DJX", "XSP", "OEX"})
"""Levels that nobody can buy; options on them settle in cash."""

STOCKS = {
    "AAPL": "Apple",
    "AMD": "Advanced Micro Devices",
    "BAC": "Bank of America",
    "BBY": "Best Buy",
    "CVX": "Chevron",
    "GE": "General Electric",
    "HD": "Home Depot",
    "JNJ": "Johnson & Johnson",
    "JPM": "JPMorgan Chase",
    "KO": "Coca-Cola",
    "LLY": "Eli Lilly",
    "MRK": "Merck",
    "MSFT": "Microsoft",
    "PEP": "PepsiCo",
    "PFE": "Pfizer",
    "PG": "Procter & Gamble",
    "RRC": "Range Resources",
    "UNH": "UnitedHealth",
    "WMT": "Walmart",
    "XOM": "Exxon Mobil",
}
"""The 20 stocks of the packaged feed. All of them were traded from 1990 to 2022: survivors, chosen
with hindsight, so what is earned by holding them is flattered."""


def members(universe: Universe, symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols that belong to a universe, in their order.

    Examples
    --------
    >>> members("index", ("SPX", "AAPL"))
    ('SPX',)
    >>> members("stocks", ("SPX", "AAPL"))
    ('AAPL',)
    """
    return tuple(symbol for symbol in symbols if (symbol in INDICES) == (universe == "index"))


def alive(panel: Panel, asof: datetime, within: timedelta = timedelta(days=5)) -> tuple[str, ...]:
    """Return the symbols that had a bar in the time `within` before `asof`, in their order.

    Membership as it was known then: a symbol that is listed later is not there yet, and one that
    stopped trading is gone.
    """
    recent = window.between(panel, asof - within, asof)
    traded = np.isfinite(recent.close)
    return tuple(symbol for symbol, bars in zip(panel.symbols, traded.T, strict=True) if bars.any())
