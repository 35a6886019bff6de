"""What VIX says of the index, and how that came out so far.

VIX is the implied volatility of one index, so every feature here is of the panel's first symbol
and shared by all: how a stock's own option market is priced, no feed of ours knows.

"Known at the bar" is meant to the letter. A five-session survival counts from the bar at which
its fifth session has closed, never from its entry.
"""

from functools import partial

import numpy as np

from domain.values import FloatArray
from market.features.base import (
    FLAT,
    YEAR,
    Feature,
    change,
    highest,
    lag,
    lowest,
    mean,
    rank,
    shared,
    value,
    volatility,
)
from market.panel import Panel

HORIZON = 5
"""Sessions over which a survival is counted."""


def level(panel: Panel) -> FloatArray:
    return value(panel, "VIX")


def percentile(panel: Panel, n: int) -> FloatArray:
    """Return the share of the last n levels below today's, ties halved, 0 to 1."""
    vix = value(panel, "VIX")
    moved = highest(vix, n) > lowest(vix, n)
    return np.where(moved, (rank(vix, n) + 1.0) / 2.0, np.nan)


def vix_change(panel: Panel, n: int) -> FloatArray:
    return 100.0 * change(panel, n, need="VIX")


@shared
def price_change(panel: Panel) -> FloatArray:
    """Return the index's last daily change, in percent."""
    return 100.0 * change(panel, need="benchmark")


@shared
def expected_move(panel: Panel) -> FloatArray:
    """Return the one-session move that VIX implies, in percent of the level."""
    return value(panel, "VIX") / YEAR


def risk_premium(panel: Panel, n: int) -> FloatArray:
    """Return the implied move less the root mean square of the last n closed ones, in percent."""
    square = mean(price_change(panel) ** 2, n)
    return expected_move(panel) - np.sqrt(np.where(square > (100.0 * FLAT) ** 2, square, np.nan))


def survived(panel: Panel) -> FloatArray:
    """Return 1 where the move over the last `HORIZON` sessions stayed within what VIX implied.

    Dated by its end: entry and implied move are those of `HORIZON` bars ago.
    """
    close = value(panel, "benchmark")
    entry, implied = lag(close, HORIZON), lag(value(panel, "VIX"), HORIZON)
    width = entry * implied / 100.0 * np.sqrt(HORIZON) / YEAR
    unknown = np.isnan(close) | np.isnan(width)
    return np.where(unknown, np.nan, np.abs(close - entry) <= width)


def win_rate(panel: Panel, n: int) -> FloatArray:
    """Return the share of the last n survivals that are known at the bar."""
    return mean(survived(panel), n)


def iv_rank(panel: Panel, n: int) -> FloatArray:
    """Return where VIX stands between its lowest and highest of the last n bars, 0 to 1."""
    vix = value(panel, "VIX")
    low = lowest(vix, n)
    return (vix - low) / (highest(vix, n) - low)


def term(panel: Panel) -> FloatArray:
    return value(panel, "VIX1D") / value(panel, "VIX")


def realised_over_vix(panel: Panel, n: int) -> FloatArray:
    """Return the index's volatility of the last n sessions over VIX, both annualised."""
    return 100.0 * YEAR * volatility(panel, n, need="benchmark") / value(panel, "VIX")


VIX, BOTH = ("VIX",), ("benchmark", "VIX")

FEATURES = (
    Feature("vix", "options", "points", 1, VIX, level),
    Feature("vix_percentile_30d", "options", "0..1", 30, VIX, partial(percentile, n=30)),
    Feature("vix_change_1d", "options", "percent", 2, VIX, partial(vix_change, n=1)),
    Feature("vix_change_5d", "options", "percent", 6, VIX, partial(vix_change, n=5)),
    Feature("price_change_1d", "options", "percent", 2, ("benchmark",), price_change),
    Feature("expected_move_pct", "options", "percent", 1, VIX, expected_move),
    Feature("volatility_risk_premium", "options", "percent", 6, BOTH, partial(risk_premium, n=5)),
    Feature("win_rate_60d", "options", "fraction", 60 + HORIZON, BOTH, partial(win_rate, n=60)),
    Feature("iv_rank_252", "options", "0..1", 252, VIX, partial(iv_rank, n=252)),
    Feature("vix_term_1d_vix", "options", "ratio", 1, ("VIX1D", "VIX"), term),
    Feature("rv5_over_vix", "options", "ratio", 6, BOTH, partial(realised_over_vix, n=5)),
    Feature("rv21_over_vix", "options", "ratio", 22, BOTH, partial(realised_over_vix, n=21)),
)
