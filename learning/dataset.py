"""Samples: features at a bar, and what came true later, of which nothing is known too early.

Features look back and a label looks `horizon` sessions ahead, so each row of a dataset depends on
its own stretch of the panel and on nothing else. It is therefore computed once over a whole panel
and then cut at `asof`: a row counts as known when the bar that decides its label has closed. The
cut equals what computing on the truncated panel would give; a test says so for every row.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from domain.book import Costs
from domain.errors import InsufficientData, ModelError
from domain.values import FloatArray
from learning import labels
from learning.walkforward import EMBARGO
from market import window
from market.features import compute
from market.panel import Panel, Times
from market.quality import utc
from models import catalog
from models.availability import unavailable
from models.base import FROM_MODELS, FROM_TRADE, Target, of_market

COVERAGE = 0.5
"""Share of the rows in which a feature must be known. One that is known in fewer is left out as
unknown throughout, so that a series that has just begun does not cost most of the history."""

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in time order; rows of one bar by symbol, then by distance.

    Parameters
    ----------
    X
        float32, shape (n, F), the index is the bar of each row. A column is known in every row,
        or NaN in every row.
    y
        1 where the target came true, else 0; shape (n,).
    r
        Result of the trade in units of its risk, after costs; NaN where it cannot be priced.
    starts, ends
        Bar of the features, and bar that decided the label; shape (n,).
    symbols
        Name of each row's symbol.
    dropped
        Rows with a known label that were left out because a feature in use was unknown.
    """

    X: pd.DataFrame
    y: FloatArray
    r: FloatArray
    starts: Times
    ends: Times
    symbols: NDArray[np.str_]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.y)

    @property
    def label(self) -> pd.Series:
        """The labels as `Model.fit` takes them."""
        return pd.Series(self.y, index=self.X.index)

    @property
    def known(self) -> tuple[str, ...]:
        """Features that have values."""
        first = self.X.iloc[0].to_numpy() if len(self) else np.empty(0)
        return tuple(str(name) for name, v in zip(self.X, first, strict=False) if np.isfinite(v))

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of every number in it."""
        content = sha256("\n".join(self.X.columns).encode())
        content.update(np.ascontiguousarray(self.X.to_numpy(), "<f4").tobytes())
        for values in (self.y, self.r):
            content.update(np.ascontiguousarray(values, "<f8").tobytes())
        for times in (self.starts, self.ends):
            content.update(times.astype("datetime64[s]").astype("<i8").tobytes())
        return content.hexdigest()[:12]

    def every(self, stride: int) -> Self:
        """Return the rows of every so many sessions, the newest among them."""
        if stride == 1:
            return self
        sessions, place = np.unique(self.starts, return_inverse=True)
        return self.take(np.flatnonzero((len(sessions) - 1 - place) % stride == 0))

    def take(self, rows: IntArray | slice) -> Self:
        """Return some of the rows, in the order given."""
        return type(self)(
            X=self.X.iloc[rows],
            y=self.y[rows],
            r=self.r[rows],
            starts=self.starts[rows],
            ends=self.ends[rows],
            symbols=self.symbols[rows],
            dropped=self.dropped,
        )


@dataclass(frozen=True, eq=False)
class _Whole:
    """Every row of a panel whose label is known by its end, and how often features are known."""

    data: Dataset
    finite: NDArray[np.bool_]
    counts: IntArray
    """Of `finite`, summed down to each row; shape (n, F)."""


def labelled(
    panel: Panel, target: Target, features: tuple[str, ...], asof: datetime, costs: Costs
) -> Dataset:
    """Return every sample whose label was known at `asof`.

    Parameters
    ----------
    panel
        May reach beyond `asof`; what lies there is not looked at. Work is remembered with the
        panel, so keep one panel and move `asof`.
    features
        Columns, in order: names in `market.features.catalog` and `models.base.FROM_TRADE`.
    costs
        In `Dataset.r`.

    Raises
    ------
    InsufficientData
        No label was known yet.
    DataError
        No bar had closed.
    """
    key = (labelled, target, features, costs)
    if key not in panel.memo:
        panel.memo[key] = _whole(panel, target, features, costs)
    whole: _Whole = panel.memo[key]
    newest = panel.times[window.index(panel, asof)]
    rows = int(np.searchsorted(whole.data.ends, newest, side="right"))
    if not rows:
        raise InsufficientData(f"no label of {target.name} was known by {asof}; start later")
    used = whole.counts[rows - 1] >= COVERAGE * rows
    used_key = (*key, used.tobytes())
    if used_key not in panel.memo:
        panel.memo[used_key] = _complete(whole, used)
    complete: Dataset
    complete, places = panel.memo[used_key]
    kept = int(np.searchsorted(places, rows))
    return replace(complete.take(slice(kept)), dropped=rows - kept)


def stacked(panel: Panel, name: str, costs: Costs) -> FloatArray:
    """Return what a model of the index would have said at each bar before it could know, (T,).

    Walked forward [1]_: the bars of a calendar year are answered by a fit on what was known when
    the year before ended, less the embargo. What a model is fed with in training is then as much
    out of sample as what the champion says of today. NaN where there was too little to learn from,
    or a feature is unknown. The seed of these fits is 0, whatever the training's: they are data.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992).
    """
    key = (stacked, name, costs)
    if key not in panel.memo:
        panel.memo[key] = _stacked(panel, name, costs)
    said: FloatArray = panel.memo[key]
    return said


def _stacked(panel: Panel, name: str, costs: Costs) -> FloatArray:
    model = catalog.entry(name).load()
    said = np.full(len(panel), np.nan)
    years = panel.times.astype("datetime64[Y]")
    for year in np.unique(years)[1:]:
        rows = np.flatnonzero(years == year)
        end = utc(panel.times[max(rows[0] - EMBARGO, 0)])
        if unavailable(name, panel, end):
            continue
        try:
            known = labelled(panel, model.target, model.features, end, costs)
            learned = known.every(model.stride)
            fitted = model(seed=0).fit(learned.X, learned.label)
        except ModelError:  # too little was known by then
            continue
        used = list(known.known)
        market = compute.history(panel, used)
        x = pd.DataFrame({f: market[f][rows, 0] for f in used})
        whole = np.isfinite(x.to_numpy()).all(axis=1)
        if whole.any():
            said[rows[whole]] = fitted.predict(x[whole])
    return said


def _complete(whole: _Whole, used: NDArray[np.bool_]) -> tuple[Dataset, IntArray]:
    """Return the rows in which all features in use are known, and their places in the whole."""
    places = np.flatnonzero(whole.finite[:, used].all(axis=1))
    data = whole.data.take(places)
    x = data.X.to_numpy(copy=True)
    x[:, ~used] = np.nan
    frame = pd.DataFrame(x, index=data.X.index, columns=data.X.columns)
    return Dataset(frame, data.y, data.r, data.starts, data.ends, data.symbols), places


def _whole(panel: Panel, target: Target, features: tuple[str, ...], costs: Costs) -> _Whole:
    places = labels.columns(panel, target)
    y = labels.outcomes(panel, target)
    bars, symbols, distances = y.shape
    market = compute.history(panel, of_market(features))
    x = np.empty((*y.shape, len(features)), np.float32)
    for f, name in enumerate(features):
        if name in FROM_TRADE:
            x[..., f] = np.array(target.distances)
        elif name in FROM_MODELS:
            x[..., f] = stacked(panel, FROM_MODELS[name], costs)[:, None, None]
        else:
            x[..., f] = market[name][:, places, None]
    rows = np.flatnonzero(np.isfinite(y).ravel())
    bar = np.repeat(np.arange(bars), symbols * distances)[rows]
    names = np.tile(np.repeat(np.array(panel.symbols)[places], distances), bars)[rows]
    x = x.reshape(-1, len(features))[rows]
    finite = np.isfinite(x)
    x[~finite] = np.nan
    starts = panel.times[bar]
    data = Dataset(
        X=pd.DataFrame(x, index=pd.DatetimeIndex(starts, name="bar"), columns=list(features)),
        y=y.ravel()[rows],
        r=_results(panel, target, costs).ravel()[rows],
        starts=starts,
        ends=panel.times[bar + target.horizon],
        symbols=names,
    )
    return _Whole(data, finite, np.cumsum(finite, axis=0, dtype=np.int32))


def _results(panel: Panel, target: Target, costs: Costs) -> FloatArray:
    """Simulate every trade once per panel: models of one target differ in features alone."""
    key = (labels.results, target, costs)
    if key not in panel.memo:
        panel.memo[key] = labels.results(panel, target, costs)
    results: FloatArray = panel.memo[key]
    return results
