"""What the record says of the desk at one moment: its switches, its books, and how it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from domain.book import Book, Exposure, Switches
from domain.bot import Bot
from domain.errors import DataError
from domain.trade import Position, Trade
from market import calendar
from models.belief import Count
from risk import capital
from risk.capital import Capital
from risk.sla import Sla
from storage import engine, exposure, orders, state, switches, trades
from storage.engine import Store
from trading import accounting
from trading.accounting import Account
from trading.strategies import catalog as strategies

SLA = "sla"
"""Key under which is kept whether decisions come in time."""
RECENT = 5
"""Newest trades of a bot that its strategy is shown where it learns from them."""


@dataclass(frozen=True)
class View:
    """The switches and all books of the desk at one moment."""

    asof: datetime
    switches: Switches
    accounts: dict[str, Account]
    positions: tuple[Position, ...]
    exposures: tuple[Exposure, ...]
    allotted: dict[str, float]
    orders: Mapping[tuple[str, str], int]
    """Opening orders since the session opened, by bot and symbol."""
    entered: Mapping[str, frozenset[str]]
    """Decisions whose opening order was filled since the session opened, by bot."""
    closed: Mapping[str, tuple[Trade, ...]] = field(default_factory=dict)
    """The newest trades, oldest first, of the bots whose strategy looks at them."""
    counts: Mapping[str, Count] = field(default_factory=dict)
    """What is known of the setups of the bots that are judged by it."""
    degraded: bool = False
    """Whether decisions come too late."""

    @classmethod
    def read(cls, store: Store, bots: Mapping[str, Bot], asof: datetime, seed: int) -> Self:
        """Read them from the store, all at the same moment; `seed` is for the draw of capital."""
        session = opened(asof)
        with engine.reading(store):
            return cls(
                asof=asof,
                switches=switches.read(store),
                accounts=accounts(store, bots),
                positions=tuple(trades.positions(store)),
                exposures=exposure.held(store),
                allotted=allotted(store, bots, asof, seed),
                orders=orders.placed(store, session),
                entered=orders.entered(store, session),
                closed={
                    name: tuple(trades.trades(store, bot=name, limit=RECENT))
                    for name, bot in bots.items()
                    if strategies.find(bot.strategy).evidence is not None
                },
                counts=counted(store),
                degraded=punctuality(store).degraded,
            )

    def evidence(self, bot: Bot, symbol: str, market: Mapping[str, float]) -> dict[str, float]:
        """Return what the bot's own past says of its next trade in a symbol, as features.

        Its newest trades, and the count of its setups in the regime of this market, where its
        strategy is judged by that.
        """
        strategy, told = strategies.find(bot.strategy), dict[str, float]()
        if strategy.evidence is not None:
            own = [trade for trade in self.closed.get(bot.name, ()) if trade.symbol == symbol]
            told |= strategy.evidence(own, self.asof)
        if strategy.judge == "count":
            told |= self.counts.get(bot.name, Count()).facts(market)
        return told

    def book(self, bot: Bot, symbol: str) -> Book:
        """Return one bot's book before a decision on one symbol.

        An order that waits for its fill has a reservation and no position yet. It counts as open
        and as traded all the same, or whoever asks by hand until it is filled has no limit. The
        record counts, not the account: of two that write an account at once one count was lost.
        """
        held = {exposure.id for exposure in self.exposures if exposure.bot == bot.name}
        waiting = held - {position.decision_id for position in self.positions}
        book = accounting.book(
            self.accounts[bot.name],
            self.accounts.values(),
            self.exposures,
            self.positions,
            self.allotted[bot.name],
            len(self.entered.get(bot.name, frozenset()) | waiting),
            self.orders.get((bot.name, symbol), 0),
        )
        return book.model_copy(update={"open_positions": book.open_positions + len(waiting)})


def opened(asof: datetime) -> datetime:
    """Return when the session opened that is on, or the last one that was."""
    session, ended = calendar.session_of(asof), calendar.due(asof)
    if session is None and ended is not None:
        session = ended.date()
    if session is None:
        raise DataError(f"no session had opened by {asof:%Y-%m-%d %H:%MZ}")
    return calendar.opens(session)


def accounts(store: Store, bots: Mapping[str, Bot]) -> dict[str, Account]:
    """Return every bot's account; a bot that has none yet starts with its capital."""
    return read_accounts(store, bots)[0]


def read_accounts(
    store: Store, bots: Mapping[str, Bot]
) -> tuple[dict[str, Account], dict[str, int]]:
    """Return every bot's account, and the revision of each by its key, for who is to write them.

    Of two that read an account at once, the one that writes last would undo the other.
    """
    kept, found, revisions = state.listing(store, "account/"), {}, {}
    for name, bot in bots.items():
        key = f"account/{name}"
        there = kept.get(key)
        found[name] = Account.of(bot) if there is None else Account.model_validate(there.body)
        revisions[key] = 0 if there is None else there.revision
    return found, revisions


def allotted(store: Store, bots: Mapping[str, Bot], asof: datetime, seed: int) -> dict[str, float]:
    """Return each bot's share of the capital today; drawn here if the day has none yet."""
    kept = state.get(store, "capital")
    beliefs = Capital.model_validate(kept.body) if kept else Capital()
    return capital.allot(beliefs, tuple(bots), asof.date(), seed).allotted


def counted(store: Store) -> dict[str, Count]:
    """Return what is known of the setups of each bot that is judged by it, by bot."""
    found = state.listing(store, f"{state.COUNT}/")
    return {
        key.removeprefix(f"{state.COUNT}/"): Count.model_validate(kept.body)
        for key, kept in found.items()
    }


def punctuality(store: Store) -> Sla:
    """Return whether decisions come in time, as last judged; in time before that."""
    kept = state.get(store, SLA)
    return Sla() if kept is None else Sla.model_validate(kept.body)
