"""Findings of the seed's regime detector; each of these fails when the defect is back."""

import numpy as np

from domain.market import Trend, Vol
from market import regime
from market.regime import path
from tests.market.panels import closes


def test_exit_thresholds_are_used() -> None:
    """The seed declared exit thresholds and never read them: there was no hysteresis."""
    ratio = np.array([1.0, 1.0, 1.0, 1.45, 1.39, 1.41, 1.38, 1.35, 1.31, 1.29])
    high = [s.vol is Vol.HIGH for s in path(ratio, np.zeros(10)) if s]
    assert high == [False] * 3 + [True] * 6 + [False]
    z = np.array([0.0, 0.0, 0.0, 2.1, 1.9, 1.6, 1.51, 1.49])
    trend = [s.trend is Trend.TREND for s in path(np.ones(8), z) if s]
    assert trend == [False] * 3 + [True] * 4 + [False]


def test_high_volatility_is_reached_and_left_again() -> None:
    """The seed's confidence was zero at any threshold above one, so high could never be entered."""
    rng = np.random.default_rng(11)
    sigma = np.concatenate([np.full(200, 0.005), np.full(40, 0.02), np.full(160, 0.005)])
    panel = closes(100.0 * np.exp((sigma * rng.standard_normal(400)).cumsum()))
    high = regime.high_vol(panel)[:, 0]
    assert high[199] == 0.0
    assert high[220] == 1.0
    assert high[-1] == 0.0


def test_the_trend_statistic_grows_with_the_length_of_the_trend() -> None:
    """The seed's z left out the square root of the sample size: |z| > 0.94 of one bar's sigma."""
    rng = np.random.default_rng(2)
    panel = closes(100.0 * np.exp(rng.normal(0.004, 0.01, 400).cumsum()))
    z = regime.trend_z(panel)[:, 0]
    # a drift of 0.4 sigma a bar is 0.4 * sqrt(50) = 2.8 standard errors
    assert 2.2 < np.nanmean(z) < 3.4
    assert np.nanmean(regime.trending(panel)) > 0.7


def test_the_detector_does_not_freeze_after_its_first_reading() -> None:
    rng = np.random.default_rng(4)
    sigma = 0.01 * np.exp(np.sin(np.arange(2000) / 30.0))
    panel = closes(100.0 * np.exp((sigma * rng.standard_normal(2000)).cumsum()))
    high = regime.high_vol(panel)[:, 0]
    turns = np.nansum(np.abs(np.diff(high)))
    assert 20 <= turns <= 150


def test_the_regime_is_of_the_market_and_not_of_the_clock() -> None:
    """The seed's service took minutes since midnight modulo 240 for the regime."""
    rng = np.random.default_rng(6)
    panel = closes(100.0 * np.exp(rng.normal(0.0, 0.01, 300).cumsum()))
    shifted = type(panel)(
        panel.times + np.timedelta64(123, "m"),
        panel.symbols,
        panel.open,
        panel.high,
        panel.low,
        panel.close,
        panel.volume,
    )
    assert regime.latest(panel) == regime.latest(shifted)
