"""`omega up`: everything on this machine, supervised, and nothing left behind."""

import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from domain.settings import Settings, without_passwords
from domain.values import Env
from storage import engine, home, switches, tables
from workers import roles, servers, supervise, watch
from workers.app import create
from workers.config import CORES, QUEUES
from workers.lifecycle import declared
from workers.supervise import Fleet, Role, Say

READY = 60.0
"""Seconds for every role to be up: four where nothing else runs, over 30 at a load of 6."""


class Up(NamedTuple):
    """A fleet that is up."""

    broker: str
    broker_named: str
    database: str
    feed: str
    pace: float | None
    flower: str
    flower_auth: str
    metrics: Mapping[str, str]
    """Where each worker is measured, by its queue."""
    logs: Path
    archived: str
    pids: Mapping[str, int]


@contextmanager
def running(settings: Settings, pools: Mapping[str, int], say: Say) -> Iterator[tuple[Up, Fleet]]:
    """Start everything, wait until every role answers, and stop it all in the end.

    Parameters
    ----------
    pools
        Processes per queue, where another number than the usual one is wanted.

    Raises
    ------
    Refused
        A fleet is up in this home already.
    Transient
        A role did not answer in time; its log is named.
    """
    place = settings.home.resolve()
    with supervise.alone(place):
        archived = _prepare(settings)
        chosen = servers.broker(settings.broker_url, place)
        environ = {
            "OMEGA_HOME": str(place),
            "OMEGA_BROKER_URL": chosen.url,
            "OMEGA_DATABASE_URL": settings.database,
            "OMEGA_FEED": settings.feed,
            "OMEGA_PACE": str(settings.pace),
            "OMEGA_METRICS_PORT": str(settings.metrics_port or servers.free_port(len(QUEUES))),
        }
        fleet = Fleet(place / "logs", say)
        try:
            yield _start(settings, chosen, environ, pools, fleet, archived), fleet
        finally:
            with _deaf():
                # The broker goes last: what the others put back on their way out must be kept.
                fleet.stop([name for name in fleet.roles if name != "broker"])
                fleet.stop()


def _start(
    settings: Settings,
    chosen: servers.Broker,
    environ: Mapping[str, str],
    pools: Mapping[str, int],
    fleet: Fleet,
    archived: str,
) -> Up:
    if chosen.command:
        fleet.add(Role("broker", chosen.command))
    supervise.until(
        lambda: servers.answers(chosen.url),
        READY,
        f"the broker {without_passwords(chosen.url)} did not answer",
        fleet.look,
    )
    client = create(settings.model_copy(update={"broker_url": chosen.url}))
    declared(client)
    for queue in QUEUES:
        threads = {"OMP_NUM_THREADS": str(max(1, CORES // pools.get(queue, 1)))}
        more = threads if queue == "training" else {"OMP_NUM_THREADS": "1"}
        command = roles.worker(queue, pools.get(queue))
        fleet.add(Role(queue, command, {**environ, **more}))
    port, auth = servers.free_port(), f"omega:{secrets.token_urlsafe(9)}"
    fleet.add(Role("beat", roles.beat(), environ))
    fleet.add(Role("flower", roles.flower(port), {**environ, roles.AUTH: auth}))
    supervise.until(
        lambda: watch.answering(client) >= {roles.node(queue) for queue in QUEUES},
        READY,
        f"not every worker answered, see {fleet.log('decision').parent}: they did not",
        fleet.look,
    )
    client.close()
    told = {"broker_url": chosen.url, "feed": settings.feed, "pace": settings.pace}

    def tell() -> None:
        supervise.write(settings.home.resolve(), told | {"pids": fleet.pids()})

    fleet.changed = tell
    tell()
    return Up(
        broker=without_passwords(chosen.url),
        broker_named=chosen.named,
        database=without_passwords(settings.database),
        feed=settings.feed,
        pace=settings.pace if settings.feed == "playback" else None,
        flower=f"http://127.0.0.1:{port}",
        flower_auth=auth,
        metrics={q: roles.metrics(int(environ["OMEGA_METRICS_PORT"]), q) for q in QUEUES},
        logs=fleet.log("decision").parent,
        archived=archived,
        pids=fleet.pids(),
    )


def _prepare(settings: Settings) -> str:
    """Bring the database to this build, and put aside the record of a replay.

    A replay has been to the end of history: its champions know what a playback has yet to see.
    """
    store = engine.connect(settings)
    engine.upgrade(store)
    with engine.reading(store) as conn:
        newest = select(func.max(tables.decisions.c.asof)).where(
            tables.decisions.c.env == Env.REPLAY.value
        )
        replayed = conn.scalar(newest) is not None
    store.close()
    if not (replayed and settings.feed == "playback"):
        return ""
    archived, latches = home.archive(settings)
    fresh = engine.open_store(settings)
    for latch in latches:
        switches.throw(fresh, latch)
    fresh.close()
    return str(archived or "")


@contextmanager
def _deaf() -> Iterator[None]:
    """Hear no further Ctrl-C: stopping takes ten seconds at most, and half of it helps nobody."""
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
