"""DISCERNMENT asks of the next sessions: which way, how far, and how soon."""

from typing import ClassVar

from models.base import Target
from models.boosting import XGBoosted

HALF = 0.005
"""A move that is a direction; what is less is neutral."""
HORIZON = 3
"""Sessions. One for all four questions and for what is then traded: an outcome that is looked up
"now", a day or a week after it was foretold, says nothing of either."""


class Discernment(XGBoosted):
    """What the questions have in common: 21 features, each of them measured.

    Two of the ancestor's 24 were constants (the ratio of implied to realised volatility, the
    change of open interest), two were lookups (IV rank was IV over 30), and the timing was labelled
    by the size of the return. Here every feature is computed, and the timing is labelled by time.
    The index SKEW is not among them: 16 sessions of 1990-2024 lack it, which makes its place in a
    year unknown for a quarter of all rows. The skew of the chain is.
    """

    features: ClassVar[tuple[str, ...]] = (
        "return_1d",
        "return_5d",
        "gex_normalized",
        "gex_distance_to_flip_pct",
        "gex_distance_to_call_wall_pct",
        "gex_distance_to_put_wall_pct",
        "gex_regime_positive",
        "vix",
        "vix_percentile_30d",
        "iv_rank_252",
        "rv21_over_vix",
        "rv5_over_vix",
        "vix_term_9d_vix",
        "chain_atm_iv_over_rv21",
        "chain_skew",
        "put_call",
        "rsi_14",
        "bollinger_b",
        "atr_14",
        "macd_histogram",
        "volume_ratio_20",
    )
    retrain = "0 18 * * sun"
    limits: ClassVar[str] = (
        "How far an index goes follows from how far it went lately, and that is most of what can "
        "be learned here: that it tells a move of half a percent says little of its direction, for "
        "when one side is likely the other is too. Open to close: what happens overnight is not "
        "in it, and a session whose open is only the close before it is left out."
    )
    rounds = 33
    parameters: ClassVar[dict[str, float]] = {
        "max_depth": 3,
        "learning_rate": 0.06,
        "min_child_weight": 10.0,
        "subsample": 0.8,
        "colsample_bytree": 0.5,
        "alpha": 0.1,
        "lambda": 10.0,
    }


class Up(Discernment):
    """The chance that three sessions on the close is at least 0.5 % above the next open."""

    name = "discernment-up"
    title = "DISCERNMENT, bullish"
    target: ClassVar[Target] = Target("gains", HORIZON, universe="index", level=HALF)


class Down(Discernment):
    """The chance that three sessions on the close is at least 0.5 % below the next open."""

    name = "discernment-down"
    title = "DISCERNMENT, bearish"
    target = Target("loses", HORIZON, universe="index", level=HALF)


class Size(Discernment):
    """The chance that no price of three sessions is further away than so many expected moves.

    Small, medium and large are distances here: half an expected move, one, and beyond.
    """

    name = "discernment-size"
    title = "DISCERNMENT, magnitude"
    features = (*Discernment.features, "strike_distance")
    target = Target("contained", HORIZON, universe="index", distances=(0.5, 1.0, 1.5))
    rising = ("strike_distance",)


class Soon(Discernment):
    """The chance that a move of half an expected move comes in the first of three sessions.

    Of those bars only that were followed by such a move: when it comes, not whether. That is about
    half of them, so it may learn from fewer rows than the others.
    """

    name = "discernment-soon"
    title = "DISCERNMENT, timing"
    min_samples = 150
    target = Target("soon", HORIZON, universe="index", level=0.5)
