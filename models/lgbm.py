"""The ensemble's LightGBM member: which way will this stock go."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from domain.values import FloatArray
from models.base import Target
from models.boosting import Boosted
from models.forest import Forest, from_lightgbm
from models.xgb import CLOSE_ONLY, SURVIVORS


class Lgbm(Boosted):
    """The chance that a stock closes higher five sessions on, all stocks learned together.

    The same question as `models.xgb.Xgb`, with trees grown leaf by leaf [1]_.

    References
    ----------
    .. [1] G. Ke et al., "LightGBM: a highly efficient gradient boosting decision tree",
       NeurIPS 2017.
    """

    name = "lgbm"
    title = "LightGBM"
    limits = SURVIVORS
    features = CLOSE_ONLY
    target = Target("rises", horizon=5, universe="stocks")
    min_samples = 1000
    stride = 2
    retrain = "0 18 * * sun"
    rounds: ClassVar[int] = 20
    parameters: ClassVar[dict[str, float]] = {
        "num_leaves": 8,
        "learning_rate": 0.1,
        "min_data_in_leaf": 400,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.5,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "max_bin": 63,
        "bin_construct_sample_cnt": 2000,
    }

    def grow(self, x: FloatArray, y: FloatArray, rising: tuple[bool, ...]) -> Forest:
        import lightgbm as lgb

        fixed: dict[str, Any] = {
            "objective": "binary",
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbosity": -1,
        }
        if any(rising):
            fixed["monotone_constraints"] = list(map(int, rising))
        self._booster = lgb.train(fixed | self.parameters, lgb.Dataset(x, y), self.rounds)
        return from_lightgbm(self._booster)

    def raw(self, x: FloatArray) -> FloatArray:
        self._done()
        return np.asarray(self._booster.predict(x, num_threads=1), np.float64)
