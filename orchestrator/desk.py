"""The desk: what a process needs to decide, and the only place where deciding meets the world."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import floor
from os import getpid
from socket import gethostname
from typing import Self

from domain.book import Book, Exposure, Switches
from domain.bot import Bot
from domain.clock import Clock, WallClock
from domain.decision import (
    Context,
    Draft,
    Effect,
    OmegaDecision,
    Prediction,
    Reason,
    Verdict,
    decision_id,
)
from domain.errors import DataError, Refused, Transient
from domain.market import Surface
from domain.settings import Settings
from domain.trade import Position, Trade
from domain.values import Env
from market import calendar, window
from market.features import compute
from market.feeds import catalog as feeds
from market.feeds.base import Feed
from market.panel import Panel
from models.availability import lacking
from models.belief import Count
from models.serving import Champions
from orchestrator.loader import Registry
from orchestrator.pulse import newest
from orchestrator.sight import Sight, beside, glance, moment, see, surface
from risk import capital, caps, killswitch
from risk.capital import Capital
from risk.correlation import shared
from risk.sizing import unit_risk
from risk.sla import Sla
from storage import audit, dead, decisions, engine, exposure, jobs, orders, state, switches, trades
from storage.audit import DESK, Entry
from storage.decisions import Pending
from storage.engine import Store
from storage.jobs import Job, Stands
from trading import accounting
from trading.accounting import Account
from trading.bots.catalog import BOTS
from trading.brokers import catalog as brokers
from trading.brokers.base import Broker
from trading.strategies import catalog as strategies

LOST = timedelta(seconds=3)
"""How long a decision may be under way, beside what it waits in the queue; one takes 0.05 s."""
PASSES = 4
"""How often a decision waits in the queue: once before each hop."""
ATTEMPTS = 3
"""How often a decision is published in all."""
SLA = "sla"
"""Key under which is kept whether decisions come in time."""
DECISION, TRAINING = "decision", "training"
"""The queues that decisions and jobs wait in."""
TRAIN, VALIDATE = "learning.train", "learning.validate"
JOBS = {jobs.TRAINING: TRAIN, jobs.VALIDATION: VALIDATE}
"""The task that does a job, by the kind of the job."""
NEVER = datetime.min.replace(tzinfo=UTC)
REMEMBERED = 200
"""Contexts that a process keeps, some 10 MB: the next hop of a batch often comes back to it, and 25
of them take 2 ms to read and parse, as long as two layers."""
RECENT = 5
"""Newest trades of a bot that its strategy is shown where it learns from them."""
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

    def gather(self, bot: Bot, symbols: Sequence[str], view: "View", ask: int = 1) -> list[Context]:
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
        view, due = View.read(self, asof), []
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
        [context] = self.gather(bot, [symbol], View.read(self, asof), number)
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

    def reap(self, lost: Collection[str] = ()) -> list[list[Context]]:
        """Return what is to be published again, in groups that go together; tell `sent` of each.

        What is overdue is sealed as expired. What was published as often as it may be and came to
        no end kills whoever takes it: it is sealed as failed, and kept among the dead letters. Its
        last chance it has alone, so that it takes nothing else with it.

        Parameters
        ----------
        lost
            Ids of what is known to have died with its process; of all else only time tells. What
            died in company although it was sent alone last, died of an older message: messages
            come twice. That does not count.
        """
        now, waiting = self.clock.now(), decisions.unsealed(self.store)
        late = [Draft(context=one.context) for one in waiting if one.context.deadline < now]
        self.seal(late)
        through = self._through()
        alone = len(lost) == 1
        gone = [
            one
            for one in waiting
            if one.context.deadline >= now
            and (
                one.sent_at < through
                or (one.context.id in lost and (alone or one.attempts < ATTEMPTS - 1))
            )
        ]
        for one in gone:
            if one.attempts >= ATTEMPTS - 1:
                self._bury(one.context, now)
        first = [one.context for one in gone if one.attempts < ATTEMPTS - 2]
        last = [[one.context] for one in gone if one.attempts == ATTEMPTS - 2]
        return ([first] if first else []) + last

    def _through(self) -> datetime:
        """Return the moment before which everything that was sent must have come to its end.

        A queue is worked off in order. What was sent before a pulse that came through was taken
        before it, and that four times, once for each hop. So nothing counts as lost while nobody
        works, or while much is to be done: published again then, it would only wait twice.
        """
        pulse = newest(self.store, DECISION)
        if pulse is None or pulse.sent is None:
            return NEVER
        return pulse.at - LOST - PASSES * (pulse.at - pulse.sent)

    def abandoned(self) -> list[Job]:
        """Return the jobs that came to no end: those to be published again, and those given up.

        What is given up is kept among the dead letters.
        """
        pulse = newest(self.store, TRAINING)
        through = None if pulse is None else pulse.sent
        found = jobs.lost(self.store, self.wall.now(), through or NEVER)
        for job in found:
            if job.stands is Stands.FAILED:
                asked = {"args": [], "kwargs": job.kwargs}
                told = JOBS[job.kind], TRAINING, asked, job.why, job.attempts, self.clock.now()
                dead.bury(self.store, *told)
        return found

    def _bury(self, context: Context, now: datetime) -> None:
        why = f"{ATTEMPTS} attempts, and none came to an end"
        told = {"decision": context.id, "bot": context.bot.name, "symbol": context.symbol}
        work = dead.Work("decision", DECISION, told, ATTEMPTS)
        decisions.fail(self.store, context, why, now, work)

    def sent(self, contexts: Sequence[Context]) -> None:
        """Count one more attempt of what was just published again.

        Counted afterwards: what a broker that is away did not take was no attempt.
        """
        decisions.again(self.store, [context.id for context in contexts], self.wall.now())


def admit(draft: Draft, now: Switches, held: tuple[Exposure, ...]) -> Verdict:
    """Decide, inside the sealing transaction, whether a draft may still reserve what it wants.

    Pure. Since the context was gathered, a switch may have been thrown and other workers may have
    reserved; what they left may be less than was sized. An exposure that came in between has no
    correlation in the context and counts as moving along in full.
    """
    context, proposal = draft.context, draft.proposal
    if proposal is None:
        raise DataError(f"{context.id} wants {draft.quantity} of nothing")
    fresh = context.model_copy(update={"switches": now})
    refused = killswitch.refuse_entry(fresh)
    if refused is not None:
        return refused.model_copy(update={"layer": "seal"})
    book, limits, bot = context.book, context.limits, context.bot
    added = [e for e in held if e.bot == bot.name and e.id not in {o.id for o in book.exposures}]
    for code, count, limit in (
        (Reason.MAX_OPEN, book.open_positions + len(added), bot.max_open),
        (Reason.MAX_DAILY, book.trades_today + len(added), bot.max_daily),
    ):
        if count >= limit:
            reason = f"{count} by now, limit {limit}"
            return Verdict(layer="seal", effect=Effect.VETO, code=code, reason=reason)
    along = shared(proposal.side, 0.0, context.correlations, held).held
    left = caps.room(limits, book.desk_equity, held, context.symbol, along)
    quantity = min(draft.quantity, floor(left.left / unit_risk(proposal)))
    if quantity == draft.quantity:
        return Verdict(layer="seal", evidence={"room": left.left})
    if quantity < 1:
        reason = f"{left.left:,.0f} of risk is left, one unit takes {unit_risk(proposal):,.0f}"
        return Verdict(layer="seal", effect=Effect.VETO, code=left.cap, reason=reason)
    return Verdict(
        layer="seal",
        effect=Effect.ADJUST,
        code=left.cap,
        reason=f"{draft.quantity} were sized, room for {quantity} is left",
        quantity=quantity,
        evidence={"room": left.left},
    )


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
    def read(cls, desk: Desk, asof: datetime) -> Self:
        """Read them from the store, all at the same moment."""
        session = opened(asof)
        with engine.reading(desk.store):
            return cls(
                asof=asof,
                switches=switches.read(desk.store),
                accounts=accounts(desk.store, desk.bots),
                positions=tuple(trades.positions(desk.store)),
                exposures=exposure.held(desk.store),
                allotted=allotted(desk.store, desk.bots, asof, desk.settings.seed),
                orders=orders.placed(desk.store, session),
                entered=orders.entered(desk.store, session),
                closed={
                    name: tuple(trades.trades(desk.store, bot=name, limit=RECENT))
                    for name, bot in desk.bots.items()
                    if strategies.find(bot.strategy).evidence is not None
                },
                counts=counted(desk.store),
                degraded=punctuality(desk.store).degraded,
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
