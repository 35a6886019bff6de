"""The last returns of a stock, one by one, for what reads a sequence."""

from functools import partial

import numpy as np

from domain.values import FloatArray
from market.features.base import Feature, log_return, shared, value
from market.panel import Panel

BARS = 64
"""Of the sequence, the newest included."""


@shared
def padded(panel: Panel) -> FloatArray:
    """Return the daily log returns with `BARS` unknown ones before them, shape (BARS + T, S)."""
    daily = log_return(panel)
    return np.concatenate([np.full((BARS, daily.shape[1]), np.nan), daily])


@shared
def halted(panel: Panel) -> FloatArray:
    """Return NaN where a symbol has no close and 0 where it has one; without rows if all have."""
    missing = np.isnan(value(panel, "close"))
    return np.where(missing, np.nan, 0.0) if missing.any() else missing[:0]


def lagged(panel: Panel, bars: int) -> FloatArray:
    """Return the log return of so many bars earlier, a view; unknown while there is no close."""
    earlier = padded(panel)[BARS - bars : BARS - bars + len(panel)]
    stopped = halted(panel)
    return earlier + stopped if len(stopped) else earlier


FEATURES = tuple(
    Feature(
        f"log_return_lag_{bars}",
        "sequence",
        "log return",
        bars + 2,
        ("close",),
        partial(lagged, bars=bars),
    )
    for bars in range(BARS)
)
