"""The pattern learner: what the index did after readings like today's, over several horizons."""

from typing import ClassVar

from models.base import Target
from models.boosting import XGBoosted


class Pattern(XGBoosted):
    """The chance that the index closes higher five sessions on, by its RSI over several spans.

    The ancestor read RSI on bars from five minutes to a day; on a history of sessions the spans
    go from two sessions to a month. A random forest of shallow trees. What is labelled is what
    came true, and not whether its own trades won: those would teach it its own habits.
    """

    name = "pattern"
    title = "Pattern learner"
    limits = (
        "Its spans are sessions, so no pattern within a day is seen. Oscillators of one index over "
        "several spans say much the same, and that an index rises is most of what there is to know."
    )
    features: ClassVar[tuple[str, ...]] = (
        "rsi_2",
        "rsi_7",
        "rsi_14",
        "rsi_21",
        "stochastic_k",
        "bollinger_b",
        "zscore_20",
        "return_5d",
        "return_20d",
        "vix",
        "vix_change_5d",
        "gex_normalized",
        "gex_distance_to_call_wall_pct",
        "gex_distance_to_put_wall_pct",
        "gex_distance_to_magnet_pct",
    )
    target: ClassVar[Target] = Target("rises", horizon=5, universe="index")
    retrain = "0 18 * * sun"
    rounds = 1
    parameters: ClassVar[dict[str, float]] = {
        "num_parallel_tree": 100,
        "learning_rate": 1.0,
        "max_depth": 4,
        "min_child_weight": 12.0,
        "subsample": 0.8,
        "colsample_bynode": 0.8,
        "lambda": 5.0,
    }
