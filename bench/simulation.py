"""A slot of the timetable as a network of queues, in events: when is its last decision sealed?

All batches of a scan come together. Each goes through the hops in turn, and waits in one queue
before every hop, behind whatever was published before. A hop takes a token of a worker, then its
main process, then a child, then the broker; the last one takes the database's lock as well. What
runs takes a processor of its machine, so that a fleet on one machine is the same model with the
machines made one. Times are measured, and drawn with replacement; nothing in here is fitted.

Not in it: networks between machines, what waits for a lock and looks again only now and then
(SQLite), and what a processor loses by changing between processes.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

Step = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Times:
    """Seconds that a batch takes of each part."""

    hops: tuple[np.ndarray, ...]
    """Of each hop, shape (n, 2): of a processor, in the child, and waited for somebody else."""
    seal: np.ndarray
    """Shape (m,): the database's lock is held, a part of the last hop."""
    dispatch: float = 0.0
    """Of a processor, per message, in the worker's main process."""
    broker: float = 0.0
    """Of a processor, per message, in the broker."""
    database: float = 0.0
    """Of a processor, per batch, in the database's server; 0 where the database is a library."""
    scan: float = 0.0
    """Of a processor, per batch, before the first one is published."""
    publish: float = 0.0
    """Of a processor, per batch, to send it."""


@dataclass(frozen=True)
class Fleet:
    """What works on a slot."""

    workers: int
    processes: int
    """Children of each worker."""
    cores: int
    """Processors of each worker's machine."""
    alone: bool = False
    """Whether workers, broker, database and who publishes share one machine of so many cores."""
    database_cores: int = 1


@dataclass
class Slot:
    """What came out."""

    sealed: np.ndarray
    """Seconds from the slot's begin to the seal of each batch, in order."""
    busy: dict[str, float] = field(default_factory=dict)
    """Share of the time until the last seal that each part was in use, by its name."""


class Part:
    """Something of which there are only so many, and how long it was in use."""

    def __init__(self, env: simpy.Environment, number: int) -> None:
        self.env, self.number, self.used = env, number, 0.0
        self.resource = simpy.Resource(env, number)

    def hold(self, work: Step) -> Step:
        """Wait for one, and have it while the work is done."""
        with self.resource.request() as mine:
            yield mine
            began = self.env.now
            yield from work
            self.used += self.env.now - began

    def run(self, seconds: float) -> Step:
        """Have one for so long."""
        return self.hold(self._pass(seconds))

    def _pass(self, seconds: float) -> Step:
        yield self.env.timeout(seconds)


class _Desk:
    """One desk's slot while it is simulated."""

    def __init__(self, times: Times, fleet: Fleet, rng: np.random.Generator) -> None:
        env = self.env = simpy.Environment()
        self.times, self.rng = times, rng
        self.queue = simpy.Store(env)
        self.sealed: list[float] = []
        self.lock, self.broker = Part(env, 1), Part(env, 1)
        here = Part(env, fleet.cores)
        single = fleet.alone
        self.server = here if single else Part(env, 1)
        self.store = here if single else Part(env, fleet.database_cores)
        self.client = here if single else Part(env, 1)
        self.cores = [here if single else Part(env, fleet.cores) for _ in range(fleet.workers)]
        self.children = fleet.workers * fleet.processes
        self.worked = 0.0
        for cores in self.cores:
            tokens, taken = simpy.Store(env), simpy.Store(env)
            env.process(self.main(cores, tokens, taken))
            for _ in range(fleet.processes):
                tokens.put(None)
                env.process(self.child(cores, tokens, taken))

    def source(self, batches: int) -> Step:
        yield from self.client.run(batches * self.times.scan)
        for _ in range(batches):
            yield from self.client.run(self.times.publish)
            yield from self.send(0)

    def send(self, hop: int) -> Step:
        yield from self.broker.hold(self.server.run(self.times.broker))
        yield self.queue.put(hop)

    def main(self, cores: Part, tokens: simpy.Store, taken: simpy.Store) -> Step:
        """Take messages, as many unacknowledged as there are children, and hand them on."""
        while True:
            yield tokens.get()
            hop = yield self.queue.get()
            yield from cores.run(self.times.dispatch)
            yield taken.put(hop)

    def child(self, cores: Part, tokens: simpy.Store, taken: simpy.Store) -> Step:
        last = len(self.times.hops) - 1
        while True:
            hop = yield taken.get()
            yield tokens.put(None)
            began = self.env.now
            cpu, waited = self.rng.choice(self.times.hops[hop])
            if hop == last:
                yield from self.limits(cores, cpu + waited)
                self.sealed.append(self.env.now)
            else:
                yield from cores.run(cpu)
                yield self.env.timeout(max(waited - self.times.broker, 0.0))
                yield from self.send(hop + 1)
            self.worked += self.env.now - began

    def limits(self, cores: Part, whole: float) -> Step:
        """Do the last hop: what comes before the lock, then what is done under it."""
        held = min(self.rng.choice(self.times.seal), whole)
        yield from cores.run(whole - held)
        yield from self.lock.hold(self.under(cores, held))

    def under(self, cores: Part, held: float) -> Step:
        theirs = min(self.times.database, held)
        yield from self.store.run(theirs)
        yield from cores.run(held - theirs)


def simulate(times: Times, fleet: Fleet, batches: int, rng: np.random.Generator) -> Slot:
    """Let a slot of so many batches be decided.

    Raises
    ------
    ValueError
        Nothing to do, or nobody who does it.
    """
    if min(batches, fleet.workers, fleet.processes, fleet.cores, fleet.database_cores) < 1:
        raise ValueError(f"at least one of each is needed: {batches} batches, {fleet}")
    desk = _Desk(times, fleet, rng)
    desk.env.process(desk.source(batches))
    desk.env.run()
    sealed = np.array(desk.sealed)
    end = float(sealed[-1])
    cores = [desk.cores[0]] if fleet.alone else desk.cores
    processors = sum(one.used for one in cores) / sum(one.number for one in cores)
    busy = {"processors": processors, "children": desk.worked / desk.children}
    busy |= {"broker": desk.broker.used, "lock": desk.lock.used}
    if not fleet.alone:
        busy["database"] = desk.store.used / desk.store.number
    return Slot(sealed, {name: used / end if end else 0.0 for name, used in busy.items()})
