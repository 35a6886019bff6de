"""The desk: what a process needs to decide, and the only place where deciding meets the world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from os import getpid
from socket import gethostname
from typing import Self

from domain.bot import Bot
from domain.clock import Clock, WallClock
from domain.decision import (
    Context,
    Draft,
    OmegaDecision,
    Prediction,
    decision_id,
)
from domain.errors import Refused, Transient
from domain.market import Surface
from domain.settings import Settings
from domain.values import Env
from market import calendar, window
from market.features import compute
from market.feeds import catalog as feeds
from market.feeds.base import Feed
from market.panel import Panel
from models.availability import lacking
from models.serving import Champions
from orchestrator.loader import Registry
from orchestrator.sight import Sight, beside, glance, moment, see, surface
from orchestrator.view import View
from risk.admission import admit
from storage import audit, decisions, engine, jobs
from storage.audit import DESK, Entry
from storage.decisions import Pending
from storage.engine import Store
from trading.bots.catalog import BOTS
from trading.brokers import catalog as brokers
from trading.brokers.base import Broker

DECISION, TRAINING = "decision", "training"
"""The queues that decisions and jobs wait in."""
TRAIN, VALIDATE = "learning.train", "learning.validate"
JOBS = {jobs.TRAINING: TRAIN, jobs.VALIDATION: VALIDATE}
"""The task that does a job, by the kind of the job."""
REMEMBERED = 200
"""Contexts that a process keeps, some 10 MB: the next hop of a batch often comes back to it, and 25
of them take 2 ms to read and parse, as long as two layers."""
CUT = 30
"""Daily bars that a surface is made from; it needs 23."""
IN_TIME = timedelta(minutes=4)
"""How long a scheduled decision may take: less than the five minutes to the next scan."""


@dataclass
class Desk:
    """One process's store, feed, clock and champions, and the bots that trade with them.

    It holds nothing that is not in the store or the feed: a desk can be thrown away at any moment
    and opened anew.
    """

    store: Store
    feed: Feed
    clock: Clock
    settings: Settings
    registry: Registry
    champions: Champions
    broker: Broker
    env: Env
    bots: dict[str, Bot] = field(default_factory=lambda: dict(BOTS))
    wall: Clock = field(default_factory=WallClock)
    """Real time, by which processes are judged whatever time the desk has."""
    _seen: Sight | None = None
    """The last close."""
    _glanced: Sight | None = None
    """The last bar within the session after it."""
    _names: tuple[str, ...] = ()
    _refused: dict[str, str] = field(default_factory=dict)
    _pending: dict[str, Pending] = field(default_factory=dict)

    @classmethod
    def open(
        cls, settings: Settings, clock: Clock, env: Env | None = None, feed: Feed | None = None
    ) -> Self:
        """Open the store and the feed that the settings name, or take a feed that is open."""
        store = engine.open_store(settings)
        registry, opened = Registry(store), feed or feeds.create(settings)
        playback = Env.PAPER if settings.feed == "files" else Env.PLAYBACK

        def lacks(model: str) -> str:
            return lacking(model, opened, clock.now())

        return cls(
            store=store,
            feed=opened,
            clock=clock,
            settings=settings,
            registry=registry,
            champions=Champions(registry, compute.schema_hash, lacks),
            broker=brokers.create("paper", settings.costs),
            env=env or playback,
        )

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()

    def panel(self, asof: datetime) -> Panel:
        """Return all bars that are known at `asof`."""
        return window.until(self.feed.panel(), asof)

    def bot(self, name: str) -> Bot:
        """Return one of the desk's bots; `Refused`, naming those there are, if it has none."""
        if name not in self.bots:
            raise Refused(f"there is no bot {name!r}; there are {', '.join(self.bots)}")
        return self.bots[name]

    @property
    def asked(self) -> frozenset[str]:
        """The models that a bot of this desk asks: those are retrained, the others by hand."""
        return frozenset(model for bot in self.bots.values() for model in bot.models)

    def sight(self, asof: datetime) -> Sight:
        """Return what the newest bar at `asof` shows; computed once per bar.

        What only a close can change is computed once per session, however often it is scanned.
        """
        names = self._needed()
        panel = self.feed.panel()
        bar = moment(panel, window.index(panel, asof))
        if self._seen is None or self._seen.bar != bar or self._names != names:
            self._seen, self._names = see(panel, asof, compute.counting(names, "session")), names
            self._glanced = None
        newest, within = self.feed.newest(asof), self.feed.within()
        if within is None or newest < bar:
            return self._seen
        if self._glanced is None or self._glanced.bar != newest:
            counted = compute.counting(names, "bar")
            own = self._bars(newest, counted) if counted else {}
            if newest == bar:
                self._glanced = beside(self._seen, own)
            else:
                cut = self.surface(newest)
                self._glanced = beside(glance(self._seen, within, newest, cut), own)
        return self._glanced

    def _bars(self, bar: datetime, names: tuple[str, ...]) -> Mapping[str, Mapping[str, float]]:
        """Return the features of the bar within a session that closed then; nothing without it."""
        tail = window.until(self.feed.by("bar"), bar, compute.TAIL)
        return compute.newest(tail, names) if len(tail) and moment(tail, -1) == bar else {}

    def surface(self, asof: datetime) -> Surface | None:
        """Return the volatility of the index that was known at `asof`, at its spot then."""
        tail, within = window.until(self.feed.panel(), asof, CUT), self.feed.within()
        bar = moment(tail, -1)
        if within is not None and len(row := window.until(within, asof, 1)):
            then = moment(row, -1)
            if then > bar and tail.symbols[0] in row.symbols:
                return surface(tail, then, row)
        seen = self._seen
        return seen.surface if seen is not None and seen.bar == bar else surface(tail, bar)

    def features(self, asof: datetime) -> Mapping[str, Mapping[str, float]]:
        """Return what the bots' own features were at the newest daily bar by then, by symbol."""
        sight = self.sight(self.clock.now())
        if sight.daily <= asof:
            return sight.features
        return compute.newest(self.panel(asof), compute.counting(self._needed(), "session"))

    def _needed(self) -> tuple[str, ...]:
        names: set[str] = set()
        for bot in self.bots.values():
            names |= {*bot.features, *self.champions.needs(bot.models)}
        return tuple(sorted(names))

    def view(self, asof: datetime) -> View:
        """Return the switches and all books, all read at the same moment."""
        return View.read(self.store, self.bots, asof, self.settings.seed)

    def gather(self, bot: Bot, symbols: Sequence[str], view: View, ask: int = 1) -> list[Context]:
        """Freeze everything that a decision on each symbol may look at.

        The store was read once, into `view`, so that all of them see the same books.
        """
        asof, halted = view.asof, view.switches
        sight = self.sight(asof)
        needed = {*bot.features, *self.champions.needs(bot.models)}
        serving = self.champions.versions()
        served = {model: serving[model] for model in bot.models if model in serving}
        schema = compute.schema_hash(sorted(needed))
        contexts = []
        for symbol in symbols:
            found, bar = sight.features.get(symbol, {}), sight.at(symbol)
            facts = bot.facts() | view.evidence(bot, symbol, found)
            contexts.append(
                Context(
                    id=decision_id(bot.name, symbol, bar, ask),
                    env=self.env,
                    bot=bot,
                    symbol=symbol,
                    bar=bar,
                    asof=asof,
                    deadline=asof + IN_TIME,
                    due=self.due(symbol, bar, asof),
                    price=sight.prices.get(symbol),
                    features={n: found[n] for n in sorted(needed) if n in found} | facts,
                    unknown=tuple(sorted(set(bot.features) - found.keys())),
                    schema_hash=schema,
                    issues=self.feed.issues(symbol, bar),
                    regime=sight.regimes.get(symbol),
                    surface=sight.surface if bot.structures else None,
                    book=view.book(bot, symbol),
                    degraded=view.degraded,
                    switches=halted,
                    limits=self.settings.limits,
                    costs=self.settings.costs,
                    correlations=sight.correlations(symbol, bot.factor, view.exposures),
                    champions=served,
                )
            )
        return contexts

    def due(self, symbol: str, bar: datetime, asof: datetime) -> datetime | None:
        """Return when the newest bar of a symbol should have closed, by the exchange's calendar.

        Of bars within a session several may be missing: it is the first of them that says for how
        long nothing has come.
        """
        if not self.feed.scans(symbol):
            return calendar.due(asof)
        last = calendar.due_within(asof, self.feed.interval)
        if last is None or bar >= last:
            return last
        return calendar.next_within(bar, self.feed.interval)

    def scan(self, names: Sequence[str] | None = None) -> list[Context]:
        """Return a context for every bot and symbol whose newest bar has not been decided on.

        A pending row is written first, so that nothing is lost that a broker loses, and a scan
        that fires twice finds nothing to do.
        """
        self.registry.look()
        asof = self.clock.now()
        sight, there = self.sight(asof), set(self.feed.symbols)
        bots = [bot for bot in self.bots.values() if names is None or bot.name in names]
        ids = {
            (bot.name, symbol): decision_id(bot.name, symbol, sight.at(symbol))
            for bot in bots
            for symbol in bot.symbols
            if symbol in there
        }
        known = decisions.known(self.store, list(ids.values()))
        if len(known) == len(ids):
            return []
        view, due = self.view(asof), []
        for bot in bots:
            fresh = [s for s in bot.symbols if s in there and ids[bot.name, s] not in known]
            due += self.gather(bot, fresh, view)
        return self._pend(due)

    def _pend(self, due: Sequence[Context]) -> list[Context]:
        """Write down that decisions are due; return the new ones."""
        real = self.wall.now()
        pended = set(decisions.pend(self.store, due, real))
        fresh = [context for context in due if context.id in pended]
        self._remember([Pending(context, 0, real) for context in fresh])
        return fresh

    def _remember(self, fresh: Sequence[Pending]) -> None:
        self._pending |= {one.context.id: one for one in fresh}
        for key in list(self._pending)[:-REMEMBERED]:
            del self._pending[key]

    def pending(self, ids: Sequence[str]) -> dict[str, Context]:
        """Return the contexts of those decisions that are pending, by id.

        They are in the record, and never change until they are sealed. One that was sealed since
        this process has seen it may be among them; sealing it again changes nothing.
        """
        known = {key: self._pending[key] for key in ids if key in self._pending}
        fresh = decisions.pending(self.store, [key for key in ids if key not in known])
        self._remember(fresh)
        known |= {one.context.id: one for one in fresh}
        return {key: one.context for key, one in known.items()}

    def ask(self, bot: Bot, symbol: str, within: timedelta | None = None) -> Context:
        """Return the context of a question asked by hand, pending until `within` has gone by.

        A bar that was decided on already may be asked about again; that is another decision, and
        the guardrail against repeated orders keeps it from becoming another order.
        """
        if symbol not in bot.symbols:
            raise Refused(f"{bot.name} does not trade {symbol}; it trades {', '.join(bot.symbols)}")
        self.registry.look()
        asof = self.clock.now()
        number = 1 + decisions.asked(self.store, bot.name, symbol, self.sight(asof).at(symbol))
        [context] = self.gather(bot, [symbol], self.view(asof), number)
        if within is not None:
            context = context.model_copy(update={"deadline": asof + within})
        self._pend([context])
        return context

    def answers(self) -> Callable[[Context], tuple[Prediction, ...]]:
        """Return the champions of one batch: read once, the newest that the registry has."""
        self.registry.look()
        return self._answer

    def _answer(self, context: Context) -> tuple[Prediction, ...]:
        said = self.champions.answer(context)
        if self.champions.refused != self._refused:
            self._report()
        return said

    def _report(self) -> None:
        """Record which champions this process refuses, and who answers instead, once each."""
        refused, serving = self.champions.refused, self.champions.versions()
        entries = [
            Entry(
                DESK,
                "refused",
                {"model": model, "why": why}
                | {"serving": serving.get(model), "process": f"{gethostname()}:{getpid()}"},
            )
            for model, why in refused.items()
            if self._refused.get(model) != why
        ]
        try:
            with engine.writing(self.store) as conn:
                audit.extend(conn, self.store, entries, self.clock.now())
        except Transient:
            return  # a decision does not fail for this; the next one tells it
        self._refused = refused

    def seal(self, drafts: Sequence[Draft]) -> list[OmegaDecision]:
        """Record the decisions; what wants to trade is checked once more in the transaction."""
        real, now = self.wall.now(), self.clock.now()
        ids = [draft.context.id for draft in drafts]
        sent = {key: self._pending[key].sent_at for key in ids if key in self._pending}
        took = {key: (real - at).total_seconds() for key, at in sent.items()}
        made = decisions.seal(self.store, drafts, admit, now, took)
        for key in sent:
            del self._pending[key]
        return made


_desk: Desk | None = None


def bind(desk: Desk | None) -> None:
    """Make `desk` this process's desk; None takes it away."""
    global _desk
    _desk = desk


def bound() -> bool:
    """Return whether this process has a desk."""
    return _desk is not None


def desk() -> Desk:
    """Return this process's desk; `Refused` if none was bound."""
    if _desk is None:
        raise Refused("this process has no desk; start it with `omega` or a Celery worker")
    return _desk
