"""The fleet of the compose file as processes of this machine: same commands, same environment."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.storage.conftest import postgres as postgres  # the server of the storage tests
from workers import servers
from workers.supervise import until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "beat", "decision", "training", "upkeep", "flower")
BIN = Path(sys.executable).parent
READY = 60.0
"""Seconds for a role to be well; five where nothing else runs."""


def spoken(text: str) -> str:
    """Return a word of the compose file as Compose reads it, where nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


def baked() -> dict[str, str]:
    """Return what the image itself puts into the environment, its path left out."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = re.findall(r"^ENV (.*)$", text[text.index(" AS base") :], re.MULTILINE)
    found = dict(pair.split("=", 1) for line in lines for pair in line.split())
    return {name: value for name, value in found.items() if name != "PATH"}


class Stage:
    """Where a container's paths and hosts are played by folders and ports of this machine."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.port, self.flower = folder, servers.free_port(), servers.free_port()
        (folder / "deploy").mkdir(parents=True)
        shutil.copy(ROOT / "deploy" / "secrets.sh", folder / "deploy")
        subprocess.run(["sh", folder / "deploy" / "secrets.sh"], check=True)
        self.secrets = folder / "deploy" / "secrets"
        self.broker = self.secret("broker_url").replace("@redis:6379", f"@127.0.0.1:{self.port}")
        (self.secrets / "broker_url").write_text(self.broker)
        (self.secrets / "database_url").write_text(database)
        (folder / "broker").mkdir()

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def here(self, text: str) -> str:
        """Return a word of a command or of an environment, as it is on this machine."""
        for there, place in {
            "/run/secrets": self.secrets,
            "/var/lib/omega": self.folder / "home",
            "/opt/omega": ROOT / "deploy",
        }.items():
            text = text.replace(there, str(place))
        return spoken(text)

    def environ(self, service: str) -> dict[str, str]:
        said = {**baked(), **SERVICES[service].get("environment", {})}
        if service == "flower":
            said |= {"FLOWER_PORT": str(self.flower), "FLOWER_ADDRESS": "127.0.0.1"}
        path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        return path | {name: self.here(value) for name, value in said.items()}

    def command(self, service: str) -> list[str]:
        words = [self.here(word) for word in SERVICES[service]["command"]]
        if service != "redis":
            return words
        words = [str(self.folder / "broker") if word == "/data" else word for word in words]
        return [servers.wheel(), *words[1:], "--port", str(self.port), "--bind", "127.0.0.1"]

    def run(self, service: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command beside a service, as its health check is run."""
        return subprocess.run(
            [self.here(word) for word in words],
            env=self.environ(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def well(self, service: str) -> bool:
        """Ask a service's own health check."""
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        if service == "redis":  # the wheel has no redis-cli
            said = dict(pairwise(words))
            return self.answers(said["--user"], said["--pass"], words[-1])
        return self.run(service, words).returncode == 0

    def answers(self, user: str, password: str, *words: str) -> bool:
        """Return whether the broker lets a user do something."""
        once = Retry(NoBackoff(), 0)
        with Redis(port=self.port, username=user, password=password, retry=once) as client:
            try:
                client.execute_command(*words)  # type: ignore[no-untyped-call]
            except RedisError:
                return False
        return True

    def written(self) -> dict[str, int]:
        """Return when what in the home was written; a lock that cannot be made is done without."""
        home = self.folder / "home"
        return {
            str(path.relative_to(home)): path.stat().st_mtime_ns
            for path in home.rglob("*")
            if path.name != "up.lock"
        }

    @contextmanager
    def running(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service until it is well, and end it as its container would be ended."""
        log = self.folder / f"{service}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.command(service),
                env=self.environ(service),
                cwd=self.folder,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

        def alive() -> None:
            assert process.poll() is None, f"{service} ended: {log.read_text()[-2000:]}"

        try:
            until(lambda: self.well(service), READY, f"{service} was not well", alive)
            yield process
        finally:
            number = signal.Signals[SERVICES[service].get("stop_signal", "SIGTERM")]
            process.send_signal(number)
            try:
                process.wait(float(SERVICES[service]["stop_grace_period"].rstrip("s")))
            finally:
                end(process.pid)
                process.wait()


def end(group: int) -> None:
    """Kill what is left of a process's session."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture(scope="session")
def database(postgres: str) -> str:
    """Give the URL of an empty database."""
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE omega_deploy")
    return postgres.replace("/postgres?", "/omega_deploy?")


@pytest.fixture(scope="session")
def migrated(database: str, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Give a stage on which `migrate` has run: schema and audit key are there."""
    stage = Stage(tmp_path_factory.mktemp("migrated"), database)
    done = stage.run("migrate", SERVICES["migrate"]["command"])
    assert done.returncode == 0, done.stderr
    return stage


@pytest.fixture
def stage(migrated: Stage, database: str, tmp_path: Path) -> Stage:
    """Give a stage with a broker of its own: what one role sends, the next one need not do."""
    made = Stage(tmp_path / "stage", database)
    shutil.copytree(migrated.folder / "home", made.folder / "home")
    return made
