"""What is published again, what is given up, and what is left alone."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from domain.decision import Context, Reason
from domain.values import Action
from orchestrator import reaper
from orchestrator.desk import IN_TIME, Desk
from orchestrator.reaper import ATTEMPTS, LOST
from storage import dead, decisions, jobs
from storage.jobs import Stands
from tests.orchestrator.made import (
    CLOSE,
    DAY,
    MINUTE,
    SECOND,
    due,
    lapse,
    nothing_happened,
    passes,
    spoil,
    wanting,
)
from trading.bots.catalog import BOTS


def reaped(desk: Desk) -> list[list[Context]]:
    """Let the reaper look, and publish what it returns."""
    groups = reaper.reap(desk)
    for contexts in groups:
        reaper.sent(desk, contexts)
    return groups


def test_the_reaper_leaves_alone_what_may_still_be_on_its_way(flat: Desk) -> None:
    [due] = flat.scan(["fortress"])
    lapse(flat, LOST)
    passes(flat)
    assert reaped(flat) == []
    lapse(flat, SECOND)
    assert reaped(flat) == [], "only what comes through the queue says that it was lost"
    passes(flat)
    assert reaped(flat) == [[due]]
    passes(flat)
    assert reaped(flat) == [], "it has just been published again"


def test_nothing_is_lost_while_the_queue_is_long(flat: Desk) -> None:
    """Published again then, everything would wait twice, and that thrice: an avalanche."""
    [due] = flat.scan(["fortress"])
    lapse(flat, 30 * SECOND)
    passes(flat, wait=10.0)
    assert reaped(flat) == [], "it may be in its third hop"
    lapse(flat, 14 * SECOND)
    passes(flat, wait=10.0)
    assert reaped(flat) == [[due]], "four hops of 10 s each, and what it takes itself, are over"


def test_nothing_is_lost_while_nobody_works(flat: Desk) -> None:
    [due] = flat.scan(["fortress"])
    passes(flat)
    lapse(flat, MINUTE)
    assert reaped(flat) == []
    passes(flat)
    assert reaped(flat) == [[due]]


def test_what_its_worker_took_along_is_sent_again_at_once(flat: Desk) -> None:
    first, second = flat.ask(BOTS["anchor"], "SPX"), flat.ask(BOTS["fortress"], "SPX")
    assert reaper.reap(flat, lost=[first.id, "unknown"]) == [[first]]
    flat.seal([wanting(second)])
    assert reaper.reap(flat, lost=[second.id]) == []


def test_a_try_that_the_broker_did_not_take_is_none(flat: Desk) -> None:
    [due] = flat.scan(["fortress"])
    for _ in range(2 * ATTEMPTS):
        lapse(flat, LOST + SECOND)
        passes(flat)
        assert reaper.reap(flat) == [[due]]
    assert dead.count(flat.store) == 0


def test_what_nobody_ever_answers_is_a_dead_letter_after_three_attempts(flat: Desk) -> None:
    first, second = flat.ask(BOTS["anchor"], "SPX"), flat.ask(BOTS["fortress"], "SPX")
    for groups in ([[first, second]], [[first], [second]]):
        lapse(flat, LOST + SECOND)
        passes(flat)
        assert reaped(flat) == groups, "the last time each goes alone"
    flat.seal([wanting(second)])
    assert dead.count(flat.store) == 0
    lapse(flat, LOST + SECOND)
    passes(flat)
    assert reaped(flat) == []
    sealed = decisions.get(flat.store, first.id)
    assert (sealed.action, sealed.code) == (Action.HOLD, Reason.FAILED)
    [letter] = dead.letters(flat.store)
    assert (letter.task, letter.attempts) == ("decision", ATTEMPTS)
    assert letter.payload == {"decision": first.id, "bot": "anchor", "symbol": "SPX"}
    assert decisions.get(flat.store, second.id).quantity == 1


def test_who_dies_in_company_does_not_spend_the_last_chance_of_the_others(flat: Desk) -> None:
    """A batch that was published twice kills twice, and its decisions wait alone by then."""
    first, second = flat.ask(BOTS["anchor"], "SPX"), flat.ask(BOTS["fortress"], "SPX")
    both = [first.id, second.id]
    for groups in ([[first, second]], [[first], [second]]):
        assert reaper.reap(flat, lost=both) == groups
        reaper.sent(flat, [first, second])
    assert reaper.reap(flat, lost=both) == []
    assert {decisions.status(flat.store, key) for key in both} == {"PENDING"}
    assert reaper.reap(flat, lost=[first.id]) == []
    assert decisions.get(flat.store, first.id).code is Reason.FAILED
    assert decisions.status(flat.store, second.id) == "PENDING"
    lapse(flat, LOST + SECOND)
    passes(flat)
    assert reaper.reap(flat) == []
    assert decisions.get(flat.store, second.id).code is Reason.FAILED, "by time it was lost too"


def test_nothing_is_given_up_without_its_letter(flat: Desk) -> None:
    """The reaper that stops in between would never come back to what is sealed."""
    asked = flat.ask(BOTS["anchor"], "SPX")
    for _ in range(ATTEMPTS - 1):
        reaper.sent(flat, [asked])
    spoil(flat, "ALTER TABLE dead RENAME TO hidden")
    with pytest.raises(OperationalError, match="no such table: dead"):
        reaper.reap(flat, lost=[asked.id])
    assert decisions.status(flat.store, asked.id) == "PENDING"
    spoil(flat, "ALTER TABLE hidden RENAME TO dead")
    assert reaper.reap(flat, lost=[asked.id]) == []
    assert decisions.get(flat.store, asked.id).code is Reason.FAILED
    assert dead.count(flat.store) == 1


def test_the_reaper_seals_what_is_late_and_returns_what_is_in_time(flat: Desk) -> None:
    [late] = flat.scan(["fortress"])
    lapse(flat, late.deadline - flat.clock.now())
    passes(flat)
    assert reaped(flat) == [[late]], "at its deadline it is in time"
    waiting = flat.ask(BOTS["anchor"], "SPX")
    lapse(flat, LOST + SECOND)
    passes(flat)
    assert reaped(flat) == [[waiting]]
    sealed = decisions.get(flat.store, late.id)
    assert (sealed.action, sealed.code) == (Action.HOLD, Reason.EXPIRED)
    assert sealed.draft.verdicts[-1].layer == "seal"
    assert decisions.status(flat.store, waiting.id) == "PENDING"
    assert nothing_happened(flat)


def test_what_the_reaper_sealed_stays_sealed_when_its_message_arrives(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    flat.clock.turn(CLOSE + IN_TIME + MINUTE)
    reaper.reap(flat)
    [sealed] = flat.seal([draft])
    assert sealed.code is Reason.EXPIRED
    assert nothing_happened(flat)


def test_the_reaper_leaves_what_was_decided_alone(flat: Desk) -> None:
    [decision] = flat.seal([wanting(due(flat, "fortress", "SPX"))])
    flat.clock.turn(CLOSE + DAY)
    assert reaper.reap(flat) == []
    assert decisions.get(flat.store, decision.id) == decision


def test_a_job_that_never_ends_is_given_up_and_kept_among_the_dead_letters(flat: Desk) -> None:
    name, asked = jobs.training("xgb"), {"model": "xgb"}
    jobs.accept(flat.store, name, asked, flat.wall.now())
    for _ in range(jobs.ATTEMPTS):
        passes(flat, queue="training", at=flat.wall.now() + timedelta(minutes=1))
        flat.clock.turn(flat.clock.now() + timedelta(minutes=2))
        [job] = reaper.abandoned(flat)
    assert (job.stands, job.why) == (Stands.FAILED, jobs.GIVEN_UP)
    assert reaper.abandoned(flat) == []
    [letter] = dead.letters(flat.store)
    assert (letter.task, letter.payload["kwargs"], letter.attempts) == ("learning.train", asked, 3)
