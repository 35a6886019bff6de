"""A child of the pool, and a whole worker, killed in the middle of every layer."""

import sys
from time import monotonic

import pytest

from domain.settings import Settings
from orchestrator import canvas
from storage import dead
from tests.system.fleet import Fleet, ask, publish, until, up
from tests.system.record import Looking, sealed, whole

pytestmark = pytest.mark.system

SHARE = 40
"""Decisions under way each time: two chains."""


def restarts(fleet: Fleet) -> list[str]:
    said = [event["event"] for event in fleet.events("decision")]
    return [event for event in said if "starts again" in event]


@pytest.mark.parametrize("victim", ["child", "worker"])
@pytest.mark.parametrize("point", ["begun", "over"])
def test_whoever_is_killed_in_whichever_layer_no_decision_is_lost_or_doubled(
    trading: Settings, looking: Looking, point: str, victim: str
) -> None:
    """Before a hop has done anything, or when it has sent the next one and not yet said so."""
    desk = looking(trading)
    with up(trading) as fleet:
        contexts, killed = [], 0
        for layer in canvas.STEPS:  # one more worker would be a crash loop
            fleet.sabotage(f"decision.{layer}", point, victim)
            began, fresh = monotonic(), ask(desk, SHARE)
            contexts += fresh
            publish(fleet.client(), fresh)
            killed += 1
            until(lambda n=killed: fleet.sabotaged() == n, 30, f"{layer} is {point}")
            until(lambda new=fresh: len(sealed(desk, new)) == SHARE, 60, "all is sealed")
            took = monotonic() - began
            sys.stdout.write(f"{victim} killed, {layer} {point}: {took:.1f} s\n")
        whole(desk, contexts)
        assert dead.letters(desk.store) == []
        ended = killed if victim == "worker" else 0
        until(lambda: len(restarts(fleet)) >= ended, 10, "what was killed is started again")
        assert len(restarts(fleet)) == ended
