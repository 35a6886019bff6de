"""Where the price is, relative to where it has been."""

from collections.abc import Callable
from functools import partial

from domain.values import FloatArray
from market.features.base import (
    Feature,
    change,
    ewm,
    highest,
    lag,
    mean,
    ratio,
    shared,
    value,
)
from market.panel import Panel

Compute = Callable[[Panel], FloatArray]


@shared
def average(panel: Panel, n: int) -> FloatArray:
    """Return the simple moving average of the close."""
    return mean(value(panel, "close"), n)


@shared
def smoothed(panel: Panel, span: int) -> FloatArray:
    """Return the exponential moving average of the close."""
    return ewm(value(panel, "close"), 2.0 / (span + 1.0))


def gap(panel: Panel) -> FloatArray:
    return value(panel, "open") / lag(value(panel, "close"), 1) - 1.0


def bar_range(panel: Panel) -> FloatArray:
    return value(panel, "high") / value(panel, "low") - 1.0


def close_position(panel: Panel) -> FloatArray:
    """Return where in the bar's range it closed; unknown for a bar without a range."""
    low = value(panel, "low")
    return ratio(value(panel, "close") - low, value(panel, "high") - low)


def to_average(panel: Panel, n: int) -> FloatArray:
    return value(panel, "close") / average(panel, n) - 1.0


def to_smoothed(panel: Panel, span: int) -> FloatArray:
    return value(panel, "close") / smoothed(panel, span) - 1.0


def from_high(panel: Panel, n: int) -> FloatArray:
    """Return the distance from the highest close of the last n bars, 0 or negative."""
    close = value(panel, "close")
    return close / highest(close, n) - 1.0


def _feature(name: str, warmup: int, needs: tuple[str, ...], compute: Compute) -> Feature:
    return Feature(name, "price", "fraction", warmup, needs, compute)


CLOSE = ("close",)

FEATURES = (
    *(_feature(f"return_{n}d", n + 1, CLOSE, partial(change, n=n)) for n in (1, 3, 5, 10, 20)),
    _feature("gap", 2, ("open", "close"), gap),
    _feature("range_1d", 1, ("high", "low"), bar_range),
    Feature("close_position", "price", "0..1", 1, ("high", "low", "close"), close_position),
    *(
        _feature(f"sma_ratio_{n}", n, CLOSE, partial(to_average, n=n))
        for n in (5, 10, 20, 50, 100, 200)
    ),
    # after three spans the first close weighs 0.25 %
    *(_feature(f"ema_ratio_{n}", 3 * n, CLOSE, partial(to_smoothed, span=n)) for n in (8, 21, 50)),
    _feature("distance_from_high_252", 252, CLOSE, partial(from_high, n=252)),
    _feature("drawdown_60", 60, CLOSE, partial(from_high, n=60)),
)
