"""What is delivered twice, too late, or again: it changes nothing."""

from datetime import timedelta

import pytest
from celery.canvas import signature
from sqlalchemy import select

from domain.decision import Reason
from domain.settings import Settings
from orchestrator import canvas, pipeline
from orchestrator.desk import Desk
from storage import decisions, tables
from storage.engine import reading
from tests.system import record
from tests.system.fleet import ask, now, publish, until, up, willing
from tests.system.record import Looking, whole
from workers.app import create

pytestmark = pytest.mark.system

SOON = timedelta(seconds=2)


def sealed_rows(desk: Desk) -> list[tuple[str, str | None]]:
    """Return every decision's id and the hash of what was sealed."""
    table = tables.decisions
    with reading(desk.store) as conn:
        query = select(table.c.id, table.c.sha256).order_by(table.c.id)
        return [(row.id, row.sha256) for row in conn.execute(query)]


def test_what_comes_three_times_is_decided_once_and_what_comes_again_changes_nothing(
    trading: Settings, looking: Looking
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts = ask(desk, 60)
        publish(fleet.client(), [*contexts, *contexts, *contexts])
        whole(desk, contexts)
        before = sealed_rows(desk)

        answer = desk.answers()
        drafts = [pipeline.run(context, answer) for context in contexts]
        assert any(draft.quantity for draft in drafts)
        batch = canvas.pack(drafts)
        with create(fleet.client()) as client:
            client.set_current()
            old = signature("decision.limits", args=(batch,)).apply_async()
            assert set(old.get(timeout=60)) <= {context.id for context in contexts}
        assert sealed_rows(desk) == before
        assert record.faults(desk, contexts) == []


def test_what_comes_after_its_deadline_is_a_hold_whatever_it_says(
    trading: Settings, looking: Looking
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        made, answer = ask(desk, 10, willing(desk)), desk.answers()
        decided = [pipeline.run(context, answer) for context in made]
        assert any(draft.quantity for draft in decided)
        publish(fleet.client(), made)
        whole(desk, made)

        # The same questions once more, with next to no time to answer them.
        asof = desk.clock.now()
        late = [
            c.model_copy(update={"id": f"{c.id}-late", "asof": asof, "deadline": asof + SOON})
            for c in made
        ]
        decisions.pend(desk.store, late, now())
        until(lambda: desk.clock.now() > asof + SOON, 20, "the deadline has passed")
        drafts = [d.model_copy(update={"context": c}) for d, c in zip(decided, late, strict=True)]
        with create(fleet.client()) as client:
            client.set_current()
            # Without the expiry that a broker would see: the record itself must refuse them.
            for chain in canvas.decisions(late):
                chain.apply_async()
            batch = canvas.pack(drafts)
            signature("decision.limits", args=(batch,)).apply_async().get(timeout=60)
        until(lambda: len(record.sealed(desk, late)) == len(late), 60, "all is sealed")
        sealed = decisions.many(desk.store, [context.id for context in late])
        assert all(d.quantity == 0 for d in sealed)
        assert {d.code for d in sealed if d.draft.veto and d.draft.veto.layer == "seal"} == {
            Reason.EXPIRED
        }
        assert record.faults(desk, [*made, *late]) == []
