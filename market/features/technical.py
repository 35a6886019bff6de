"""The classic indicators, each as its author defined it, on Wilder's or the usual periods."""

from functools import partial

import numpy as np

from domain.values import FloatArray
from market.features.base import (
    FLAT,
    Feature,
    deviation,
    difference,
    ewm,
    highest,
    lag,
    lowest,
    mean,
    ratio,
    shared,
    value,
)
from market.features.price import average, smoothed
from market.panel import Panel

WILDER = 14


def moving(x: FloatArray, level: FloatArray) -> FloatArray:
    """Return x, unknown where it is less than `FLAT` of the level: what does not move has none."""
    return np.where(x > FLAT * level, x, np.nan)


# momentum


def rsi(panel: Panel, n: int) -> FloatArray:
    """Return Wilder's relative strength index: rises as a share of all moves, in percent."""
    close = value(panel, "close")
    step = difference(close)
    rise = np.maximum(step, 0.0)
    up, down = ewm(rise, 1.0 / n), ewm(rise - step, 1.0 / n)
    return 100.0 * up / moving(up + down, close)


@shared
def macd(panel: Panel) -> FloatArray:
    """Return the fast EMA less the slow one, as a share of the close."""
    return (smoothed(panel, 12) - smoothed(panel, 26)) / value(panel, "close")


@shared
def macd_signal(panel: Panel) -> FloatArray:
    close = value(panel, "close")
    return ewm(macd(panel) * close, 2.0 / 10.0) / close


def macd_histogram(panel: Panel) -> FloatArray:
    return macd(panel) - macd_signal(panel)


@shared
def stochastic(panel: Panel) -> FloatArray:
    """Return where the close is in the range of the last 14 bars, in percent."""
    low = lowest(value(panel, "low"), WILDER)
    return 100.0 * ratio(value(panel, "close") - low, highest(value(panel, "high"), WILDER) - low)


def stochastic_d(panel: Panel) -> FloatArray:
    return mean(stochastic(panel), 3)


def williams(panel: Panel) -> FloatArray:
    return stochastic(panel) - 100.0


# ranges


@shared
def true_range(panel: Panel) -> FloatArray:
    """Return Wilder's true range, in points; on the first bar the bar's own range."""
    high, low = value(panel, "high"), value(panel, "low")
    before = lag(value(panel, "close"), 1)
    # maximum() keeps an unknown high or low unknown, fmax() only forgives an unknown close before
    return np.fmax(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))


@shared
def average_range(panel: Panel) -> FloatArray:
    """Return the average true range over 14 bars, in points."""
    return ewm(true_range(panel), 1.0 / WILDER)


def atr(panel: Panel) -> FloatArray:
    close = value(panel, "close")
    return moving(average_range(panel), close) / close


@shared
def close_range(panel: Panel) -> FloatArray:
    """Return the mean close-to-close move of the last 14 bars, as a share of the close.

    What an average range can be where a feed has only closes.
    """
    close = value(panel, "close")
    return moving(mean(np.abs(difference(close)), WILDER), close) / close


# bands


@shared
def band(panel: Panel) -> FloatArray:
    """Return the standard deviation, of the population, of the last 20 closes, in points."""
    return deviation(value(panel, "close"), 20, average(panel, 20)) * np.sqrt(19.0 / 20.0)


def bollinger_b(panel: Panel) -> FloatArray:
    """Return %B: 0 on the lower band, 1 on the upper."""
    return 0.5 + (value(panel, "close") - average(panel, 20)) / (4.0 * band(panel))


def bollinger_width(panel: Panel) -> FloatArray:
    return 4.0 * band(panel) / average(panel, 20)


# direction


@shared
def directional(panel: Panel, side: int) -> FloatArray:
    """Return Wilder's directional indicator: +1 for the upward, -1 for the downward, percent."""
    up, down = difference(value(panel, "high")), -difference(value(panel, "low"))
    ahead, behind = (up, down) if side > 0 else (down, up)
    step = np.where((ahead > behind) & (ahead > 0.0), ahead, 0.0)
    step[np.isnan(up) | np.isnan(down)] = np.nan
    return 100.0 * ewm(step, 1.0 / WILDER) / moving(average_range(panel), value(panel, "close"))


def adx(panel: Panel) -> FloatArray:
    """Return Wilder's average directional index, percent: how one-sided, whichever side."""
    plus, minus = directional(panel, 1), directional(panel, -1)
    return ewm(100.0 * ratio(np.abs(plus - minus), plus + minus), 1.0 / WILDER)


CLOSE, BAR = ("close",), ("high", "low", "close")
SETTLED = 6 * WILDER
"""After six periods the first value of Wilder's average weighs 0.2 %."""

FEATURES = (
    *(
        Feature(f"rsi_{n}", "technical", "0..100", 6 * n + 1, CLOSE, partial(rsi, n=n))
        for n in (2, 7, 14, 21)
    ),
    Feature("macd", "technical", "fraction", 78, CLOSE, macd),
    Feature("macd_signal", "technical", "fraction", 105, CLOSE, macd_signal),
    Feature("macd_histogram", "technical", "fraction", 105, CLOSE, macd_histogram),
    Feature("stochastic_k", "technical", "0..100", WILDER, BAR, stochastic),
    Feature("stochastic_d", "technical", "0..100", WILDER + 2, BAR, stochastic_d),
    Feature("williams_r", "technical", "-100..0", WILDER, BAR, williams),
    Feature("atr_14", "technical", "fraction", SETTLED, BAR, atr),
    Feature("close_range_14", "technical", "fraction", WILDER + 1, CLOSE, close_range),
    Feature("bollinger_b", "technical", "bands", 20, CLOSE, bollinger_b),
    Feature("bollinger_width", "technical", "fraction", 20, CLOSE, bollinger_width),
    Feature("adx_14", "technical", "0..100", 2 * SETTLED, BAR, adx),
    Feature("plus_di_14", "technical", "0..100", SETTLED + 1, BAR, partial(directional, side=1)),
    Feature("minus_di_14", "technical", "0..100", SETTLED + 1, BAR, partial(directional, side=-1)),
)
