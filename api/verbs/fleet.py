"""The live system: all of it on this machine, or one role alone."""

import os
import signal
import sys
from collections.abc import Mapping
from enum import StrEnum
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import opening, render
from api.verbs.common import Json
from domain.errors import Refused

if TYPE_CHECKING:
    from domain.settings import Settings
    from workers.up import Up


class Queue(StrEnum):
    """The queues, each with workers of its own."""

    DECISION = "decision"
    TRAINING = "training"
    UPKEEP = "upkeep"


def up(
    ctx: typer.Context,
    workers: Annotated[
        str, typer.Option(help="Processes per queue, as in decision=4,training=2.")
    ] = "",
    pace: Annotated[
        float | None,
        typer.Option(min=1, max=600, help="Seconds per session where history is played back."),
    ] = None,
    json: Json = False,
) -> None:
    """Start the whole desk on this machine and keep it running until Ctrl-C.

    Where no broker is set, one is started; where no feed is set, history is played back.
    """
    chosen = _fleet(opening.settings(ctx), pace)
    pools = _pools(workers)
    # Both, whatever they were: a shell gives what it starts in the background a deaf ear for INT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from workers import up as whole
    from workers.supervise import LOOK

    def say(role: str, what: str) -> None:
        if json:
            render.emit({"role": role, "event": what})
            sys.stdout.flush()
        else:
            render.note(f"{opening.now():%H:%M:%S}  {role}: {what}")

    render.note("starting broker, workers, beat and Flower")
    tick = Event()
    try:
        with whole.running(chosen, pools, say) as (made, fleet):
            render.emit(made._asdict()) if json else _show(made)
            sys.stdout.flush()
            while True:
                fleet.look()
                tick.wait(LOOK)
    except KeyboardInterrupt:
        render.note("stopped; nothing is left running, and what was recorded is whole")


def _leave(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _fleet(chosen: "Settings", pace: float | None) -> "Settings":
    """Play history back where nobody has said what feed to use."""
    change: dict[str, Any] = {}
    if "feed" not in chosen.model_fields_set:
        change["feed"] = "playback"
    if pace is not None:
        change["pace"] = pace
    return chosen.model_copy(update=change)


def _pools(text: str) -> Mapping[str, int]:
    pools = {}
    for part in filter(None, text.split(",")):
        queue, _, number = part.partition("=")
        if queue not in list(Queue) or not number.isdigit() or int(number) < 1:
            raise Refused(f"--workers {part!r}: say for instance decision=4,training=2")
        pools[queue] = int(number)
    return pools


def _show(made: "Up") -> None:
    facts = {
        "broker": f"{made.broker} ({made.broker_named})",
        "database": made.database,
        "feed": made.feed
        if made.pace is None
        else f"playback: history as if it happened now, a session every {made.pace:g} s",
        "Flower": f"{made.flower} (name and password {made.flower_auth})",
        "metrics": ", ".join(made.metrics.values()),
        "roles": ", ".join(f"{name} {pid}" for name, pid in made.pids.items()),
        "logs": str(made.logs),
    }
    if made.archived:
        facts["put aside"] = f"{made.archived}, the record of a replay"
    said = "From another terminal: omega status, omega queues, omega trail list, omega kill"
    render.show(render.spaced(render.pairs(facts, "The desk is up. Ctrl-C stops it."), said))


def worker(
    ctx: typer.Context,
    queue: Annotated[Queue, typer.Argument(help="Whose messages it works off.")],
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", min=1, help="Processes; else as suits it.")
    ] = None,
) -> None:
    """Run the worker of one queue, in this terminal."""
    from workers import roles

    _become(ctx, roles.worker(queue.value, concurrency))


def beat(ctx: typer.Context) -> None:
    """Run beat. Two of them share a lease: one sends, the other waits to take its place."""
    from workers import roles

    _become(ctx, roles.beat())


def flower(
    ctx: typer.Context,
    auth: Annotated[
        str, typer.Option(envvar="FLOWER_BASIC_AUTH", help="NAME:PASSWORD that opens it.")
    ],
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5555,
    address: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
) -> None:
    """Run Flower, behind a password and unable to change anything."""
    from workers import roles

    os.environ[roles.AUTH] = auth
    _become(ctx, roles.flower(port, address=address))


def _become(ctx: typer.Context, command: list[str]) -> None:
    """Turn into a process of Celery: signals then reach it, and not something in between."""
    chosen = opening.settings(ctx)
    if chosen.broker_url.startswith("memory://"):
        raise Refused(
            "a role of its own needs a broker that others reach: set OMEGA_BROKER_URL, as in "
            "redis://localhost:6379/0, or let `omega up` start everything"
        )
    os.environ["OMEGA_HOME"] = str(chosen.home.resolve())
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execv(command[0], command)
