"""What a session left behind: the part of the record that a report is made of, read once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Self

from domain.bot import Bot
from domain.trade import Outcome, Position, Trade
from market import calendar, window
from market.feeds.base import Feed
from models import catalog
from orchestrator.books import Mark
from orchestrator.sight import moment
from storage import decisions, record, state, trades
from storage.decisions import SEALED, Line
from storage.engine import Store
from trading import accounting

ALL = 10_000_000


class Recorded(NamedTuple):
    """What is recorded of the desk, or of one bot."""

    lines: list[Line]
    """Sealed decisions, oldest first."""
    pending: int
    closed: list[Trade]
    held: list[Position]
    outcomes: list[Outcome]
    orders: dict[tuple[str, str], int]
    marks: list[Mark]
    examples: dict[tuple[str, str], str]
    """The newest reason in full, by layer and code."""

    def of(self, bot: str) -> Self:
        """Return the part of one bot."""
        lines = [line for line in self.lines if line.bot == bot]
        ids = {line.id for line in lines}
        return self._replace(
            lines=lines,
            closed=[trade for trade in self.closed if trade.bot == bot],
            held=[position for position in self.held if position.bot == bot],
            outcomes=[outcome for outcome in self.outcomes if outcome.decision_id in ids],
            orders={key: n for key, n in self.orders.items() if key[0] == bot},
            marks=[mark for mark in self.marks if mark.bot == bot],
        )

    @property
    def whole(self) -> list[Trade]:
        """One trade per entry that is wholly closed, in how many parts it may have been."""
        return accounting.whole(self.closed, {position.decision_id for position in self.held})


def read(store: Store, bots: Mapping[str, Bot]) -> Recorded:
    """Return everything that is recorded of these bots."""
    every = [line for line in decisions.listing(store, limit=ALL) if line.bot in bots]
    lines = [line for line in reversed(every) if line.status == SEALED]
    kept = state.listing(store, "equity/").values()
    return Recorded(
        lines=lines,
        pending=len(every) - len(lines),
        closed=[trade for trade in trades.trades(store) if trade.bot in bots],
        held=[position for position in trades.positions(store) if position.bot in bots],
        outcomes=[o for model in catalog.CATALOG for o in trades.outcomes(store, model)],
        orders=record.opening_orders(store),
        marks=[mark for one in kept if (mark := Mark.model_validate(one.body)).bot in bots],
        examples=_examples(store, lines),
    )


def _examples(store: Store, lines: Sequence[Line]) -> dict[tuple[str, str], str]:
    newest = {(line.layer, line.code): line.id for line in lines if line.layer}
    found = {decision.id: decision for decision in decisions.many(store, list(newest.values()))}
    return {
        (str(layer), str(code)): found[key].reason
        for (layer, code), key in newest.items()
        if key in found
    }


def bars(feed: Feed, lines: Iterable[Line]) -> list[datetime]:
    """Return the distinct daily bars that were decided on, oldest first.

    What was decided within a session, where that has bars, counts to the bar that it made.
    """
    panel = feed.panel()
    places = {_place(feed, asof) for asof in {line.asof for line in lines}}
    return [moment(panel, place) for place in sorted(places)]


def _place(feed: Feed, asof: datetime) -> int:
    panel = feed.panel()
    place = window.index(panel, asof)
    if feed.within() is None or feed.newest(asof) == moment(panel, place):
        return place
    ends = calendar.ahead(asof, 1)
    return window.index(panel, ends)
