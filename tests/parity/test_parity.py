"""A decision does not depend on how it is run."""

from collections.abc import Callable
from time import monotonic

import pytest

from domain.decision import Context, OmegaDecision
from orchestrator import canvas, pipeline, replay
from orchestrator.desk import Desk
from risk.admission import admit
from storage import decisions
from tests.orchestrator.made import ASKED
from workers import embedded
from workers.app import create

DEADLINE = 30.0
Hashes = dict[str, str]


def hashes(sealed: list[OmegaDecision]) -> Hashes:
    return {decision.id: decision.hash for decision in sealed}


def recorded(desk: Desk, contexts: list[Context]) -> Hashes:
    return hashes(decisions.many(desk.store, [context.id for context in contexts]))


def inline(desk: Desk, contexts: list[Context]) -> Hashes:
    answer = desk.answers()
    return hashes(desk.seal([pipeline.run(context, answer) for context in contexts]))


def eager(desk: Desk, contexts: list[Context]) -> Hashes:
    app = create(desk.settings)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    app.set_current()
    canvas.publish(contexts)
    return recorded(desk, contexts)


def fused(desk: Desk, contexts: list[Context]) -> Hashes:
    app = create(desk.settings)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    app.set_current()
    canvas.publish(contexts, in_one=True)
    return recorded(desk, contexts)


def live(desk: Desk, contexts: list[Context]) -> Hashes:
    """Through real workers, in order: what one batch reserves, the next must find reserved."""
    with embedded.running(desk.settings, ("decision",)):
        canvas.publish(contexts)
        until = monotonic() + DEADLINE
        while len(found := recorded(desk, contexts)) < len(contexts) and monotonic() < until:
            pass
    return found


def test_inline_eager_fused_and_a_real_worker_decide_alike(
    at_next_close: Callable[[str], Desk],
) -> None:
    found: dict[str, Hashes] = {}
    for mode in (inline, eager, fused, live):
        desk = at_next_close(mode.__name__)
        due = desk.scan()
        assert len(due) == ASKED
        found[mode.__name__] = mode(desk, due)
    assert len(found["inline"]) == ASKED
    assert found["eager"] == found["inline"]
    assert found["fused"] == found["inline"]
    assert found["live"] == found["inline"]


def test_every_recorded_decision_replays_to_the_same_hash_without_artifacts(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    sample = decisions.sample(desk.store, 200, seed=7)
    assert replay.check(sample) == replay.Replayed(equal=200, asked=200)


def test_a_record_that_says_something_else_than_its_context_is_found(
    at_next_close: Callable[[str], Desk],
) -> None:
    [one] = decisions.sample(at_next_close("home").store, 1, seed=7)
    book = one.context.book.model_copy(update={"losses_in_row": 99})
    context = one.context.model_copy(update={"book": book})
    forged = one.model_copy(update={"draft": one.draft.model_copy(update={"context": context})})
    assert replay.check([forged]).different == (one.id,)


@pytest.mark.parametrize("way", [eager, fused])
def test_a_message_delivered_twice_changes_nothing(
    at_next_close: Callable[[str], Desk], way: Callable[[Desk, list[Context]], Hashes]
) -> None:
    desk = at_next_close("home")
    due = desk.scan()
    once = way(desk, due)
    assert way(desk, due) == once
    assert desk.scan() == []


def test_admit_is_asked_with_what_the_batch_itself_reserved(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    answer = desk.answers()
    drafts = [pipeline.run(context, answer) for context in desk.scan()]
    seen: list[int] = []

    def counting(draft, now, held):  # type: ignore[no-untyped-def]
        seen.append(len(held))
        return admit(draft, now, held)

    sealed = decisions.seal(desk.store, drafts, counting, desk.clock.now())
    reserved = sum(decision.quantity > 0 for decision in sealed)
    assert len(seen) >= reserved
    if seen:
        assert seen[-1] - seen[0] >= reserved - 1
