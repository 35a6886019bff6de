"""One machine's fleet: broker, workers, beat and Flower as processes, watched and restarted."""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import IO, Any

from domain.errors import OmegaError, Refused, Transient

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds before a process that ended is started again: doubled each time, up to the longest."""
CALM = 30.0
"""Seconds of life after which a process counts as well again."""
CRASHES = 5
"""So many ends in a row, none after a calm life, are a crash loop."""
DRAIN, QUIT, KILL = 7.0, 2.0, 1.0
"""Seconds for what is running to finish; then to put back what is not; then no more. Ten in all."""
LOOK = 0.1

Say = Callable[[str, str], None]
"""Told which role, and what happened to it."""


class CrashLoop(OmegaError):
    """A process ends again and again; the message has its last words."""


@dataclass
class Role:
    """One process to keep alive."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    again: float = 0.0
    """When it may be started again, on the monotonic clock."""


class Fleet:
    """Processes that are kept alive until they are stopped.

    Each has a session of its own, so that Ctrl-C on the terminal reaches only the supervisor, which
    lets them finish; and each dies with the supervisor, however that ends (Linux).
    """

    def __init__(self, logs: Path, say: Say) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs, self._say = logs, say
        self.roles: dict[str, Role] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called when a role has another process than before."""

    def add(self, role: Role) -> None:
        """Start a role and keep it alive."""
        self.roles[role.name] = role
        self._start(role)

    def log(self, name: str) -> Path:
        """Return the file a role writes to."""
        return self._logs / f"{name}.log"

    def _start(self, role: Role) -> None:
        with self.log(role.name).open("ab") as out:
            role.process = subprocess.Popen(
                list(role.command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=_without_files(os.environ) | dict(role.environ),
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        role.started = monotonic()

    def look(self) -> None:
        """Start again what has ended and has paused long enough.

        Raises
        ------
        CrashLoop
            One of them ended `CRASHES` times in a row.
        """
        for role in self.roles.values():
            process = role.process
            if process is not None and (code := process.poll()) is not None:
                _end_group(process.pid, signal.SIGKILL)
                calm = monotonic() - role.started >= CALM
                role.process, role.crashes = None, 1 if calm else role.crashes + 1
                if role.crashes >= CRASHES:
                    raise CrashLoop(self._last_words(role, code))
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (role.crashes - 1))
                role.again = monotonic() + pause
                self._say(role.name, f"ended ({_told(code)}), starts again in {pause:g} s")
            elif process is None and monotonic() >= role.again:
                self._start(role)
                self._say(role.name, f"started again, process {self._pid(role)}")
                self.changed()

    def _last_words(self, role: Role, code: int) -> str:
        lines = self.log(role.name).read_text(errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return (
            f"{role.name} ended {role.crashes} times in a row, last with {_told(code)}: "
            f"{_plainly(said)} (all of it: {self.log(role.name)})"
        )

    def pids(self) -> dict[str, int]:
        """Return the process of each role that is running."""
        return {name: self._pid(role) for name, role in self.roles.items() if role.process}

    def _pid(self, role: Role) -> int:
        return role.process.pid if role.process else 0

    def stop(self, names: Sequence[str] | None = None) -> None:
        """Let roles finish what they are doing, then end them, within ten seconds."""
        chosen = [self.roles.pop(name) for name in names or list(self.roles)]
        left = [role.process for role in chosen if role.process is not None]
        for number, patience in (
            (signal.SIGTERM, DRAIN),
            (signal.SIGQUIT, QUIT),
            (signal.SIGKILL, KILL),
        ):
            for process in left:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
            until = monotonic() + patience
            while left and monotonic() < until:
                left = [process for process in left if process.poll() is None]
                Event().wait(LOOK / 2)
        for role in chosen:
            if role.process is not None:
                _end_group(role.process.pid, signal.SIGKILL)
                with suppress(subprocess.TimeoutExpired):
                    role.process.wait(KILL)


def _plainly(line: str) -> str:
    """Return what a line of a log says, without when and where."""
    try:
        told = json.loads(line)
    except ValueError:
        return line.strip()
    return str(told["event"]) if isinstance(told, dict) and "event" in told else line.strip()


def _without_files(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out secrets kept in files: the supervisor has read them, and hands on what they say."""
    return {
        k: v for k, v in environ.items() if not (k.startswith("OMEGA_") and k.endswith("_FILE"))
    }


def _end_group(leader: int, number: int) -> None:
    """End what a process left behind: the children of a worker that was killed."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent does. 1 is PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _told(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


@contextmanager
def alone(home: Path) -> Iterator[IO[str]]:
    """Hold the home's lock: two fleets in one home would run everything twice.

    The system takes the lock away with the process, so one that died leaves none behind.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"a fleet is up in {home} already: `omega status` shows it") from error
        (home / "up.json").unlink(missing_ok=True)
        try:
            yield file
        finally:
            (home / "up.json").unlink(missing_ok=True)


def write(home: Path, told: Mapping[str, Any]) -> None:
    """Leave word, for other terminals, of where a fleet is to be found: whole, or not at all."""
    aside = home / "up.json.new"
    aside.write_text(json.dumps(told))
    aside.replace(home / "up.json")


def found(home: Path) -> dict[str, Any] | None:
    """Return where the fleet of this home is to be found; None while none is up."""
    try:
        with (home / "up.lock").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        word = home / "up.json"
        told: dict[str, Any] | None = json.loads(word.read_text()) if word.exists() else None
        return told
    except OSError:
        return None
    return None


def until(
    condition: Callable[[], bool], seconds: float, what: str, each: Callable[[], None]
) -> None:
    """Wait until a condition holds, calling `each` meanwhile; `Transient` if it takes too long."""
    deadline, tick = monotonic() + seconds, Event()
    while not condition():
        if monotonic() > deadline:
            raise Transient(f"{what} within {seconds:g} s")
        each()
        tick.wait(LOOK)
