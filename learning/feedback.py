"""What became of predictions, traded or not: the way from a decision back to its models.

Every prediction of every decision is followed to its fixed horizon by the same function that makes
training labels, and joined by decision id. Only what a version said *before* it happened can show
whether it still deserves its place.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.random import Generator
from pydantic import AwareDatetime, Field

from domain.bot import Bot
from domain.decision import OmegaDecision
from domain.trade import Outcome
from domain.values import FloatArray, Probability, Value
from domain.version import Measure
from learning import labels
from learning.significance import block, score
from market import window
from market.panel import Panel, Unit
from models import catalog


class Forecast(Value):
    """One prediction as it was recorded, with what is needed to see what became of it."""

    decision_id: str
    model: str
    version: str
    target: str
    unit: Unit = "session"
    horizon: int = Field(gt=0)
    """In sessions, or in bars."""
    symbol: str
    bar: AwareDatetime
    distance: float | None = None
    probability: Probability
    base_rate: Probability

    @classmethod
    def of(cls, decision: OmegaDecision) -> tuple[Self, ...]:
        """Return the forecasts within a decision, whatever the decision was.

        A model that abstained made none. Neither did one whose base rate was never measured: there
        is nothing to hold its answer against.
        """
        context = decision.context
        return tuple(
            cls(
                decision_id=decision.id,
                model=said.model,
                version=said.version,
                target=said.target,
                unit=catalog.entry(said.model).target.unit,
                horizon=catalog.entry(said.model).target.horizon,
                symbol=context.symbol,
                bar=context.bar,
                distance=_distance(said.model, context.bot),
                probability=said.probability,
                base_rate=said.facts["base_rate"],
            )
            for said in decision.draft.predictions
            if said.probability is not None and "base_rate" in said.facts
        )


def outcomes(panel: Panel, forecasts: Iterable[Forecast], asof: datetime) -> list[Outcome]:
    """Return what came true of the forecasts whose horizon has passed, in the order given.

    Left out, and so still pending: forecasts whose deciding bar had not closed by `asof`, and
    those whose bar, symbol or price the panel does not have. Nothing is guessed for them.
    """
    newest = window.index(panel, asof)
    found = []
    for forecast in forecasts:
        start = int(np.searchsorted(panel.times, _stamp(forecast.bar)))
        end = start + forecast.horizon
        if end > newest or panel.times[start] != _stamp(forecast.bar):
            continue
        happened = _happened(panel, forecast, start)
        if np.isnan(happened):
            continue
        found.append(
            Outcome(
                decision_id=forecast.decision_id,
                model=forecast.model,
                version=forecast.version,
                target=forecast.target,
                probability=forecast.probability,
                base_rate=forecast.base_rate,
                happened=bool(happened),
                at=panel.times[end].astype("datetime64[s]").astype(datetime).replace(tzinfo=UTC),
            )
        )
    return found


def verified(happened: Sequence[Outcome], horizon: int, rng: Generator) -> dict[str, Measure]:
    """Measure predictions by their outcomes, against the base rates they were made beside.

    The same measures as a training's, but for the logistic rival; empty without an outcome.
    """
    if not happened:
        return {}
    rows = sorted(happened, key=lambda outcome: (outcome.at, outcome.decision_id))
    dates = np.array([_stamp(outcome.at) for outcome in rows])

    def column(values: Iterable[float]) -> FloatArray:
        return np.fromiter(values, np.float64, len(rows))

    return score(
        column(outcome.probability for outcome in rows),
        column(outcome.happened for outcome in rows),
        dates,
        {"base": column(outcome.base_rate for outcome in rows)},
        rng,
        block(horizon, len(np.unique(dates))),
    )


def _distance(model: str, bot: Bot) -> float | None:
    return bot.distance if catalog.entry(model).target.distances else None


def _happened(panel: Panel, forecast: Forecast, start: int) -> float:
    """Return the training label of the forecast's row: 1, 0 or NaN."""
    kind = catalog.entry(forecast.model).target
    if forecast.symbol not in panel.symbols or (kind.distances and forecast.distance is None):
        return np.nan
    if kind.name != forecast.target:  # the model asks another question by now
        return np.nan
    column = panel.column(forecast.symbol)
    target = kind._replace(
        horizon=forecast.horizon,
        universe="stocks" if column else "index",
        distances=() if forecast.distance is None else (forecast.distance,),
    )
    key = (outcomes, target)
    if key not in panel.memo:
        panel.memo[key] = labels.outcomes(panel, target)
    return float(panel.memo[key][start, max(column - 1, 0), 0])


def _stamp(moment: datetime) -> np.datetime64:
    return np.datetime64(int(moment.timestamp()), "s")
