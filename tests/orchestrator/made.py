"""Contexts, drafts and desks that the tests of the middle are made with."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from domain import examples
from domain.clock import VirtualClock
from domain.decision import (
    Context,
    Draft,
    Effect,
    OmegaDecision,
    Prediction,
    Proposal,
    Reason,
    Verdict,
)
from domain.settings import Settings
from domain.values import Action, Env
from market.feeds.base import Feed, History
from market.feeds.packaged import Packaged
from market.panel import Panel
from orchestrator.desk import Desk
from orchestrator.layers.sizing import sizing
from orchestrator.pulse import Pulse, keep
from storage import decisions, exposure, outbox, record
from trading.bots.catalog import BOTS
from trading.strategies import catalog as strategies
from workers.lifecycle import bound, open_desk

ASKED = 28
"""Decisions of one scan: eight bots on the index, one on twenty stocks."""
BATCHES = 2
"""Messages that they go in, 25 in one."""
CAPITAL = sum(bot.capital for bot in BOTS.values())
"""Of the whole desk."""
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
CLOSE = datetime(2016, 3, 7, 21, tzinfo=UTC)
"""Of a Monday; the packaged days before it are known."""
SECOND = timedelta(seconds=1)
MEMBERS = {"xgb": 0.6, "lgbm": 0.58}
"""What two members of the ensemble may say of the index rising."""
STRONG = {
    "close_range_14": 0.01,
    "sma_ratio_5": 0.005,
    "sma_ratio_10": 0.01,
    "sma_ratio_20": 0.02,
    "sma_ratio_50": 0.04,
    "rsi_14": 60.0,
    "macd_histogram": 0.001,
    "vix": 12.0,
}
"""Features of a stock that four of four conditions buy."""


def premium(name: str = "fortress", vix: float = 17.0, **fields: Any) -> Context:
    """Return what a bot that sells premium looks at; `features` are added to the VIX."""
    features = {"vix": vix} | fields.pop("features", {})
    return examples.context(bot=BOTS[name], features=features, **fields)


def stock(vix: float = 12.0, **fields: Any) -> Context:
    """Return what a bot that buys shares looks at, on a day with every reason to buy."""
    plain = {"bot": BOTS["autotrader"], "symbol": "KO", "price": 100.0, "surface": None}
    features = STRONG | {"vix": vix} | fields.pop("features", {})
    return examples.context(**plain | {"features": features} | fields)


def answered(context: Context, *predictions: Prediction, **said: float | None) -> Draft:
    """Return a draft with the answers of models; of a name and a probability, or whole."""
    named = (examples.prediction(p, model.replace("_", "-")) for model, p in said.items())
    return Draft(context=context, predictions=(*predictions, *named))


def wanting(context: Context, quantity: int = 1, proposal: Proposal | None = None) -> Draft:
    """Return a draft that every layer let through and that wants a quantity."""
    unit = strategies.propose(context) if proposal is None else proposal
    return Draft(context=context).add(
        Verdict(
            layer="sizing",
            effect=Effect.ADJUST,
            code=Reason.SIZED,
            action=unit.action,
            probability=0.9,
            proposal=unit,
            quantity=quantity,
        )
    )


def chosen(context: Context, *predictions: Prediction, action: Action = Action.SELL) -> Draft:
    """Return a draft that inference let through in full."""
    said = Verdict(layer="inference", action=action, probability=0.9)
    return Draft(context=context, predictions=predictions).add(said)


def sized(draft: Draft, **facts: float) -> Draft:
    """Return what sizing makes of a draft that one model has answered, with these facts."""
    answer = examples.prediction(**{"gain": 0.3, "loss": 0.5} | facts)
    return sizing(draft.model_copy(update={"predictions": (answer,)}))


def proposed(context: Context, p: float = 0.9, **fields: Any) -> Draft:
    """Return a draft that the advisor has put a proposal into, at this probability."""
    verdict = Verdict(
        layer="advisor",
        action=Action.SELL,
        probability=p,
        proposal=examples.proposal(**fields),
    )
    return Draft(context=context).add(verdict)


def codes(draft: Draft) -> list[tuple[str, Effect, Reason]]:
    """Return who spoke, how, and why."""
    return [(verdict.layer, verdict.effect, verdict.code) for verdict in draft.verdicts]


def vetoed(draft: Draft) -> tuple[str, Reason]:
    """Return which layer ended a draft, and why; and that it holds."""
    assert draft.veto is not None
    assert (draft.action, draft.quantity, draft.scale) == (Action.HOLD, 0, 0.0)
    return draft.veto.layer, draft.veto.code


@cache
def packaged() -> Feed:
    """Return the packaged feed, loaded once for all tests: no feed ever changes."""
    return Packaged()


class Made(Feed):
    """A feed that has the panel it is given."""

    name = "made"
    title = "A panel made for a test"
    real = ()
    simulated = ("all of it",)

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def load(self) -> History:
        return History(self._panel)


@contextmanager
def desk_at(home: Path, when: datetime, feed: Feed | None = None) -> Iterator[Desk]:
    """Open and bind a desk on an empty home: no history, no model, every bot flat."""
    desk = open_desk(Settings(home=home), VirtualClock(when), Env.REPLAY, feed or packaged())
    desk.wall = desk.clock
    with bound(desk):
        yield desk


def passes(desk: Desk, wait: float = 0.0, host: str = "decision@a", **told: Any) -> None:
    """Let a pulse have come through the queue of decisions, that was `wait` seconds in it."""
    plain = {"queue": "decision", "host": host, "pid": 1, "build": "aaa", "at": desk.wall.now()}
    keep(desk.store, Pulse.model_validate(plain | {"wait": wait} | told))


def due(desk: Desk, bot: str, symbol: str) -> Context:
    """Scan one bot and return the context of one symbol, pending."""
    desk.scan([bot])
    waiting = [one.context for one in decisions.unsealed(desk.store)]
    in_time = [context for context in waiting if context.deadline >= desk.clock.now()]
    return next(c for c in in_time if (c.bot.name, c.symbol) == (bot, symbol))


def ordered(desk: Desk, bot: str, symbol: str, quantity: int = 1) -> OmegaDecision:
    """Scan, let one symbol through every layer, and return what was sealed."""
    [decision] = desk.seal([wanting(due(desk, bot, symbol), quantity)])
    return decision


def lapse(desk: Desk, by: timedelta) -> None:
    """Let so much time go by."""
    desk.clock.turn(desk.clock.now() + by)


def spoil(desk: Desk, statement: str) -> None:
    """Change the database behind everybody's back."""
    assert desk.store.file is not None
    with sqlite3.connect(desk.store.file) as raw:
        raw.execute("PRAGMA ignore_check_constraints=ON")
        raw.execute(statement)
    raw.close()


def nothing_happened(desk: Desk) -> bool:
    """Return whether nothing was ordered, reserved or put into the outbox."""
    return (
        record.opening_orders(desk.store) == {}
        and exposure.held(desk.store) == ()
        and outbox.pending(desk.store) == []
    )
