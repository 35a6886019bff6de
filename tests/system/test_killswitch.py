"""The kill switch, thrown by one process while others are in the middle of trading."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic

import pytest
from sqlalchemy import text

from domain.book import Switches
from domain.bot import Bot
from domain.settings import Settings
from orchestrator import canvas
from orchestrator.desk import Desk
from storage import audit, decisions, engine, exposure, switches
from tests.system.fleet import WIDE, ask, unbound, until, up, willing
from workers.app import create

pytestmark = pytest.mark.system

IN_FLIGHT = 200
WAVE, CHAIN = 50, 5
"""Decisions that are asked for at a time, and that travel together."""
SEALED = """
    SELECT link.rowid AS place, link.at, made.layer, made.code, placed.id AS placed
    FROM audit AS link
    JOIN decisions AS made ON made.id = link.ref
    LEFT JOIN orders AS placed ON placed.decision_id = made.id AND placed.intent = 'open'
    WHERE link.kind = 'decision'
    ORDER BY link.rowid
"""
"""SQLite has one writer at a time, so the rows of its trail stand in the order of the commits."""


def drill(settings: Settings) -> subprocess.Popen[bytes]:
    """Throw the switch as a person does, in a process of its own."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OMEGA_")}
    words = ["--home", str(settings.home), "kill", "all", "--reason", "drill"]
    command = [sys.executable, "-m", "api", *words]
    return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)


def wave(desk: Desk, bots: Sequence[Bot]) -> None:
    """Send decisions that have seen no switch and no other order: only the seal can stop them."""
    view = replace(desk.view(desk.clock.now()), exposures=(), switches=Switches())
    asked = ask(desk, WAVE, bots, view)
    for first in range(0, WAVE, CHAIN):
        canvas.publish(asked[first : first + CHAIN])


def test_no_order_is_sealed_after_a_kill_that_200_decisions_in_flight_had_not_seen(
    trading: Settings,
    looking: Callable[[Settings], Desk],
    record_property: Callable[[str, object], None],
) -> None:
    settings = trading.model_copy(update={"limits": WIDE})
    desk = looking(settings)
    desk.bots = {name: unbound(bot) for name, bot in desk.bots.items()}
    bots, before = willing(desk), switches.read(desk.store).revision
    with up(settings, "--workers", "decision=2") as fleet, create(fleet.client()) as client:
        client.set_current()

        def flying(condition: Callable[[], bool]) -> Callable[[], bool]:
            def step() -> bool:
                if decisions.waiting(desk.store)[0] < IN_FLIGHT + WAVE:
                    wave(desk, bots)
                return condition()

            return step

        until(flying(lambda: len(exposure.held(desk.store)) > WAVE), 60, "the bots trade")
        began, kill = monotonic(), drill(settings)
        until(flying(lambda: switches.read(desk.store).revision > before), 60, "the switch is set")
        thrown, moment = monotonic(), desk.clock.now()
        until(lambda: not decisions.waiting(desk.store)[0], 60, "every decision is sealed")
        over = monotonic()
        assert kill.wait(60) == 0

    with engine.reading(desk.store) as conn:
        [switch] = conn.scalars(text("SELECT rowid FROM audit WHERE kind = 'kill'")).all()
        sealed = conn.execute(text(SEALED)).all()
    early = [one for one in sealed if one.place < switch]
    late = [one for one in sealed if one.place > switch]
    ordered = [one for one in sealed if one.placed]
    last = moment - datetime.fromisoformat(ordered[-1].at)
    told = f"{len(sealed)} decisions, {len(ordered)} orders, {len(late)} in flight at the switch; "
    told += f"seen {thrown - began:.2f} s after the verb was started, the last order was sealed "
    told += f"{last.total_seconds():.2f} s before, the last decision {over - thrown:.2f} s after\n"
    sys.stdout.write(told)
    record_property("kill", told)
    assert len([one for one in early if one.placed]) > WAVE
    assert len(late) >= IN_FLIGHT
    assert [one.placed for one in late if one.placed] == []
    assert {(one.layer, one.code) for one in late} == {("seal", "KILLED")}
    assert audit.verify(desk.store).ok
