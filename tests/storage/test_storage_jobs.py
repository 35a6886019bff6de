"""Jobs: accepted once, done by one process at a time, found again when it dies, and fenced."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from domain.clock import Clock, VirtualClock, WallClock
from domain.errors import OmegaError, Transient, Unavailable
from storage import jobs, rounds, state
from storage.engine import Store
from storage.jobs import ATTEMPTS, LASTS, Busy, Exhausted, Job, Stands
from tests.storage.made import AT, MINUTE

NAME, ASKED = jobs.training("wisdom"), {"model": "wisdom"}
SECOND = timedelta(seconds=1)


def begin(
    store: Store, message: str = "m1", owner: str = "a:1", after: timedelta = 0 * SECOND
) -> Job:
    return jobs.begin(store, NAME, message, ASKED, owner, AT + after)


def stands(store: Store) -> tuple[Stands, int]:
    job = jobs.get(store, NAME)
    assert job is not None
    return job.stands, job.attempts


def test_what_is_under_way_is_not_accepted_again(store: Store) -> None:
    assert jobs.get(store, NAME) is None
    assert jobs.accept(store, NAME, ASKED, AT)
    assert not jobs.accept(store, NAME, ASKED, AT), "it waits"
    begin(store)
    assert not jobs.accept(store, NAME, ASKED, AT), "somebody is at it"
    assert jobs.accept(store, NAME, ASKED, AT + LASTS), "that one is dead"
    assert jobs.accept(store, jobs.training("xgb"), {"model": "xgb"}, AT)


def test_one_process_does_it_and_a_second_message_goes(store: Store) -> None:
    clock = VirtualClock(AT)
    with jobs.working(store, NAME, "m1", ASKED, clock) as job:
        assert (job.attempts, job.kwargs) == (1, ASKED)
        with pytest.raises(Busy, match="is at it"):
            begin(store, "m2", "b:2")
    assert stands(store) == (Stands.DONE, 1)
    with pytest.raises(Busy, match="worked off"):
        begin(store, "m1", "b:2")
    assert begin(store, "m2", "b:2").attempts == 1, "another time is another time"


def test_what_failed_says_why_and_may_be_asked_for_again(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), working(store):
        raise ZeroDivisionError("no rows")
    job = jobs.get(store, NAME)
    assert job is not None
    assert (job.stands, job.why, job.until) == (Stands.FAILED, "ZeroDivisionError: no rows", None)
    assert jobs.accept(store, NAME, ASKED, AT)
    assert begin(store, "m2").attempts == 1


def test_what_is_unavailable_is_over_has_not_failed_and_may_be_asked_for_again(
    store: Store,
) -> None:
    with pytest.raises(Unavailable), working(store):
        raise Unavailable("import a GEX history")
    job = jobs.get(store, NAME)
    assert job is not None
    assert (job.stands, job.why, job.until) == (Stands.UNAVAILABLE, "import a GEX history", None)
    assert jobs.lost(store, AT + LASTS, through=AT + LASTS) == [], "nobody takes it up by himself"
    with pytest.raises(Busy, match="worked off"):
        begin(store, "m1", "b:2")
    assert jobs.accept(store, NAME, ASKED, AT)
    assert begin(store, "m2").attempts == 1


def working(store: Store, message: str = "m1", clock: Clock | None = None):  # type: ignore[no-untyped-def]
    return jobs.working(store, NAME, message, ASKED, clock or VirtualClock(AT))


def test_what_is_transient_is_left_to_who_tries_again(store: Store) -> None:
    with pytest.raises(Transient), working(store):
        raise Transient("the feed is away")
    assert stands(store) == (Stands.RUNNING, 1)
    assert begin(store).attempts == 2, "its lease was given back, and the try counts"


def test_whose_process_died_is_published_again_three_times_in_all(store: Store) -> None:
    jobs.accept(store, NAME, ASKED, AT)
    for attempt in range(1, ATTEMPTS + 1):
        after = attempt * MINUTE
        assert begin(store, f"m{attempt}", after=after).attempts == attempt
        assert jobs.lost(store, AT + after + LASTS - SECOND, AT) == []
        [job] = jobs.lost(store, AT + after + LASTS, AT)
        assert job.kwargs == ASKED
        assert job.stands is (Stands.WAITING if attempt < ATTEMPTS else Stands.FAILED)
        assert jobs.lost(store, AT + after + LASTS, AT) == [], "it is on its way, or given up"
    assert stands(store) == (Stands.FAILED, ATTEMPTS)
    assert jobs.accept(store, NAME, ASKED, AT)
    assert begin(store, "m4").attempts == 1


def test_who_dies_before_it_has_begun_is_counted_too(store: Store) -> None:
    jobs.accept(store, NAME, ASKED, AT)
    for minute in range(1, ATTEMPTS):
        [job] = jobs.lost(store, AT + minute * MINUTE, through=AT + minute * MINUTE)
        assert (job.stands, job.attempts) == (Stands.WAITING, minute + 1)
    [job] = jobs.lost(store, AT + 5 * MINUTE, through=AT + 5 * MINUTE)
    assert (job.stands, job.why) == (Stands.FAILED, jobs.GIVEN_UP)


def test_a_message_that_is_delivered_again_and_again_comes_to_an_end(store: Store) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        assert begin(store, after=attempt * MINUTE).attempts == attempt
    with pytest.raises(Exhausted, match="put on its way 3 times"):
        begin(store, after=10 * MINUTE)
    assert stands(store)[0] is Stands.FAILED


def test_whose_death_was_seen_is_published_again_at_once(store: Store) -> None:
    jobs.died(store, NAME, "m1", AT)
    jobs.accept(store, NAME, ASKED, AT)
    begin(store)
    jobs.died(store, NAME, "another", AT + SECOND)
    assert jobs.lost(store, AT + SECOND, AT) == []
    jobs.died(store, NAME, "m1", AT + SECOND)
    assert [job.attempts for job in jobs.lost(store, AT + SECOND, AT)] == [2]
    jobs.died(store, NAME, "m2", AT + SECOND)  # before it had begun
    assert [job.attempts for job in jobs.lost(store, AT + SECOND, AT)] == [3]


def test_what_the_broker_has_lost_is_found_when_the_queue_has_overtaken_it(store: Store) -> None:
    jobs.accept(store, NAME, ASKED, AT)
    assert jobs.lost(store, AT + MINUTE, through=AT) == [], "nothing later has come through"
    [job] = jobs.lost(store, AT + MINUTE, through=AT + SECOND)
    assert (job.kwargs, job.since) == (ASKED, AT + MINUTE)
    begin(store, after=2 * MINUTE)
    assert jobs.lost(store, AT + 2 * MINUTE, through=AT + 2 * MINUTE) == []


def test_who_was_replaced_writes_nothing(store: Store) -> None:
    with pytest.raises(Busy, match="taken over"), working(store):  # noqa: PT012 -- until it writes
        state.put(store, "found", "a first half")
        begin(store, "m2", "b:2", after=LASTS)  # its lease had run out while it slept
        state.put(store, "found", "a second half")
    kept = state.get(store, "found")
    assert kept is not None
    assert kept.body == "a first half"
    assert stands(store) == (Stands.RUNNING, 2), "the other one goes on"


def test_a_fence_is_of_the_one_that_works_alone(store: Store) -> None:
    with working(store):
        begin(store, "m2", "b:2", after=LASTS)
        other = threading.Thread(target=state.put, args=(store, "other", 1))
        other.start()
        other.join()
    assert state.get(store, "other") is not None
    state.put(store, "after", 1)


def test_the_lease_is_kept_alive_while_work_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LASTS", SECOND)
    wall = WallClock()
    with jobs.working(store, NAME, "m1", ASKED, wall):
        before = wall.now()

        def renewed_twice() -> bool:
            job = jobs.get(store, NAME)
            assert job is not None
            assert job.until is not None
            return job.until > before + 1.5 * SECOND

        while not renewed_twice():
            assert wall.now() < before + 60 * SECOND
        assert jobs.lost(store, wall.now(), AT) == []
    assert not any(thread.name.startswith("lease-") for thread in threading.enumerate())


def test_two_processes_that_begin_at_once_do_not_both(store: Store) -> None:
    jobs.accept(store, NAME, ASKED, AT)
    begun, gate = list[object](), threading.Barrier(2)

    def try_it(owner: str) -> None:
        gate.wait()
        try:
            begun.append(begin(store, owner, owner))
        except OmegaError as error:
            begun.append(error)

    both = [threading.Thread(target=try_it, args=(owner,)) for owner in ("a:1", "b:2")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(type(one).__name__ for one in begun) == ["Busy", "Job"]


# two at the same moment


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets somebody else be quicker, once, at the next write."""
    really, left = state.put, []

    def put(store: Store, key: str, body: Any, expected: int | None = None) -> int:
        if left:
            left.pop()
            raise Transient("somebody changed it")
        return really(store, key, body, expected)

    monkeypatch.setattr(state, "put", put)
    return lambda: left.append(1)


def test_of_two_who_accept_at_once_one_does(store: Store, raced: Callable[[], None]) -> None:
    raced()
    assert not jobs.accept(store, NAME, ASKED, AT)
    assert jobs.accept(store, NAME, ASKED, AT)


def test_of_two_who_begin_at_once_one_is_told_that_it_is_late(
    store: Store, raced: Callable[[], None]
) -> None:
    raced()
    with pytest.raises(Busy, match="somebody was quicker"):
        begin(store)


def test_a_job_that_begins_as_it_is_missed_is_not_missed(
    store: Store, raced: Callable[[], None]
) -> None:
    jobs.accept(store, NAME, ASKED, AT)
    raced()
    assert jobs.lost(store, AT + MINUTE, through=AT + MINUTE) == []
    assert [job.attempts for job in jobs.lost(store, AT + MINUTE, through=AT + MINUTE)] == [2]


def test_what_became_of_a_job_and_of_a_round_is_kept_whoever_writes_meanwhile(
    store: Store, raced: Callable[[], None]
) -> None:
    rounds.begin(store, ["wisdom"], AT)
    with working(store):
        raced()
    assert stands(store) == (Stands.DONE, 1)
    raced()
    assert rounds.ended(store, "wisdom", "PROMOTE")


# rounds


def test_the_last_of_a_round_is_told_and_that_once(store: Store) -> None:
    assert not rounds.ended(store, "xgb", "PROMOTE"), "there is no round"
    rounds.begin(store, ["xgb", "lgbm"], AT)
    assert not rounds.ended(store, "xgb", "PROMOTE")
    assert not rounds.ended(store, "wisdom", "PROMOTE"), "it is none of this round"
    assert not rounds.ended(store, "xgb", "HOLD"), "it has ended already"
    assert rounds.ended(store, "lgbm", "InsufficientData: 3 rows")
    assert not rounds.ended(store, "lgbm", "PROMOTE")
    kept = state.get(store, rounds.KEY)
    assert kept is not None
    assert kept.body["ended"] == {"xgb": "PROMOTE", "lgbm": "InsufficientData: 3 rows"}
