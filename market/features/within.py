"""What is known while a session is on: of its own bars, and of the close before where gamma stood.

Each of these is computed on bars within sessions, `market.feeds.base.Feed.by("bar")`, and counts
bars, not sessions. They need ``MINUTE``, which only such a panel has; on daily bars every one of
them is unknown.
"""

from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from domain.values import FloatArray
from market.features import gex
from market.features.base import Feature, change, mean, ratio, shared, value
from market.panel import HOUR, Panel

SESSION = 390.0
"""Minutes of a whole session."""
LAGS = (1, 3, 6, 12, 36)


def time(panel: Panel) -> FloatArray:
    """Return how much of a whole session has gone by, 0 to 1."""
    return value(panel, "MINUTE") / SESSION


@shared
def usual(panel: Panel) -> FloatArray:
    """Return the mean absolute change from bar to bar of the last hour, a fraction."""
    return mean(np.abs(change(panel)), HOUR)


def trend(panel: Panel) -> FloatArray:
    """Return how much of its way price has not gone back on in the last hour, -1 to 1 [1]_.

    References
    ----------
    .. [1] P. Kaufman, "Trading Systems and Methods": the efficiency ratio, with a sign.
    """
    return ratio(mean(change(panel), HOUR), usual(panel))


def since_open(panel: Panel) -> FloatArray:
    """Return the change since the first open of the session that is there, a fraction."""
    return value(panel, "close") / value(panel, "open")[_begins(panel)] - 1.0


def place(panel: Panel) -> FloatArray:
    """Return where in the session's range so far the close is, 0 at its low and 1 at its high."""
    high, low, close = (value(panel, side) for side in ("high", "low", "close"))
    top, bottom = np.full(close.shape, np.nan), np.full(close.shape, np.nan)
    for start, stop in pairwise([*np.unique(_begins(panel)).tolist(), len(panel)]):
        top[start:stop] = np.maximum.accumulate(high[start:stop], axis=0)
        bottom[start:stop] = np.minimum.accumulate(low[start:stop], axis=0)
    return ratio(close - bottom, top - bottom)


def _begins(panel: Panel) -> NDArray[np.intp]:
    """Return for each bar the row of the first bar of its session that is there, shape (T,)."""
    minute = value(panel, "MINUTE")[:, 0]
    fresh = np.ones(minute.shape, np.bool_)
    fresh[1:] = ~(minute[1:] > minute[:-1])
    return np.maximum.accumulate(np.where(fresh, np.arange(len(panel)), 0))


BARS = ("MINUTE", "close")
MAGNETS = ("MINUTE", *gex.MAGNETS)
FLAG, FRACTION, PERCENT = "0 or 1", "fraction", "percent"
FEATURES = (
    Feature("bar_time", "within", FRACTION, 1, ("MINUTE",), time),
    *(
        Feature(f"bar_change_{n}", "within", FRACTION, n + 1, BARS, partial(change, n=n))
        for n in LAGS
    ),
    Feature("bar_range", "within", FRACTION, HOUR + 1, BARS, usual),
    Feature("bar_trend", "within", "-1..1", HOUR + 1, BARS, trend),
    Feature("bar_since_open", "within", FRACTION, 1, (*BARS, "open"), since_open),
    Feature("bar_place", "within", "0..1", 1, (*BARS, "high", "low"), place),
    Feature("bar_vix", "within", PERCENT, 1, ("MINUTE", "VIX"), partial(value, need="VIX")),
    Feature("bar_vix_1d", "within", PERCENT, 1, ("MINUTE", "VIX1D"), partial(value, need="VIX1D")),
    *(
        Feature(
            f"bar_{what}_pct",
            "within",
            PERCENT,
            1,
            ("MINUTE", "benchmark", level),
            partial(gex.above, level=level),
        )
        for what, level in (
            ("flip", "GEX_FLIP"),
            ("call_wall", "GEX_CALL_WALL"),
            ("put_wall", "GEX_PUT_WALL"),
        )
    ),
    Feature("bar_magnet_pct", "within", PERCENT, 1, MAGNETS, gex.above_magnet),
    Feature("bar_in_pin_zone", "within", FLAG, 1, MAGNETS, gex.in_pin_zone),
    Feature("bar_pin_zone_width_pct", "within", PERCENT, 1, MAGNETS, gex.pin_zone_width),
    Feature("bar_gamma_ratio_log", "within", "log", 1, ("MINUTE", *gex.SIDES), gex.puts_over_calls),
    Feature("bar_gamma_positive", "within", FLAG, 1, ("MINUTE", "GEX_NET"), gex.positive),
)
