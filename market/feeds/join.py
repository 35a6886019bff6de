"""Clean bars of many symbols put onto one time axis.

The axis is the *union* of the symbols' bars: a symbol without a bar has NaN there. The intersection
would drop a bar of every symbol wherever one lacks it, and what is computed as a one-day change
would in truth be a change over two days; a NaN makes it unknown, which is what it is.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from domain.values import FloatArray
from market import calendar
from market.panel import Panel, Times
from market.quality import PRICES, Frequency

if TYPE_CHECKING:
    import pandas as pd


class Levels(NamedTuple):
    """An index beside the prices, such as VIX: its values, and how often it is printed."""

    frame: "pd.DataFrame"
    """Clean: ``time`` and ``close``."""
    frequency: Frequency = "daily"
    interval: int = 0
    """Seconds, of intraday values."""
    after: bool = False
    """Whether a session's value is made after its close, to be known from the next session on."""


def union(prices: Mapping[str, "pd.DataFrame"], series: Mapping[str, Levels]) -> Panel:
    """Return all symbols on the union of their times, with what was known of each series then.

    Parameters
    ----------
    prices
        Symbol to clean bars, as `market.quality.clean` returns them. Columns keep this order.
    series
        Name to clean values.
    """
    stamps = [frame["time"].to_numpy().astype("datetime64[s]") for frame in prices.values()]
    times = np.unique(np.concatenate(stamps)) if stamps else np.empty(0, "datetime64[s]")
    shape = (len(times), len(prices))
    arrays = {name: np.full(shape, np.nan) for name in (*PRICES, "volume")}
    for column, (stamp, frame) in enumerate(zip(stamps, prices.values(), strict=True)):
        rows = np.searchsorted(times, stamp)
        for name in arrays.keys() & set(frame.columns):
            arrays[name][rows, column] = frame[name].to_numpy(np.float64)
    known = {name: known_at(times, levels) for name, levels in series.items()}
    return Panel(
        times=times,
        symbols=tuple(prices),
        open=arrays["open"],
        high=arrays["high"],
        low=arrays["low"],
        close=arrays["close"],
        volume=arrays["volume"],
        series=known,
    )


def known_at(times: Times, levels: Levels) -> FloatArray:
    """Return the newest value of a series at each time, or NaN where that is too old to say.

    A daily value holds from its session's close until the next one's: a daily bar takes the value
    of its own session or none, a bar within a session takes that of the session before. One that is
    made `after` the close holds from the next session's open to its close: every bar takes that of
    the session before its own, or none. An intraday value holds for twice its interval.
    """
    stamps = levels.frame["time"].to_numpy().astype("datetime64[s]")
    values = levels.frame["close"].to_numpy(np.float64)
    if not len(stamps):
        return np.full(len(times), np.nan)
    if levels.after:
        return _before(times, stamps, values)
    place = np.searchsorted(stamps, times, side="right") - 1
    newest = stamps[np.maximum(place, 0)]
    if levels.frequency == "daily":
        closes = calendar.hours().closes
        ended = np.searchsorted(closes, times, side="right") - 1
        fresh = (ended >= 0) & (newest >= closes[np.maximum(ended, 0)])
    else:
        fresh = times - newest < np.timedelta64(2 * levels.interval, "s")
    return np.where((place >= 0) & fresh, values[np.maximum(place, 0)], np.nan)


def _before(times: Times, stamps: Times, values: FloatArray) -> FloatArray:
    """Return at each time the value of the session before the one that it lies in."""
    _, opens, closes = calendar.hours()
    session = np.searchsorted(opens, times, side="right") - 1
    due = closes[np.maximum(session - 1, 0)]
    place = np.minimum(np.searchsorted(stamps, due), len(stamps) - 1)
    return np.where((session > 0) & (stamps[place] == due), values[place], np.nan)
