"""What the boosted trees of every library have in common, and those of XGBoost."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from domain.values import FloatArray
from models.calibrated import Calibrated
from models.forest import Forest, from_xgboost

if TYPE_CHECKING:
    import pandas as pd

BINS = 64
"""Of each feature; XGBoost's trees split between them."""


class Boosted(Calibrated):
    """Boosted trees, calibrated on the most recent fifth through the graph that will serve.

    The classes are not reweighted. With ``scale_pos_weight`` the trees of an 83 % base rate answer
    around one half, and calibration on a few hundred rows has to undo what was done to them: WISDOM
    scored a Brier of 0.1368 with weights and isotonic regression, 0.1335 without weights (SPX
    2016-2018, 2,241 rows it had not seen). A threshold relative to the base rate needs no balance.
    """

    rising: ClassVar[tuple[str, ...]] = ()
    """Features in which the probability never falls."""

    @abstractmethod
    def grow(self, x: FloatArray, y: FloatArray, rising: tuple[bool, ...]) -> Forest:
        """Train on float32 (n, F) and 0/1 (n,), keep what `raw` needs, and return the trees."""

    def learn(
        self, x: FloatArray, y: FloatArray, features: tuple[str, ...], bars: pd.Index
    ) -> bytes:
        self._forest = self.grow(x, y, tuple(name in self.rising for name in features))
        return self._forest.to_onnx()

    def forest(self) -> bytes:
        return self._forest.pack()


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
