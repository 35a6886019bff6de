"""Moments, memory and company: how returns are distributed, and whom they move with.

Returns are log returns of closes. Volatilities are annualised with 252 bars a year, so a bar is
taken for a session.
"""

from functools import partial

import numpy as np

from domain.values import FloatArray
from market.features.base import (
    FLAT,
    YEAR,
    Feature,
    deviation,
    lag,
    log_close,
    log_return,
    mean,
    shared,
    value,
    volatility,
)
from market.features.price import average
from market.panel import Panel

LAGS = (2, 4, 8, 16, 32)


def annual(panel: Panel, n: int) -> FloatArray:
    return volatility(panel, n) * YEAR


def parkinson(panel: Panel, n: int) -> FloatArray:
    """Return the volatility that the bars' ranges show, annualised [1]_.

    References
    ----------
    .. [1] M. Parkinson, "The extreme value method for estimating the variance of the rate of
       return", Journal of Business 53, 1980.
    """
    square = mean(np.log(value(panel, "high") / value(panel, "low")) ** 2, n)
    return np.sqrt(np.where(square > FLAT**2, square, np.nan) / (4.0 * np.log(2.0))) * YEAR


def volatility_ratio(panel: Panel, fast: int, slow: int) -> FloatArray:
    return volatility(panel, fast) / volatility(panel, slow)


def zscore(panel: Panel, n: int) -> FloatArray:
    close, level = value(panel, "close"), average(panel, n)
    return (close - level) / deviation(close, n, level)


@shared
def raised(panel: Panel, power: int) -> FloatArray:
    """Return the returns raised to a power; by products, for pow takes many times as long."""
    returns = log_return(panel)
    return returns if power == 1 else raised(panel, power - 1) * returns


@shared
def moment(panel: Panel, n: int, power: int) -> FloatArray:
    """Return the mean of the last n returns raised to a power."""
    return mean(raised(panel, power), n)


def skew(panel: Panel, n: int) -> FloatArray:
    """Return the skewness of the last n returns, corrected for the sample size."""
    first, second, third = (moment(panel, n, power) for power in (1, 2, 3))
    square, spread = first * first, volatility(panel, n)
    central = third - 3.0 * first * second + 2.0 * first * square
    return central / (spread * spread * spread) * (n**2 / ((n - 1) * (n - 2)))


def kurtosis(panel: Panel, n: int) -> FloatArray:
    """Return the excess kurtosis of the last n returns, corrected for the sample size."""
    first, second, third, fourth = (moment(panel, n, power) for power in (1, 2, 3, 4))
    square, variance = first * first, volatility(panel, n) ** 2
    central = fourth - 4.0 * first * third + 6.0 * square * second - 3.0 * square * square
    scale = n**2 * (n + 1) / ((n - 1) * (n - 2) * (n - 3))
    excess = 3.0 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    return central / (variance * variance) * scale - excess


def autocorrelation(panel: Panel, n: int) -> FloatArray:
    """Return the correlation of a return with the one before it, over n pairs."""
    now = log_return(panel)
    before = lag(now, 1)
    product, first, second = mean(now * before, n), mean(now, n), mean(before, n)
    spread = deviation(now, n) * deviation(before, n) * ((n - 1) / n)
    return (product - first * second) / spread


def variance_ratio(panel: Panel, q: int, n: int) -> FloatArray:
    """Return the variance of q-bar returns over q times that of one bar [1]_; 1 for a random walk.

    References
    ----------
    .. [1] A. Lo and C. MacKinlay, "Stock market prices do not follow random walks", Review of
       Financial Studies 1, 1988.
    """
    return (deviation(log_return(panel, q), n) / volatility(panel, n)) ** 2 / q


def hurst(panel: Panel, n: int) -> FloatArray:
    """Return the Hurst exponent: the slope of log deviation on log lag; 0.5 for a random walk."""
    x = np.log(LAGS)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slope = np.zeros(log_close(panel).shape)
    for q, weight in zip(LAGS, weights, strict=True):
        slope += weight * np.log(deviation(log_return(panel, q), n))
    return slope


@shared
def covariance(panel: Panel, n: int) -> FloatArray:
    """Return the covariance of the returns with those of the panel's first symbol, over n bars.

    Both are taken at the same bars: one that only one of them has leaves the window unknown.
    """
    own, other = log_return(panel), log_return(panel, need="benchmark")
    return (mean(own * other, n) - mean(own, n) * mean(other, n)) * (n / (n - 1))


def beta(panel: Panel, n: int) -> FloatArray:
    return covariance(panel, n) / volatility(panel, n, need="benchmark") ** 2


def correlation(panel: Panel, n: int) -> FloatArray:
    spread = volatility(panel, n) * volatility(panel, n, need="benchmark")
    return np.clip(covariance(panel, n) / spread, -1.0, 1.0)


CLOSE, PAIR = ("close",), ("close", "benchmark")

FEATURES = (
    *(
        Feature(
            f"volatility_{n}", "statistical", "fraction a year", n + 1, CLOSE, partial(annual, n=n)
        )
        for n in (5, 10, 20, 60)
    ),
    Feature(
        "parkinson_20",
        "statistical",
        "fraction a year",
        20,
        ("high", "low"),
        partial(parkinson, n=20),
    ),
    Feature(
        "volatility_ratio_5_60",
        "statistical",
        "ratio",
        61,
        CLOSE,
        partial(volatility_ratio, fast=5, slow=60),
    ),
    *(
        Feature(f"zscore_{n}", "statistical", "sigmas", n, CLOSE, partial(zscore, n=n))
        for n in (10, 20, 50)
    ),
    Feature("skew_60", "statistical", "skewness", 61, CLOSE, partial(skew, n=60)),
    Feature("kurtosis_60", "statistical", "excess kurtosis", 61, CLOSE, partial(kurtosis, n=60)),
    Feature(
        "autocorrelation_50",
        "statistical",
        "correlation",
        52,
        CLOSE,
        partial(autocorrelation, n=50),
    ),
    Feature(
        "variance_ratio_5",
        "statistical",
        "ratio",
        105,
        CLOSE,
        partial(variance_ratio, q=5, n=100),
    ),
    Feature("hurst_100", "statistical", "exponent", 132, CLOSE, partial(hurst, n=100)),
    Feature("beta_60", "statistical", "beta", 61, PAIR, partial(beta, n=60)),
    Feature("correlation_60", "statistical", "correlation", 61, PAIR, partial(correlation, n=60)),
)
