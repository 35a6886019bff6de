"""The learning loop: train and let the gate judge, see what came true, demote what failed."""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from datetime import datetime

import numpy as np
from pydantic import AwareDatetime

from domain.book import Costs
from learning import promotion, trainer
from learning.feedback import Forecast, outcomes
from learning.promotion import Judgement
from learning.trainer import Trained
from market import window
from market.feeds.base import Feed
from market.panel import Panel, Unit
from models import catalog
from models.catalog import CATALOG
from storage import decisions, registry, state, trades
from storage.engine import Store
from storage.registry import Ruling, Why

Train = Callable[[str, Panel, datetime, int, Costs], Trained]
elsewhere: ContextVar[Train] = ContextVar("elsewhere", default=trainer.train)
"""How a training is done; a replay has its trainings done in other processes, ahead of time."""

SEEN = "feedback/asof"
"""Key under which, by horizon, the last bar is kept whose decisions were followed to it."""


def retrain(
    name: str, store: Store, panel: Panel, asof: AwareDatetime, seed: int, costs: Costs, who: str
) -> Judgement:
    """Train a challenger on what was known at `asof`, store it, and do what the gate says."""
    trained = elsewhere.get()(name, panel, asof, seed, costs)
    return promotion.settle(store, trained, who, asof)


def follow(store: Store, feed: Feed, asof: AwareDatetime, models: Collection[str]) -> int:
    """Record what came true of the predictions whose horizon has passed; return how many.

    Whether a decision was traded makes no difference: a model is judged by all that it said. Each
    span is followed for itself, for one of a session says after a week what one of a month
    cannot.

    Parameters
    ----------
    models
        Those that are asked.
    """
    targets = [catalog.entry(name).target for name in models]
    spans = sorted({(target.unit, target.horizon) for target in targets})
    return sum(_follow(store, feed.by(unit), asof, unit, horizon) for unit, horizon in spans)


def _follow(store: Store, panel: Panel, asof: AwareDatetime, unit: Unit, horizon: int) -> int:
    newest, key = window.index(panel, asof), f"{SEEN}/{'' if unit == 'session' else unit}{horizon}"
    if newest < horizon:
        return 0
    bar = trainer.moment(panel.times[newest - horizon])
    kept = state.get(store, key)
    since = None if kept is None else datetime.fromisoformat(kept.body)
    if since == bar:
        return 0
    forecasts = [
        forecast
        for decision in decisions.taken(store, since, bar)
        for forecast in Forecast.of(decision)
        if (forecast.unit, forecast.horizon) == (unit, horizon)
    ]
    count = trades.record_outcomes(store, outcomes(panel, forecasts, asof))
    state.put(store, key, bar.isoformat())
    return count


def review(store: Store, asof: AwareDatetime, seed: int) -> dict[str, Judgement]:
    """Judge every champion by its own outcomes; one that did harm goes back to its predecessor.

    Without a predecessor it is taken out of service, and the bots that need it hold.
    """
    found = {}
    for name, entry in CATALOG.items():
        champion = registry.champion(store, name)
        if champion is None:
            continue
        since = trades.outcomes(store, name, since=champion.trained_at)
        own = [outcome for outcome in since if outcome.version == champion.version]
        rng = np.random.default_rng([seed, len(own)])
        found[name] = judged = promotion.relapse(champion, own, entry.target.horizon, rng)
        if judged.ruling is Ruling.REJECT:
            why = Why(who="learning.validate", reason=judged.reason)
            if registry.earlier(store, name) is not None:
                registry.rollback(store, name, champion.version, why, asof)
            else:
                registry.retire(store, name, champion.version, why, asof)
    return found
