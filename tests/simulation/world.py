"""A desk in a world of one thread: the core is real, and all around it happens as it is drawn.

Real are the desk, its layers, tasks and champions, and the database with every transaction on it.
Made up are the broker (a list of messages), the processes (each a desk of its own on the same
database, and it ends where it is told to), the time, and what breaks: a statement that the database
refuses, a commit that is lost, one that is done and whose answer is lost, a process that ends
before, in or after any of these, and another process that comes in between any two transactions.

What must hold is looked at after every commit, from outside and in plain SQL, so that nothing of
what is judged judges itself.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy import event

from domain.book import Limits, Mode, Scope
from domain.bot import Bot
from domain.clock import VirtualClock
from domain.decision import Context
from domain.errors import OmegaError, Transient
from domain.settings import Settings
from domain.values import Env
from market import calendar
from market.feeds.base import Feed
from models.serving import Champions
from orchestrator import canvas, replay
from orchestrator import desk as desks
from orchestrator.desk import DECISION, Desk
from orchestrator.loader import Registry
from orchestrator.pulse import Pulse, keep
from orchestrator.reaper import ATTEMPTS
from orchestrator.view import opened
from risk import killswitch
from risk.caps import CENT
from storage import audit, decisions, engine, switches, tables
from storage.engine import Store
from trading.brokers import catalog as brokers

Draw = Callable[[int], int]
"""Draws a number from 0 to below the one it is given."""

LIMITS = Limits(symbol_risk=0.035, total_risk=0.036)
"""Tight: of three bots that want SPX at once two run into them. The desk has 600,000 dollars."""
WAITS = (0.5, 4.0, 4.0, 30.0, 30.0, 250.0)
"""Seconds; the last one is past the deadline of whatever was due before it."""
NEVER = datetime.max.replace(tzinfo=UTC)
PULSE = "upkeep.pulse"
BUSY = 5
"""SQLite's number for a database that is locked."""


class Crash(BaseException):
    """A process ends here, whatever it was doing. No `Exception`: nobody outlives SIGKILL."""


class Kind(StrEnum):
    """What breaks."""

    REFUSED = "a statement is refused"
    LOST = "a commit is lost"
    UNSAID = "a commit is done, its answer lost"
    KILLED = "the process ends before a statement"
    KILLED_UNDONE = "the process ends before a commit"
    KILLED_DONE = "the process ends after a commit"
    BETWEEN = "somebody comes in before a transaction"
    BROKER = "the broker does not take a message"


STATEMENTS = (Kind.REFUSED, Kind.KILLED)
COMMITS = (Kind.LOST, Kind.UNSAID, Kind.KILLED_UNDONE, Kind.KILLED_DONE)


@dataclass
class Fault:
    """What breaks within one step of one process, and at the how-manyth of its kind, from 0."""

    kind: Kind
    after: int
    meanwhile: Callable[[], None] | None = None

    def due(self, *kinds: Kind) -> bool:
        """Count one more of these kinds; return whether it is the one that breaks."""
        if self.kind not in kinds:
            return False
        self.after -= 1
        return self.after == -1


@dataclass(frozen=True)
class Message:
    """One message of the broker: the hops that are still to come, and a batch as JSON."""

    hops: tuple[str, ...]
    body: str
    sent: datetime
    expires: datetime

    @property
    def ids(self) -> list[str]:
        """Return which decisions it is about."""
        return canvas.ids(json.loads(self.body))


class Process:
    """One process: a desk that is its own, on the database of all.

    Its engine outlives it, and the world: an engine that has compiled a statement need not do it
    again, which is two thirds of the time. Its connections do not.
    """

    desk: Desk
    world: "World"

    def __init__(self, settings: Settings) -> None:
        self.fault: Fault | None = None
        self.store = engine.connect(settings, 0.0)  # there is nobody to wait for: one thread
        event.listen(self.store.engine, "connect", _hasten)
        event.listen(self.store.engine, "do_execute", self._execute)
        event.listen(self.store.engine, "do_executemany", self._execute)
        commit = self.store.engine.dialect.do_commit
        self.store.engine.dialect.do_commit = lambda conn: self._commit(commit, conn)

    def start(self, world: "World") -> None:
        """Start in a world, or start again: it knows nothing but what is in the database."""
        self.store.engine.dispose()
        self.world = world
        self.desk = Desk(
            store=self.store,
            feed=world.made.feed,
            clock=world.clock,
            settings=world.made.settings,
            registry=Registry(self.store),
            champions=world.made.champions,
            broker=brokers.create("paper", world.made.settings.costs),
            env=Env.REPLAY,
            bots=dict(world.made.bots),
            wall=world.clock,
        )

    def _execute(self, _: Any, statement: str, *__: Any) -> None:
        fault = self.fault
        if fault is None:
            return
        if statement.startswith("BEGIN") and fault.due(Kind.BETWEEN) and fault.meanwhile:
            fault.meanwhile()
        if fault.due(*STATEMENTS):
            raise Crash if fault.kind is Kind.KILLED else _busy()

    def _commit(self, commit: Callable[[Any], None], conn: Any) -> None:
        fault = self.fault
        now = fault is not None and fault.due(*COMMITS) and fault.kind
        if now is Kind.KILLED_UNDONE:
            raise Crash
        if now is Kind.LOST:
            raise _busy()
        commit(conn)
        self.world.record.look()
        if now is Kind.KILLED_DONE:
            raise Crash
        if now is Kind.UNSAID:
            raise _busy()


def _hasten(conn: Any, _: object) -> None:
    """Let nothing wait for the disk: the machine does not fail here."""
    conn.execute("PRAGMA synchronous=OFF").close()


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = BUSY
    return error


@dataclass(frozen=True)
class Made:
    """What all worlds start from and none of them changes."""

    settings: Settings
    """Of the home that the worlds are made in, one after the other."""
    database: bytes
    """The file that each begins with: migrated, with the champions in it."""
    processes: tuple[Process, ...]
    """Two workers and a person."""
    feed: Feed
    champions: Champions
    bots: dict[str, Bot]
    app: Celery
    start: datetime


@dataclass
class Record:
    """The record as somebody sees it who reads the database after every commit."""

    file: Path
    clock: VirtualClock
    bots: dict[str, Bot]
    wrong: list[str] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    """Every decision that was ever due."""
    _seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._conn = sqlite3.connect(self.file, isolation_level=None)
        _hasten(self._conn, None)
        self.look()

    def close(self) -> None:
        self._conn.close()

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self._conn.execute(query, values).fetchall()

    def change(self, statement: str) -> None:
        """Change the database behind everybody's back."""
        self._conn.execute(statement)

    def set_switches(self) -> list[Any]:
        return self.rows(
            "SELECT id, scope, target, set_at, expires_at FROM switches WHERE released_at IS NULL"
        )

    def look(self) -> None:
        """Look at what the last commit has added."""
        self.accepted |= {key for (key,) in self._new("decisions", "id")}
        for key, decision, bot, symbol, quantity, intent in self._new(
            "orders", "id, decision_id, bot, symbol, quantity, intent"
        ):
            if intent == "open":
                self._ordered(key, decision, bot, symbol, quantity)
        for (order,) in self._new("fills", "order_id"):
            [(bot, symbol, intent)] = self.rows(
                "SELECT bot, symbol, intent FROM orders WHERE id = ?", order
            )
            if intent == "open" and self._halted(bot, symbol):
                self.wrong.append(f"{order} was filled while {bot} was halted")
        [(letters, given_up)] = self.rows(
            "SELECT (SELECT count(*) FROM dead WHERE task = 'decision'), (SELECT count(*) FROM"
            " decisions WHERE code = 'FAILED' AND instr(body, ?))",
            f"{ATTEMPTS} attempts",
        )
        if letters != given_up:
            self.wrong.append(f"{given_up} decisions were given up, there are {letters} letters")

    def _new(self, table: str, columns: str) -> list[Any]:
        query = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid"
        found = self.rows(query, self._seen[table])
        if found:
            self._seen[table] = found[-1][0]
        return [row[1:] for row in found]

    def _ordered(self, key: str, decision: str, bot: str, symbol: str, quantity: int) -> None:
        """Find fault with an order that has just been committed."""
        [(status, wanted, body, deadline)] = self.rows(
            "SELECT status, quantity, body, deadline FROM decisions WHERE id = ?", decision
        )
        equity = json.loads(body)["draft"]["context"]["book"]["desk_equity"]
        since = tables.stamp(opened(self.clock.now()))
        [(today,)] = self.rows(
            "SELECT count(*) FROM orders WHERE bot = ? AND intent = 'open' AND placed_at >= ?",
            bot,
            since,
        )
        held = self.rows("SELECT bot, symbol, risk FROM exposures WHERE released_at IS NULL")
        in_all = sum(risk for _, _, risk in held)
        in_one = sum(risk for _, other, risk in held if other == symbol)
        mine = sum(other == bot for other, _, _ in held)
        now = tables.stamp(self.clock.now())
        faults = {
            "is of a decision that is not sealed": status != "SEALED",
            f"is for {quantity}, decided were {wanted}": quantity != wanted,
            "was placed while its bot was halted": self._halted(bot, symbol),
            "was placed after its deadline": now > deadline,
            f"has {in_all:,.0f} at risk in all": in_all > LIMITS.total_risk * equity + CENT,
            f"has {in_one:,.0f} at risk in {symbol}": in_one > LIMITS.symbol_risk * equity + CENT,
            f"is number {today} of its bot today": today > self.bots[bot].max_daily,
            f"makes {mine} that its bot has open": mine > self.bots[bot].max_open,
        }
        self.wrong += [f"order {key} {what}" for what, true in faults.items() if true]

    def _halted(self, bot: str, symbol: str) -> bool:
        targets = {"all": "*", "bot": bot, "strategy": self.bots[bot].strategy, "symbol": symbol}
        now = tables.stamp(self.clock.now())
        return any(
            not at.startswith("20")  # not to be read: everything is halted
            or (targets[scope] == target and (until is None or now < until))
            for _, scope, target, at, until in self.set_switches()
        )


class World:
    """One desk, its broker and its processes.

    Parameters
    ----------
    fused
        Whether a decision is one task instead of four hops.
    """

    def __init__(self, made: Made, fused: bool = False) -> None:
        self.made, self.fused = made, fused
        file = made.settings.home / "omega.db"
        file.write_bytes(made.database)
        self.clock = VirtualClock(made.start)
        self.queue: list[Message] = []
        self.lost: list[str] = []
        """Decisions whose child is known to have died with them."""
        self.poison: set[str] = set()
        """Decisions that kill whoever takes them."""
        self.asked: list[Context] = []
        """Questions by hand that somebody waits for."""
        self.told: list[str] = []
        """What happened, for whoever has to understand it."""
        self.record = Record(file, self.clock, made.bots)
        for process in made.processes:
            process.start(self)
        *self.workers, self.person = made.processes
        self.steps: dict[str, Callable[[Draw], None]] = {
            "deliver": self.deliver,
            "duplicate": self.duplicate,
            "drop": self.drop,
            "poison": self.poisoned,
            "scan": self.scan,
            "ask": self.ask,
            "give_up": self.give_up,
            "pulse": self.pulse,
            "reap": self.reap,
            "kill": self.kill,
            "resume": self.resume,
            "spoil": self.spoil,
            "wait": self.wait,
            "next_session": self.next_session,
            "execute": lambda draw: self._task("trading.execute", draw),
            "mark": lambda draw: self._task("trading.mark", draw),
            "sweep": lambda draw: self._task("safety.sweep", draw),
            "roll": lambda draw: self._task("safety.roll", draw),
        }

    def close(self) -> None:
        """Take it down."""
        for process in self.made.processes:
            process.store.engine.dispose()
        self.record.close()
        for left in self.made.settings.home.glob("omega.db*"):
            left.unlink()

    def step(self, name: str, draw: Draw) -> None:
        """Let one thing happen, drawn in its particulars, and find no fault with the record."""
        self.told.append(f"{self.clock.now():%d %H:%M:%S} {name}")
        with self._transport():
            self.steps[name](draw)
        self.check()

    def check(self) -> None:
        """Raise `AssertionError`, with the story so far, if anything is wrong."""
        if self.record.wrong:
            story = "\n  ".join(self.told)
            raise AssertionError("; ".join(self.record.wrong) + f"\n  {story}")

    @contextmanager
    def _transport(self) -> Iterator[None]:
        """Let this world's broker be the one that the core publishes to."""
        real = canvas.publish
        canvas.publish = self.publish
        self.made.app.conf.omega_fused = self.fused
        try:
            yield
        finally:
            canvas.publish = real

    def publish(self, contexts: Sequence[Context], *, in_one: bool = False) -> None:
        """Take what the core publishes, as `canvas.publish` makes it."""
        chains = [[one] for one in canvas.fused(contexts)] if in_one else []
        chains += [] if in_one else [chain.tasks for chain in canvas.decisions(contexts)]
        for tasks in chains:
            [batch] = tasks[0].args
            left = max(context.deadline - context.asof for context in contexts)
            self._put([task.task for task in tasks], batch, self.clock.now() + left)
            unknown = set(canvas.ids(batch)) - self.record.accepted
            if unknown:
                self.record.wrong.append(f"{sorted(unknown)} were published and are nowhere else")

    def _put(self, hops: Sequence[str], batch: Any, expires: datetime) -> None:
        busy = next((p.fault for p in self.workers if p.fault is not None), None)
        if busy is not None and busy.due(Kind.BROKER):
            raise BrokerAway("the connection was cut")
        self.queue.append(Message(tuple(hops), json.dumps(batch), self.clock.now(), expires))

    def _act(self, process: Process, work: Callable[[], object], fault: Fault | None) -> bool:
        """Let a process do something, and break on the way; return whether it came to its end."""
        before = desks._desk
        desks.bind(process.desk)
        process.fault = fault
        try:
            work()
        except (Transient, BrokerAway) as error:
            self.told[-1] += f" -> {type(error).__name__}"
            return False
        except Crash:
            self.told[-1] += " -> crashed"
            process.start(self)
            return False
        except OmegaError as error:
            self.record.wrong.append(f"{type(error).__name__}: {error}")
            return False
        finally:
            process.fault = None
            desks.bind(before)
        return True

    def _fault(self, draw: Draw) -> Fault | None:
        if draw(4) < 3:
            return None
        kind = list(Kind)[draw(len(Kind))]
        if kind is Kind.BROKER:
            return Fault(kind, draw(2))
        if kind is not Kind.BETWEEN:
            return Fault(kind, draw(14) if kind in STATEMENTS else draw(3))
        name = ("kill", "deliver", "reap", "give_up", "execute")[draw(5)]
        drawn = [draw(1000) for _ in range(6)]
        self.told[-1] += f" ({name} meanwhile)"

        def meanwhile() -> None:
            left = iter(drawn)
            self._meanwhile(name, lambda n: next(left, 0) % n)

        return Fault(kind, draw(5), meanwhile)

    def _meanwhile(self, name: str, draw: Draw) -> None:
        """Let another process come in between; nothing breaks within that."""
        self._calm = True
        try:
            self.steps[name](draw)
        finally:
            self._calm = False

    _calm = False

    def _worker(self, draw: Draw) -> tuple[Process, Fault | None]:
        free = [process for process in self.workers if process.fault is None]
        process = free[draw(len(free))]
        fault = None if self._calm else self._fault(draw)
        if fault is not None:
            self.told[-1] += f" [{fault.kind}, {fault.after}]"
        return process, fault

    def _task(self, name: str, draw: Draw, **kwargs: Any) -> bool:
        process, fault = self._worker(draw)
        return self._act(process, lambda: self.made.app.tasks[name](**kwargs), fault)

    # the broker

    def deliver(self, draw: Draw) -> None:
        """Take a message, mostly the oldest one, and do what it says."""
        if not self.queue:
            return
        place = draw(len(self.queue)) if draw(3) == 2 else 0
        message = self.queue.pop(place)
        self.told[-1] += f" {message.hops[0]} {' '.join(message.ids)}"
        if self.clock.now() > message.expires:
            return
        process, fault = self._worker(draw)

        def work() -> None:
            if self.poison & {*message.ids}:
                raise Crash
            said = self._do(process.desk, message)
            if len(message.hops) > 1:
                self._put(message.hops[1:], said, NEVER)  # as in Celery: the first hop expires

        alive = process.desk
        if not self._act(process, work, fault) and process.desk is not alive:
            self.lost += message.ids

    def _do(self, desk: Desk, message: Message) -> Any:
        if message.hops[0] != PULSE:
            return self.made.app.tasks[message.hops[0]](json.loads(message.body))
        wait = (self.clock.now() - message.sent).total_seconds()
        told = {"queue": DECISION, "host": "decision@a", "pid": 1, "build": "aaa", "wait": wait}
        return keep(desk.store, Pulse(**told, at=self.clock.now()))

    def duplicate(self, draw: Draw) -> None:
        """Have a message twice."""
        if self.queue:
            self.queue.append(self.queue[draw(len(self.queue))])

    def drop(self, draw: Draw) -> None:
        """Lose a message; one in four times all of them: a broker that comes up empty."""
        if self.queue:
            del self.queue[draw(len(self.queue))]
        if draw(4) == 3:
            self.queue.clear()

    def poisoned(self, draw: Draw) -> None:
        """Have one of the decisions under way kill whoever takes it, from now on."""
        ids = sorted({key for message in self.queue for key in message.ids})
        if ids:
            self.poison.add(ids[draw(len(ids))])

    def pulse(self, _: Draw) -> None:
        """Send a pulse through the queue."""
        now = self.clock.now()
        self.queue.append(Message((PULSE,), "[]", now, now + timedelta(seconds=50)))

    # the reaper

    def reap(self, draw: Draw) -> None:
        """Let the reaper look, told of what died or not."""
        lost = list(self.lost) if draw(2) == 0 else []
        self.told[-1] += f" {' '.join(lost)}"
        if self._task("upkeep.reap", draw, lost=lost) and lost:
            self.lost.clear()

    # the timetable

    def scan(self, draw: Draw) -> None:
        """Have one bot look at the market, or all of them, which then go in one batch."""
        names = [None, *([name] for name in self.made.bots)]
        self._task("market.scan", draw, bots=names[draw(len(names))])

    # people

    def ask(self, draw: Draw) -> None:
        """Ask by hand, and publish the question."""
        bots = list(self.made.bots.values())
        bot = bots[draw(len(bots))]
        symbol = bot.symbols[draw(len(bot.symbols))]

        def work() -> None:
            asked = self.person.desk.ask(bot, symbol)
            self.asked.append(asked)
            canvas.publish([asked])

        self._act(self.person, work, self._fault(draw))

    def give_up(self, draw: Draw) -> None:
        """Stop waiting for an answer, which ends the question: unless it was answered."""
        if not self.asked or self.person.fault is not None:
            return
        context = self.asked.pop(draw(len(self.asked)))
        said: list[decisions.Ended] = []

        def work() -> None:
            store = self.person.desk.store
            said.append(decisions.fail(store, context, "no answer", self.clock.now()))

        self._act(self.person, work, None)
        for decision, _ in said:
            if decisions.get(self.person.desk.store, context.id) != decision:
                self.record.wrong.append(f"{context.id} was told to be what it is not")

    def kill(self, draw: Draw) -> None:
        """Throw a kill switch."""
        if self.person.fault is not None:
            return
        bots = list(self.made.bots.values())
        scope = list(Scope)[draw(len(Scope))]
        bot = bots[draw(len(bots))]
        targets = {
            Scope.ALL: "*",
            Scope.BOT: bot.name,
            Scope.STRATEGY: bot.strategy,
            Scope.SYMBOL: bot.symbols[0],
        }
        mode = (Mode.HALTED, Mode.REDUCING)[draw(2)]
        now = self.clock.now()
        switch = killswitch.human(scope, targets[scope], "drill", "me", now, mode)
        self.told[-1] += f" {scope} {targets[scope]}"
        self._act(self.person, lambda: switches.throw(self.person.desk.store, switch), None)

    def resume(self, draw: Draw) -> None:
        """Release every switch that is set, or only the oldest."""
        ids = [row[0] for row in self.record.set_switches()]
        ids = ids[: 1 if draw(4) == 3 else None]
        told = {"who": "me", "reason": "mended", "human": True, "at": self.clock.now()}
        store = self.person.desk.store
        self._act(self.person, lambda: switches.release(store, ids, **told), None)

    def spoil(self, _: Draw) -> None:
        """Leave a switch that nobody can read: of what, and since when."""
        self.record.change(
            "INSERT INTO switches (scope, target, mode, code, reason, who, human, set_at, evidence)"
            " VALUES ('symbol', 'NONE', 'halted', 'HUMAN', 'x', 'x', 1, '?', '{}')"
        )

    # time

    def wait(self, draw: Draw) -> None:
        """Let seconds or minutes pass."""
        self._pass(WAITS[draw(len(WAITS))])

    def _pass(self, seconds: float) -> None:
        self.clock.turn(self.clock.now() + timedelta(seconds=seconds))

    def next_session(self, _: Draw) -> None:
        """Go on to the next open, or to the close of the session that is on."""
        now = self.clock.now()
        days = calendar.sessions(now.date(), (now + timedelta(days=6)).date())
        moments = sorted(m for day in days for m in (calendar.opens(day), calendar.closes(day)))
        self.clock.turn(next(m for m in moments if m > now))

    # the end

    def settle(self) -> None:
        """Let everything come to its end, with nothing more breaking; find nothing wrong then."""
        self.told.append("-- settles")
        calm = self._still
        for _ in range(4 * ATTEMPTS):
            if not (self.queue or decisions.waiting(self.store)[0]):
                break
            self.step("pulse", calm)
            for _ in range(4 * len(self.queue)):
                if self.queue:
                    self.step("deliver", calm)
            self.step("reap", calm)
            self._pass(30.0)
        for name in ("resume", "next_session", "execute", "next_session", "execute", "mark"):
            self.step(name, calm)
        self.record.wrong += self._faults()
        self.check()

    @property
    def store(self) -> Store:
        return self.person.store

    def _still(self, _: int) -> int:
        return 0

    def _faults(self) -> list[str]:
        rows, accepted = self.record.rows, self.record.accepted
        found = dict(rows("SELECT id, quantity FROM decisions WHERE status = 'SEALED'"))
        once = dict.fromkeys(found, 1)
        trading = {key: 1 for key, quantity in found.items() if quantity}
        exposed = "SELECT id, count(*) FROM exposures GROUP BY 1"
        audited = "SELECT ref, count(*) FROM audit WHERE kind = 'decision' GROUP BY 1"
        ordered = "SELECT decision_id, count(*) FROM orders WHERE intent = 'open' GROUP BY 1"
        boxed = "SELECT json_extract(payload, '$.order'), count(*) FROM outbox GROUP BY 1"
        orders = "SELECT id, 1 FROM orders"
        waiting = "SELECT id, 1 FROM orders WHERE status = 'open'"
        held = "SELECT id, 1 FROM exposures WHERE released_at IS NULL"
        holding = "SELECT decision_id, 1 FROM positions WHERE quantity > 0"
        sealed = decisions.many(self.store, sorted(found))
        checked = replay.check(one for one in sealed if len(one.draft.verdicts) > 1)
        expected: list[tuple[str, Any, Any]] = [
            ("not sealed", accepted - found.keys(), set()),
            ("audited", dict(rows(audited)), once),
            ("ordered", dict(rows(ordered)), trading),
            ("reserved", dict(rows(exposed)), trading),
            ("in the outbox", dict(rows(boxed)), dict(rows(orders))),
            ("neither filled nor cancelled", dict(rows(waiting)), {}),
            ("still reserved", dict(rows(held)), dict(rows(holding))),
            ("decided differently", checked.different, ()),
            ("chains", audit.verify(self.store).fault, None),
        ]
        return [f"{what}: {got}, not {due}" for what, got, due in expected if got != due]
