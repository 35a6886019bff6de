"""Bars out of files: what is read, what is refused, and when a bar has closed."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domain.errors import ForeignFile, SettingsError
from market import calendar, quality
from market.feeds import rows
from market.feeds.files import Files
from market.quality import Defect

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data on this machine")
DAYS = [day.isoformat() for day in calendar.sessions(date(2018, 11, 19), date(2018, 12, 7))]


def daily(closes: float = 100.0, days: list[str] = DAYS) -> str:
    rows = [
        f"{day},{closes + i},{closes + i + 1},{closes + i - 1},{closes + i}"
        for i, day in enumerate(days)
    ]
    return "\n".join(("Date,Open,HIGH,low,Close", *rows)) + "\n"


def five_minutes(day: str, start: str, bars: int, zone: str = "") -> str:
    stamps = pd.date_range(f"{day} {start}", periods=bars, freq="5min")
    rows = [
        f"{stamp}{zone},{100 + i % 5},{102 + i % 5},{99},{101 + i % 5},{10 + i}"
        for i, stamp in enumerate(stamps)
    ]
    return "\n".join(("timestamp,open,high,low,close,volume", *rows)) + "\n"


def times(feed: Files) -> list[str]:
    return [str(time) for time in feed.panel().times]


def test_a_daily_file_is_named_after_its_symbol(tmp_path: Path) -> None:
    (tmp_path / "acme.csv").write_text(daily())
    feed = Files(tmp_path / "acme.csv")
    assert (feed.symbols, feed.frequency, feed.quarantined()) == (("ACME",), "daily", ())
    assert times(feed)[3] == "2018-11-23T18:00:00"
    assert feed.panel().high[0, 0] == 101.0
    assert np.isnan(feed.panel().volume).all()


def test_csv_gz_and_parquet_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily())
    with gzip.open(tmp_path / "ACME.csv.gz", "wt") as stream:
        stream.write(daily())
    frame = pd.read_csv(tmp_path / "ACME.csv")
    frame.to_parquet(tmp_path / "ACME.parquet", index=False)
    dated = frame.assign(Date=pd.to_datetime(frame["Date"])).set_index("Date")
    dated.to_parquet(tmp_path / "acme.parquet")
    names = ("ACME.csv", "ACME.csv.gz", "ACME.parquet", "acme.parquet")
    assert len({Files(tmp_path / name).data_hash() for name in names}) == 1


def test_a_column_says_which_symbol_and_closes_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text(
        "Ticker,date,close,rating\n^gspc,2018-11-20,2641.9,x\nacme,2018-11-20,10,y\n"
        "^gspc,2018-11-21,2649.9,x\nacme,2018-11-21,11,y\nVIX,2018-11-21,20.8,z\n"
    )
    feed = Files(file)
    assert feed.symbols == ("SPX", "ACME")
    assert feed.panel().close.tolist() == [[2641.9, 10.0], [2649.9, 11.0]]
    np.testing.assert_array_equal(feed.panel().series["VIX"], [np.nan, 20.8])
    assert feed.opening("SPX", datetime(2018, 11, 21, 14, 30, tzinfo=UTC)) is None


def test_series_are_known_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily())
    for name in ("vix_1d", "VIX9D_History", "vix1d", "VIX3M"):
        (tmp_path / f"{name}.csv").write_text(daily(20.0))
    (tmp_path / "VVIX.csv").write_text("DATE,VVIX\n2018-11-20,95.5\n")
    (tmp_path / "gex_net.csv").write_text("date,close\n2018-11-20,-2.5\n2018-11-21,-2.5\n")
    feed = Files(tmp_path)
    assert feed.symbols == ("ACME",)
    assert set(feed.panel().series) == {"VIX", "VIX9D", "VIX1D", "VIX3M", "VVIX", "GEX_NET"}
    assert feed.panel().series["VIX"][0] == 20.0
    assert feed.panel().series["GEX_NET"][1] == -2.5
    assert np.isnan(feed.panel().series["GEX_NET"][0])


def test_symbols_are_joined_on_the_union_and_a_gap_stays_unknown(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily())
    (tmp_path / "LATE.csv").write_text(daily(50.0, DAYS[2:5] + DAYS[6:]))
    feed = Files(tmp_path)
    assert len(feed.panel()) == len(DAYS)
    assert np.isnan(feed.panel().close[[0, 1, 5], 1]).all()
    assert np.isfinite(feed.panel().close[:, 0]).all()
    report = {entry.symbol: entry for entry in quality.report(feed).coverage}
    assert (report["LATE"].bars, report["LATE"].missing) == (len(DAYS) - 3, 1)


def test_a_session_that_nobody_has_is_reported(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily(days=DAYS[:4] + DAYS[6:]))
    report = quality.report(Files(tmp_path))
    assert (report.sessions_missing, report.clean) == (2, False)


def test_opens_that_repeat_the_close_before_are_no_opens(tmp_path: Path) -> None:
    rows = [f"{day},{100 + i},{101 + i}" for i, day in enumerate(DAYS)]
    (tmp_path / "SPX.csv").write_text("\n".join(("date,open,close", *rows)))
    [entry] = quality.report(Files(tmp_path)).coverage
    assert entry.note == "100% of the opens repeat the close before: no true opens"


@pytest.mark.parametrize(
    ("day", "zone", "first", "last", "bars"),
    [
        ("2018-03-09", "America/New_York", "2018-03-09T14:35:00", "2018-03-09T21:00:00", 78),
        ("2018-03-12", "America/New_York", "2018-03-12T13:35:00", "2018-03-12T20:00:00", 78),
        ("2018-11-23", "America/New_York", "2018-11-23T14:35:00", "2018-11-23T18:00:00", 42),
    ],
)
def test_intraday_bars_close_when_they_end_summer_winter_and_half_days(
    tmp_path: Path, day: str, zone: str, first: str, last: str, bars: int
) -> None:
    (tmp_path / "SPY.csv").write_text(five_minutes(day, "09:30", 78))
    feed = Files(tmp_path / "SPY.csv", timezone=zone)
    assert (times(feed)[0], times(feed)[-1], len(feed.panel())) == (first, last, bars)
    assert {entry.defect for entry in feed.quarantined()} <= {Defect.OFF_SESSION}
    assert len(feed.quarantined()) == 78 - bars
    session = calendar.opens(date.fromisoformat(day))
    assert feed.opening("SPY", session) == 100.0
    assert feed.bar("SPY", session) is None


@pytest.mark.parametrize(
    ("zone", "start", "stated"),
    [
        ("America/Chicago", "08:30", ""),
        ("UTC", "13:30", ""),
        (None, "09:30", "-04:00"),
        (None, "13:30", "Z"),
        ("Asia/Tokyo", "13:30", "+0000"),  # what the file states goes first
    ],
)
def test_a_zone_is_stated_or_told(
    tmp_path: Path, zone: str | None, start: str, stated: str
) -> None:
    (tmp_path / "SPY.csv").write_text(five_minutes("2018-06-01", start, 78, stated))
    assert times(Files(tmp_path / "SPY.csv", timezone=zone))[0] == "2018-06-01T13:35:00"


def test_parquet_may_carry_the_zone(tmp_path: Path) -> None:
    stamps = pd.date_range("2018-06-01 09:30", periods=5, freq="5min", tz="America/New_York")
    pd.DataFrame({"timestamp": stamps, "close": [1.0, 1.1, 1.2, 1.1, 1.0]}).to_parquet(
        tmp_path / "SPY.parquet"
    )
    assert times(Files(tmp_path / "SPY.parquet"))[0] == "2018-06-01T13:35:00"


def test_no_zone_is_ever_assumed(tmp_path: Path) -> None:
    (tmp_path / "SPY.csv").write_text(five_minutes("2018-06-01", "09:30", 78))
    with pytest.raises(ForeignFile, match="state no time zone"):
        Files(tmp_path / "SPY.csv").panel()
    with pytest.raises(SettingsError, match="'Mars/Base' is no time zone"):
        Files(tmp_path / "SPY.csv", timezone="Mars/Base").panel()


def test_local_times_that_happen_twice_or_never_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "SPY.csv").write_text(
        "timestamp,close\n2018-03-11 02:30:00,1.0\n2018-11-04 01:30:00,1.0\n"
        "2018-11-05 09:30:00,1.1\n2018-11-05 09:35:00,1.2\n2018-11-05 09:40:00,1.2\n"
    )
    feed = Files(tmp_path / "SPY.csv", timezone="America/New_York")
    assert [(e.defect, e.row) for e in feed.quarantined()] == [
        (Defect.UNREADABLE_TIME, 0),
        (Defect.UNREADABLE_TIME, 1),
    ]
    assert len(feed.panel()) == 3


def test_a_missing_five_minutes_leaves_the_length_of_a_bar_alone(tmp_path: Path) -> None:
    lines = five_minutes("2018-06-01", "13:30", 78, "Z").splitlines()
    (tmp_path / "SPY.csv").write_text("\n".join(lines[:10] + lines[13:40:2] + lines[40:]))
    assert times(Files(tmp_path / "SPY.csv"))[9] == "2018-06-01T14:35:00"


def test_the_same_symbol_in_two_files_is_one_series(tmp_path: Path) -> None:
    (tmp_path / "ACME_2017.csv").write_text(daily(100, DAYS[:8]))
    (tmp_path / "ACME_2018.csv").write_text(daily(105, DAYS[5:]))
    feed = Files(tmp_path)
    assert feed.symbols == ("ACME",)
    assert len(feed.panel()) == len(DAYS)
    assert [entry.defect for entry in feed.quarantined()] == [Defect.REPEATED] * 3
    (tmp_path / "ACME_2018.csv").write_text(daily(106, DAYS[5:]))
    feed = Files(tmp_path)
    assert {entry.defect for entry in feed.quarantined()} == {Defect.CONFLICT}
    assert len(feed.panel()) == len(DAYS) - 3


def test_a_bad_bar_is_an_issue_until_the_next_good_one(tmp_path: Path) -> None:
    lines = daily().splitlines()
    lines[4] = "2018-11-23,103,104,102,-1"
    (tmp_path / "ACME.csv").write_text("\n".join(lines))
    feed = Files(tmp_path)
    assert feed.issues("ACME", datetime(2018, 11, 23, 17, 59, tzinfo=UTC)) == ()
    assert feed.issues("ACME", datetime(2018, 11, 23, 18, 0, tzinfo=UTC)) == ("NOT_POSITIVE",)
    assert feed.issues("ACME", datetime(2018, 11, 26, 20, 59, tzinfo=UTC)) == ("NOT_POSITIVE",)
    assert feed.issues("ACME", datetime(2018, 11, 26, 21, 0, tzinfo=UTC)) == ()
    assert quality.report(feed).defects == {Defect.NOT_POSITIVE: 1}


def test_read_for_a_moment_what_closes_later_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily())
    feed = Files(tmp_path, asof=datetime(2018, 11, 23, 18, tzinfo=UTC))
    assert times(feed)[-1] == "2018-11-23T18:00:00"
    assert {entry.defect for entry in feed.quarantined()} == {Defect.FUTURE}


FOREIGN = {
    "ACME.csv": [
        ("", "no CSV file"),
        ("hello\nworld\n", "expected a column 'date'.*found hello"),
        ("date,close\n", "a header and no rows"),
        ("date,open\n2018-11-20,1\n", "a column 'close'"),
        ("date;close\n2018-11-20;1\n", "found date;close"),
        ("date,close,Close\n2018-11-20,1,1\n", "'close' is there twice"),
        ("date,close\n1/4/1999,1\n1/5/1999,2\n", "found '1/4/1999'"),
        ("date,close\n2018-11-20 09:30:00,1\n", "name it 'timestamp'"),
        ("date,close\n2018-11-20,1,2,3\n2018-11-21,1\n", "no CSV file"),
        ("date,close\n2018-11-20,abc\n2018-11-21,\n", "nothing usable.*close is missing"),
        ("timestamp,close\n2018-11-20T14:30Z,1\n", "at least two bars"),
        ("timestamp,close\n2018-11-20T14:30Z,1\n2018-11-21T14:30Z,1\n", "daily bars 'date'"),
        ("timestamp,close\n2018-11-20T14:30Z,1\n2018-11-20T14:35,1\n", "some timestamps"),
        ("date,symbol,close\n2018-11-20,<script>,1\n", "'<script>' in the column 'symbol'"),
    ],
    "2018.csv": [("date,close\n2018-11-20,1\n", "name it after its symbol")],
    "VIX.csv": [("date,close\n2018-11-20,20\n", "no symbol with prices")],
    "ACME.txt": [("date,close\n2018-11-20,1\n", "expected a file .csv")],
    "ACME.csv.gz": [("this is no gzip", "cannot be read")],
    "ACME.parquet": [("this is no parquet", "no Parquet file")],
}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [(name, text, message) for name, cases in FOREIGN.items() for text, message in cases],
)
def test_a_foreign_file_is_refused_with_what_was_expected(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ForeignFile, match=message):
        Files(tmp_path / name).panel()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_bytes(b"\xff\xfe\x00date\x00\x93close\n\x80\x81,\xff\n")
    with pytest.raises(ForeignFile, match="no CSV file"):
        Files(tmp_path / "ACME.csv").panel()


def test_a_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LIMIT", 1 << 20)
    with gzip.open(tmp_path / "ACME.csv.gz", "wb") as stream:
        stream.write(b"date,close\n" + b"0" * (2 << 20))
    with pytest.raises(ForeignFile, match="more than 1 MB"):
        Files(tmp_path / "ACME.csv.gz").panel()


def test_a_file_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="no such file"):
        Files(tmp_path / "ACME.csv").panel()


def test_a_folder_leaves_foreign_files_out_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily())
    (tmp_path / "notes.csv").write_text("hello\nworld\n")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / ".hidden.csv").write_text("hello")
    feed = Files(tmp_path)
    assert feed.symbols == ("ACME",)
    assert [(e.symbol, e.defect) for e in feed.quarantined()] == [("notes.csv", Defect.FOREIGN)]
    assert not quality.report(feed).clean


def test_a_folder_with_nothing_usable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="no usable file"):
        Files(tmp_path).panel()
    (tmp_path / "notes.csv").write_text("hello\nworld\n")
    with pytest.raises(ForeignFile, match="expected a column 'date'"):
        Files(tmp_path).panel()


def test_bars_of_different_lengths_within_sessions_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "SPY.csv").write_text(five_minutes("2018-11-20", "14:30", 78, "Z"))
    hourly = five_minutes("2018-11-20", "14:30", 78, "Z").splitlines()
    (tmp_path / "ACME.csv").write_text("\n".join(hourly[:1] + hourly[1::6]))
    with pytest.raises(ForeignFile, match="ACME 30 min, SPY 5 min"):
        Files(tmp_path).panel()


@NEEDS_SHARED
def test_real_daily_files_are_read_whole(tmp_path: Path) -> None:
    for file in (SHARED / "daily").iterdir():
        if file.name != "alphagex_spy_gamma.csv":
            (tmp_path / file.name).symlink_to(file)
    feed = Files(tmp_path)
    report = quality.report(feed)
    assert feed.symbols == ("SPX", "SPY")
    assert report.bars == 8817
    assert report.sessions_missing == 0
    assert report.defects == {}
    levels = {"SKEW", "VIX", "VIX1D", "VIX3M", "VIX9D", "VVIX"}
    made = {"DIX", "GEX_NET", "PUT_CALL", "PUT_CALL_INDEX"}
    assert set(feed.panel().series) == levels | made
    assert set(feed.origins) == made
    assert "no true opens" in report.coverage[0].note


@NEEDS_SHARED
def test_real_five_minute_bars_lose_only_what_came_after_a_half_day() -> None:
    feed = Files(SHARED / "intraday" / "SPY_5m_2024.csv.gz", timezone="America/New_York")
    assert len(feed.panel()) == 15_128 - 104
    assert quality.report(feed).defects == {Defect.OFF_SESSION: 104}
    days = {entry.at.date().isoformat() for entry in feed.quarantined() if entry.at}
    assert days == {"2024-07-03", "2024-11-29", "2024-12-24"}


@NEEDS_SHARED
def test_no_real_stock_loses_a_day_but_the_one_that_stood_still_and_halved() -> None:
    feed = Files(SHARED / "stocks_daily")
    assert len(feed.symbols) == 44
    assert {entry.symbol for entry in feed.quarantined()} == {"AGFS"}


@NEEDS_SHARED
def test_a_chain_is_no_file_of_bars() -> None:
    with pytest.raises(ForeignFile, match="expected a column 'date'"):
        Files(SHARED / "options" / "cboe" / "SPX_2023-02-07.csv.gz").panel()
