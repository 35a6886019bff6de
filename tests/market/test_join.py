"""What was known of a series at a moment, and for how long it is worth knowing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import calendar
from market.feeds.join import Levels, known_at


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[s]")


DAILY = Levels(
    pd.DataFrame(
        {
            "time": stamps("2018-12-03T21:00", "2018-12-04T21:00", "2018-12-07T21:00"),
            "close": [16.4, 20.7, 23.2],
        }
    )
)


@pytest.mark.parametrize(
    ("time", "value"),
    [
        ("2018-12-03T20:59:59", np.nan),  # nothing printed yet
        ("2018-12-03T21:00:00", 16.4),
        ("2018-12-04T15:00:00", 16.4),  # within a session: the close of the session before
        ("2018-12-04T20:55:00", 16.4),
        ("2018-12-04T21:00:00", 20.7),
        ("2018-12-06T15:00:00", 20.7),  # the 5th was no session
        ("2018-12-06T21:00:00", np.nan),  # its own value is missing: not the old one
        ("2018-12-07T15:00:00", np.nan),
    ],
)
def test_a_daily_value_holds_until_the_next_is_due(time: str, value: float) -> None:
    np.testing.assert_array_equal(known_at(stamps(time), DAILY), [value])


def test_an_intraday_value_holds_for_two_intervals() -> None:
    frame = pd.DataFrame({"time": stamps("2018-12-04T15:00"), "close": [18.0]})
    levels = Levels(frame, "intraday", 300)
    times = stamps(
        "2018-12-04T14:59:59", "2018-12-04T15:00", "2018-12-04T15:09:59", "2018-12-04T15:10"
    )
    np.testing.assert_array_equal(known_at(times, levels), [np.nan, 18.0, 18.0, np.nan])


def test_an_empty_series_is_unknown() -> None:
    empty = Levels(DAILY.frame.iloc[:0])
    assert np.isnan(known_at(stamps("2018-12-04T21:00"), empty)).all()


@pytest.mark.parametrize(
    ("time", "value"),
    [
        ("2018-12-03T21:00", np.nan),  # its own value is not made yet
        ("2018-12-04T14:30", 16.4),  # from the next session's open
        ("2018-12-04T20:55", 16.4),
        ("2018-12-04T21:00", 16.4),  # to its close
        ("2018-12-06T15:00", 20.7),  # the 5th was no session
        ("2018-12-06T21:00", 20.7),
        ("2018-12-07T21:00", np.nan),  # the 6th has none: not the old one
        ("2018-12-10T14:35", 23.2),
        ("2018-12-11T14:35", np.nan),
        ("1990-01-02T21:00", np.nan),  # no session before the calendar's first
    ],
)
def test_a_value_made_after_the_close_is_known_in_the_next_session_alone(
    time: str, value: float
) -> None:
    made = DAILY._replace(after=True)
    np.testing.assert_array_equal(known_at(stamps(time), made), [value])


CLOSES, OPENS = calendar.hours().closes[7000:7040], calendar.hours().opens[7000:7040]
SPAN = int((CLOSES[-1] - OPENS[0]) / np.timedelta64(1, "m"))
"""Minutes to the last of the closes: of the session after it these know no open."""


@given(
    held=st.sets(st.integers(0, 39), min_size=1),
    minutes=st.lists(st.integers(0, SPAN), min_size=1, max_size=20),
)
def test_what_is_made_after_a_close_is_never_seen_before_the_next_open(
    held: set[int], minutes: list[int]
) -> None:
    own = sorted(held)
    frame = pd.DataFrame({"time": CLOSES[own], "close": np.array(own, float)})
    times = OPENS[0] + np.unique(minutes).astype("timedelta64[m]")
    known = known_at(times, Levels(frame, after=True))
    for time, value in zip(times, known, strict=True):
        open_now = np.flatnonzero(time >= OPENS)
        before = int(open_now[-1]) - 1
        assert value == before if before in held else np.isnan(value)
