"""Which way dealers' gamma points the next session: the learner beside ORION, with walls."""

from typing import ClassVar

from models.base import Target
from models.orion import MOVE, Orion


class Bullish(Orion):
    """The chance that the next session gains at least 0.3 % from open to close.

    ORION's question from another set of features: where price stands between the walls, and which
    of them is near. The seed read VIX at the close of the session that it predicted, and its gap
    at the open; every feature here is known at the close before.
    """

    name = "gex-bullish"
    title = "GEX directional, bullish"
    features: ClassVar[tuple[str, ...]] = (
        "gex_normalized",
        "gex_regime_positive",
        "gex_distance_to_flip_pct",
        "gex_distance_to_call_wall_pct",
        "gex_distance_to_put_wall_pct",
        "gex_between_walls",
        "gex_above_call_wall",
        "gex_below_put_wall",
        "gex_ratio_log",
        "gex_near_wall",
        "vix",
        "volatility_risk_premium",
        "vix_regime_low",
        "vix_regime_mid",
        "vix_regime_high",
        "vix_term_vix_3m",
        "put_call_z_60",
        "dix_percentile_252",
        "price_change_1d",
        "day_of_week_sin",
        "day_of_week_cos",
        "is_monday",
        "is_friday",
        "is_opex_week",
    )
    target: ClassVar[Target] = Target("gains", horizon=1, universe="index", level=MOVE)


class Bearish(Bullish):
    """The chance that the next session loses at least 0.3 % from open to close."""

    name = "gex-bearish"
    title = "GEX directional, bearish"
    target = Target("loses", horizon=1, universe="index", level=MOVE)
