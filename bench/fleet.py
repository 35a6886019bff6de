"""The canvas through a real broker and real worker processes, beside a bare chain of Celery.

Both send the same messages through the same worker in turn, so that what else the machine does
falls on both.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from itertools import count
from time import monotonic, perf_counter
from typing import Any

import numpy as np
from celery import Celery, chain
from celery.canvas import Signature, signature

from bench import rows as names
from domain.clock import WallClock
from domain.decision import Context, Draft
from domain.settings import Settings
from market.playback import Anchor, stops
from orchestrator import canvas, playback
from orchestrator.desk import Desk, View
from storage import decisions, state
from workers import roles, servers
from workers.app import create
from workers.lifecycle import open_desk

SESSION = date(2016, 7, 1)
PACE = 600.0
"""Seconds per session: its close then lasts for four and a half minutes."""
ROUNDS = 60
LOAD = 600
"""Decisions per process in the measurement of throughput."""
WAIT = 30.0
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


@contextmanager
def workers(settings: Settings, processes: int) -> Iterator[Celery]:
    """Run a decision worker with so many processes, and yield a client."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OMEGA_")} | {
        "OMEGA_HOME": str(settings.home.resolve()),
        "OMEGA_BROKER_URL": settings.broker_url,
        "OMEGA_FEED": settings.feed,
    }
    command = [*roles.worker("decision", processes, "ERROR"), "-I", "bench.bare"]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    client = create(settings)
    client.set_current()
    try:
        node = roles.node("decision")
        until(
            lambda: any(node in answer for answer in client.control.ping(timeout=0.5)),
            "the worker answers",
        )
        yield client
    finally:
        client.close()
        process.send_signal(signal.SIGTERM)
        process.wait()


def until(condition: Callable[[], bool], what: str, seconds: float = WAIT) -> None:
    end, tick = monotonic() + seconds, threading.Event()
    while not condition():
        if monotonic() > end:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        tick.wait(0.05)


class Asking:
    """Contexts for as many decisions as wanted, each a new question about the newest bar."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._numbers = desk, count(2)
        self._view = View.read(desk, desk.clock.now())

    def __call__(self, n: int) -> list[Context]:
        pairs = [(bot, symbol) for bot in self._desk.bots.values() for symbol in bot.symbols]
        found: list[Context] = []
        while len(found) < n:
            number = next(self._numbers)
            for bot, symbol in pairs[: n - len(found)]:
                found += self._desk.gather(bot, [symbol], self._view, number)
        decisions.pend(self._desk.store, found, WallClock().now())
        return found


def objects(contexts: Sequence[Context]) -> list[dict[str, Any]]:
    """Return drafts as anybody would send them, as JSON objects."""
    return [Draft(context=context).model_dump(mode="json") for context in contexts]


def bare(contexts: Sequence[Context]) -> list[Signature]:
    """Return chains of as many hops and as large messages as the canvas has, without the work."""
    batches = [contexts[i : i + canvas.BATCH] for i in range(0, len(contexts), canvas.BATCH)]
    hop = {"queue": "decision"}
    middle = len(canvas.STEPS) - 2
    return [
        chain(
            signature("bare.hop", args=(objects(batch),), options=hop),
            *(signature("bare.hop", options=hop) for _ in range(middle)),
            signature("bare.last", options=hop),
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


def latencies(ask: Asking, n: int) -> dict[str, np.ndarray]:
    """Return milliseconds of each kind, sent in turn."""
    awaited = partial(canvas.decisions, awaited=True)
    kinds = {"bare": bare, "canvas": awaited, "fused": canvas.fused}
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS + ROUNDS // 10):
        for kind, make in kinds.items():
            found[kind].append(taken(make(ask(n))))
    return {kind: np.array(times[ROUNDS // 10 :]) for kind, times in found.items()}


def compared(found: dict[str, np.ndarray], n: int, row: str) -> Row:
    def told(kind: str) -> str:
        times = found[kind]
        return f"{kind} {np.median(times):.1f} ms (p99 {np.quantile(times, 0.99):.0f})"

    ratio = np.median(found["canvas"]) / np.median(found["bare"])
    what = "; ".join(told(kind) for kind in ("bare", "canvas", "fused"))
    return row, f"{ratio:.2f} x a bare chain", what


def rate(settings: Settings, ask: Asking, processes: int) -> float:
    """Return decisions a second, sent as fast as they go and waited for in the record."""
    with workers(settings, processes):
        taken(canvas.decisions(ask(canvas.BATCH), awaited=True))
        contexts = ask(LOAD * processes)
        messages = canvas.decisions(contexts, awaited=True)
        began = perf_counter()
        sent = [message.apply_async() for message in messages]
        for result in sent:
            result.get(timeout=WAIT * 4, interval=0.005)
        return len(contexts) / (perf_counter() - began)


def measured(home: Settings) -> list[Row]:
    """Return the rows of the fleet, on a home whose models are trained."""
    with broker(home.model_copy(update={"feed": "playback"})) as settings:
        at_close(settings)
        desk = open_desk(settings)
        ask = Asking(desk)
        with workers(settings, 1):
            one = compared(latencies(ask, 1), 1, names.CANVAS)
            fifty = compared(latencies(ask, 50), 50, names.CANVASES)
        at_close(settings)
        single, double = rate(settings, ask, 1), rate(settings, ask, 2)
        asked = decisions.count_by(desk.store, "code")
        expired = asked.get(("EXPIRED",), 0)
        desk.close()
    if expired:
        raise SystemExit(f"{expired} decisions expired: what was measured is not deciding")
    scaled = (
        names.SCALED,
        f"{double / single:.2f} x with two processes",
        f"{single:,.0f} decisions/s with one, {double:,.0f} with two; batches of {canvas.BATCH}",
    )
    return [one, fifty, scaled]
