"""A worker whose clock is off: the desk halts before it takes what is stale for fresh."""

from time import monotonic

import pytest

from domain.book import KillCode
from domain.decision import Reason
from domain.settings import Settings
from orchestrator import pulse
from storage import decisions, switches
from tests.system.fleet import ask, publish, until, up
from tests.system.record import Looking, Tell, whole
from workers.app import create

pytestmark = pytest.mark.system


def test_a_clock_five_seconds_off_halts_the_desk(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading, "--workers", "decision=1") as fleet, create(fleet.client()) as client:
        contexts = ask(desk, 20)
        publish(fleet.client(), contexts)
        whole(desk, contexts)
        fleet.sabotage("upkeep.pulse", "begun", "clock")
        until(lambda: fleet.sabotaged() == 1, 30, "a clock is off")
        off = monotonic()
        until(
            lambda: any(abs(p.skew) > 4 for p in pulse.alive(desk.store, desk.wall.now())),
            30,
            "it is seen",
        )
        client.send_task("safety.sweep")  # beat sends it every minute of a session
        until(lambda: switches.read(desk.store).latches, 30, "the desk is halted")
        tell("clock off, desk halted", off, 10)
        [latch] = switches.read(desk.store).latches
        assert (latch.code, latch.evidence["limit"]) == (KillCode.CLOCK_SKEW, 1.0)
        assert abs(latch.evidence["skew"] - 5) < 0.5
        after = ask(desk, 20)
        publish(fleet.client(), after)
        whole(desk, contexts + after)
        made = decisions.many(desk.store, [context.id for context in after])
        assert {one.code for one in made} == {Reason.KILLED}
