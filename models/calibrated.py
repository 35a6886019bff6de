"""What every learner shares that answers one row with one graph: checks, slices, calibration."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from domain.errors import FeatureMismatch, InsufficientData, ModelError
from domain.values import FloatArray
from models import calibration, novelty, onnx
from models.base import Artifact, Model, at, matrix

if TYPE_CHECKING:
    import pandas as pd

MINORITY = 10
"""Rows of the rarer class below which nothing can be learned of it."""
GOLDEN = 8
"""Rows of the self-test that an artifact carries."""
LOW, HIGH = 0.15, 0.05
"""How far below the base rate the two thresholds lie."""

Golden = tuple[tuple[tuple[float, ...], float], ...]


class Fitted(NamedTuple):
    """What training leaves behind."""

    features: tuple[str, ...]
    absent: tuple[str, ...]
    graph: bytes
    curve: calibration.Curve
    background: tuple[float, ...]
    facts: dict[str, float]
    golden: Golden
    rows: FloatArray
    """Everything it has seen, for what is new to it; shape (n, F)."""
    bars: pd.Index


class Calibrated(Model):
    """A learner whose scores are calibrated on the most recent fifth, through the graph."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._fitted: Fitted | None = None

    @abstractmethod
    def learn(
        self, x: FloatArray, y: FloatArray, features: tuple[str, ...], bars: pd.Index
    ) -> bytes:
        """Train, keep what `raw` needs, and return the graph that will serve.

        Parameters
        ----------
        x, y
            float32 of shape (n, F) and 0/1 of shape (n,): the training slice, in time order.
        features
            Names of the columns of `x`: those of `Model.features` that are known.
        bars
            The bar of each row.
        """

    def forest(self) -> bytes:
        """Return the trees of the graph, packed; nothing where the graph is none."""
        return b""

    def fit(self, X: pd.DataFrame, y: pd.Series, calibrate_from: int | None = None) -> Self:
        everything = matrix(X, self.features, self.name)
        known = np.isfinite(everything)
        used = tuple(np.flatnonzero(~np.isnan(everything).all(axis=0)).tolist())
        self._check(known[:, used], used, y)
        x, labels = np.ascontiguousarray(everything[:, used]), y.to_numpy(np.float64)
        stop, start = calibration.cut(X.index, self.target.horizon, calibrate_from)
        rarer = min(labels[:stop].sum(), stop - labels[:stop].sum())
        if rarer < MINORITY:
            raise InsufficientData(
                f"{self.name}: {rarer:.0f} of the rarer class in {stop} rows, "
                f"at least {MINORITY} are needed"
            )
        features = tuple(self.features[i] for i in used)
        graph = self.learn(x[:stop], labels[:stop], features, X.index[:stop])
        score = onnx.scores(onnx.session(graph), x[start:])
        reach = -(-self.target.horizon // self.stride)
        curve = calibration.fit(score, labels[start:], X.index[start:], reach)
        sample = np.linspace(0, len(score) - 1, GOLDEN).astype(int)
        self._fitted = Fitted(
            features=features,
            absent=tuple(name for name in self.features if name not in features),
            graph=graph,
            curve=curve,
            background=tuple(np.median(x[start:], axis=0).tolist()),
            facts=self._facts(X, labels),
            golden=tuple(
                (tuple(x[start + i].tolist()), float(np.interp(score[i], curve.x, curve.y)))
                for i in sample
            ),
            rows=x,
            bars=X.index,
        )
        return self

    def predict(self, X: pd.DataFrame) -> FloatArray:
        fitted = self._done()
        x = matrix(X, fitted.features, self.name)
        known = np.isfinite(x).all(axis=0)
        if not known.all():
            names = ", ".join(np.array(fitted.features)[~known])
            raise FeatureMismatch(f"{self.name}: unknown {names}")
        return np.interp(self.raw(x), fitted.curve.x, fitted.curve.y)

    def export(self, facts: Mapping[str, float] | None = None, schema_hash: str = "") -> Artifact:
        fitted, forest = self._done(), self.forest()
        return Artifact(
            model=self.name,
            target=self.target.name,
            features=fitted.features,
            absent=fitted.absent,
            onnx=fitted.graph,
            knots=(fitted.curve.x, fitted.curve.y),
            low=fitted.curve.low,
            high=fitted.curve.high,
            forest=forest,
            background=() if forest else fitted.background,
            novelty=novelty.learn(fitted.rows, fitted.bars),
            facts=fitted.facts | dict(facts or {}),
            golden=fitted.golden,
            schema_hash=schema_hash,
        )

    def _done(self) -> Fitted:
        if self._fitted is None:
            raise ModelError(f"{self.name} has not been fitted")
        return self._fitted

    def _check(self, known: Any, used: tuple[int, ...], y: pd.Series) -> None:
        partly = np.array(used, int)[~known.all(axis=0)]
        if len(partly):
            names = ", ".join(self.features[i] for i in partly)
            raise FeatureMismatch(f"{self.name}: unknown in some rows: {names}")
        if len(y) != len(known) or not y.isin((0, 1)).all():
            raise ModelError(f"{self.name}: every row needs a label, 0 or 1")
        if not used or len(y) < self.min_samples:
            raise InsufficientData(
                f"{self.name}: {len(y)} rows of {len(used)} features, "
                f"at least {self.min_samples} rows are needed"
            )

    def _facts(self, X: pd.DataFrame, labels: FloatArray) -> dict[str, float]:
        facts = _measured(labels)
        for distance in self.target.distances:
            here = labels[np.isclose(X["strike_distance"].to_numpy(float), distance)]
            if len(here):
                facts |= {at(name, distance): value for name, value in _measured(here).items()}
        return facts


def _measured(labels: FloatArray) -> dict[str, float]:
    base = float(labels.mean())
    return {
        "base_rate": base,
        "low": max(base - LOW, 0.0),
        "high": max(base - HIGH, 0.0),
        "n": float(len(labels)),
    }
