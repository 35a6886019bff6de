"""A fleet of real processes for a test: started, broken on purpose, watched, and ended."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from domain.book import Limits
from domain.bot import Bot
from domain.clock import WallClock
from domain.decision import Context
from domain.settings import Settings
from market.playback import Anchor, stops
from orchestrator import canvas, pipeline
from orchestrator.desk import Desk
from orchestrator.playback import KEY
from orchestrator.view import View
from storage import state
from storage.engine import Store
from workers import supervise
from workers.app import create

T = TypeVar("T")
SABOTAGE = Path(__file__).with_name("sabotage")
SESSION = date(2016, 3, 7)
"""The session whose close it is while a test looks."""
TRADING = date(2016, 3, 9)
"""Two sessions later: what was trained before the first has samson and autotrader trade at it."""
SLOW = 600.0
"""Seconds per session: the close then lasts for four and a half minutes."""
LEFT = timedelta(seconds=20)
"""How long the close has been there when a fleet is started."""

WIDE = Limits(
    max_correlation=1, shared_risk=1, symbol_risk=1, total_risk=1, repeat_orders=1_000_000
)
"""What stops an order where a test wants many: nothing but a kill switch, and no guardrail one."""


def until(ask: Callable[[], T], seconds: float, what: str) -> T:
    """Ask until the answer is true, and return it; fail when it takes too long."""
    end, tick = monotonic() + seconds, threading.Event()
    while not (found := ask()):
        assert monotonic() < end, f"{what}: not within {seconds:g} s"
        tick.wait(0.02)
    return found


def at_close(store: Store, wall: datetime, session: date = SESSION) -> None:
    """Let the playback stand at a close, with nothing due that was not sent."""
    begun = [offset for offset, _ in stops(session, SLOW)][-1]
    began = wall - timedelta(seconds=begun) - LEFT
    anchor = Anchor(began=began, session=session, pace=SLOW)
    state.put(store, KEY, anchor.model_dump(mode="json"))
    seen = max(moment for _, moment in stops(session, SLOW)) + LEFT / 2
    body = {"seen": seen.isoformat(), "at": wall.isoformat(), "unsent": []}
    state.put(store, "beat", body)


class Fleet:
    """`omega up`, as a person runs it, in a process of its own."""

    def __init__(self, settings: Settings, *more: str) -> None:
        self.settings = settings
        environ = {k: v for k, v in os.environ.items() if not k.startswith("OMEGA_")}
        environ |= {"OMEGA_HOME": str(settings.home), "OMEGA_FEED": settings.feed}
        environ |= {"OMEGA_PACE": str(settings.pace), "PYTHONUNBUFFERED": "1"}
        # A machine that is busy with other tests is slow, and that is not what most of them test.
        patient = "sla_ms" not in settings.model_fields_set
        environ["OMEGA_SLA_MS"] = "60000" if patient else str(settings.sla_ms)
        environ["OMEGA_TRAINING_SECONDS"] = str(settings.training_seconds)
        # Python runs what lies there first, in every process; without a wish it does nothing.
        self.wish = settings.home.parent / f"{settings.home.name}.wish"
        environ |= {"PYTHONPATH": str(SABOTAGE), "SABOTAGE": str(self.wish)}
        limits = settings.limits.model_dump(exclude_defaults=True)
        environ |= {f"OMEGA_LIMITS__{name.upper()}": str(limit) for name, limit in limits.items()}
        if settings.database_url:
            environ["OMEGA_DATABASE_URL"] = settings.database_url
        if not settings.broker_url.startswith("memory://"):
            environ["OMEGA_BROKER_URL"] = settings.broker_url
        self._out = settings.home.parent / f"{settings.home.name}.out"
        self._err = self._out.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api", "up", "--json", *more],
                stdout=out,
                stderr=err,
                env=environ,
            )

    @property
    def said(self) -> list[dict[str, Any]]:
        """What it has said so far, whole lines only."""
        whole = self._out.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    @property
    def complained(self) -> str:
        return self._err.read_text()

    def ready(self, seconds: float = 120) -> dict[str, Any]:
        """Wait until it says that it is up, and return what it said."""

        def answer() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.complained
            return next((told for told in self.said if "broker" in told), None)

        self.told = until(answer, seconds, "the fleet is up") or {}
        return self.told

    def pid(self, role: str) -> int:
        """Return the process of a role, the newest."""
        started = [e["event"] for e in self.events(role) if e["event"].startswith("started again")]
        return int(started[-1].rpartition(" ")[2]) if started else int(self.told["pids"][role])

    def events(self, role: str) -> list[dict[str, Any]]:
        """Return what the supervisor has told of a role."""
        return [told for told in self.said if told.get("role") == role]

    def kill(self, role: str, number: int = signal.SIGKILL) -> int:
        """Send a role's process a signal; return the process."""
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    def log(self, role: str) -> str:
        """Return all that a role has written."""
        return Path(self.told["logs"], f"{role}.log").read_text(errors="replace")

    def sabotage(self, task: str, point: str, what: str, *always: str) -> None:
        """Let a process break as soon as it comes to a task: see `sabotage/sitecustomize.py`."""
        aside = self.wish.with_suffix(".new")
        aside.write_text(" ".join((task, point, what, *always)))
        aside.replace(self.wish)

    def sabotaged(self) -> int:
        """Count how often that has happened."""
        log = Path(f"{self.wish}.log")
        return len(log.read_text().splitlines()) if log.exists() else 0

    def handed(self, task: str) -> int:
        """Count how often the decision worker has taken a task from its queue."""
        lines = self.log("decision").splitlines()
        return sum('"task received"' in line and f'"{task}"' in line for line in lines)

    def client(self) -> Settings:
        """Return the settings of somebody who speaks to this fleet."""
        told = supervise.found(self.settings.home)
        assert told is not None
        return self.settings.model_copy(update={"broker_url": told["broker_url"]})

    def stop(self, seconds: float = 20) -> int:
        """Press Ctrl-C and wait until it is gone; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()


def omega(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Say a verb to a home, in a process of its own, as a person does."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OMEGA_")}
    command = [sys.executable, "-m", "api", "--home", str(home), *words]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def lives(pid: int) -> bool:
    """Return whether a process lives; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def up(settings: Settings, *more: str) -> Iterator[Fleet]:
    """Run a fleet, ready, and end it with the test."""
    fleet = Fleet(settings, *more)
    try:
        fleet.ready()
        yield fleet
    finally:
        fleet.stop()


def ask(
    desk: Desk, n: int, bots: Sequence[Bot] | None = None, view: View | None = None
) -> list[Context]:
    """Ask for n decisions about the newest bar, pending, as `omega decide` does: each a new one."""
    from storage import decisions

    view = view or desk.view(desk.clock.now())
    pairs = [(bot, symbol) for bot in bots or desk.bots.values() for symbol in bot.symbols]
    numbers = {
        (bot.name, symbol): decisions.asked(desk.store, bot.name, symbol, desk.sight(view.asof).bar)
        for bot, symbol in pairs
    }
    found: list[Context] = []
    while len(found) < n:
        for bot, symbol in pairs[: n - len(found)]:
            numbers[bot.name, symbol] += 1
            found += desk.gather(bot, [symbol], view, numbers[bot.name, symbol])
    decisions.pend(desk.store, found, now())
    return found


def publish(settings: Settings, contexts: Sequence[Context]) -> None:
    """Send contexts on their way through the fleet's broker."""
    with create(settings) as client:
        client.set_current()
        canvas.publish(contexts)


def unbound(bot: Bot) -> Bot:
    """Return a bot that trades as soon as its models agree, and that no limit of its own stops."""
    free = {"max_open": 10_000, "max_daily": 10_000, "max_quantity": 1, "capital": 1e10}
    return bot.model_copy(update=free | {"p_min": 0.0, "min_score": bot.min_score and 1})


def willing(desk: Desk) -> list[Bot]:
    """Return the bots that would trade at this very moment, each with those symbols alone."""
    view, answer, found = desk.view(desk.clock.now()), desk.answers(), []
    for bot in desk.bots.values():
        drafts = [pipeline.run(context, answer) for context in desk.gather(bot, bot.symbols, view)]
        symbols = tuple(draft.context.symbol for draft in drafts if draft.quantity)
        if symbols:
            found.append(bot.model_copy(update={"symbols": symbols}))
    assert found, "nobody would trade"
    return found


def now() -> datetime:
    """Return the real time."""
    return WallClock().now().astimezone(UTC)
