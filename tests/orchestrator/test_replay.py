"""Deciding again from the record comes to the same decision, or says which did not."""

import json
from collections.abc import Callable

import pytest

from domain import examples
from domain.decision import Draft, OmegaDecision, Reason, Verdict
from orchestrator import pipeline, replay
from orchestrator.desk import Desk
from storage import decisions
from tests.orchestrator.made import ASKED, answered, premium, wanting

GOOD = answered(
    premium(book=examples.book(equity=4e5, peak=4e5)), wisdom=0.95, prophet_condor=0.9
).predictions


def recorded() -> OmegaDecision:
    context = premium(book=examples.book(equity=4e5, peak=4e5))
    return pipeline.decide(context, lambda _: GOOD)


def test_a_recorded_decision_is_decided_again() -> None:
    assert replay.again(recorded()) == recorded()
    assert replay.check([recorded()] * 3) == replay.Replayed(equal=3, asked=3)
    assert replay.check([]) == replay.Replayed(equal=0, asked=0)


def test_the_verdict_of_the_seal_is_part_of_the_record() -> None:
    seal = Verdict(layer="seal", evidence={"room": 90_000.0})
    sealed = OmegaDecision.seal(recorded().draft.add(seal))
    again = replay.again(sealed)
    assert again.hash == sealed.hash
    assert again.draft.verdicts[-1] == seal


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 99},
        {"action": "hold"},
        {"code": "NO_EDGE"},
        {"reason": "because"},
        {"probability": 0.5},
    ],
)
def test_a_record_that_was_changed_is_named(change: dict[str, object]) -> None:
    forged = OmegaDecision.model_validate(recorded().model_dump(mode="json") | change)
    found = replay.check([recorded(), forged])
    assert found == replay.Replayed(equal=1, asked=2, different=(forged.id,))


def test_a_quantity_that_no_layer_came_to_is_named() -> None:
    forced = OmegaDecision.seal(wanting(premium(), 3))
    assert replay.check([forced]).different == (forced.id,)


def test_every_decision_of_the_played_window_replays_from_its_json_alone(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    lines = decisions.listing(desk.store, limit=10_000)
    assert len(lines) == 43 * ASKED
    traded = [line.id for line in lines if line.quantity]
    shrunk = [line.id for line in lines if line.layer == "seal"]
    for decision in decisions.many(desk.store, traded + shrunk):
        bare = OmegaDecision.model_validate(json.loads(decision.model_dump_json()))
        assert replay.again(bare).hash == decision.hash
    assert traded


def test_what_was_vetoed_at_safety_asked_nobody_and_replays_so() -> None:
    halted = premium(switches={"latches": (examples.switch(),)})
    decision = OmegaDecision.seal(pipeline.run(halted, lambda _: GOOD))
    assert (decision.code, decision.draft.predictions) == (Reason.KILLED, ())
    assert replay.again(decision) == decision
    assert Draft(context=halted).predictions == ()
