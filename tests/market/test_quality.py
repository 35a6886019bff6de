"""A planted defect is always found, named and set aside, and no good bar goes with it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market import calendar
from market.quality import COLLARS, Defect, clean

OHLC = ["open", "high", "low", "close"]
Plant = Callable[[pd.DataFrame, int], None]


def good(bars: int = 40, seed: int = 0) -> pd.DataFrame:
    """Return daily bars of a quiet stock, oldest first, on sessions of 2018."""
    rng = np.random.default_rng(seed)
    days = calendar.sessions(date(2018, 1, 2), date(2018, 12, 31))[:bars]
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
    opens = close * np.exp(rng.normal(0, 0.003, bars))
    return pd.DataFrame(
        {
            "time": pd.to_datetime(pd.Series(days)),
            "open": opens,
            "high": np.maximum(opens, close) * 1.002,
            "low": np.minimum(opens, close) * 0.998,
            "close": close,
            "volume": rng.integers(1_000, 9_000, bars).astype(float),
        }
    )


def intraday(day: str, start: str, bars: int, minutes: int = 5) -> pd.DataFrame:
    """Return close-only bars from `start`, UTC."""
    times = pd.date_range(f"{day} {start}", periods=bars, freq=f"{minutes}min")
    return pd.DataFrame({"time": times, "close": 100 + np.arange(bars) % 7 / 10})


def test_good_bars_stay_and_get_the_time_of_their_close() -> None:
    frame = good()
    kept, bad = clean(frame, "ACME")
    assert bad == ()
    pd.testing.assert_frame_equal(kept[[*OHLC, "volume"]], frame[[*OHLC, "volume"]])
    assert str(kept["time"].iloc[0]) == "2018-01-02 21:00:00"
    assert str(kept["time"].iloc[-1]) == "2018-02-28 21:00:00"


def test_the_frame_that_was_handed_in_is_left_alone() -> None:
    frame = good()
    frame.loc[3, "close"] = -1.0
    before = frame.copy()
    clean(frame, "ACME")
    pd.testing.assert_frame_equal(frame, before)


def put(column: str, value: float) -> Plant:
    """Return a plant that writes a value."""

    def plant(frame: pd.DataFrame, row: int) -> None:
        frame.loc[row, column] = value

    return plant


def times(column: str, factor: float) -> Plant:
    """Return a plant that multiplies."""

    def plant(frame: pd.DataFrame, row: int) -> None:
        frame.loc[row, column] *= factor

    return plant


def everything(factor: float) -> Plant:
    """Return a plant that moves a whole bar."""

    def plant(frame: pd.DataFrame, row: int) -> None:
        frame.loc[row, OHLC] *= factor

    return plant


def saturday(frame: pd.DataFrame, row: int) -> None:
    """Move a bar to the Saturday behind it."""
    day = frame.loc[row, "time"]
    frame.loc[row, "time"] = day + timedelta(days=5 - day.weekday())


def untimed(frame: pd.DataFrame, row: int) -> None:
    frame.loc[row, "time"] = pd.NaT


PLANTS: dict[str, tuple[Plant, Defect]] = {
    **{f"{c} missing": (put(c, np.nan), Defect.NOT_A_NUMBER) for c in OHLC},
    **{f"{c} infinite": (put(c, np.inf), Defect.INFINITE) for c in OHLC},
    **{f"{c} zero": (put(c, 0.0), Defect.NOT_POSITIVE) for c in OHLC},
    **{f"{c} negative": (times(c, -1), Defect.NOT_POSITIVE) for c in OHLC},
    "high under the close": (times("high", 0.97), Defect.IMPOSSIBLE),
    "low over the close": (times("low", 1.03), Defect.IMPOSSIBLE),
    "close over the high": (times("close", 1.05), Defect.IMPOSSIBLE),
    "open under the low": (times("open", 0.9), Defect.IMPOSSIBLE),
    "negative volume": (put("volume", -5.0), Defect.NEGATIVE_VOLUME),
    "infinite volume": (put("volume", np.inf), Defect.INFINITE),
    "ten times too high": (everything(10), Defect.JUMP),
    "a hundredth": (everything(0.01), Defect.JUMP),
    "double": (everything(2.1), Defect.JUMP),
    "a spike of the high": (times("high", 5), Defect.JUMP),
    "a penny low": (times("low", 0.0001), Defect.JUMP),
    "on a Saturday": (saturday, Defect.OFF_SESSION),
    "without a date": (untimed, Defect.UNREADABLE_TIME),
}


@pytest.mark.parametrize("plant", PLANTS)
@settings(max_examples=20)
@given(row=st.integers(0, 39), seed=st.integers(0, 99))
def test_a_planted_defect_is_caught_and_nothing_else(plant: str, row: int, seed: int) -> None:
    frame = good(seed=seed)
    spoil, defect = PLANTS[plant]
    spoil(frame, row)
    kept, bad = clean(frame, "ACME")
    assert [(entry.symbol, entry.defect, entry.row) for entry in bad] == [("ACME", defect, row)]
    assert kept.index.tolist() == [i for i in range(40) if i != row]


@given(row=st.integers(0, 39), seed=st.integers(0, 99))
def test_an_identical_repeat_costs_no_bar(row: int, seed: int) -> None:
    frame = good(seed=seed)
    order = [*range(40)]
    order.insert(row + 1, row)
    kept, [bad] = clean(frame.iloc[order].reset_index(drop=True), "ACME")
    assert (bad.defect, bad.row) == (Defect.REPEATED, row + 1)
    assert kept["close"].tolist() == frame["close"].tolist()


@given(row=st.integers(0, 39), seed=st.integers(0, 99))
def test_of_two_bars_that_differ_neither_is_believed(row: int, seed: int) -> None:
    frame = good(seed=seed)
    twin = frame.iloc[[row]].assign(close=lambda f: f["close"] * 1.0005)
    doubled = pd.concat([frame.iloc[: row + 1], twin, frame.iloc[row + 1 :]], ignore_index=True)
    kept, bad = clean(doubled, "ACME")
    assert [(entry.defect, entry.row) for entry in bad] == [
        (Defect.CONFLICT, row),
        (Defect.CONFLICT, row + 1),
    ]
    assert kept["close"].tolist() == frame["close"].drop(row).tolist()


def test_a_bad_twin_does_not_take_the_good_bar_along() -> None:
    frame = good()
    twin = frame.iloc[[7]].assign(close=-1.0)
    kept, [bad] = clean(pd.concat([frame, twin], ignore_index=True), "ACME")
    assert (bad.defect, bad.row) == (Defect.NOT_POSITIVE, 40)
    assert kept["close"].tolist() == frame["close"].tolist()


@given(source=st.integers(0, 39), target=st.integers(0, 38), newest_first=st.booleans())
def test_one_row_out_of_place_costs_one_row(source: int, target: int, newest_first: bool) -> None:
    frame = good()
    order = [i for i in range(40) if i != source]
    order.insert(target, source)
    if newest_first:
        order.reverse()
    kept, bad = clean(frame.iloc[order].reset_index(drop=True), "ACME")
    expected = [] if order in ([*range(40)], [*range(39, -1, -1)]) else [Defect.OUT_OF_ORDER]
    assert [entry.defect for entry in bad] == expected
    assert len(kept) == 40 - len(expected)
    assert kept["time"].is_monotonic_increasing


def test_newest_first_is_a_convention_and_no_defect() -> None:
    frame = good()
    kept, bad = clean(frame.iloc[::-1].reset_index(drop=True), "ACME")
    assert bad == ()
    assert kept["close"].tolist() == frame["close"].tolist()


@given(bars=st.integers(1, 40))
def test_what_has_not_closed_is_the_future(bars: int) -> None:
    frame = good()
    asof = calendar.closes(frame["time"].iloc[bars - 1].date())
    kept, bad = clean(frame, "ACME", asof=asof)
    assert len(kept) == bars
    assert [entry.row for entry in bad] == list(range(bars, 40))
    assert {entry.defect for entry in bad} <= {Defect.FUTURE}
    earlier, _ = clean(frame, "ACME", asof=asof - timedelta(seconds=1))
    assert len(earlier) == bars - 1


def test_a_bar_that_is_missing_when_it_is_due_is_stale() -> None:
    asof = datetime(2018, 3, 1, 21, tzinfo=UTC)
    kept, [bad] = clean(good(), "ACME", asof=asof)
    assert len(kept) == 40
    assert (bad.defect, bad.row, bad.at) == (
        Defect.STALE,
        None,
        datetime(2018, 2, 28, 21, tzinfo=UTC),
    )
    assert "2018-03-01T21:00Z was due" in bad.detail
    assert clean(good(), "ACME", asof=asof - timedelta(seconds=1))[1] == ()


def test_a_series_without_a_good_bar_is_stale_too() -> None:
    frame = good(3).assign(close=-1.0)
    _, bad = clean(frame, "ACME", asof=datetime(2018, 2, 1, tzinfo=UTC))
    assert [entry.defect for entry in bad] == [Defect.NOT_POSITIVE] * 3 + [Defect.STALE]


@given(start=st.integers(0, 30), length=st.integers(2, 10), seed=st.integers(0, 99))
def test_a_feed_that_stands_still_is_caught_at_the_third_bar(
    start: int, length: int, seed: int
) -> None:
    frame = good(seed=seed)
    still = [*OHLC, "volume"]
    frame.loc[start : start + length - 1, still] = frame.loc[start, still].to_numpy()
    kept, bad = clean(frame, "ACME")
    assert [entry.row for entry in bad] == list(range(start + 2, start + length))
    assert {entry.defect for entry in bad} <= {Defect.FROZEN}
    assert len(kept) == 40 - max(0, length - 2)


def test_the_same_prices_with_new_volume_are_trade_and_not_a_frozen_feed() -> None:
    frame = good()
    frame.loc[5:15, OHLC] = frame.loc[5, OHLC].to_numpy()
    assert clean(frame, "ACME")[1] == ()


def test_closes_alone_may_repeat_four_times() -> None:
    frame = good()[["time", "close"]]
    frame.loc[10:13, "close"] = 100.0
    assert clean(frame, "ACME")[1] == ()
    frame.loc[10:14, "close"] = 100.0
    assert [(e.defect, e.row) for e in clean(frame, "ACME")[1]] == [(Defect.FROZEN, 14)]


def test_an_unadjusted_split_stays_out_for_as_long_as_it_lasts() -> None:
    frame = good()
    frame.loc[25:, OHLC] /= 2
    kept, bad = clean(frame, "ACME")
    assert [entry.row for entry in bad] == list(range(25, 40))
    assert {entry.defect for entry in bad} == {Defect.JUMP}
    assert "widen the collar" in bad[0].detail
    assert len(kept) == 25
    assert clean(frame, "ACME", collar=1.5)[1] == ()


def test_a_true_move_of_half_a_day_stays() -> None:
    frame = good()
    frame.loc[20:, OHLC] *= 1.52  # AMD on 2016-04-22
    assert clean(frame, "ACME")[1] == ()


def test_the_collar_widens_over_a_gap_but_not_behind_it() -> None:
    frame = good(200)
    frame.loc[100:, OHLC] *= 2.5
    gap = frame.drop(index=range(90, 100))
    assert clean(gap, "ACME")[1] == ()
    late = frame.drop(index=range(101, 111))
    assert len(clean(late, "ACME")[1]) == 90


def test_volatility_may_double_in_a_day_and_a_price_may_not() -> None:
    frame = good()[["time", "close"]]
    frame.loc[20:, "close"] *= 2.156  # VIX on 2018-02-05
    assert clean(frame, "VIX", kind="volatility")[1] == ()
    assert len(clean(frame, "ACME")[1]) == 20
    assert COLLARS["volatility", "daily"] == 5.0


def test_a_measure_may_be_negative_and_stand_still() -> None:
    frame = good()[["time", "close"]].assign(close=-3.5)
    frame.loc[20:, "close"] = 900.0
    assert clean(frame, "GEX_NET", kind="measure")[1] == ()
    frame.loc[3, "close"] = np.nan
    assert [e.defect for e in clean(frame, "GEX_NET", kind="measure")[1]] == [Defect.NOT_A_NUMBER]


def test_a_column_that_is_never_there_is_absent_and_no_defect() -> None:
    frame = good().assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)
    kept, bad = clean(frame, "ACME")
    assert (len(kept), bad) == (40, ())


def test_unknown_volume_is_no_defect() -> None:
    frame = good()
    frame.loc[3, "volume"] = np.nan
    assert clean(frame, "ACME")[1] == ()


def test_rounding_does_not_make_a_bar_impossible() -> None:
    frame = good()
    frame["high"] = frame[OHLC].max(axis=1) * (1 - 1e-12)
    assert clean(frame, "ACME")[1] == ()


def test_intraday_bars_close_when_they_end() -> None:
    kept, bad = clean(
        intraday("2018-11-23", "14:30", 42), "ACME", frequency="intraday", interval=300
    )
    assert bad == ()
    assert str(kept["time"].iloc[0]) == "2018-11-23 14:35:00"
    assert str(kept["time"].iloc[-1]) == "2018-11-23 18:00:00"


def test_a_half_day_ends_at_one() -> None:
    frame = intraday("2018-11-23", "14:25", 44)
    kept, bad = clean(frame, "ACME", frequency="intraday", interval=300)
    assert [(entry.defect, entry.row) for entry in bad] == [
        (Defect.OFF_SESSION, 0),
        (Defect.OFF_SESSION, 43),
    ]
    assert len(kept) == 42


def test_the_last_hourly_bar_ends_with_the_session() -> None:
    frame = intraday("2018-11-26", "14:30", 7, minutes=60)
    kept, bad = clean(frame, "ACME", frequency="intraday", interval=3600)
    assert bad == ()
    assert str(kept["time"].iloc[-1]) == "2018-11-26 21:00:00"


def test_dates_beyond_the_calendar_are_set_aside_with_its_span() -> None:
    frame = good(3)
    frame.loc[0, "time"] = pd.Timestamp("1985-01-02")
    frame.loc[2, "time"] = pd.Timestamp("2035-01-02")
    _, bad = clean(frame, "ACME")
    assert [(entry.defect, entry.row) for entry in bad] == [
        (Defect.OFF_SESSION, 0),
        (Defect.OFF_SESSION, 2),
    ]
    assert "1990..2030" in bad[0].detail


def test_an_empty_frame_is_clean() -> None:
    kept, bad = clean(good().iloc[:0], "ACME")
    assert (len(kept), bad) == (0, ())


@settings(max_examples=30)
@given(
    spoilt=st.dictionaries(st.integers(5, 79), st.sampled_from(sorted(PLANTS)), max_size=12),
    bars=st.integers(10, 80),
)
def test_history_is_cleaned_as_it_would_have_been_on_the_day(
    spoilt: dict[int, str], bars: int
) -> None:
    frame = good(80)
    for row, plant in spoilt.items():
        PLANTS[plant][0](frame, row)
    whole, _ = clean(frame, "ACME")
    then, _ = clean(frame.iloc[:bars], "ACME")
    assert then.index.tolist() == [i for i in whole.index if i < bars]
