"""Time is handed over, and turned by hand where it is virtual."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.clock import VirtualClock, WallClock

START = datetime(2018, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_virtual_time_stands_still_until_it_is_turned() -> None:
    clock = VirtualClock(START)
    assert (clock.now(), clock.now()) == (START, START)
    assert clock.turn(START + MINUTE) == clock.now() == START + MINUTE
    assert clock.turn(START + 5 * MINUTE) == clock.now() == START + 5 * MINUTE


def test_turning_to_the_same_moment_changes_nothing() -> None:
    clock = VirtualClock(START)
    assert clock.turn(START) == clock.now() == START


@pytest.mark.parametrize("step", [timedelta(microseconds=-1), timedelta(days=-400)])
def test_time_does_not_run_backwards(step: timedelta) -> None:
    clock = VirtualClock(START)
    with pytest.raises(ValueError, match="time does not run backwards"):
        clock.turn(START + step)
    assert clock.now() == START


def test_real_time_is_utc_and_runs_on() -> None:
    clock = WallClock()
    first = clock.now()
    assert first.tzinfo is UTC
    assert clock.now() >= first
