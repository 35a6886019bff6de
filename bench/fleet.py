"""The canvas through a real broker and real worker processes, beside a bare chain of Celery.

Both go through the same worker in turn, so that what else the machine does falls on both. A bare
chain carries drafts as JSON objects; a lean one carries the same batch as the canvas.
"""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any, NamedTuple

import numpy as np
import psutil
from celery import Celery, chain
from celery.canvas import Signature, signature

from bench import hops
from bench import rows as names
from domain.clock import WallClock
from domain.decision import Context, Draft
from domain.settings import Settings
from market.playback import Anchor, stops
from orchestrator import canvas, playback
from orchestrator.desk import Desk
from storage import decisions, state
from workers import roles, servers
from workers.app import create
from workers.lifecycle import bound, open_desk

SESSION = date(2016, 7, 1)
PACE = 600.0
"""Seconds per session: its close then lasts for four and a half minutes."""
ROUNDS = 60
WAIT = 30.0
GRACE = 5.0
"""Seconds that a worker has to end. It has nothing left to do by then."""
QUIET = subprocess.DEVNULL
Row = tuple[str, str, str]


def at_close(desk_settings: Settings) -> None:
    """Let the playback of a home stand at a close that has just come."""
    begun = [offset for offset, _ in stops(SESSION, PACE)][-1]
    began = WallClock().now() - timedelta(seconds=begun + 1)
    desk = open_desk(desk_settings)
    anchor = Anchor(began=began, session=SESSION, pace=PACE)
    state.put(desk.store, playback.KEY, anchor.model_dump(mode="json"))
    desk.close()


@contextmanager
def broker(settings: Settings) -> Iterator[Settings]:
    """Run a broker of our own, and yield the settings of who speaks to it."""
    chosen = servers.broker("", settings.home.resolve())
    process = subprocess.Popen(list(chosen.command), stdout=subprocess.DEVNULL)
    try:
        until(lambda: servers.answers(chosen.url), "the broker answers")
        yield settings.model_copy(update={"broker_url": chosen.url})
    finally:
        process.terminate()
        process.wait()


def numbers(folder: str) -> list[int]:
    """Return what the files and folders in it are called, which are numbers of processes."""
    return sorted(int(path.name) for path in Path(folder).iterdir())


class Worker(NamedTuple):
    """Numbers of processes."""

    main: int
    """The one that was started; the others are its children, or it alone is the worker."""
    deciding: list[int]


@contextmanager
def started(command: Sequence[str], settings: Settings, processes: int) -> Iterator[Worker]:
    """Run a worker, and yield it once all its processes that decide are there."""
    with tempfile.TemporaryDirectory() as ready:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("OMEGA_")} | {
            "OMEGA_HOME": str(settings.home.resolve()),
            "OMEGA_BROKER_URL": settings.broker_url,
            "OMEGA_DATABASE_URL": settings.database,
            "OMEGA_FEED": settings.feed,
            hops.READY: ready,
        }
        process = subprocess.Popen(command, env=environ, stdout=QUIET, stderr=QUIET)
        try:
            until(lambda: len(numbers(ready)) == processes, f"{command[2]} is ready")
            yield Worker(process.pid, numbers(ready))
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a worker with all its processes; one that only waits for a message may never see why."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for one in family:
        if one.is_running():
            one.kill()


@contextmanager
def workers(
    settings: Settings, processes: int, include: str = "bench.bare"
) -> Iterator[tuple[Celery, Worker]]:
    """Run a decision worker with so many processes; yield a client with it.

    `include` names the modules of this folder that the worker imports beside its own.
    """
    command = [*roles.worker("decision", processes, "ERROR"), "-I", include]
    with started(command, settings, processes) as found:
        client = create(settings)
        client.set_current()
        yield client, found
        client.close()


def until(
    condition: Callable[[], bool], what: str, seconds: float = WAIT, tick: float = 0.05
) -> None:
    end, pause = monotonic() + seconds, threading.Event()
    while not condition():
        if monotonic() > end:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        pause.wait(tick)


class Asking:
    """Contexts for as many decisions as wanted, each a new question about the newest bar.

    They see a desk that holds nothing. After the replay one bot holds all it may, and of its
    questions, 87 % of all, the first hop refuses every one, so that no model is asked. What the
    desk does hold, the seal still sees.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk, self._numbers = desk, count(2)
        view = desk.view(desk.clock.now())
        self._view = replace(view, positions=(), exposures=())

    def __call__(self, n: int) -> list[Context]:
        """Return n of them, pending in the record."""
        found = self.unasked(n)
        decisions.pend(self._desk.store, found, WallClock().now())
        return found

    def unasked(self, n: int) -> list[Context]:
        """Return n that nobody is going to decide on."""
        pairs = [(bot, symbol) for bot in self._desk.bots.values() for symbol in bot.symbols]
        found: list[Context] = []
        while len(found) < n:
            number = next(self._numbers)
            for bot, symbol in pairs[: n - len(found)]:
                found += self._desk.gather(bot, [symbol], self._view, number)
        return found


def objects(contexts: Sequence[Context]) -> list[dict[str, Any]]:
    """Return drafts as anybody would send them, as JSON objects."""
    return [Draft(context=context).model_dump(mode="json") for context in contexts]


def packed(contexts: Sequence[Context]) -> canvas.Batch:
    """Return drafts as the canvas sends them, which says nothing of their contexts."""
    return canvas.pack([Draft(context=context) for context in contexts])


def bare(contexts: Sequence[Context], write: Callable[[Sequence[Context]], Any]) -> list[Signature]:
    """Return chains of as many hops as the canvas has, without the work.

    Like the canvas they keep only what the last hop returns. What they carry stays as it was sent,
    while the canvas adds what each layer says.
    """
    batches = [contexts[i : i + canvas.BATCH] for i in range(0, len(contexts), canvas.BATCH)]
    hop = {"queue": "decision", "ignore_result": True}
    middle = len(canvas.STEPS) - 2
    return [
        chain(
            signature("bare.hop", args=(write(batch),), options=hop),
            *(signature("bare.hop", options=hop) for _ in range(middle)),
            signature("bare.last", options={"queue": "decision"}),
        )
        for batch in batches
    ]


def taken(chains: Sequence[Signature]) -> float:
    """Return how many milliseconds it took from sending to the last answer."""
    began = perf_counter()
    sent = [one.apply_async() for one in chains]
    for result in sent:
        result.get(timeout=WAIT, interval=0.0005)
    return (perf_counter() - began) * 1e3


def inline(contexts: Sequence[Context]) -> dict[str, float]:
    """Return how many milliseconds each hop takes in this process, which sends nothing."""
    spent = dict.fromkeys(canvas.STEPS, 0.0)
    for i in range(0, len(contexts), canvas.BATCH):
        batch: Any = packed(contexts[i : i + canvas.BATCH])
        for step in canvas.STEPS:
            began = perf_counter()
            batch = hops.run(step, batch)
            spent[step] += (perf_counter() - began) * 1e3
    return spent


def latencies(ask: Asking, n: int) -> dict[str, np.ndarray]:
    """Return milliseconds of each kind, sent in turn, and of each hop without a queue."""
    kinds: dict[str, Callable[[], list[Signature]]] = {
        "bare": lambda: bare(ask.unasked(n), objects),
        "lean": lambda: bare(ask.unasked(n), packed),
        "canvas": lambda: canvas.decisions(ask(n), awaited=True),
        "fused": lambda: canvas.fused(ask(n)),
    }
    found: dict[str, list[float]] = {kind: [] for kind in (*kinds, *canvas.STEPS)}
    for _ in range(ROUNDS + ROUNDS // 10):
        for kind, make in kinds.items():
            found[kind].append(taken(make()))
        for step, spent in inline(ask(n)).items():
            found[step].append(spent)
    return {kind: np.array(times[ROUNDS // 10 :]) for kind, times in found.items()}


def compared(found: dict[str, np.ndarray], row: str) -> Row:
    def told(kind: str) -> str:
        times = found[kind]
        return f"{kind} {np.median(times):.1f} ms (p99 {np.quantile(times, 0.99):.0f})"

    of_bare, of_lean = (np.median(found["canvas"]) / np.median(found[k]) for k in ("bare", "lean"))
    what = "; ".join(told(kind) for kind in ("bare", "lean", "canvas", "fused"))
    return row, f"{of_bare:.2f} x a bare chain, {of_lean:.2f} x a lean one", what


def shares(found: dict[str, np.ndarray], row: str) -> Row:
    """Return what share of a canvas each hop takes by itself; the rest is its way between them."""
    whole = np.median(found["canvas"])
    parts = {step: np.median(found[step]) / whole for step in canvas.STEPS}
    told = ", ".join(f"{step} {share:.0%}" for step, share in parts.items())
    what = (
        f"of {whole:.1f} ms; {told} (which seals); each hop timed without a queue, in turn with it"
    )
    return row, f"{1 - sum(parts.values()):.0%} transport", what


def weighed(worker: Worker, models: int) -> Row:
    """Return what a worker takes that has decided, in MB; what processes share is parted."""
    main, *children = (held(number) for number in (worker.main, *worker.deciding))
    what = (
        f"its main process {main:.0f}, its child {sum(children):.0f}, after scans that asked "
        f"{models} champions; proportional set size, what both hold counted once"
    )
    return names.MEMORY, f"{main + sum(children):.0f} MB", what


def held(number: int) -> float:
    """Return the MB of a process; its own alone where the system does not part what is shared."""
    memory = psutil.Process(number).memory_full_info()
    return getattr(memory, "pss", memory.uss) / 1e6


def measured(home: Settings) -> list[Row]:
    """Return the rows of the fleet, on a home whose models are trained."""
    from bench import peers

    with broker(home.model_copy(update={"feed": "playback"})) as settings:
        at_close(settings)
        with bound(open_desk(settings)) as desk:
            ask = Asking(desk)
            with workers(settings, 1) as (_, worker):
                one, fifty = latencies(ask, 1), latencies(ask, 50)
                asked = [name for name in desk.asked if desk.registry.champion(name)]
                memory = weighed(worker, len(asked))
            found = [
                *(compared(one, names.CANVAS), compared(fifty, names.CANVASES)),
                *(shares(one, names.ONE_SHARES), shares(fifty, names.SHARES), memory),
                peers.scaled(settings, desk, ask),
                *peers.against(settings, desk, ask),
            ]
            expired = decisions.count_by(desk.store, "code").get(("EXPIRED",), 0)
    if expired:
        raise SystemExit(f"{expired} decisions expired: what was measured is not deciding")
    return found
