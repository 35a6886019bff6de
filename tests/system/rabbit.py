"""A RabbitMQ node of a test's own: a process, its data in a folder, its ports on the loopback."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.fleet import until
from workers import servers

PROGRAMS = "/usr/lib/rabbitmq/bin"
"""Where Debian has them; what lies on the path there changes to a user and a folder of its own."""
UP = 120.0
"""Seconds for a node to be up: four where nothing else runs, over 60 at a load of ten."""


def program(name: str) -> str | None:
    """Return a program of RabbitMQ's; None where it is not installed."""
    return shutil.which(name, path=f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}")


class Node:
    """A node that can be killed and started again with what it had on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, port = folder, servers.free_port(3)
        self.name, self.url = f"omega{port}@localhost", f"amqp://guest:guest@127.0.0.1:{port}//"
        (folder / "plugins").write_text("[].")
        # What `deploy/README.md` says of RabbitMQ before 3.12.
        (folder / "rabbitmq.conf").write_text("consumer_timeout = 7200000\n")
        told = {
            "NODENAME": self.name,
            "NODE_IP_ADDRESS": "127.0.0.1",
            "NODE_PORT": str(port),
            "DIST_PORT": str(port + 1),
            "MNESIA_BASE": str(folder),
            "LOG_BASE": str(folder),
            "ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "CONF_ENV_FILE": str(folder / "none"),
            "CONFIG_FILE": str(folder / "rabbitmq.conf"),
        }
        # HOME is where Erlang keeps the secret by which nodes and their tools know one another.
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("RABBITMQ_")}
        self.environ |= {f"RABBITMQ_{name}": value for name, value in told.items()}
        self.environ |= {"HOME": str(folder), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        # Under systemd the script becomes the node instead of starting one as its child.
        self.environ |= {"ERL_EPMD_PORT": str(port + 2), "RUNNING_UNDER_SYSTEMD": "true"}
        self._processes: list[subprocess.Popen[bytes]] = []
        # It knows the nodes' names. A node would start one by itself, and leave it behind.
        self._names = ("epmd", "-port", str(port + 2), "-address", "127.0.0.1")

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "said").open("ab") as said:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=self.environ
            )
        self._processes.append(process)
        return process

    def start(self) -> None:
        """Start it, on its data, and wait until it answers."""
        if not self._processes:
            self._run(*self._names)
        self.process = self._run(program("rabbitmq-server") or "rabbitmq-server")

        def answers() -> bool:
            assert self.process.poll() is None, (self._folder / "said").read_text()
            return servers.answers(self.url)

        until(answers, UP, "RabbitMQ is up")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(UP)

    def ask(self, *words: str) -> str:
        """Return what `rabbitmqctl` says."""
        command = [program("rabbitmqctl") or "rabbitmqctl", "--quiet", *words]
        said = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=UP, check=False
        )
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout

    def stop(self) -> None:
        """End everything that was started."""
        for process in reversed(self._processes):
            process.kill()
            process.wait(UP)


@contextmanager
def running(folder: Path) -> Iterator[Node]:
    """Run a node, and end it with the test."""
    node = Node(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()
