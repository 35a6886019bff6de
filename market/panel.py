"""Bars of many symbols on one time axis: what features, labels and correlations are computed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import cached_property
from math import isfinite
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from domain.market import Bar
from domain.values import FloatArray

Times = NDArray[np.datetime64]
Unit = Literal["session", "bar"]
"""What a panel counts: a bar each session, or bars within sessions."""
HOUR = 12
"""Bars of five minutes in an hour."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Prices of S symbols at T bars, oldest first.

    Parameters
    ----------
    times
        Close of each bar, UTC, ``datetime64[s]``, shape (T,), strictly rising.
    symbols
        Names, length S.
    open, high, low, close, volume
        Shape (T, S), float64. NaN where the feed does not have the number: a close-only feed has
        NaN in the other four, and no feature ever takes a missing number for zero.
    series
        Index levels beside the panel, each shape (T,): ``VIX``, ``VIX9D``, ``VIX1D``, ``VIX3M``.
        Absent or NaN means unknown. ``MINUTE``, minutes since the session's open, is there if and
        only if the bars are within sessions (`market.feeds.sessions.joined`).
    """

    times: Times
    symbols: tuple[str, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    series: Mapping[str, FloatArray] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """Intermediate results that features share; belongs to this panel alone."""

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def _column(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    def column(self, symbol: str) -> int:
        """Return the position of a symbol; `KeyError` if the panel does not have it."""
        return self._column[symbol]

    def bar(self, row: int, column: int = 0) -> Bar | None:
        """Return one bar of a symbol; None where it has no close."""
        prices = (side[row, column] for side in (self.open, self.high, self.low, self.close))
        opened, high, low, close = (float(price) if isfinite(price) else None for price in prices)
        if close is None:
            return None
        at = self.times[row].astype("datetime64[s]").item().replace(tzinfo=UTC)
        symbol = self.symbols[column]
        return Bar(symbol=symbol, at=at, open=opened, high=high, low=low, close=close)

    def rows(self, start: int, stop: int) -> Self:
        """Return bars `start` to `stop` (exclusive), as views. Only `market.window` calls this."""
        cut = slice(start, stop)
        return replace(
            self,
            times=self.times[cut],
            open=self.open[cut],
            high=self.high[cut],
            low=self.low[cut],
            close=self.close[cut],
            volume=self.volume[cut],
            series={name: values[cut] for name, values in self.series.items()},
            memo={},
        )
