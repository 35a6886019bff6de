"""How good a probability is, and how sure one may be of it.

Labels that look several sessions ahead overlap, and twenty stocks on one day share that day's
market: rows are not independent. The intervals here come from a moving-block bootstrap over
*dates*: blocks of consecutive sessions are drawn whole, with every row that started in them. The
blocks wrap around the end [1]_, so that no date is drawn less often for being the first.

Percentiles of a few blocks promise too much, so each interval is widened about its value as
Student's t is wider than the normal. On 500 simulated samples of a five-session overlapping label
the 95 % interval then held the truth in 92 %, 94 % and 92 % at 80, 160 and 320 sessions (85, 92
and 90 % before): still slightly bold, and said so.

References
----------
.. [1] D. N. Politis and J. P. Romano, "A circular block-resampling procedure for stationary
   data", in Exploring the Limits of Bootstrap (1992).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import t as student

from domain.errors import InsufficientData
from domain.values import FloatArray
from domain.version import Measure

RESAMPLES = 200
BLOCKS_NEEDED = 8
"""With fewer there is no interval: at 4 blocks it held the truth in 75 % of simulated samples."""
EPSILON = 1e-6
"""Probabilities are moved this far off 0 and 1 before their logarithm is taken."""
DIGITS = 6
"""Measures are rounded, so that another processor's last bit is not another result."""

IntArray = NDArray[np.integer[Any]]


def auc(p: FloatArray, y: FloatArray) -> float:
    """Return the chance that a winner scores above a loser, ties counted half; NaN of one class.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    0.875
    """
    one_date = np.zeros(len(p), np.int64)
    return float(_aucs(p, y, one_date, np.ones((1, 1), np.float32))[0])


def dates_of(starts: NDArray[Any]) -> IntArray:
    """Return, for each row, the position of its date among the distinct dates; shape (n,)."""
    return np.unique(starts, return_inverse=True)[1]


def block(horizon: int, sessions: int) -> int:
    """Return the length of a bootstrap block, in sessions.

    Twice the horizon, so that most overlaps survive; down to the horizon where the sample would
    otherwise have too few blocks.

    Examples
    --------
    >>> block(10, 90), block(10, 500)
    (11, 20)
    """
    return int(np.clip(sessions // BLOCKS_NEEDED, horizon, 2 * horizon))


def weights(dates: int, block: int, rng: Generator, resamples: int = RESAMPLES) -> FloatArray:
    """Return how often each resample draws each date, shape (resamples, dates).

    Every resample is made of blocks of `block` consecutive dates, cut to the original length.
    """
    size = min(block, dates)
    firsts = rng.integers(0, dates, (resamples, -(-dates // size)))
    drawn = ((firsts[:, :, None] + np.arange(size)) % dates).reshape(resamples, -1)[:, :dates]
    flat = drawn + dates * np.arange(resamples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=resamples * dates)
    return counts.reshape(resamples, dates).astype(np.float32)


def _aucs(p: FloatArray, y: FloatArray, dates: IntArray, drawn: FloatArray) -> FloatArray:
    """Return one AUC per resample: rows are gathered by score, then weighted by their date."""
    scores, place = np.unique(p, return_inverse=True)
    shape = (drawn.shape[1], len(scores))
    cell, size = dates * shape[1] + place, shape[0] * shape[1]
    winners = np.bincount(cell, y, size).reshape(shape).astype(np.float32)
    losers = np.bincount(cell, 1.0 - y, size).reshape(shape).astype(np.float32)
    won, lost = drawn @ winners, drawn @ losers
    pairs = won.sum(axis=1, dtype=np.float64) * lost.sum(axis=1, dtype=np.float64)
    below = np.cumsum(lost, axis=1)
    below -= lost / 2
    below *= won
    hits = below.sum(axis=1, dtype=np.float64)
    return np.divide(hits, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


@dataclass(frozen=True)
class Draws:
    """The resamples of one sample: how often each draws each date, and how far to widen."""

    weights: FloatArray
    widen: float

    @classmethod
    def of(cls, dates: int, block: int, rng: Generator, resamples: int = RESAMPLES) -> Self | None:
        """Return the draws, or None where there are too few blocks for an interval."""
        if dates < BLOCKS_NEEDED * block:
            return None
        blocks = dates / block
        widen = student.ppf(0.975, blocks - 1) / 1.96 * np.sqrt(blocks / (blocks - 1))
        return cls(weights(dates, block, rng, resamples), float(widen))

    def means(self, values: FloatArray, date: IntArray) -> FloatArray:
        """Return the mean of the values in each resample, shape (resamples,)."""
        dates = self.weights.shape[1]
        return (self.weights @ np.bincount(date, values, dates)) / (
            self.weights @ np.bincount(date, minlength=dates)
        )


def measure(
    value: float, resampled: FloatArray, widen: float, n: int, bounds: tuple[float, float]
) -> Measure:
    """Return a measure with its 95 % interval from its resamples.

    Resamples in which it is undefined (one class only) are left out; where they are more than a
    tenth, the sample is too small for an interval.
    """
    if np.isnan(resampled).mean() > 0.1:
        return Measure(value=round(value, DIGITS), n=n)
    low, high = np.nanpercentile(resampled, (2.5, 97.5))
    low = max(bounds[0], value - max(value - low, 0.0) * widen)
    high = min(bounds[1], value + max(high - value, 0.0) * widen)
    return Measure(
        value=round(value, DIGITS),
        n=n,
        low=round(float(low), DIGITS),
        high=round(float(high), DIGITS),
    )


UNIT, ANY = (0.0, 1.0), (-np.inf, np.inf)


def score(
    p: FloatArray,
    y: FloatArray,
    starts: NDArray[Any],
    rivals: Mapping[str, FloatArray],
    rng: Generator,
    block: int,
    resamples: int = RESAMPLES,
) -> dict[str, Measure]:
    """Measure probabilities on rows that nothing was fitted on, beside their rivals.

    Parameters
    ----------
    p, y
        Probabilities and what came true (0 or 1), shape (n,).
    starts
        The date of each row, shape (n,); rows of one date are resampled together.
    rivals
        Probabilities of what it must beat, each shape (n,). ``base`` is required: the base rate
        of the *training* part, which a forecaster would have known.
    block
        Length of a block in sessions; see the function of that name.

    Returns
    -------
    dict
        ``brier``, ``log_loss``, ``auc``, ``base_rate`` (of these rows), ``sessions``;
        ``brier_<rival>`` of each, and ``skill`` over ``base`` and ``skill_<rival>`` over the
        others: one minus the ratio of the Briers, positive when better.

    Raises
    ------
    InsufficientData
        There is no row.
    """
    if not len(y):
        raise InsufficientData("no row to score; hand in a longer history")
    date, n = dates_of(starts), len(y)
    dates = int(date.max()) + 1
    draws = Draws.of(dates, block, rng, resamples)

    def told(value: float, resampled: FloatArray | None, bounds: tuple[float, float]) -> Measure:
        if draws is None or resampled is None:
            return Measure(value=round(value, DIGITS), n=n)
        return measure(value, resampled, draws.widen, n, bounds)

    safe = np.clip(p, EPSILON, 1 - EPSILON)
    losses = {
        "brier": (p - y) ** 2,
        "base_rate": np.asarray(y, np.float64),
        "log_loss": -np.where(y > 0, np.log(safe), np.log1p(-safe)),
    } | {f"brier_{name}": (q - y) ** 2 for name, q in rivals.items()}
    means = {name: None if draws is None else draws.means(v, date) for name, v in losses.items()}
    out = {
        name: told(float(loss.mean()), means[name], ANY if name == "log_loss" else UNIT)
        for name, loss in losses.items()
    }
    for name in rivals:
        ours, theirs = float(losses["brier"].mean()), float(losses[f"brier_{name}"].mean())
        if theirs > 0:
            ratios = _skill(means["brier"], means[f"brier_{name}"])
            key = "skill" if name == "base" else f"skill_{name}"
            out[key] = told(1 - ours / theirs, ratios, (-np.inf, 1.0))
    area = auc(p, y)
    if np.isfinite(area):
        areas = None if draws is None else _aucs(p, y, date, draws.weights)
        out["auc"] = told(area, areas, UNIT)
    out["sessions"] = Measure(value=float(dates), n=n)
    return out


def _skill(ours: FloatArray | None, theirs: FloatArray | None) -> FloatArray | None:
    if ours is None or theirs is None:
        return None
    return 1 - np.divide(ours, theirs, out=np.full(len(ours), np.nan), where=theirs > 0)
