"""Degraded mode on real workers: entered when they hang, left when they are quick again."""

import json
from time import monotonic

import pytest

from domain.decision import Reason
from domain.settings import Settings
from orchestrator.view import punctuality
from risk.sla import WINDOW
from storage import audit, decisions
from tests.system.fleet import ask, children, omega, publish, until, up, willing
from tests.system.record import Looking, Tell, whole
from tests.system.test_chaos import stopped

pytestmark = pytest.mark.system

LIMIT = 2.0
"""Seconds: twenty times what a busy machine takes for a batch, so only who is stopped is late."""


def test_workers_that_hang_bring_degraded_mode_and_a_quick_minute_ends_it(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    settings = trading.model_copy(update={"sla_ms": LIMIT * 1000})
    with up(settings) as fleet:
        late = ask(desk, 20, [desk.bots["fortress"]])  # who does not trade at this close
        with stopped(children(fleet.pid("decision"))):
            publish(fleet.client(), late)
            sent = monotonic()
            until(lambda: monotonic() > sent + LIMIT + 0.5, 20, "it is late")
        freed = monotonic()
        until(lambda: punctuality(desk.store).degraded, 30, "degraded mode")
        tell("decisions late, degraded mode", freed, 10)
        assert json.loads(omega(trading.home, "status", "--json").stdout)["degraded"]

        in_hops = fleet.handed("decision.safety")
        during = ask(desk, 20, willing(desk))
        publish(fleet.client(), during)
        whole(desk, late + during)
        assert fleet.handed("decision.safety") == in_hops
        assert fleet.handed("decision.fused") > 0
        sealed = decisions.many(desk.store, [context.id for context in during])
        safety = [one.draft.verdicts[0] for one in sealed]
        assert {(verdict.code, verdict.scale) for verdict in safety} == {(Reason.DEGRADED, 0.5)}

        entered, every = monotonic(), list(during)

        def restored() -> bool:
            """Take decisions, quickly, and wait until they were looked at."""
            before, fresh = punctuality(desk.store), ask(desk, 12)
            every.extend(fresh)
            publish(fleet.client(), fresh)
            until(lambda: punctuality(desk.store) != before, 30, "it is judged anew")
            return not punctuality(desk.store).degraded

        until(restored, 3 * WINDOW.total_seconds(), "degraded mode is over")
        tell("decisions quick again, degraded mode over", entered, WINDOW.total_seconds() + 10)
        after = ask(desk, 5)
        assert not any(context.degraded for context in after)
        publish(fleet.client(), after)
        whole(desk, late + every + after)
        assert fleet.handed("decision.safety") > in_hops
        told = [one.kind for one in audit.records(desk.store, audit.DESK)]
        assert [kind for kind in told if kind in ("degraded", "restored")] == [
            "degraded",
            "restored",
        ]
