"""VALOR's learner: whether a future that is bought, or sold, now ends ahead of its brackets."""

from typing import ClassVar

from domain.values import Action
from market.panel import HOUR
from models.base import Target
from models.boosting import XGBoosted


class Long(XGBoosted):
    """The chance that a future bought at the open of the next bar ends ahead, costs aside.

    Its rows are bars within sessions, its labels what VALOR's own brackets would have come to
    within the hour. Of 5,148 positions on the five-minute bars of the S&P 500 of May to July 2026
    seven were held longer, none over 15 bars; they end at the hour's close.
    The ancestor learned from trades that it had made, and so nothing of what it had let go by; its
    Brier was one of rows that it had learned from. Hour, volatility, range and the distances to
    flip and walls are its features, too; the win rates of its own trades stay with the count
    (`models.belief`) that it has to beat.
    """

    name = "valor-long"
    title = "VALOR, long"
    limits = (
        "Brackets are a few points away, so most of what decides is noise of the next minutes. "
        "Labels of neighbouring bars share most of their path: a month holds far fewer trades than "
        "bars. Where the gamma flip was not imported it learns from prices alone."
    )
    features: ClassVar[tuple[str, ...]] = (
        "bar_vix",
        "bar_time",
        "bar_change_1",
        "bar_change_3",
        "bar_change_6",
        "bar_change_12",
        "bar_change_36",
        "bar_range",
        "bar_trend",
        "bar_since_open",
        "bar_place",
        "bar_gamma_positive",
        "bar_flip_pct",
        "bar_call_wall_pct",
        "bar_put_wall_pct",
    )
    target: ClassVar[Target] = Target("long_pays", horizon=HOUR, universe="index", unit="bar")
    requires = ("MINUTE",)
    retrain = "0 20 * * sun"
    rounds = 100
    parameters: ClassVar[dict[str, float]] = {
        "learning_rate": 0.03,
        "max_depth": 3,
        "min_child_weight": 20.0,
        "subsample": 0.6,
        "colsample_bynode": 0.5,
        "lambda": 5.0,
    }


class Short(Long):
    """The chance that a future sold at the open of the next bar ends ahead, costs aside."""

    name = "valor-short"
    title = "VALOR, short"
    target = Target("short_pays", horizon=HOUR, universe="index", unit="bar")


ANSWERS = {Action.BUY: Long.name, Action.SELL: Short.name}
"""Who answers for which side."""
