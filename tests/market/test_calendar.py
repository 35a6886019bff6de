"""The exchange's hours, to the second."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from market import calendar


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("session", "opens", "closes"),
    [
        (date(2018, 3, 9), "2018-03-09T14:30", "2018-03-09T21:00"),  # last day of winter time
        (date(2018, 3, 12), "2018-03-12T13:30", "2018-03-12T20:00"),  # first of summer time
        (date(2018, 11, 2), "2018-11-02T13:30", "2018-11-02T20:00"),
        (date(2018, 11, 5), "2018-11-05T14:30", "2018-11-05T21:00"),
        (date(2018, 11, 23), "2018-11-23T14:30", "2018-11-23T18:00"),  # day after Thanksgiving
        (date(2018, 7, 3), "2018-07-03T13:30", "2018-07-03T17:00"),
        (date(2018, 12, 24), "2018-12-24T14:30", "2018-12-24T18:00"),
    ],
)
def test_sessions_open_and_close_to_the_second(session: date, opens: str, closes: str) -> None:
    assert calendar.opens(session) == at(opens)
    assert calendar.closes(session) == at(closes)


@pytest.mark.parametrize(
    "closed",
    [
        date(2018, 12, 5),  # day of mourning for President Bush
        date(2018, 12, 25),
        date(2018, 3, 30),  # Good Friday
        date(2012, 10, 29),  # hurricane Sandy
        date(2001, 9, 11),
        date(2018, 12, 8),  # a Saturday
        date(1989, 12, 29),  # before the calendar
    ],
)
def test_no_session_on_a_closed_day(closed: date) -> None:
    with pytest.raises(DataError, match=str(closed)):
        calendar.closes(closed)
    with pytest.raises(DataError, match="no session"):
        calendar.opens(closed)
    assert calendar.sessions(closed, closed) == []


def test_years_have_the_sessions_they_had() -> None:
    years = {year: len(calendar.sessions(date(year, 1, 1), date(year, 12, 31))) for year in YEARS}
    assert years == YEARS


def moments() -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(2018, 1, 1), datetime(2018, 12, 31)).map(  # noqa: DTZ001
        lambda naive: naive.replace(tzinfo=UTC)
    )


@given(moments(), st.integers(1, 10))
def test_what_is_left_runs_down_and_only_while_a_session_is_on(asof: datetime, n: int) -> None:
    expires, later = calendar.ahead(asof, n), asof + timedelta(minutes=1)
    left, then = calendar.left(asof, expires), calendar.left(later, expires)
    assert n - 1 < left <= n
    assert (left < n) is calendar.begun(asof)
    day = calendar.session_of(asof)
    if day is None or calendar.session_of(later) != day:
        assert 0 <= left - then <= 1 / 210 + 1e-12
    else:
        length = calendar.closes(day) - calendar.opens(day)
        assert left - then == pytest.approx(timedelta(minutes=1) / length)
    assert calendar.left(expires, expires) == 0.0


@given(moments(), st.sampled_from([1, 5, 15, 60]))
def test_a_bar_is_due_at_most_its_length_after_the_one_before(asof: datetime, minutes: int) -> None:
    interval = timedelta(minutes=minutes)
    due, ended = calendar.due_within(asof, interval), calendar.due(asof)
    assert due is not None
    assert ended is not None
    assert ended <= due <= asof
    follows = calendar.next_within(due, interval)
    assert follows > asof
    if calendar.begun(asof):
        assert follows - asof <= interval
        assert (due == ended) is (asof - calendar.opens(asof.date()) < interval)
    else:
        assert due == ended


YEARS = {1990: 253, 2001: 248, 2016: 252, 2017: 251, 2018: 251}


def test_the_calendar_reaches_from_1990_to_2030() -> None:
    days = calendar.hours().days
    assert (str(days[0]), str(days[-1])) == ("1990-01-02", "2030-12-31")


def test_a_bar_is_due_from_the_second_of_the_close() -> None:
    close = at("2018-12-06T21:00")
    assert calendar.due(close) == close
    assert calendar.due(close - timedelta(microseconds=1)) == at("2018-12-04T21:00")
    assert calendar.due(at("2018-12-09T12:00")) == at("2018-12-07T21:00")
    assert calendar.due(at("1990-01-02T12:00")) is None


def test_ahead_counts_sessions_and_not_days() -> None:
    tuesday = at("2018-12-04T21:00")
    assert calendar.ahead(tuesday, 1) == at("2018-12-06T21:00")
    assert calendar.ahead(tuesday - timedelta(seconds=1), 1) == tuesday
    assert calendar.ahead(at("2018-11-21T21:00"), 1) == at("2018-11-23T18:00")
    assert calendar.ahead(at("2017-03-03T21:00"), 5) == at("2017-03-10T21:00")
    assert calendar.ahead(at("2017-03-07T21:00"), 5) == at("2017-03-14T20:00")


def test_roll_is_the_next_open_and_never_this_one() -> None:
    assert calendar.roll(at("2018-12-04T21:00")) == at("2018-12-06T14:30")
    assert calendar.roll(at("2018-12-06T14:30")) == at("2018-12-07T14:30")
    assert calendar.roll(at("2018-12-06T14:29:59")) == at("2018-12-06T14:30")


def test_a_session_is_on_from_its_open_to_its_close() -> None:
    half_day = date(2018, 11, 23)
    assert calendar.session_of(at("2018-11-23T14:30")) == half_day
    assert calendar.session_of(at("2018-11-23T18:00")) == half_day
    assert calendar.session_of(at("2018-11-23T18:00:01")) is None
    assert calendar.session_of(at("2018-11-23T14:29:59")) is None
    assert calendar.session_of(at("2018-12-05T17:00")) is None
    assert calendar.session_of(at("1980-01-02T17:00")) is None


def test_other_zones_mean_the_same_moment() -> None:
    new_york = timezone(timedelta(hours=-5))
    assert calendar.due(datetime(2018, 12, 6, 16, tzinfo=new_york)) == at("2018-12-06T21:00")


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2018, 12, 6, 16)  # noqa: DTZ001
    for question in (calendar.due, calendar.roll, calendar.session_of):
        with pytest.raises(TypeError):
            question(naive)


def test_beyond_the_calendar_nothing_is_made_up() -> None:
    late = at("2031-06-01T00:00")
    for question in (calendar.due, calendar.roll, lambda t: calendar.ahead(t, 1)):
        with pytest.raises(DataError, match="beyond the calendar"):
            question(late)
    with pytest.raises(DataError, match="beyond the calendar"):
        calendar.ahead(at("2030-12-30T00:00"), 10)
    with pytest.raises(ValueError, match="from 1"):
        calendar.ahead(at("2018-12-06T00:00"), 0)


@given(st.datetimes(datetime(1990, 1, 3), datetime(2030, 12, 1)), st.integers(1, 15))  # noqa: DTZ001
def test_every_question_agrees_with_a_plain_search(naive: datetime, n: int) -> None:
    asof = naive.replace(tzinfo=UTC)
    now = np.datetime64(naive, "us")
    days, opens, closes = calendar.hours()

    def seconds(time: datetime | None) -> np.datetime64:
        assert time is not None
        return np.datetime64(time.replace(tzinfo=None), "s")

    assert seconds(calendar.due(asof)) == closes[closes <= now][-1]
    assert seconds(calendar.ahead(asof, n)) == closes[closes > now][n - 1]
    assert seconds(calendar.roll(asof)) == opens[opens > now][0]
    on = days[(opens <= now) & (now <= closes)]
    assert calendar.session_of(asof) == (on[0].item() if len(on) else None)
