"""The clock of a playback: a function of real time that visits what matters and never goes back."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import VirtualClock
from market import calendar
from market.playback import LATE, Anchor, PlaybackClock, stops

BEGAN = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAYS = calendar.sessions(date(2016, 1, 4), date(2016, 2, 1))


def clock(after: float, pace: float = 5.0, session: date = DAYS[0]) -> PlaybackClock:
    anchor = Anchor(began=BEGAN, session=session, pace=pace)
    return PlaybackClock(anchor, DAYS, VirtualClock(BEGAN + timedelta(seconds=after)))


@pytest.mark.parametrize("pace", [1.0, 5.0, 60.0, 600.0])
def test_it_stands_at_every_open_and_close_for_a_while(pace: float) -> None:
    for number, day in enumerate(DAYS):
        begun = [pace * number + offset for offset, _ in stops(day, pace)]
        for offset, moment in zip(
            begun[-2:], (calendar.opens(day), calendar.closes(day)), strict=True
        ):
            there = clock(offset + 0.001, pace).now() - moment
            assert LATE <= there < LATE + timedelta(seconds=0.1)


@given(st.lists(st.floats(0, 5 * 30), min_size=2), st.sampled_from([1.0, 5.0, 600.0]))
def test_it_never_goes_back(moments: list[float], pace: float) -> None:
    seen = [clock(after * pace / 5, pace).now() for after in sorted(moments)]
    assert seen == sorted(seen)


def test_between_two_stops_it_runs_as_fast_as_any_clock() -> None:
    assert clock(3.0).now() - clock(2.8).now() == timedelta(seconds=0.2)


def test_it_begins_at_the_session_of_its_anchor() -> None:
    assert calendar.roll(clock(0, session=DAYS[3]).now()).date() == DAYS[3]


def test_before_it_began_it_has_not_begun() -> None:
    assert clock(-100).now() == clock(0).now()


def test_history_ends_and_the_clock_stops_there() -> None:
    end = clock(5 * len(DAYS) + 1)
    assert end.ended
    assert end.now() == clock(1e9).now() > calendar.closes(DAYS[-1]) + LATE
    assert not clock(1).ended


def test_all_that_falls_due_in_an_evening_has_a_stop_after_it() -> None:
    """Friday's feedback, and Sunday's training before Tuesday, over a long weekend."""
    tuesday = date(2016, 1, 19)  # Monday was Martin Luther King's day
    evenings = [
        moment.astimezone(calendar.TIMETABLE)
        for _, moment in stops(tuesday, 5.0)
        if moment < calendar.opens(tuesday) - timedelta(hours=1)
    ]
    assert [f"{moment:%a %H:%M}" for moment in evenings] == [
        "Fri 20:00", "Sat 20:00", "Sun 20:00", "Mon 20:00"
    ]  # fmt: skip
