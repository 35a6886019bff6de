"""A broker that is away while a task publishes: the record has it, and nothing has failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from orchestrator import reaper
from orchestrator.desk import Desk
from storage import dead, decisions, jobs
from storage.jobs import Stands
from tests.orchestrator.made import CLOSE, SECOND, desk_at, passes
from workers.app import create

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def away(tmp_path: Path) -> Iterator[tuple[Desk, Celery]]:
    """Open a desk whose broker does not answer."""
    with desk_at(tmp_path, CLOSE) as desk:
        app = create(desk.settings.model_copy(update={"broker_url": NOBODY}))
        app.set_current()
        yield desk, app
        app.close()


def test_a_scan_leaves_its_decisions_to_the_reaper(away: tuple[Desk, Celery]) -> None:
    desk, app = away
    scanned = app.tasks["market.scan"].apply(kwargs={"bots": ["fortress"]})
    assert (scanned.state, scanned.result) == ("SUCCESS", 1)
    [pending] = decisions.unsealed(desk.store)
    passes(desk)
    assert app.tasks["upkeep.reap"].apply(args=([pending.context.id],)).state == "SUCCESS"
    [still] = decisions.unsealed(desk.store)
    assert still.attempts == pending.attempts, "what the broker did not take was no attempt"


def test_the_validation_that_follows_a_round_is_accepted_and_found_again(
    away: tuple[Desk, Celery],
) -> None:
    desk, app = away
    round_of = app.tasks["learning.together"].apply(kwargs={"models": ["xgb"]})
    assert (round_of.state, round_of.result) == ("SUCCESS", ["xgb"])
    trained = app.tasks["learning.train"].apply(kwargs={"model": "xgb", "together": True})
    assert trained.state == "SUCCESS"
    owed = jobs.get(desk.store, jobs.VALIDATION)
    assert owed is not None
    assert owed.stands is Stands.WAITING
    passes(desk, queue="training", at=desk.wall.now() + SECOND)
    [again] = reaper.abandoned(desk)
    assert (again.kind, again.stands, again.attempts) == (jobs.VALIDATION, Stands.WAITING, 2)
    assert dead.count(desk.store) == 0
