"""Degraded mode: entered by what was measured, half the size, every limit, and left again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from celery import Task
from celery.signals import task_prerun

from domain.decision import Draft
from domain.examples import prediction
from orchestrator import books, canvas, pipeline
from orchestrator.desk import Desk
from risk.sla import WINDOW
from storage import audit, decisions
from tests.orchestrator.made import wanting
from trading.bots.catalog import BOTS
from workers.app import create

SECOND = timedelta(seconds=1)


def take(desk: Desk, seconds: float, n: int = 20) -> None:
    """Ask for n decisions, and seal them so many seconds later."""
    asked = [desk.ask(BOTS["fortress"], "SPX") for _ in range(n)]
    turn(desk, seconds)
    desk.seal([pipeline.run(context, lambda _: ()) for context in asked])


def turn(desk: Desk, seconds: float) -> None:
    desk.clock.turn(desk.clock.now() + seconds * SECOND)


def told(desk: Desk) -> list[str]:
    return [one.kind for one in audit.records(desk.store, audit.DESK)]


def test_it_is_entered_when_decisions_come_late_and_left_when_they_are_quick(flat: Desk) -> None:
    take(flat, 0.1)
    assert not books.punctual(flat).degraded
    take(flat, 0.2)
    entered = books.punctual(flat)
    assert (entered.degraded, entered.n, entered.late) == (True, 40, 20)
    [record] = audit.records(flat.store, audit.DESK)
    assert (record.kind, record.body["late"], record.body["limit_ms"]) == ("degraded", 20, 120.0)

    turn(flat, 1)
    take(flat, 0.05)
    assert books.punctual(flat).degraded, "not for a minute yet"
    turn(flat, WINDOW / SECOND)
    assert books.punctual(flat).degraded, "nothing was measured lately"
    take(flat, 0.07)
    assert books.punctual(flat).degraded, "quicker than the limit, but not by half"
    turn(flat, WINDOW / SECOND)
    take(flat, 0.05)
    assert not books.punctual(flat).degraded
    assert told(flat) == ["degraded", "restored"]
    books.punctual(flat)
    assert told(flat) == ["degraded", "restored"], "only a change is recorded"


def test_what_is_due_meanwhile_knows_it_and_what_was_due_before_does_not(flat: Desk) -> None:
    [before] = flat.scan(["anchor"])
    take(flat, 1.0)
    books.punctual(flat)
    [during] = flat.scan(["samson"])
    assert (before.degraded, during.degraded) == (False, True)
    assert flat.ask(BOTS["fortress"], "SPX").degraded
    [kept] = decisions.pending(flat.store, [during.id])
    assert kept.context.degraded, "it is part of the record, so a replay finds it"


def test_the_size_is_half_and_the_limits_are_those_of_any_day(flat: Desk) -> None:
    [context] = flat.scan(["fortress"])
    late = context.model_copy(update={"degraded": True})
    quick, slow = (pipeline.LAYERS["safety"](Draft(context=c)) for c in (context, late))
    assert (quick.scale, slow.scale) == (1.0, 0.5)
    sized = {draft.context.degraded: sized_by(draft) for draft in (quick, slow)}
    assert sized[True] == sized[False] // 2 > 0
    assert late.limits == context.limits


def sized_by(draft: Draft) -> int:
    """Return how many units a bet with an edge gets behind a draft's safety verdict."""
    said = prediction(0.95, gain=0.3, loss=0.4)
    [wish] = wanting(draft.context).verdicts
    wanted = draft.add(wish.model_copy(update={"quantity": None}))
    return pipeline.LAYERS["sizing"](wanted.model_copy(update={"predictions": (said,)})).quantity


@pytest.fixture
def ran(flat: Desk) -> Iterator[list[str]]:
    """Run tasks where they are called, and list their names."""
    names: list[str] = []

    def note(sender: Task, **_: Any) -> None:
        names.append(sender.name)

    with create(flat.settings) as app:
        app.conf.update(task_always_eager=True, task_eager_propagates=True)
        app.set_current()
        task_prerun.connect(note)
        yield names
        task_prerun.disconnect(note)


@pytest.mark.parametrize(
    ("degraded", "in_one", "tasks"),
    [
        (False, False, [f"decision.{step}" for step in canvas.STEPS]),
        (True, False, ["decision.fused"]),
        (False, True, ["decision.fused"]),
    ],
)
def test_it_takes_one_task_instead_of_four(
    flat: Desk, ran: list[str], degraded: bool, in_one: bool, tasks: list[str]
) -> None:
    view = flat.view(flat.clock.now())
    [context] = flat.gather(BOTS["fortress"], ["SPX"], replace(view, degraded=degraded))
    decisions.pend(flat.store, [context], flat.wall.now())
    canvas.publish([context], in_one=in_one)
    assert ran == tasks
    assert decisions.get(flat.store, context.id).draft.context.degraded is degraded
