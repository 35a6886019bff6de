"""What option markets say of the index, and how that came out so far.

VIX is the implied volatility of one index, and so are its kin, the ratio of puts to calls and what
is read off the index's chains: every feature here but `prev_range_pct` is of the panel's first
symbol and shared by all. How a stock's own option market is priced, no feed of ours knows.

"Known at the bar" is meant to the letter. What is made after the close, such as `PUT_CALL`, `DIX`
and the ``CHAIN_`` series, is at a bar that of the session before, as the feed sees to. A
five-session survival counts from the bar at which
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
    deviation,
    highest,
    lag,
    lowest,
    mean,
    percentile,
    shared,
    value,
    volatility,
)
from market.panel import Panel

HORIZON = 5
"""Sessions over which a survival is counted."""


def level(panel: Panel, need: str = "VIX") -> FloatArray:
    return value(panel, need)


def standing(panel: Panel, need: str, n: int) -> FloatArray:
    """Return the share of the last n values of a series below the newest, ties halved, 0 to 1."""
    return percentile(value(panel, need), n)


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


def term(panel: Panel, near: str, far: str) -> FloatArray:
    """Return a nearer index of volatility over a farther one: above 1 where the curve inverts."""
    return value(panel, near) / value(panel, far)


def realised_over_vix(panel: Panel, n: int) -> FloatArray:
    """Return the index's volatility of the last n sessions over VIX, both annualised."""
    return 100.0 * YEAR * volatility(panel, n, need="benchmark") / value(panel, "VIX")


def quoted_over_realised(panel: Panel, n: int) -> FloatArray:
    """Return the month's volatility at the money over that of the last n sessions.

    The former is of the chain of the session before: its own is not published at the close.
    """
    return value(panel, "CHAIN_IV") / (100.0 * YEAR * volatility(panel, n, need="benchmark"))


def in_regime(panel: Panel, low: float, high: float) -> FloatArray:
    """Return 1 where VIX is from `low` on and below `high`."""
    vix = value(panel, "VIX")
    return np.where(np.isnan(vix), np.nan, (low <= vix) & (vix < high))


def put_call_sigmas(panel: Panel, n: int) -> FloatArray:
    """Return how far the put/call ratio is above its mean of the last n, in deviations."""
    now = value(panel, "PUT_CALL")
    return (now - mean(now, n)) / deviation(now, n, level=now)


def range_before(panel: Panel) -> FloatArray:
    """Return the range of the bar before, in percent of its low; each symbol's own."""
    return 100.0 * lag(value(panel, "high") / value(panel, "low") - 1.0, 1)


VIX, BOTH = ("VIX",), ("benchmark", "VIX")
CALM, WILD = 15.0, 25.0
"""VIX below the first is low, from the second on high."""


def _plain(name: str, units: str, need: str) -> Feature:
    return Feature(name, "options", units, 1, (need,), partial(level, need=need))


def _standing(name: str, need: str, n: int = 252) -> Feature:
    return Feature(name, "options", "0..1", n, (need,), partial(standing, need=need, n=n))


def _term(name: str, near: str, far: str) -> Feature:
    return Feature(name, "options", "ratio", 1, (near, far), partial(term, near=near, far=far))


def _regime(name: str, low: float, high: float) -> Feature:
    return Feature(name, "options", "0 or 1", 1, VIX, partial(in_regime, low=low, high=high))


FEATURES = (
    Feature("vix", "options", "points", 1, VIX, level),
    _standing("vix_percentile_30d", "VIX", 30),
    Feature("vix_change_1d", "options", "percent", 2, VIX, partial(vix_change, n=1)),
    Feature("vix_change_5d", "options", "percent", 6, VIX, partial(vix_change, n=5)),
    Feature("price_change_1d", "options", "percent", 2, ("benchmark",), price_change),
    Feature("expected_move_pct", "options", "percent", 1, VIX, expected_move),
    Feature("volatility_risk_premium", "options", "percent", 6, BOTH, partial(risk_premium, n=5)),
    Feature("win_rate_60d", "options", "fraction", 60 + HORIZON, BOTH, partial(win_rate, n=60)),
    Feature("iv_rank_252", "options", "0..1", 252, VIX, partial(iv_rank, n=252)),
    _term("vix_term_1d_vix", "VIX1D", "VIX"),
    Feature("rv5_over_vix", "options", "ratio", 6, BOTH, partial(realised_over_vix, n=5)),
    Feature("rv21_over_vix", "options", "ratio", 22, BOTH, partial(realised_over_vix, n=21)),
    _term("vix_term_9d_vix", "VIX9D", "VIX"),
    _term("vix_term_vix_3m", "VIX", "VIX3M"),
    _standing("vvix_percentile_252", "VVIX"),
    _standing("skew_index_percentile_252", "SKEW"),
    _regime("vix_regime_low", 0.0, CALM),
    _regime("vix_regime_mid", CALM, WILD),
    _regime("vix_regime_high", WILD, np.inf),
    Feature("prev_range_pct", "options", "percent", 2, ("high", "low"), range_before),
    _plain("put_call", "ratio", "PUT_CALL"),
    Feature(
        "put_call_z_60", "options", "sigmas", 60, ("PUT_CALL",), partial(put_call_sigmas, n=60)
    ),
    _plain("dix", "fraction", "DIX"),
    _standing("dix_percentile_252", "DIX"),
    Feature(
        "chain_atm_iv_over_rv21",
        "options",
        "ratio",
        22,
        ("benchmark", "CHAIN_IV"),
        partial(quoted_over_realised, n=21),
        current=("CHAIN_IV",),
    ),
    _plain("chain_skew", "points", "CHAIN_SKEW"),
)
