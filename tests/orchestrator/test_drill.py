"""The drill of the kill switch: passed by one that works, failed by one that does not."""

from datetime import timedelta

import pytest

from domain.book import Exposure, KillCode, Scope
from domain.bot import Factor
from domain.decision import OmegaDecision, Reason
from domain.errors import Refused
from orchestrator import drill, pipeline
from orchestrator.desk import Desk
from orchestrator.layers.base import layer
from risk import guardrails, killswitch
from storage import audit, decisions, engine, exposure, orders, switches
from tests.orchestrator.made import due
from trading.bots.catalog import BOTS


def failed(drilled: drill.Drilled) -> list[str]:
    return [check.what for check in drilled.checks if not check.ok]


def asked(desk: Desk) -> list[OmegaDecision]:
    ids = [line.id for line in decisions.listing(desk.store, bot="canary")]
    return decisions.many(desk.store, sorted(ids))


def test_a_switch_that_works_passes_and_leaves_nothing_behind(flat: Desk) -> None:
    drilled = drill.kill_switch(flat)
    assert drilled.passed, failed(drilled)
    assert [check.what for check in drilled.checks] == [
        "refused at the seal",
        "refused at the first layer",
        "no order, no reservation",
        "without it the same wish is let through",
    ]
    at_seal, at_safety = asked(flat)
    assert (at_seal.code, at_seal.draft.verdicts[-1].layer) == (Reason.KILLED, "seal")
    assert (at_safety.code, at_safety.draft.verdicts[-1].layer) == (Reason.KILLED, "safety")
    assert switches.read(flat.store).latches == ()
    assert exposure.held(flat.store) == ()
    assert drill.last(flat.store) == {"kill-switch": drilled}
    [entry] = audit.records(flat.store, audit.DESK, "drill")
    assert entry.body["passed"]
    kinds = [one.kind for one in audit.records(flat.store, "canary")]
    assert kinds == ["kill", "decision", "decision", "release"]
    assert "canary" not in {e.bot for e in exposure.held(flat.store)} | flat.bots.keys()


def test_the_other_bots_trade_on_meanwhile(flat: Desk) -> None:
    context = due(flat, "fortress", "SPX")
    drill.kill_switch(flat)
    assert pipeline.LAYERS["safety"](pipeline.Draft(context=context)).veto is None


def test_a_desk_that_is_fully_invested_can_try_its_switch(flat: Desk) -> None:
    context = due(flat, "fortress", "SPX")
    all_of_it = Exposure(
        id=context.id, bot="fortress", symbol="SPX", factor=Factor.VOLATILITY, side=-1, risk=1e9
    )
    with engine.writing(flat.store) as conn:
        exposure.reserve(conn, [all_of_it], flat.clock.now())
    drilled = drill.kill_switch(flat)
    assert drilled.passed, failed(drilled)


def test_a_seal_that_does_not_look_fails_it_and_the_desk_halts(
    flat: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killswitch, "refuse_entry", lambda _: None)
    drilled = drill.kill_switch(flat)
    assert not drilled.passed
    assert failed(drilled) == ["refused at the seal", "no order, no reservation"]
    [wrong] = [made for made in asked(flat) if made.quantity]
    assert orders.get(flat.store, wrong.id)[1] == "cancelled"
    assert exposure.held(flat.store) == ()
    [latch] = switches.read(flat.store).latches
    assert (latch.scope, latch.code) == (Scope.ALL, KillCode.DRILL_FAILED)
    assert "refused at the seal" in latch.reason
    monkeypatch.undo()
    stopped = pipeline.run(flat.ask(BOTS["fortress"], "SPX"), lambda _: ())
    assert stopped.veto is not None
    assert stopped.veto.code is Reason.KILLED


def test_a_layer_that_does_not_look_fails_it(flat: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    @layer
    def safety(draft: pipeline.Draft) -> object:
        rest = {n: g for n, g in guardrails.GUARDRAILS.items() if n != "killed"}
        return guardrails.safety(draft.context, rest)

    monkeypatch.setattr(pipeline, "safety", safety)
    drilled = drill.kill_switch(flat)
    assert failed(drilled) == ["refused at the first layer"]


def test_where_the_canary_is_stopped_already_nothing_is_shown(flat: Desk) -> None:
    latch = killswitch.human(Scope.ALL, "*", "lunch", "me", flat.clock.now())
    switches.throw(flat.store, latch)
    with pytest.raises(Refused, match=r"stopped already.*lunch"):
        drill.kill_switch(flat)
    assert drill.last(flat.store) == {}
    assert [one.reason for one in switches.read(flat.store).latches] == ["lunch"]


def test_a_switch_whose_drill_died_expires_by_itself(flat: Desk) -> None:
    drill._throw(flat)
    assert flat.ask(BOTS["fortress"], "SPX").switches.latches
    flat.clock.turn(flat.clock.now() + drill.HELD + timedelta(seconds=1))
    assert drill.kill_switch(flat).passed
