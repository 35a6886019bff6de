"""Workers as processes, on a private broker and in a home of their own."""

import os
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic

from celery import Celery

from domain.clock import WallClock
from domain.settings import Settings, load
from market.feeds import catalog as feeds
from orchestrator import playback
from storage import engine
from workers import roles, servers
from workers.app import create

DEADLINE = 120.0
"""Seconds; a worker is up in four where nothing else runs, and one that trains gives way to all."""


def eventually(holds: Callable[[], bool], seconds: float = DEADLINE) -> bool:
    """Look until it holds, or until it is too late."""
    until, tick = monotonic() + seconds, Event()
    while not (done := holds()) and monotonic() < until:
        tick.wait(0.05)
    return done


@dataclass
class Place:
    """A home with a broker and a playback, and the processes that run in it."""

    home: Path
    environ: dict[str, str]
    app: Celery
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    pulses: Counter[str] = field(default_factory=Counter)
    """How many were sent, by queue."""

    def start(self, name: str, command: list[str], **environ: str) -> None:
        """Start a process in a session of its own: a training worker makes its session slow."""
        with self.said(name).open("wb") as said, (self.home / f"{name}.out").open("wb") as out:
            self.processes[name] = subprocess.Popen(
                command,
                stdout=out,
                stderr=said,
                env={**os.environ, **self.environ, **environ},
                start_new_session=True,
            )

    def said(self, name: str) -> Path:
        """Return what a process wrote to stderr."""
        return self.home / f"{name}.err"

    def stop(self, name: str) -> int:
        """Ask a process to end, and return its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            return process.wait(DEADLINE)
        finally:
            process.kill()

    def tell(self, kind: type[BaseException] | None, *_: object) -> None:
        """Print what everybody has said, where that may be why something failed."""
        for name in self.processes if kind else ():
            sys.stdout.write(f"{name} said:\n{self.said(name).read_text()[-4000:]}\n")

    def metrics(self, queue: str) -> dict[str, float]:
        """Return the samples a worker shows; none while it does not answer."""
        address = roles.metrics(int(self.environ["OMEGA_METRICS_PORT"]), queue)
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def pulse(self, queue: str) -> str:
        """Send a pulse and return the id of its task."""
        self.pulses[queue] += 1
        sent = self.app.send_task("upkeep.pulse", kwargs={"of": queue}, queue=queue)
        return str(sent.id)


@contextmanager
def place(home: Path) -> Iterator[Place]:
    """Start a broker and begin a playback; end everything that was started in the end."""
    home.mkdir()
    port = servers.free_port()
    environ = {
        "OMEGA_HOME": str(home),
        "OMEGA_BROKER_URL": f"redis://desk:s3cret@127.0.0.1:{port}/0",
        "OMEGA_FEED": "playback",
        "OMEGA_PACE": "600",
        "OMEGA_METRICS_PORT": str(servers.free_port(3)),
        "OMP_NUM_THREADS": "1",
    }
    words = {"port": str(port), "bind": "127.0.0.1", "dir": str(home), "save": ""}
    command = [servers.wheel(), *(w for name, v in words.items() for w in (f"--{name}", v))]
    command += ["--user", "desk", "on", ">s3cret", "~*", "&*", "+@all"]
    settings = load(environ={k: v for k, v in environ.items() if k.startswith("OMEGA_")})
    with ExitStack() as stack:
        broker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        stack.callback(broker.wait, DEADLINE)
        stack.callback(broker.kill)
        _begin(settings)
        assert eventually(lambda: servers.answers(settings.broker_url))
        made = Place(home, environ, stack.enter_context(create(settings)))
        stack.callback(lambda: [made.stop(name) for name in list(made.processes)])
        stack.push(made.tell)
        yield made


def _begin(settings: Settings) -> None:
    store = engine.open_store(settings)
    days = playback.days(feeds.create(settings).panel())
    playback.begin(store, days, settings.pace, WallClock().now())
    store.close()
