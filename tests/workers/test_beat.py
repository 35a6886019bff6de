"""Beat: every slot once, whoever is alive; late ones only while they are good for something."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.beat import Service
from kombu.exceptions import OperationalError

from beat_schedule import IN_ORDER, SCHEDULE
from domain.book import KillCode, Scope
from domain.clock import VirtualClock
from domain.settings import Settings
from market import calendar
from storage import lease, state, switches
from workers import beat
from workers.app import create
from workers.beat import Scheduler, due, together

CLOSE = datetime(2016, 3, 7, 21, tzinfo=UTC)
BOOKS = [name for name in IN_ORDER if name != "roll"]
"""What falls due at a close."""
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def names(since: datetime, now: datetime) -> list[str]:
    return [name for _, name in due(SCHEDULE, since, now)]


def test_what_falls_due_is_sent_in_the_order_of_the_table() -> None:
    assert names(CLOSE - SECOND, CLOSE) == BOOKS
    assert names(CLOSE, CLOSE + SECOND) == []


def test_of_what_was_missed_the_newest_slot_alone_is_sent() -> None:
    slots = due(SCHEDULE, CLOSE - 4 * MINUTE, CLOSE + SECOND)
    assert [moment for moment, name in slots if name == "mark"] == [CLOSE]


def test_what_has_expired_is_not_sent_any_more() -> None:
    """Marks live 50 s, a scan four minutes, a checkpoint (16:30 at the exchange) six hours."""
    late = CLOSE + timedelta(hours=1, minutes=3)  # 16:03; marks and scans ended with 15:59
    assert names(CLOSE, late) == ["feedback"]
    assert "checkpoint" in names(CLOSE, late + timedelta(hours=6))
    assert "checkpoint" not in names(CLOSE, late + timedelta(hours=7))


@pytest.mark.parametrize("before", ["2016-03-11", "2016-11-04"])
def test_a_change_of_the_clocks_fires_neither_twice_nor_never(before: str) -> None:
    """The books are rolled at 8:25 on the Friday before, and on the Monday after."""
    midnight = datetime.fromisoformat(before).replace(tzinfo=calendar.TIMETABLE)
    start = midnight.astimezone(UTC)
    now, fired = start, []
    while now < start + 4 * DAY:
        fired += [moment for moment, name in due(SCHEDULE, now, now + MINUTE) if name == "roll"]
        now += MINUTE
    local = [moment.astimezone(calendar.TIMETABLE) for moment in fired]
    assert [f"{moment:%a %H:%M}" for moment in local] == ["Fri 08:25", "Mon 08:25"]


def test_one_book_keeping_is_one_chain_and_the_rest_goes_alone() -> None:
    sent = list(together([(CLOSE, name) for name in ("checkpoint", *IN_ORDER, "feedback")]))
    assert sent == [["checkpoint"], list(IN_ORDER), ["feedback"]]
    assert list(together([(CLOSE, "scan"), (CLOSE, "mark")])) == [["mark", "scan"]]


class Sent(list[list[str]]):
    """What a scheduler would have sent, instead of a broker."""

    away = False

    def __call__(self, batches: list[list[str]]) -> None:
        if self.away and batches:
            raise OperationalError("the broker is away")
        self.extend(batches)


@pytest.fixture
def beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], tuple[Scheduler, Sent]]]:
    """Return a function that makes a beat of a name; all share one database and one clock."""
    monkeypatch.setattr(beat, "load", lambda: Settings(home=tmp_path))
    clock, made = VirtualClock(CLOSE - 10 * MINUTE), []
    app: Celery = create(Settings(home=tmp_path))

    def make(owner: str) -> tuple[Scheduler, Sent]:
        scheduler, sent = Scheduler(app), Sent()
        scheduler.owner, scheduler._wall, scheduler._clock = owner, clock, clock
        monkeypatch.setattr(scheduler, "_send", sent)
        monkeypatch.setattr(scheduler, "_pulse", lambda: None)
        made.append(scheduler)
        return scheduler, sent

    yield make
    for scheduler in made:
        scheduler._store.close()
    app.close()


Make = Callable[[str], tuple[Scheduler, Sent]]


def turn(scheduler: Scheduler, to: datetime) -> None:
    clock: Any = scheduler._clock
    clock.turn(to)


def test_of_two_beats_one_sends(beats: Make) -> None:
    (one, first), (other, second) = beats("a"), beats("b")
    for minute in range(11):
        turn(one, CLOSE - (10 - minute) * MINUTE)
        one.tick()
        other.tick()
    assert second == []
    assert first.count(BOOKS) == 2, "the scans of 14:55 and 15:00"
    assert first.count(["execute", "mark", "sweep"]) == 8, "the minutes between"


def test_a_dead_beat_is_replaced_when_its_lease_has_run_out_and_no_slot_comes_twice(
    beats: Make,
) -> None:
    (one, first), (other, second) = beats("a"), beats("b")
    one.tick()
    turn(one, CLOSE)
    one.tick()
    assert BOOKS in first
    assert other.tick() == beat.WAIT
    turn(one, CLOSE + beat.LASTS)
    other.tick()
    assert second == [["train-missing"]], "it takes over, and the slot of the close was claimed"
    assert one.tick() == beat.WAIT
    turn(one, CLOSE + MINUTE)
    other.tick()
    assert second[1:] == [["execute", "mark", "sweep"]]


def test_a_beat_that_ends_gives_its_lease_back(beats: Make) -> None:
    (one, _), (other, second) = beats("a"), beats("b")
    one.tick()
    lease.release(one._store, "beat", one.owner, one._wall.now())
    other.tick()
    assert second == [["train-missing"]]


@pytest.fixture
def handlers() -> Iterator[None]:
    """Take signals as Celery's beat does, and put back how this process takes them."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit

    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_beat_that_is_told_to_end_in_the_middle_of_a_tick_ends_after_it(
    beats: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, first), (other, second) = beats("a"), beats("b")
    monkeypatch.setattr(one, "_pulse", lambda: os.kill(os.getpid(), signal.SIGTERM))
    service = Service(one.app)
    service.scheduler = one
    turn(one, CLOSE)
    service.start()
    kept = state.get(other._store, "beat")
    assert kept is not None
    assert kept.body["seen"] == CLOSE.isoformat(), "the tick came to its end"
    other.tick()
    assert (first, second) == ([["train-missing"]], [["train-missing"]]), "the lease is free"


def test_a_clock_that_was_set_halts_the_desk(beats: Make) -> None:
    one, _ = beats("a")
    one.tick()
    one.tick()
    assert switches.read(one._store).latches == ()
    turn(one, one._wall.now() + 5 * SECOND)
    one.tick()
    [latch] = switches.read(one._store).latches
    assert (latch.scope, latch.code) == (Scope.ALL, KillCode.CLOCK_SKEW)
    assert 4.5 < latch.evidence["jumped"] < 5
    one.tick()
    assert len(switches.read(one._store).latches) == 1, "it was set once"


def test_what_was_claimed_is_sent_when_the_broker_is_back(beats: Make) -> None:
    one, sent = beats("a")
    one.tick()
    turn(one, CLOSE)
    sent.away = True
    assert one.tick() == beat.WAIT
    kept = state.get(one._store, "beat")
    assert kept is not None
    assert [w["names"] for w in kept.body["unsent"]] == [BOOKS]
    sent.away = False
    turn(one, CLOSE + 20 * SECOND)
    one.tick()
    one.tick()
    assert sent[1:] == [BOOKS]


def test_what_waited_too_long_for_the_broker_is_given_up(beats: Make) -> None:
    one, sent = beats("a")
    one.tick()
    turn(one, CLOSE)
    sent.away = True
    one.tick()
    sent.away = False
    turn(one, CLOSE + 5 * MINUTE)
    one.tick()
    assert sent.count(BOOKS) == 1, "the scan of 15:05; that of the close is too late"
    kept = state.get(one._store, "beat")
    assert json.dumps(kept and kept.body["unsent"]) == "[]"
