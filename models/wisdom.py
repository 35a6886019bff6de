"""WISDOM answers one question: will this trade win."""

from typing import ClassVar

from models.base import Target
from models.boosting import XGBoosted

MARKET = (
    "vix",
    "vix_percentile_30d",
    "vix_change_1d",
    "day_of_week_sin",
    "day_of_week_cos",
    "price_change_1d",
    "expected_move_pct",
    "volatility_risk_premium",
    "win_rate_60d",
    "gex_normalized",
    "gex_regime_positive",
    "gex_distance_to_flip_pct",
    "gex_between_walls",
)
"""The thirteen features that WISDOM and Prophet share."""
DISTANCES = (0.8, 1.0, 1.2)
"""Short strikes of the desk's condors, in expected moves."""


class Wisdom(XGBoosted):
    """The chance that an iron condor's short strikes hold for five sessions.

    The strikes' distance is a feature, and trades at every distance of the desk are learned
    together; further away is never less safe, which the trees are told and need not discover.
    Shallow trees: depth 3, rate 0.03 and a Hessian of 30 in each leaf scored better on rows they
    had not seen than depth 4, rate 0.1 and 10 (Brier 0.1361 against 0.1428; SPX 2016-2018). A third
    of those trees at three times the rate score alike (walked forward a skill of -0.002 either way,
    0.002 from seed to seed) and fit in half the time.
    """

    name = "wisdom"
    title = "WISDOM"
    limits = (
        "Closes decide: a strike that was touched within the five sessions and held at the end "
        "counts as held. Distances are in expected moves by VIX and not of quoted strikes. The "
        "three distances of a session share one path, so there is less to learn from than rows."
    )
    features = (*MARKET, "strike_distance")
    target = Target("survives", horizon=5, universe="index", distances=DISTANCES)
    retrain = "0 16 * * sun"
    rising = ("strike_distance",)
    rounds = 33
    parameters: ClassVar[dict[str, float]] = {
        "max_depth": 3,
        "learning_rate": 0.09,
        "min_child_weight": 30.0,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "alpha": 0.1,
        "lambda": 10.0,
    }
