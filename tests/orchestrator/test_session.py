"""The timetable in virtual time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from celery.schedules import crontab
from celery.schedules import schedule as interval

from beat_schedule import SCHEDULE
from domain.clock import VirtualClock
from market.calendar import TIMETABLE
from models.catalog import CATALOG
from orchestrator.session import after, every, play

MONDAY = datetime(2016, 1, 4, 6, tzinfo=UTC)
WEEK = timedelta(days=7)


def sent_in(start: datetime, until: datetime) -> list[tuple[datetime, str, Mapping[str, Any]]]:
    clock, sent = VirtualClock(start), []
    play(SCHEDULE, clock, until, lambda task, kw: sent.append((clock.now(), task, kw)))
    return sent


def test_a_week_of_the_desk() -> None:
    clock = VirtualClock(MONDAY)
    runs = play(SCHEDULE, clock, MONDAY + WEEK, lambda task, kw: None)
    assert runs["scan"] == 5 * 8 * 12
    assert runs["mark"] == 5 * 8 * 60
    assert runs["roll"] == 5
    assert runs["retrain-together"] == 1
    assert clock.now() == MONDAY + WEEK


def test_every_model_is_retrained_before_a_weekly_round_ends_and_within_five_weeks() -> None:
    sent = [(task, kw) for _, task, kw in sent_in(MONDAY, MONDAY + 5 * WEEK)]
    *_, last = [place for place, (task, _) in enumerate(sent) if task == "learning.together"]
    before = [kw["model"] for task, kw in sent[:last] if task == "learning.train"]
    assert {*before, *sent[last][1]["models"]} == set(CATALOG)
    assert "learning.validate" not in [task for task, _ in sent], "it follows from the round's end"


def test_fills_come_before_marks_and_guardrails_before_the_scan() -> None:
    close = datetime(2016, 1, 4, 21, tzinfo=UTC)
    now = [task for at, task, _ in sent_in(MONDAY, MONDAY + WEEK) if at == close]
    order = ["trading.execute", "trading.mark", "safety.sweep", "market.scan"]
    assert [task for task in now if task in order] == order


def test_a_late_message_never_outlives_its_slot() -> None:
    for name, entry in SCHEDULE.items():
        if not isinstance(entry["schedule"], crontab):
            assert entry["options"]["expires"] <= entry["schedule"].run_every.total_seconds()
            continue
        moments = list(every(entry["schedule"], MONDAY, MONDAY + 2 * WEEK + timedelta(days=31)))
        gaps = [b - a for a, b in pairwise(moments)]
        period = min(gaps, default=WEEK)
        assert 0 < entry["options"]["expires"] < period.total_seconds(), name


def test_tasks_that_look_at_the_market_run_once_per_arrival() -> None:
    arrivals = [datetime(2016, 1, d, h, tzinfo=UTC) for d in (4, 5) for h in (15, 21)]
    on_data = frozenset({"market.scan", "trading.mark"})
    at: dict[str, list[datetime]] = {"market.scan": [], "trading.mark": []}
    clock = VirtualClock(MONDAY)

    def send(task: str, kwargs: Mapping[str, Any]) -> None:
        if task in on_data:
            at[task].append(clock.now())

    play(SCHEDULE, clock, MONDAY + 2 * timedelta(days=1), send, arrivals, on_data)
    assert at["market.scan"] == at["trading.mark"] == arrivals


def test_two_arrivals_before_one_slot_are_one_slot_and_one_years_away_is_none() -> None:
    arrivals = [datetime(2016, 1, 4, h, tzinfo=UTC) for h in (15, 21)]
    evening = crontab(minute="0", hour="17")
    assert list(after(evening, arrivals)) == [datetime(2016, 1, 4, 23, tzinfo=UTC)]
    leap_day = crontab(minute="0", hour="0", day_of_month="29", month_of_year="2")
    assert list(after(leap_day, [datetime(2016, 3, 1, 15, tzinfo=UTC)])) == []


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        (datetime(2016, 3, 11, tzinfo=TIMETABLE), 22),
        (datetime(2016, 3, 14, tzinfo=TIMETABLE), 21),  # daylight saving began on the 13th
        (datetime(2016, 11, 4, tzinfo=TIMETABLE), 21),
        (datetime(2016, 11, 7, tzinfo=TIMETABLE), 22),  # and ended on the 6th
    ],
)
def test_exchange_time_follows_daylight_saving(day: datetime, utc: int) -> None:
    [slot] = every(SCHEDULE["feedback"]["schedule"], day, day + timedelta(days=1))
    assert slot == datetime(day.year, day.month, day.day, utc, tzinfo=UTC)


def test_a_nightly_slot_falls_due_once_on_the_days_the_clocks_change() -> None:
    for month, day in ((3, 13), (11, 6)):
        midnight = datetime(2016, month, day, tzinfo=TIMETABLE)
        slots = list(every(SCHEDULE["backup"]["schedule"], midnight, midnight + timedelta(days=1)))
        assert len(slots) == 1


def test_what_goes_by_real_time_has_no_place_in_virtual_time() -> None:
    table = {"pulse": {"task": "x", "schedule": interval(60), "kwargs": {}}}
    assert not play(table, VirtualClock(MONDAY), MONDAY + WEEK, lambda task, kw: None)
