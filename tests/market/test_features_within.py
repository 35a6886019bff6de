"""Bars within sessions as a panel: what they show, and what is known of the day before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market import calendar
from market.features import compute
from market.feeds.sessions import MINUTE, joined
from market.panel import Panel
from tests.orchestrator.made import packaged
from tests.orchestrator.within import FIVE, WEEK, Within, five_minutes, scanning

BARS = 78


def daily(**series: np.ndarray) -> Panel:
    panel = packaged().panel()
    return replace(panel, series={**panel.series, **series}, memo={})


def known(panel: Panel, name: str) -> np.ndarray:
    return compute.history(panel, [name])[name][:, 0]


def close_of(day_before: int) -> int:
    """Return the row of the close of the n-th session of the week, counted from 0."""
    times = packaged().panel().times
    stamp = np.datetime64(calendar.closes(WEEK[day_before]).replace(tzinfo=None), "s")
    return int(np.searchsorted(times, stamp))


def test_a_level_of_a_day_is_known_from_the_next_session_on_and_not_within_its_own() -> None:
    panel = daily(GEX_FLIP=np.arange(float(len(packaged().panel()))))
    bars = joined(panel, five_minutes())
    for day in range(len(WEEK)):
        levels = bars.series["GEX_FLIP"][day * BARS : (day + 1) * BARS]
        assert set(levels) == {float(close_of(day) - 1)}
    np.testing.assert_array_equal(bars.series[MINUTE][:BARS], 5.0 * np.arange(1, BARS + 1))


def test_where_the_close_before_is_missing_nothing_older_stands_in_for_it() -> None:
    panel = daily()
    whole = np.arange(len(panel)) != close_of(1)
    cut = {name: getattr(panel, name)[whole] for name in ("open", "high", "low", "close", "volume")}
    series = {name: levels[whole] for name, levels in panel.series.items()}
    gap = replace(panel, times=panel.times[whole], series=series, memo={}, **cut)
    vix = joined(gap, five_minutes()).series["VIX"]
    assert np.isfinite(vix[: 2 * BARS]).all()
    assert np.isnan(vix[2 * BARS : 3 * BARS]).all()
    assert np.isfinite(vix[3 * BARS :]).all()


def test_what_is_printed_within_a_session_is_newer_than_the_close_before() -> None:
    printed = np.full(len(WEEK) * BARS, np.nan)
    printed[100] = 33.0
    feed = scanning(VIX=printed)
    vix, before = feed.by("bar").series["VIX"], joined(daily(), five_minutes()).series["VIX"]
    assert vix[100] == 33.0
    np.testing.assert_array_equal(np.delete(vix, 100), np.delete(before, 100))


def test_a_feed_without_such_bars_of_its_index_has_nothing_that_counts_them() -> None:
    assert packaged().by("bar") is packaged().panel()
    assert MINUTE not in packaged().panel().series
    of_another = Within(packaged().panel(), replace(five_minutes(), symbols=("KO",)))
    assert of_another.by("bar") is of_another.panel()
    assert np.isnan(known(packaged().panel(), "bar_time")).all()
    assert scanning().by("bar").symbols == ("SPX",)
    assert scanning().interval == FIVE


def test_what_a_session_has_shown_so_far_is_that_of_pandas() -> None:
    bars = scanning().by("bar")
    table = pd.DataFrame(
        {name: getattr(bars, name)[:, 0] for name in ("open", "high", "low", "close")}
    )
    day = np.arange(len(table)) // BARS
    first = table["open"].groupby(day).transform("first")
    top, bottom = table["high"].groupby(day).cummax(), table["low"].groupby(day).cummin()
    moves = table["close"].pct_change()
    trend = moves.rolling(12).mean() / moves.abs().rolling(12).mean()
    expected = {
        "bar_time": pd.Series(bars.series[MINUTE] / 390.0),
        "bar_since_open": table["close"] / first - 1,
        "bar_place": (table["close"] - bottom) / (top - bottom),
        "bar_change_6": table["close"].pct_change(6),
        "bar_range": moves.abs().rolling(12).mean(),
        "bar_trend": trend,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(known(bars, name), values, rtol=2e-5, atol=2e-6, err_msg=name)
    assert np.nanmax(np.abs(known(bars, "bar_trend"))) <= 1 + 1e-6


def test_a_level_is_held_against_the_price_of_the_bar() -> None:
    panel = daily(GEX_FLIP=np.full(len(packaged().panel()), 1_990.0))
    bars = joined(panel, five_minutes())
    close = bars.close[:, 0]
    away = 100 * (close - 1_990.0) / close
    np.testing.assert_allclose(known(bars, "bar_flip_pct"), away, rtol=1e-5)
    assert known(bars, "bar_vix")[BARS] == pytest.approx(
        packaged().panel().series["VIX"][close_of(0)]
    )
