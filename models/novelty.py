"""How unlike everything it learned from an input is, and where a model is to keep silent."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from domain.values import FloatArray, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

DISTINCT = 10
"""Values that a column must take at least: a flag, a weekday or a strike distance is no number that
could be far from others."""
ROWS = 1000
"""Rows, evenly over time, that centre, scale and shape are taken from: all 6,200 of the stocks
would take a tenth of a second, twice as long as their trees."""
BLOCKS = 5
"""Stretches of history, each held out once."""
SHARE = 0.999
"""Of the held-out rows that lie within the limit."""
CLIP = 4.0
"""Deviations at which a number is cut off for the shape of the cloud, so that one crash does not
say what is usual."""
NORMAL = 1.349
"""Interquartile range of a standard normal distribution."""
NAMED, ODD = 3, 3.0
"""Features that a reason names at most, and deviations from which on there is something to name."""
DIGITS = 6
"""Significant, of what is kept: the last bits of a matrix are those of a machine's library."""


class Novelty(Value):
    """The cloud of the training rows, and how far from it is too far.

    The distance is Mahalanobis' [1]_, over the root of the number of columns, so that it is about 1
    for a usual row whatever their number.

    References
    ----------
    .. [1] P. C. Mahalanobis, "On the generalised distance in statistics", Proc. National Institute
       of Sciences of India 2, 1936.
    """

    model_config = Value.model_config | ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    columns: tuple[int, ...]
    """Of the input, rising: those that are numbers."""
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    whitening: bytes
    """Lower triangle, row by row, little-endian float32, of what turns a row, centred and scaled,
    into one whose columns have variance 1 and no correlation."""
    limit: float = Field(gt=0)
    """Distance beyond which a model has nothing to say."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        k = len(self.columns)
        if not len(self.centre) == len(self.scale) == k:
            raise ValueError("each column needs a centre and a scale")
        if min(self.scale, default=1.0) <= 0 or sorted(set(self.columns)) != list(self.columns):
            raise ValueError("scales are above 0, and columns rise")
        numbers = np.frombuffer(self.whitening, np.uint8)
        if len(numbers) != 2 * k * (k + 1) or not np.isfinite(numbers.view("<f4")).all():
            raise ValueError("the whitening needs a finite number for each pair of columns")
        return self


class Cloud:
    """A `Novelty` ready to be asked, by `Clouds`, and to say what is odd.

    Parameters
    ----------
    novelty
        What was learned.
    features
        Names of the input's columns.
    """

    def __init__(self, novelty: Novelty, features: tuple[str, ...]) -> None:
        self.limit = novelty.limit
        self._names = [features[column] for column in novelty.columns]
        self.columns = np.array(novelty.columns, np.int64)
        self._centre, self._scale = np.array(novelty.centre), np.array(novelty.scale)
        k = len(self._names)
        whitening = np.zeros((k, k))
        whitening[np.tril_indices(k)] = np.frombuffer(novelty.whitening, "<f4")
        self._whitening = whitening
        # One product for a row as it comes, instead of centring and scaling it first.
        self.rows = whitening / self._scale / sqrt(k or 1)
        """Lower triangle, shape (k, k): times the columns of a row, minus `shift`, it is a vector
        whose length is the distance."""
        self.shift = self.rows @ self._centre

    def told(self, x: NDArray[np.float32]) -> str:
        """Say what stands out in a row: by itself, or given all the other numbers."""
        seen = x[self.columns].astype(np.float64)
        alone = (seen - self._centre) / self._scale
        precision = self._whitening.T @ self._whitening
        beside = precision @ alone / np.sqrt(precision.diagonal())
        odd = np.maximum(np.abs(alone), np.abs(beside))
        parts = []
        for place in np.argsort(-odd, kind="stable")[:NAMED]:
            number = f"{self._names[place]} {seen[place]:.4g}"
            if abs(alone[place]) >= max(abs(beside[place]), ODD):
                parts.append(f"{number} is {abs(alone[place]):.1f} deviations from what it learned")
            elif odd[place] >= ODD:
                told = f"{abs(beside[place]):.1f} deviations from what the others lead to expect"
                parts.append(f"{number} is {told}")
        return ", ".join(parts) or "no number by itself, but all of them together"


class Clouds:
    """Several clouds that are asked at once, each about its own stretch of one row.

    Parameters
    ----------
    clouds
        Each with the column at which its stretch starts.
    """

    def __init__(self, clouds: Sequence[tuple[Cloud, int]]) -> None:
        weights, columns, widths, shifts = [], [], [], []
        for cloud, start in clouds:
            row, column = np.tril_indices(len(cloud.columns))
            # Before its own a line of nothing, which stands for one that has no column at all.
            weights.append(np.append(0.0, cloud.rows[row, column]))
            columns.append(start + np.append(0, cloud.columns[column]))
            widths.append(np.append(1, np.arange(1, len(cloud.columns) + 1)))
            shifts.append(np.append(0.0, cloud.shift))
        self._weights, self._columns = np.concatenate(weights), np.concatenate(columns)
        self._shift = np.concatenate(shifts)
        self._lines = _starts(np.concatenate(widths))
        self._clouds = _starts(np.array([len(shift) for shift in shifts]))

    def distances(self, x: NDArray[np.float32]) -> list[float]:
        """Return how far each stretch of a row, all finite, lies from its cloud; six digits."""
        w = np.add.reduceat(self._weights * x.take(self._columns), self._lines) - self._shift
        return list(map(_rounded, np.sqrt(np.add.reduceat(w * w, self._clouds)).tolist()))


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each of some stretches begins that follow one another."""
    starts: NDArray[np.int64] = np.cumsum(sizes) - sizes
    return starts


def learn(x: NDArray[np.float32], bars: pd.Index) -> Novelty:
    """Return where the training rows lie, and the distance that hardly any of them would exceed.

    Centre and scale are medians and interquartile ranges, for returns have heavy tails; the shape
    is a covariance drawn towards the identity by as much as its own noise asks for [1]_. The limit
    is the 99.9 % quantile of the distances of five stretches of history, each measured from the
    other four: what the next stretch will be like is not known from within, the level of the VIX
    drifts, and a limit of rows that helped to make the cloud is too tight. Trained anew every week
    of 2016-2018 it silences WISDOM on one session of 754, 2018-02-05, when the VIX rose by 116 %,
    and XGBoost on 39 of 15,000 days of a stock.

    Parameters
    ----------
    x
        Everything that a model has learned and calibrated from, finite, shape (n, F).
    bars
        The bar of each row, rising; rows of one bar are never parted.

    References
    ----------
    .. [1] O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", Journal of Multivariate Analysis 88, 2004.
    """
    some = np.unique(np.linspace(0, len(x) - 1, ROWS).astype(np.int64))
    columns = [c for c in range(x.shape[1]) if _spread(x[some, c])]
    if not columns:
        return Novelty(columns=(), centre=(), scale=(), whitening=b"", limit=1.0)
    cloud = x[:, columns].astype(np.float64)
    block = bars.factorize()[0]
    block = block * BLOCKS // (int(block[-1]) + 1)
    ends = np.searchsorted(block, np.arange(BLOCKS + 1))
    apart = [
        _distances(cloud[start:end], *_shape(cloud[some[(some < start) | (some >= end)]]))
        for start, end in pairwise(ends)
    ]
    centre, scale, whitening = _shape(cloud[some])
    return Novelty(
        columns=tuple(columns),
        centre=tuple(map(_rounded, centre.tolist())),
        scale=tuple(map(_rounded, scale.tolist())),
        whitening=np.array(
            [_rounded(number) for number in whitening[np.tril_indices(len(columns))].tolist()],
            "<f4",
        ).tobytes(),
        limit=_rounded(float(np.quantile(np.concatenate(apart), SHARE))),
    )


def _spread(column: NDArray[np.float32]) -> bool:
    return len(np.unique(column)) >= DISTINCT


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _shape(cloud: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return centre, scale, and the whitening of what is centred and scaled."""
    low, centre, high = np.quantile(cloud, (0.25, 0.5, 0.75), axis=0)
    scale = (high - low) / NORMAL
    # Half of the rows may have the same number, where a series rests.
    scale = np.where(scale > 0, scale, cloud.std(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    z = np.clip((cloud - centre) / scale, -CLIP, CLIP)
    n, k = z.shape
    second = z.T @ z / n
    mean = np.trace(second) / k
    apart = second - mean * np.eye(k)
    noise = ((z * z).T @ (z * z) / n - second**2).sum() / n
    shrink = min(1.0, noise / max((apart**2).sum(), noise, np.finfo(float).tiny))
    shape = (1 - shrink) * second + shrink * mean * np.eye(k)
    return centre, scale, np.linalg.inv(np.linalg.cholesky(shape))


def _distances(
    rows: FloatArray, centre: FloatArray, scale: FloatArray, w: FloatArray
) -> FloatArray:
    turn = (w / scale).T
    white = rows @ turn - centre @ turn
    return np.sqrt(np.einsum("ij,ij->i", white, white) / len(scale))
