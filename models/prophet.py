"""Prophet advises: how well a trade's structure suits the day. It never vetoes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

import numpy as np

from domain.values import FloatArray
from models.base import FROM_MODELS, Target
from models.boosting import Boosted
from models.forest import Forest, from_histogram
from models.wisdom import DISTANCES, MARKET

WEEKLY = "0 17 * * sun"


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep scikit-learn's trees, which have no setting for it, from starting threads.

    Beside other busy processes two threads took 510 ms for a fit that takes 130 in one, and a
    process that has started them cannot fork and train.
    """
    with _pools().limit(limits=1, user_api="openmp"):
        yield


@cache
def _pools() -> Any:
    """Return the thread pools of this process; finding them takes 6 ms."""
    import sklearn.ensemble  # noqa: F401 -- its pool must be there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Prophet(Boosted):
    """The chance that a premium trade works out, whatever its structure: the combined model.

    Gradient boosting on histograms, a third of the features at each split. Twenty trees of four
    leaves at rate 0.1 score no worse than forty of eight at 0.05 (skill walked forward 0.005
    against -0.003, 0.004 from seed to seed) and fit in half the time.
    """

    name = "prophet"
    title = "Prophet"
    limits: ClassVar[str] = (
        "Closes decide, as for WISDOM, whose question this is: where both agree, one question was "
        "asked twice. It advises on size and strikes, and no answer of it stops a trade."
    )
    features: ClassVar[tuple[str, ...]] = (*MARKET, "strike_distance")
    target: ClassVar[Target] = Target("survives", horizon=5, universe="index", distances=DISTANCES)
    retrain = WEEKLY
    rising = ("strike_distance",)
    parameters: ClassVar[dict[str, Any]] = {
        "max_iter": 20,
        "max_leaf_nodes": 4,
        "max_bins": 63,
        "learning_rate": 0.1,
        "min_samples_leaf": 30,
        "l2_regularization": 10.0,
        "max_features": 0.35,
        "early_stopping": False,
    }

    def grow(self, x: FloatArray, y: FloatArray, rising: tuple[bool, ...]) -> Forest:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            random_state=self.seed, monotonic_cst=list(map(int, rising)), **self.parameters
        )
        with one_thread():
            self._trees = model.fit(x, y)
        return from_histogram(self._trees)

    def raw(self, x: FloatArray) -> FloatArray:
        self._done()
        with one_thread():
            return np.asarray(self._trees.predict_proba(x)[:, 1], np.float64)


class Condor(Prophet):
    """The chance that a condor's short strikes hold, with what only a condor asks about."""

    name = "prophet-condor"
    title = "Prophet, condors"
    features = (*MARKET, "is_friday", "strike_distance")


class Directional(Prophet):
    """The chance that the index closes higher five sessions on.

    Beside the market it hears ORION, where ORION answers. At half the rate of the others: the
    less there is to learn, the more of it is noise (skill walked forward -0.009, at their rate
    and leaves -0.025; 0.005 from seed to seed).
    """

    name = "prophet-directional"
    title = "Prophet, direction"
    limits = (
        "Which way an index closes in a week is close to a coin toss that a rising market has "
        "loaded, and the base rate is hard to beat. It cannot tell how far."
    )
    features = (*MARKET, "is_friday", *FROM_MODELS)
    target = Target("rises", horizon=5, universe="index")
    parameters: ClassVar[dict[str, Any]] = Prophet.parameters | {
        "learning_rate": 0.05,
        "max_leaf_nodes": 8,
    }
