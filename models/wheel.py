"""The wheel's learner: will a put that was sold against cash expire worthless."""

from typing import ClassVar

from models.base import Target
from models.boosting import XGBoosted


class Wheel(XGBoosted):
    """The chance that the index closes above the strike of a put sold 21 sessions before.

    A random forest, as its ancestor's [1]_, grown by XGBoost: a hundred trees at once, each from
    its own rows and columns. The delta, the premium and the yearly return of its fifteen features
    are all functions of the strike's distance, the volatility and the time, which are features.
    The time is always the same 21 sessions.

    Nothing of it can be told from noise: walked forward through 1992-2024 on SPX its skill over the
    base rates of the strikes is -0.019 [-0.041, 0.002]. So what puts are sold for is the premium
    that they brought in the mean of all years, and the model no more than the gate before it.

    References
    ----------
    .. [1] L. Breiman, "Random forests", Machine Learning 45 (2001).
    """

    name = "wheel"
    title = "SPX wheel"
    limits = (
        "Labels of 21 sessions overlap: a year holds twelve that do not, and few of them lost, so "
        "a calm decade teaches it that nothing happens. Expiry alone is asked about; neither what "
        "the put was sold for nor how far under water it was on the way. Of a call that is sold "
        "against the index it says nothing: the artifact carries how all of those came out."
    )
    features: ClassVar[tuple[str, ...]] = (
        "vix",
        "iv_rank_252",
        "vix_percentile_30d",
        "vix_term_vix_3m",
        "volatility_risk_premium",
        "gex_normalized",
        "gex_distance_to_put_wall_pct",
        "gex_distance_to_call_wall_pct",
        "return_5d",
        "return_20d",
        "distance_from_high_252",
        "strike_distance",
    )
    target: ClassVar[Target] = Target(
        "above", horizon=21, universe="index", distances=(0.5, 1.0, 1.5)
    )
    retrain = "0 18 * * sun"
    rising = ("strike_distance",)
    rounds = 1
    parameters: ClassVar[dict[str, float]] = {
        "num_parallel_tree": 100,
        "learning_rate": 1.0,
        "max_depth": 4,
        "min_child_weight": 20.0,
        "subsample": 0.6,
        "colsample_bynode": 0.5,
        "lambda": 5.0,
    }
