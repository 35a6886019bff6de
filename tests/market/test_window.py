"""A panel cut at a moment holds what was known then, and nothing later."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from market import window
from market.panel import Panel

START = datetime(2018, 1, 2, 21, tzinfo=UTC)
DAY = timedelta(days=1)


def panel(bars: int = 10) -> Panel:
    """Return one symbol at 1.0, 2.0, ... and its VIX, a bar a day."""
    times = np.datetime64("2018-01-02T21:00:00", "s") + np.arange(bars) * np.timedelta64(1, "D")
    close = np.arange(1.0, bars + 1)[:, None]
    gone = np.full_like(close, np.nan)
    return Panel(times, ("SPX",), gone, gone, gone, close, gone, {"VIX": 10 * close[:, 0]})


def test_a_bar_is_known_from_the_second_it_closes() -> None:
    assert window.until(panel(), START + DAY).close[-1, 0] == 2.0
    assert window.until(panel(), START + DAY - timedelta(microseconds=1)).close[-1, 0] == 1.0
    assert window.until(panel(), START + DAY + timedelta(microseconds=1)).close[-1, 0] == 2.0


def test_only_the_last_bars_when_asked() -> None:
    cut = window.until(panel(), START + 5 * DAY, bars=3)
    assert cut.close[:, 0].tolist() == [4.0, 5.0, 6.0]
    assert cut.series["VIX"].tolist() == [40.0, 50.0, 60.0]
    assert len(window.until(panel(), START + DAY, bars=100)) == 2


def test_nothing_is_known_before_the_first_close() -> None:
    early = START - timedelta(seconds=1)
    assert len(window.until(panel(), early)) == 0
    with pytest.raises(DataError, match="no bar had closed"):
        window.index(panel(), early)


def test_between_includes_both_ends() -> None:
    cut = window.between(panel(), START + DAY, START + 3 * DAY)
    assert cut.close[:, 0].tolist() == [2.0, 3.0, 4.0]
    later = timedelta(microseconds=1)
    inside = window.between(panel(), START + DAY + later, START + 3 * DAY - later)
    assert inside.close[:, 0].tolist() == [3.0]
    assert len(window.between(panel(), START + 3 * DAY, START)) == 0


def test_index_is_the_row_of_the_newest_bar() -> None:
    assert window.index(panel(), START) == 0
    assert window.index(panel(), START + 100 * DAY) == 9


def test_a_cut_shares_no_intermediate_results() -> None:
    whole = panel()
    whole.memo["mean"] = 5.5
    assert window.until(whole, START + DAY).memo == {}


def test_a_moment_without_a_zone_cuts_nowhere() -> None:
    with pytest.raises(ValueError, match="time zone"):
        window.until(panel(), datetime(2018, 1, 5))  # noqa: DTZ001


@given(st.integers(-5, 20), st.integers(0, 86_399), st.integers(0, 12))
def test_no_cut_ever_holds_a_later_bar(days: int, seconds: int, bars: int) -> None:
    asof = START + timedelta(days=days, seconds=seconds)
    whole, cut = panel(), window.until(panel(), asof, bars)
    now = np.datetime64(asof.replace(tzinfo=None), "s")
    assert (cut.times <= now).all()
    assert len(cut) == min(bars, int((whole.times <= now).sum()))
