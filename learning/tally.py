"""What became of a bot's setups, traded or not: the way from its decisions back to its count.

A setup is followed to where its brackets would have ended it, by the function that makes training
labels. One that came while the last was still under way is not counted: a bot that holds one
position at a time could not have taken it, and the two share most of their path.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

import numpy as np
from pydantic import AwareDatetime

from domain.book import Costs
from domain.bot import Bot
from domain.decision import OmegaDecision
from domain.errors import FeatureMismatch
from domain.values import Action, Value
from learning import bracketed
from learning.shadow import Resolved, count
from market import window
from market.feeds.base import Feed
from market.feeds.sessions import MINUTE
from market.panel import Panel
from models import belief, catalog
from models.valor import ANSWERS
from storage import decisions, registry, state
from storage.engine import Store
from trading.strategies import catalog as strategies

ROWS = "tally"
"""Key, with the bot's name, of the setups that its count is made of."""
KEPT = 1000
"""Newest setups that count: half a year of them. Older ones are of another market."""
SIDES: dict[Action, Literal[-1, 1]] = {Action.BUY: 1, Action.SELL: -1}


class Tally(Value):
    """The setups of one bot that have ended, and the bar of the last that was looked at."""

    seen: AwareDatetime
    rows: tuple[Resolved, ...] = ()


def follow(
    store: Store, feed: Feed, asof: datetime, bots: Mapping[str, Bot], costs: Costs, seed: int
) -> int:
    """Count the setups that have ended, of every bot that is judged by its count; how many new.

    Point in time: a setup is known when the last bar is that its brackets might have needed.
    """
    counted = [b for b in bots.values() if strategies.find(b.strategy).judge == "count"]
    panel, horizon = feed.by("bar"), catalog.entry(ANSWERS[Action.BUY]).target.horizon
    if not counted or MINUTE not in panel.series:
        return 0
    newest = window.index(panel, asof)
    if newest < horizon:
        return 0
    until, new = panel.bar(newest - horizon), 0
    if until is None:
        return 0
    for bot in counted:
        kept = state.get(store, f"{ROWS}/{bot.name}")
        past = None if kept is None else Tally.model_validate(kept.body)
        if past is not None and past.seen >= until.at:
            continue
        taken = decisions.taken(store, None if past is None else past.seen, until.at)
        rows = () if past is None else past.rows
        own = [decision for decision in taken if decision.bot == bot.name]
        fresh = tuple(_ended(store, panel, own, rows[-1].closed if rows else None, costs))
        every = Tally(seen=until.at, rows=(*rows, *fresh)[-KEPT:])
        known = count(every.rows, asof, np.random.default_rng([seed, len(every.rows)]))
        bodies = {ROWS: every, state.COUNT: known}
        state.put_many(
            store, {f"{k}/{bot.name}": body.model_dump(mode="json") for k, body in bodies.items()}
        )
        new += len(fresh)
    return new


def _ended(
    store: Store,
    panel: Panel,
    own: Iterable[OmegaDecision],
    free: datetime | None,
    costs: Costs,
) -> Iterator[Resolved]:
    """Yield the setups among the decisions, oldest first, that were free to be taken."""
    horizon = catalog.entry(ANSWERS[Action.BUY]).target.horizon
    ends = {action: bracketed.ended(panel, side, horizon) for action, side in SIDES.items()}
    earned = {
        action: bracketed.results(panel, side, horizon, costs) for action, side in SIDES.items()
    }
    for decision in own:
        context = decision.context
        regime, action = belief.regime(context.features), _side(decision)
        if action is Action.HOLD or regime is None or (free is not None and context.bar < free):
            continue
        name, stamp = ANSWERS[action], np.datetime64(int(context.bar.timestamp()), "s")
        row, found = int(np.searchsorted(panel.times, stamp)), ends[action]
        if panel.times[row] != stamp or not np.isfinite(found.ahead[row]):
            continue  # the bar is gone from the feed, or nothing could be opened after it
        out = panel.bar(int(found.row[row]))
        if out is None:
            continue
        r = float(earned[action][row])
        said, free = decision.draft.prediction(name), out.at
        yield Resolved(
            decision_id=decision.id,
            regime=regime,
            decided=context.bar,
            closed=out.at,
            won=bool(found.ahead[row] > 0),
            r=r if np.isfinite(r) else None,
            probability=None if said is None else said.probability,
            trained_to=None if said is None else registry.get(store, name, said.version).trained_to,
        )


def _side(decision: OmegaDecision) -> Action:
    """Return the side of the setup that was there, whatever was made of it; HOLD without one."""
    try:
        return strategies.setup(decision.context).action
    except FeatureMismatch:  # what it needs was unknown
        return Action.HOLD
