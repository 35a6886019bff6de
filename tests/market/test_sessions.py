"""Daily bars and bars within sessions in one folder: which of them answers when."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError, ForeignFile
from market import calendar, quality
from market.feeds import sessions
from market.feeds.files import Files
from market.quality import Defect

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data on this machine")
FIVE = timedelta(minutes=5)
DAYS = ("2018-11-20", "2018-11-21", "2018-11-23")
WEDNESDAY, FRIDAY = date(2018, 11, 21), date(2018, 11, 23)


def daily(*closes: float, days: tuple[str, ...] = DAYS, adjusted: float = 1.0) -> str:
    rows = [
        ",".join([day, *(f"{adjusted * x}" for x in (close - 1, close + 5, close - 5, close))])
        for day, close in zip(days, closes, strict=True)
    ]
    return "\n".join(("date,open,high,low,close", *rows)) + "\n"


def within(day: str, first: float, minutes: int = 5, bars: int | None = None) -> list[str]:
    """Return the bars of a session, each a hundredth above the one before."""
    session = date.fromisoformat(day)
    whole = (calendar.closes(session) - calendar.opens(session)) // timedelta(minutes=minutes)
    rows = []
    for k in range(whole if bars is None else bars):
        start = calendar.opens(session) + timedelta(minutes=minutes * k)
        level = first + k / 100
        bar = ",".join(f"{x:.2f}" for x in (level, level + 0.2, level - 0.2, level + 0.01))
        rows.append(f"{start:%Y-%m-%dT%H:%M}Z,{bar}")
    return rows


def text(*rows: str) -> str:
    return "\n".join(("timestamp,open,high,low,close", *rows)) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, 102.0))
    bars = [*within("2018-11-21", 100.0), *within("2018-11-23", 102.0)]
    (tmp_path / "SPX_5m.csv").write_text(text(*bars))
    (tmp_path / "VIX.csv").write_text(daily(20.0, 21.0, 22.0))
    return tmp_path


def test_features_have_the_daily_bars_and_prices_those_of_the_session(folder: Path) -> None:
    feed = Files(folder)
    panel, inside = feed.panel(), feed.within()
    assert (feed.frequency, feed.interval, len(panel)) == ("daily", FIVE, 3)
    assert panel.close[:, 0].tolist() == [100.0, 101.0, 102.0]
    assert panel.series["VIX"].tolist() == [20.0, 21.0, 22.0]
    assert inside is not None
    assert (len(inside), inside.series) == (78 + 42, {})
    assert feed.scans("SPX")
    assert not feed.scans("ACME")
    assert feed.quarantined() == ()


def test_the_newest_bar_is_daily_before_the_session_and_within_it_after(folder: Path) -> None:
    feed = Files(folder)
    opened = calendar.opens(WEDNESDAY)
    before = feed.bar("SPX", opened + FIVE - timedelta(seconds=1))
    first = feed.bar("SPX", opened + FIVE)
    assert before is not None
    assert (before.at, before.high) == (calendar.closes(date(2018, 11, 20)), 105.0)
    assert first is not None
    assert (first.at, first.open, first.close) == (opened + FIVE, 100.0, 100.01)
    assert feed.newest(opened + 2 * FIVE + timedelta(minutes=3)) == opened + 2 * FIVE
    with pytest.raises(DataError, match="no bar had closed"):
        feed.newest(datetime(2018, 1, 1, tzinfo=UTC))


def test_the_last_bar_of_a_session_ends_at_the_official_close(folder: Path) -> None:
    feed = Files(folder)
    last = feed.bar("SPX", calendar.closes(WEDNESDAY))
    assert last is not None
    assert (last.open, last.low, last.high, last.close) == (100.77, 100.57, 101.0, 101.0)
    assert quality.report(feed).defects == {}


def test_closes_that_are_too_far_apart_are_said_and_each_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "SPY.csv").write_text(daily(100.0, 101.0, 102.0, adjusted=0.99))
    (tmp_path / "SPY_5m.csv").write_text(text(*within("2018-11-21", 100.0)))
    feed = Files(tmp_path)
    close = calendar.closes(WEDNESDAY)
    [odd] = feed.quarantined()
    assert (odd.symbol, odd.defect, odd.at) == ("SPY", Defect.DISAGREES, close)
    assert "adjusted for dividends" in odd.detail
    assert feed.issues("SPY", close) == ("DISAGREES",)
    last = feed.bar("SPY", close)
    assert last is not None
    assert (last.high, last.close) == (100.97, 100.78)


def test_a_daily_bar_beside_bars_of_its_session_tells_only_its_close(tmp_path: Path) -> None:
    (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, 102.0))
    (tmp_path / "SPX_5m.csv").write_text(text(*within("2018-11-21", 100.0, bars=40)))
    feed = Files(tmp_path)
    last, whole = (
        feed.bar("SPX", calendar.closes(WEDNESDAY)),
        feed.bar("SPX", calendar.closes(FRIDAY)),
    )
    assert last is not None
    assert (last.open, last.high, last.low, last.close) == (None, None, None, 101.0)
    assert whole is not None
    assert (whole.open, whole.high, whole.low) == (101.0, 107.0, 97.0)
    [hole] = [one for one in quality.report(feed).coverage if one.symbol == "SPX 5 min"]
    assert (hole.bars, hole.missing) == (40, 38)


def test_an_order_meets_the_open_of_the_first_bar_that_begins_after_it(folder: Path) -> None:
    feed, opened = Files(folder), calendar.opens(WEDNESDAY)
    bell = calendar.closes(WEDNESDAY)
    second = timedelta(seconds=1)
    at = opened + FIVE
    assert feed.entry("SPX", at, at) == (at, 100.01)
    assert feed.entry("SPX", at, at - second) is None
    assert feed.entry("SPX", at + second, at + FIVE - second) is None
    assert feed.entry("SPX", at + second, at + FIVE) == (at + FIVE, 100.02)
    assert feed.entry("SPX", bell, bell + timedelta(hours=3)) is None
    friday = calendar.opens(FRIDAY)
    assert feed.entry("SPX", bell, friday) == (friday, 102.0)
    assert feed.opening("SPX", friday) == 102.0


def test_where_bars_have_no_opens_an_order_meets_the_next_close(tmp_path: Path) -> None:
    (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, 102.0))
    rows = [f"{row.split(',')[0]},{row.split(',')[-1]}" for row in within("2018-11-21", 100.0)]
    (tmp_path / "SPX_5m.csv").write_text("\n".join(("timestamp,close", *rows)))
    feed, opened = Files(tmp_path), calendar.opens(WEDNESDAY)
    assert feed.entry("SPX", opened + FIVE, opened + FIVE) is None
    assert feed.entry("SPX", opened + FIVE, opened + 2 * FIVE) == (opened + 2 * FIVE, 100.02)


@given(minutes=st.sampled_from([1, 5, 15, 30, 60, 120]), day=st.sampled_from(DAYS), data=st.data())
def test_a_bar_begins_where_the_one_before_it_ended(
    minutes: int, day: str, data: st.DataObject
) -> None:
    session, interval = date.fromisoformat(day), timedelta(minutes=minutes)
    opened, closed = calendar.opens(session), calendar.closes(session)
    ends = [
        min(opened + (k + 1) * interval, closed) for k in range(-(-(closed - opened) // interval))
    ]
    k = data.draw(st.integers(0, len(ends) - 1))
    stamp = np.array([int(ends[k].timestamp())])
    expected = opened if k == 0 else ends[k - 1]
    assert sessions.begin(stamp, interval).tolist() == [int(expected.timestamp())]


def test_a_symbol_without_daily_bars_gets_those_that_its_sessions_add_up_to(tmp_path: Path) -> None:
    (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, 102.0))
    bars = [*within("2018-11-20", 50.0, bars=77), *within("2018-11-21", 60.0)]
    hole = within("2018-11-23", 70.0)
    (tmp_path / "SPY_5m.csv").write_text(text(*bars, *hole[:10], *hole[11:]))
    feed = Files(tmp_path)
    panel = feed.panel()
    assert feed.symbols == ("SPX", "SPY")
    np.testing.assert_array_equal(panel.close[:, 1], [np.nan, 60.78, 70.42])
    np.testing.assert_array_equal(panel.open[:, 1], [np.nan, 60.0, np.nan])
    np.testing.assert_array_equal(panel.high[:, 1], [np.nan, 60.97, np.nan])
    np.testing.assert_array_equal(panel.low[:, 1], [np.nan, 59.8, np.nan])
    assert feed.scans("SPY")
    assert not feed.scans("SPX")


def test_two_lengths_within_sessions_do_not_mix(folder: Path) -> None:
    (folder / "SPY_30m.csv").write_text(text(*within("2018-11-21", 50.0, minutes=30)))
    with pytest.raises(ForeignFile, match="SPX 5 min, SPY 30 min"):
        Files(folder).panel()


def test_a_level_printed_within_sessions_stands_beside_the_daily_one(folder: Path) -> None:
    (folder / "VIX_30m.csv").write_text(text(*within("2018-11-21", 30.0, minutes=30)))
    feed = Files(folder)
    inside = feed.within()
    assert feed.panel().series["VIX"].tolist() == [20.0, 21.0, 22.0]
    assert inside is not None
    vix = inside.series["VIX"]
    assert np.isnan(vix[:5]).all()
    assert vix[5] == 30.01
    assert np.isnan(vix[78:]).all()
    assert any("but for VIX, printed within it" in said for said in feed.simulated)


def test_a_gap_is_named_and_stops_the_bar_behind_it(tmp_path: Path) -> None:
    days = ("2018-08-20", "2018-11-20", "2018-11-21")
    (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, 102.0, days=days))
    feed = Files(tmp_path)
    [gap] = feed.quarantined()
    assert (gap.defect, gap.at) == (Defect.GAP, calendar.closes(date(2018, 11, 20)))
    assert gap.detail.startswith("64 sessions are missing since 2018-08-20")
    assert feed.issues("SPX", calendar.closes(date(2018, 11, 20))) == ("GAP",)
    assert feed.issues("SPX", calendar.closes(WEDNESDAY)) == ()
    assert any("64 sessions are missing" in said for said in feed.real)
    report = quality.report(feed)
    assert (report.sessions_missing, report.defects) == (64, {Defect.GAP: 1})
    assert len(feed.panel()) == 3


def test_a_month_of_missing_sessions_is_no_gap_yet(tmp_path: Path) -> None:
    all_days = calendar.sessions(date(2018, 10, 1), date(2018, 11, 30))
    for missing, found in ((20, 0), (21, 1)):
        days = (all_days[0].isoformat(), all_days[missing + 1].isoformat())
        (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, days=days))
        assert len(Files(tmp_path).quarantined()) == found


def test_what_a_window_lacks_is_said_before_it_is_played(tmp_path: Path) -> None:
    days = ("2018-08-20", "2018-11-20", "2018-11-23")
    (tmp_path / "SPX.csv").write_text(daily(100.0, 101.0, 102.0, days=days))
    (tmp_path / "SPX_5m.csv").write_text(text(*within("2018-11-23", 102.0, bars=30)))
    told = list(sessions.warnings(Files(tmp_path), date(2018, 11, 20), FRIDAY))
    assert told[0].startswith("SPX 2018-11-20, GAP: 64 sessions are missing since 2018-08-20")
    assert told[1] == "1 sessions of the window have no daily bar, 2018-11-21 first"
    assert told[2] == f"SPX lacks {78 + 78 + 12} bars within the sessions of the window"
    assert list(sessions.warnings(Files(tmp_path), date(2018, 8, 20), date(2018, 8, 20)))[-1] == (
        "SPX lacks 78 bars within the sessions of the window"
    )


def test_another_number_within_a_session_is_another_hash(folder: Path) -> None:
    before = Files(folder).data_hash()
    assert Files(folder).data_hash() == before
    file = folder / "SPX_5m.csv"
    file.write_text(file.read_text().replace("100.50,", "100.51,", 1))
    assert Files(folder).data_hash() != before


def test_holes_within_sessions_are_counted_against_what_is_due() -> None:
    closes = pd.date_range("2018-11-23 14:35", periods=42, freq="5min").to_numpy()
    stamps = closes.astype("datetime64[s]")
    assert quality.bars_missing(stamps, FIVE, FRIDAY, FRIDAY) == 0
    assert quality.bars_missing(stamps[3:], FIVE, WEDNESDAY, FRIDAY) == 78 + 3
    assert quality.bars_missing(stamps, timedelta(minutes=1), FRIDAY, FRIDAY) == 210 - 42


@REAL
def test_real_bars_end_where_the_official_close_is_not(tmp_path: Path) -> None:
    (tmp_path / "spx.csv").write_bytes((SHARED / "daily_window_2026" / "spx.csv").read_bytes())
    name = "SPX_5m_2026.csv.gz"
    (tmp_path / name).write_bytes((SHARED / "intraday" / name).read_bytes())
    feed = Files(tmp_path, timezone="America/New_York")
    inside, close = feed.within(), datetime(2026, 6, 26, 20, tzinfo=UTC)
    assert inside is not None
    assert (len(feed.panel()), len(inside), feed.quarantined()) == (34, 34 * 78, ())
    last = feed.bar("SPX", close)
    assert last is not None
    assert (last.close, inside.close[inside.times == np.datetime64("2026-06-26T20:00"), 0][0]) == (
        7354.02,
        7337.8101,
    )
    assert all(feed.issues("SPX", moment) == () for moment in feed.moments(close, close + 9 * FIVE))
    for place in range(len(feed.panel())):
        opened = calendar.opens(quality.utc(feed.panel().times[place]).date())
        assert feed.opening("SPX", opened) == feed.panel().open[place, 0]
