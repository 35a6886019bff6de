"""What a record of results is worth: each number with its sample size and a 95 % interval.

A measure that cannot be computed is None: a Sharpe ratio without spread or a profit factor without
a loss is unknown, and neither zero nor infinite. Intervals are percentile bootstraps and need a
generator and at least `FEWEST` results; without either they are left out.

Daily series are resampled in blocks of random length (the stationary bootstrap [1]_, mean length
``n ** (1/3)``), because volatility clusters; trades are resampled one by one.

References
----------
.. [1] D. N. Politis and J. P. Romano, "The stationary bootstrap", JASA 89, 1994.
"""

from collections.abc import Callable
from math import isfinite, sqrt
from statistics import NormalDist

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from domain.errors import DataError
from domain.values import Dollars, FloatArray, Fraction, Value
from domain.version import Measure

SESSIONS = 252
"""Sessions in a year: what ratios are annualised with."""
FEWEST = 20
"""Results below which a bootstrap interval is too narrow to be shown."""
DRAWS = 1_000

Statistic = Callable[[FloatArray], FloatArray]
"""Of the last axis: (..., n) -> (...)."""


def _results(values: ArrayLike) -> FloatArray:
    results = np.asarray(values, dtype=np.float64)
    if results.ndim != 1:
        raise DataError(f"results must be one series, not of shape {results.shape}")
    if not np.isfinite(results).all():
        raise DataError("a result is NaN or infinite; find out what it was before measuring")
    return results


def _rows(n: int, block: float, rng: Generator) -> NDArray[np.intp]:
    """Return which results each resample takes, shape (DRAWS, n)."""
    starts = rng.integers(n, size=(DRAWS, n))
    fresh = rng.random((DRAWS, n)) < 1.0 / block
    fresh[:, 0] = True
    position = np.arange(n)
    begun = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)
    return (np.take_along_axis(starts, begun, axis=1) + position - begun) % n


def _measure(
    results: FloatArray, statistic: Statistic, rng: Generator | None, block: float = 1.0
) -> Measure | None:
    n = len(results)
    if n == 0:
        return None
    value = float(statistic(results))
    if not isfinite(value):
        return None
    if rng is None or n < FEWEST:
        return Measure(value=value, n=n)
    resampled = statistic(results[_rows(n, block, rng)])
    # No interpolation: it would turn an infinite resample (no loss drawn) into NaN.
    low, high = np.quantile(resampled, [0.025, 0.975], method="inverted_cdf").tolist()
    if not (isfinite(low) and isfinite(high)):
        return Measure(value=value, n=n)
    return Measure(value=value, n=n, low=low, high=high)


def _block(results: FloatArray) -> float:
    return max(1.0, len(results) ** (1 / 3))


def _over(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Return top / bottom: infinite where only the bottom is nothing, NaN where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(top / bottom)


def sharpe(
    daily: ArrayLike, rng: Generator | None = None, periods: int = SESSIONS
) -> Measure | None:
    """Return the annualised Sharpe ratio of daily results, with no risk-free rate taken off.

    Parameters
    ----------
    daily
        P&L or return of each session, oldest first, shape (n,). The ratio has no unit.
    periods
        Results per year; the ratio is multiplied with its root.

    Returns
    -------
    Measure or None
        None for fewer than two results, or results without spread.
    """
    results = _results(daily)

    def statistic(x: FloatArray) -> FloatArray:
        spread = x.std(axis=-1, ddof=1)
        # The deviation of equal numbers is not exactly zero in floating point.
        flat = spread <= 1e-12 * np.abs(x).max(axis=-1)
        return sqrt(periods) * _over(x.mean(axis=-1), np.where(flat, np.nan, spread))

    return _measure(results, statistic, rng, _block(results)) if len(results) > 1 else None


def sortino(
    daily: ArrayLike, rng: Generator | None = None, periods: int = SESSIONS
) -> Measure | None:
    """Return the annualised Sortino ratio: mean over the root mean square of the losses.

    None where there is no loss to measure the risk by. Parameters as for `sharpe`.
    """
    results = _results(daily)

    def statistic(x: FloatArray) -> FloatArray:
        downside = np.sqrt(np.square(np.minimum(x, 0.0)).mean(axis=-1))
        return sqrt(periods) * _over(x.mean(axis=-1), downside)

    return _measure(results, statistic, rng, _block(results))


def cvar(daily: ArrayLike, rng: Generator | None = None, tail: Fraction = 0.05) -> Measure | None:
    """Return the mean of the worst `tail` of sessions, in the unit of the input (a loss is < 0).

    The session that straddles the tail counts with its share of it. None for fewer than
    ``1 / tail`` sessions: the tail would hold less than one.

    Examples
    --------
    >>> cvar([-10.0, -4.0] + 38 * [1.0]).value
    -7.0
    """
    results = _results(daily)
    held = tail * len(results)
    if held < 1.0:
        return None
    whole = int(held)

    def statistic(x: FloatArray) -> FloatArray:
        worst = np.sort(x, axis=-1)
        rest = (held - whole) * worst[..., min(whole, len(results) - 1)]
        return np.asarray((worst[..., :whole].sum(axis=-1) + rest) / held)

    return _measure(results, statistic, rng, _block(results))


def drawdown(
    daily_pnl: ArrayLike, capital: Dollars, rng: Generator | None = None
) -> Measure | None:
    """Return the deepest fall of equity below its running peak, as a share of that peak.

    Parameters
    ----------
    daily_pnl
        Dollars of each session, oldest first, open positions at their marks.
    capital
        Equity before the first session, > 0.
    """
    results = _results(daily_pnl)
    if capital <= 0:
        raise DataError(f"a drawdown needs capital to start from, not {capital}")

    def statistic(x: FloatArray) -> FloatArray:
        equity = capital + x.cumsum(axis=-1)
        peak = np.maximum(np.maximum.accumulate(equity, axis=-1), capital)
        return np.asarray(((peak - equity) / peak).max(axis=-1))

    return _measure(results, statistic, rng, _block(results))


def underwater(equity: Dollars, peak: Dollars) -> float:
    """Return how far equity is below its peak now, as a share of the peak, >= 0.

    More than 1 where more than everything is lost. Raises `DataError` for a peak that is not
    positive: a share of it would be meaningless.

    Examples
    --------
    >>> underwater(90_000.0, 100_000.0)
    0.1
    """
    if not peak > 0:
        raise DataError(f"peak equity is {peak}; it must be positive to measure a drawdown")
    return max(0.0, (peak - equity) / peak)


def profit_factor(trades: ArrayLike, rng: Generator | None = None) -> Measure | None:
    """Return what winners earned over what losers lost. None without a loss.

    Parameters
    ----------
    trades
        P&L of each trade, costs counted, shape (n,).
    """

    def statistic(x: FloatArray) -> FloatArray:
        return _over(np.maximum(x, 0.0).sum(axis=-1), np.maximum(-x, 0.0).sum(axis=-1))

    return _measure(_results(trades), statistic, rng)


def expectancy(trades: ArrayLike, rng: Generator | None = None) -> Measure | None:
    """Return the mean result of a trade, in the unit of the input (dollars, or units of risk)."""
    return _measure(_results(trades), lambda x: np.asarray(x.mean(axis=-1)), rng)


def wilson(hits: float, n: float, confidence: Fraction = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion; valid for any ``n > 0``.

    Of results that overlap, `n` is how many there are that do not, and need not be whole.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22, 1927.

    Examples
    --------
    >>> low, high = wilson(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, shrink = hits / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    reach = z / shrink * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # none or all of them: that end is the share itself, which rounding would miss by 3e-17
    low = max(0.0, centre - reach) if hits else 0.0
    high = min(1.0, centre + reach) if hits < n else 1.0
    return low, high


def win_rate(trades: ArrayLike) -> Measure | None:
    """Return the share of trades that earned money, with Wilson's interval.

    A trade that breaks even did not win; that is so everywhere in Omega.
    """
    results = _results(trades)
    n, wins = len(results), int((results > 0).sum())
    if n == 0:
        return None
    low, high = wilson(wins, n)
    return Measure(value=wins / n, n=n, low=low, high=high)


class Criterion(Value):
    """One thing a gate asks for. Not measured is not passed."""

    name: str
    needs: str
    measured: Measure | None
    passed: bool


class Gate(Value):
    """A list of criteria, all of which have to be met."""

    name: str
    criteria: tuple[Criterion, ...]

    @property
    def passed(self) -> bool:
        return all(criterion.passed for criterion in self.criteria)

    @property
    def failed(self) -> tuple[str, ...]:
        """Return what was not met, one phrase each."""
        return tuple(
            f"{c.name} {c.needs}: {c.measured or 'cannot be measured'}"
            for c in self.criteria
            if not c.passed
        )


def mvs(trades: ArrayLike, rng: Generator | None = None) -> Gate:
    """Return whether a record of closed trades is a minimum viable strategy.

    At least 30 trades that earned money, more than 45 % winners, a profit factor above 1. A record
    without a loss fails: its profit factor cannot be measured, and a seller of insurance who has
    not paid out yet looks exactly like that.

    Parameters
    ----------
    trades
        P&L of each closed trade in dollars, costs counted.
    """
    pnl = _results(trades)
    n = len(pnl)

    def above(name: str, measured: Measure | None, bound: float, needs: str) -> Criterion:
        passed = measured is not None and measured.value > bound
        return Criterion(name=name, needs=needs, measured=measured, passed=passed)

    count = Measure(value=n, n=n)
    total = _measure(pnl, lambda x: np.asarray(x.sum(axis=-1)), rng)
    return Gate(
        name="mvs",
        criteria=(
            Criterion(name="trades", needs=">= 30", measured=count, passed=n >= 30),
            above("pnl", total, 0.0, "> 0"),
            above("win_rate", win_rate(pnl), 0.45, "> 0.45"),
            above("profit_factor", profit_factor(pnl, rng), 1.0, "> 1"),
        ),
    )
