"""The same four-hop decisions by the queues of others, on the same Redis, beside ours.

Each peer's worker is started by its own command and does in each hop what ours does, with the same
functions and a desk of its own; the hops are joined by the peer's own means. All workers are there
at once, each on a database of the one server, and are asked in turn. What is measured is one and
the same for all: from sending the first batch until the record holds every decision sealed.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import psutil

from bench import fleet, hops, on_dramatiq, on_rq, on_taskiq
from bench import rows as names
from domain.decision import Context, Draft
from domain.settings import Settings
from orchestrator import canvas
from orchestrator.desk import Desk
from storage import decisions
from workers.config import CORES

ROUNDS = 7
LOAD = 24 * canvas.BATCH
"""Decisions a round and process, a second or two of work. More than a process remembers, so that
every hop of every queue reads its contexts from the record."""
TICK = 0.005
"""Seconds between two looks into the record, each of 0.2 ms."""
Publish = Callable[[Sequence[Context]], None]
Row = tuple[str, str, str]


class Contender(NamedTuple):
    """A queue with its worker."""

    publish: Publish
    worker: fleet.Worker

    def spent(self) -> float:
        """Return the seconds of CPU time that all processes of the worker have taken.

        Raises `SystemExit` if one that decided is gone: a start is no part of a round.
        """
        main = psutil.Process(self.worker.main)
        found = [main, *main.children(recursive=True)]
        if not {*self.worker.deciding} <= {one.pid for one in found}:
            raise SystemExit(f"{main.cmdline()} lost a process that decides")
        times = [one.cpu_times() for one in found]
        return sum(one.user + one.system for one in times)


class Round(NamedTuple):
    """What one round came to."""

    rate: float
    """Decisions a second."""
    cost: float
    """Milliseconds of CPU time that the worker took for a decision, all its processes together."""
    client: float
    """Share of a core that the client took meanwhile."""
    busy: float
    """Share of all cores that was not idle meanwhile."""


@contextmanager
def ours(settings: Settings, processes: int) -> Iterator[Contender]:
    with fleet.workers(settings, processes) as (client, found):

        def publish(contexts: Sequence[Context]) -> None:
            client.set_current()
            canvas.publish(contexts)

        yield Contender(publish, found)


@contextmanager
def peer(
    settings: Settings,
    command: str,
    sending: Callable[[str], AbstractContextManager[hops.Send]],
) -> Iterator[Contender]:
    """Run one process of a peer that decides."""
    words = [sys.executable, "-m", *command.split()]
    with fleet.started(words, settings, 1) as found, sending(settings.broker_url) as send:

        def publish(contexts: Sequence[Context]) -> None:
            drafts = [Draft(context=context) for context in contexts]
            for i in range(0, len(drafts), canvas.BATCH):
                send(canvas.pack(drafts[i : i + canvas.BATCH]))

        yield Contender(publish, found)


def peers(settings: Sequence[Settings]) -> dict[str, AbstractContextManager[Contender]]:
    """Return every peer, on the settings that are its own."""
    one, two, three = settings
    dramatiq = "dramatiq -p 1 -t 1 bench.on_dramatiq:broker"
    taskiq = (
        "taskiq worker --log-level ERROR --workers 1 --max-async-tasks 1 bench.on_taskiq:broker"
    )
    rq = f"rq.cli worker {on_rq.QUEUE} -q -S json -w bench.on_rq.Opened -u {three.broker_url}"
    return {
        names.DRAMATIQ: peer(one, dramatiq, on_dramatiq.sending),
        names.TASKIQ: peer(two, taskiq, on_taskiq.sending),
        names.RQ: peer(three, rq, on_rq.sending),
    }


def database(settings: Settings, number: int) -> Settings:
    """Return the settings with another database of the same server."""
    server, _, _ = settings.broker_url.rpartition("/")
    return settings.model_copy(update={"broker_url": f"{server}/{number}"})


def asked(one: Contender, desk: Desk, ask: fleet.Asking, n: int) -> Round:
    """Measure one round of n decisions."""
    fleet.at_close(desk.settings)
    contexts = ask(n)
    if decisions.waiting(desk.store)[0] != n:
        raise SystemExit("somebody else's decisions are pending; nothing to wait for")
    psutil.cpu_percent()
    worker, client, began = one.spent(), process_time(), perf_counter()
    one.publish(contexts)
    fleet.until(lambda: not decisions.waiting(desk.store)[0], "all are sealed", tick=TICK)
    seconds = perf_counter() - began
    return Round(
        rate=n / seconds,
        cost=(one.spent() - worker) / n * 1e3,
        client=(process_time() - client) / seconds,
        busy=psutil.cpu_percent() / 100,
    )


def rounds(found: dict[str, Contender], desk: Desk, ask: fleet.Asking) -> dict[str, list[Round]]:
    """Measure them in turn, so that what else the machine does falls on all of them alike."""
    for one in found.values():
        asked(one, desk, ask, 4 * canvas.BATCH * len(one.worker.deciding))
    seen: dict[str, list[Round]] = {name: [] for name in found}
    for turn in range(ROUNDS):
        first = turn % len(found)
        for name, one in [*found.items()][first:] + [*found.items()][:first]:
            seen[name].append(asked(one, desk, ask, LOAD * len(one.worker.deciding)))
    return seen


def against(settings: Settings, desk: Desk, ask: fleet.Asking) -> list[Row]:
    """Return the rows of the peers; every ratio is of two rates of the same round."""
    with ExitStack() as stack:
        found = {"ours": stack.enter_context(ours(settings, 1))}
        for name, other in peers([database(settings, n) for n in (1, 2, 3)]).items():
            found[name] = stack.enter_context(other)
        seen = rounds(found, desk, ask)
    mine = seen.pop("ours")
    return [(name, *compared(mine, theirs, HOW[name])) for name, theirs in seen.items()]


def compared(mine: Sequence[Round], theirs: Sequence[Round], how: str) -> tuple[str, str]:
    pairs = list(zip(mine, theirs, strict=True))
    rates = [one.rate / other.rate for one, other in pairs]
    costs = [one.cost / other.cost for one, other in pairs]
    rate, its_rate = (np.median([one.rate for one in of]) for of in (mine, theirs))
    cost, its_cost = (np.median([one.cost for one in of]) for of in (mine, theirs))
    return (
        f"{spread(rates)} its rate, {spread(costs)} its CPU time",
        f"{rate:,.0f} decisions/s against {its_rate:,.0f}; {cost:.1f} ms of CPU time each, events "
        f"for Flower included, against {its_cost:.1f}; {how}",
    )


HOW = {
    names.DRAMATIQ: "a pipeline of actors, one process, one thread, acknowledged when done",
    names.TASKIQ: "each task sends the next, one process, a Redis list, acknowledged when taken",
    names.RQ: "each job enqueues the next, one `SimpleWorker`, as its `Worker` forks for each hop",
}
"""How each runs. Ours: a chain, one process and its main one, acknowledged when taken."""


def scaled(settings: Settings, desk: Desk, ask: fleet.Asking) -> Row:
    """Return what a second process brings, each bound to a core of its own where that can be."""
    with ours(settings, 1) as one, ours(database(settings, 1), 2) as two:
        pinned = all([pin(one.worker.deciding), pin(two.worker.deciding)])
        seen = rounds({"one": one, "two": two}, desk, ask)
    single, double = (np.array([r.rate for r in seen[name]]) for name in ("one", "two"))
    busy = [np.median([r.busy for r in seen[name]]) for name in ("one", "two")]
    client = np.median([r.client for r in seen["two"]])
    each = [np.median([r.rate / r.busy for r in seen[name]]) / CORES for name in ("one", "two")]
    return (
        names.SCALED,
        f"{spread(double / single)} with two processes",
        f"{np.median(single):,.0f} decisions/s with one, {np.median(double):,.0f} with two; "
        f"batches of {canvas.BATCH}; {'each on a core of its own' if pinned else 'not pinned'}, "
        f"which it shares with Redis, the worker's main process and the client ({client:.0%} of a "
        f"core): all cores were {busy[0]:.0%} busy with one, {busy[1]:.0%} with two, so a core "
        f"that is busy makes {each[0]:,.0f} and {each[1]:,.0f} decisions/s",
    )


def pin(processes: Sequence[int]) -> bool:
    """Bind each process, with all its threads, to a core of its own; return whether that went."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(processes):
        return False
    for pid, core in zip(processes, cores, strict=False):
        for thread in fleet.numbers(f"/proc/{pid}/task"):
            os.sched_setaffinity(thread, {core})
    return True


def spread(ratios: Sequence[float] | np.ndarray) -> str:
    return f"{np.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
