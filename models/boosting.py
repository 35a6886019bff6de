"""What the boosted trees of every library have in common, and those of XGBoost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from domain.errors import FeatureMismatch, InsufficientData, ModelError
from domain.values import FloatArray
from models import calibration, onnx
from models.base import Artifact, Model, at, matrix
from models.forest import Forest, from_xgboost

if TYPE_CHECKING:
    import pandas as pd

MINORITY = 10
"""Rows of the rarer class below which nothing can be learned of it."""
GOLDEN = 8
"""Rows of the self-test that an artifact carries."""
LOW, HIGH = 0.15, 0.05
"""How far below the base rate the two thresholds lie."""

BINS = 64
"""Of each feature; XGBoost's trees split between them."""

Golden = tuple[tuple[tuple[float, ...], float], ...]


class Fitted(NamedTuple):
    """What training leaves behind."""

    features: tuple[str, ...]
    absent: tuple[str, ...]
    graph: bytes
    knots: calibration.Knots
    facts: dict[str, float]
    golden: Golden


class Boosted(Model):
    """Boosted trees, calibrated on the most recent fifth through the graph that will serve.

    The classes are not reweighted. With ``scale_pos_weight`` the trees of an 83 % base rate answer
    around one half, and calibration on a few hundred rows has to undo what was done to them: WISDOM
    scored a Brier of 0.1368 with weights and isotonic regression, 0.1335 without weights (SPX
    2016-2018, 2,241 rows it had not seen). A threshold relative to the base rate needs no balance.
    """

    rising: ClassVar[tuple[str, ...]] = ()
    """Features in which the probability never falls."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._fitted: Fitted | None = None

    @abstractmethod
    def grow(self, x: FloatArray, y: FloatArray, rising: tuple[bool, ...]) -> Forest:
        """Train on float32 (n, F) and 0/1 (n,), keep what `raw` needs, and return the trees."""

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
        forest = self.grow(x[:stop], labels[:stop], tuple(f in self.rising for f in features))
        graph = forest.to_onnx()
        score = onnx.scores(onnx.session(graph), x[start:])
        knots = calibration.fit(score, labels[start:])
        sample = np.linspace(0, len(score) - 1, GOLDEN).astype(int)
        self._fitted = Fitted(
            features=features,
            absent=tuple(name for name in self.features if name not in features),
            graph=graph,
            knots=knots,
            facts=self._facts(X, labels),
            golden=tuple(
                (tuple(x[start + i].tolist()), float(np.interp(score[i], *knots))) for i in sample
            ),
        )
        return self

    def predict(self, X: pd.DataFrame) -> FloatArray:
        fitted = self._done()
        x = matrix(X, fitted.features, self.name)
        known = np.isfinite(x).all(axis=0)
        if not known.all():
            names = ", ".join(np.array(fitted.features)[~known])
            raise FeatureMismatch(f"{self.name}: unknown {names}")
        return np.interp(self.raw(x), *fitted.knots)

    def export(self, facts: Mapping[str, float] | None = None, schema_hash: str = "") -> Artifact:
        fitted = self._done()
        return Artifact(
            model=self.name,
            target=self.target.name,
            features=fitted.features,
            absent=fitted.absent,
            onnx=fitted.graph,
            knots=fitted.knots,
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


class XGBoosted(Boosted):
    """Trees by XGBoost [1]_.

    References
    ----------
    .. [1] T. Chen and C. Guestrin, "XGBoost: a scalable tree boosting system", KDD 2016.
    """

    rounds: ClassVar[int]
    sketch: ClassVar[int | None] = None
    """Rows, drawn at random, that the bins are found by; None for all."""
    parameters: ClassVar[dict[str, float]]

    def grow(self, x: FloatArray, y: FloatArray, rising: tuple[bool, ...]) -> Forest:
        import xgboost as xgb

        fixed: dict[str, Any] = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_bin": BINS,
            "nthread": 1,
            "seed": self.seed,
            "verbosity": 0,
        }
        if any(rising):
            fixed["monotone_constraints"] = tuple(map(int, rising))
        cuts = None
        if self.sketch is not None and self.sketch < len(x):
            some = np.random.default_rng(self.seed).choice(len(x), self.sketch, replace=False)
            cuts = xgb.QuantileDMatrix(x[some], max_bin=BINS, nthread=1)
        data = xgb.QuantileDMatrix(x, y, ref=cuts, max_bin=BINS, nthread=1)
        self._booster = xgb.train(fixed | self.parameters, data, self.rounds)
        return from_xgboost(self._booster)

    def raw(self, x: FloatArray) -> FloatArray:
        self._done()
        return np.asarray(self._booster.inplace_predict(x), np.float64)
