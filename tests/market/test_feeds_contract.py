"""What every feed in the catalog promises. A new feed is tested by its line there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from domain.errors import DataError, SettingsError
from domain.settings import Settings
from market import quality
from market.feeds import catalog
from market.feeds.base import Feed

EVERY = pytest.mark.parametrize("name", catalog.CATALOG)
DAYS = ("2018-11-20", "2018-11-21", "2018-11-23", "2018-11-26", "2018-11-27", "2018-11-28")


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Feed]:
    folder = tmp_path_factory.mktemp("bars")
    rows = [f"{day},{100 + i},{101 + i},{99 + i},{100.5 + i},{5 + i}" for i, day in enumerate(DAYS)]
    text = "\n".join(("date,open,high,low,close,volume", *rows)) + "\n"
    (folder / "ACME.csv").write_text(text)
    (folder / "VIX.csv").write_text(text)
    return {name: catalog.create(Settings(feed=name, data=folder)) for name in catalog.CATALOG}


@EVERY
def test_a_feed_says_what_it_is(feeds: dict[str, Feed], name: str) -> None:
    feed = feeds[name]
    assert feed.name == name
    assert feed.frequency in ("daily", "intraday")
    assert feed.real
    assert feed.simulated
    assert all(sentence.endswith(".") for sentence in (*feed.real, *feed.simulated))
    assert feed.symbols == feed.panel().symbols


@EVERY
def test_a_panel_is_in_order_and_of_one_shape(feeds: dict[str, Feed], name: str) -> None:
    panel = feeds[name].panel()
    shape = (len(panel), len(panel.symbols))
    assert panel.times.dtype == np.dtype("datetime64[s]")
    assert (np.diff(panel.times.astype(np.int64)) > 0).all()
    for values in (panel.open, panel.high, panel.low, panel.close, panel.volume):
        assert values.shape == shape
        assert values.dtype == np.float64
    assert all(values.shape == (len(panel),) for values in panel.series.values())
    assert (panel.close[np.isfinite(panel.close)] > 0).all()


@EVERY
def test_a_feed_is_loaded_once_and_stays_the_same(feeds: dict[str, Feed], name: str) -> None:
    feed = feeds[name]
    assert feed.panel() is feed.panel()
    assert feed.data_hash() == feed.data_hash()
    assert len(feed.data_hash()) == 12


@EVERY
def test_no_bar_is_from_the_future(feeds: dict[str, Feed], name: str) -> None:
    feed = feeds[name]
    panel = feed.panel()
    for row in (1, len(panel) // 2, len(panel) - 1):
        close = quality.utc(panel.times[row])
        for symbol in feed.symbols:
            at, before = feed.bar(symbol, close), feed.bar(symbol, close - timedelta(seconds=1))
            assert at is not None
            assert before is not None
            assert before.at < at.at == close


@EVERY
def test_a_report_covers_every_symbol(feeds: dict[str, Feed], name: str) -> None:
    feed = feeds[name]
    report = quality.report(feed)
    covered = [entry.symbol for entry in report.coverage]
    assert covered == [*feed.symbols, *feed.panel().series]
    assert report.data_hash == feed.data_hash()
    assert quality.Report.model_validate_json(report.model_dump_json()) == report


@EVERY
def test_a_moment_without_a_zone_is_refused(feeds: dict[str, Feed], name: str) -> None:
    feed = feeds[name]
    with pytest.raises(ValueError, match="time zone"):
        feed.bar(feed.symbols[0], datetime(2018, 1, 2))  # noqa: DTZ001


@EVERY
def test_a_feed_is_described_with_what_it_holds(
    feeds: dict[str, Feed], name: str, tmp_path: Path
) -> None:
    settings = Settings(feed=name, home=tmp_path)
    sources = {source.name: source for source in catalog.describe(settings)}
    assert set(sources) == set(catalog.CATALOG)
    assert [source.name for source in sources.values() if source.chosen] == [name]
    assert sources["packaged"].problem is None
    assert sources["packaged"].bars == 1257
    assert sources["packaged"].first == datetime(2014, 1, 3, 21, tzinfo=UTC)
    assert sources["packaged"].series == ("VIX",)
    assert "omega data import" in (sources["files"].problem or "")


def test_a_feed_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match="no feed 'yahoo'; there are packaged, playback, files"):
        catalog.create(Settings(feed="yahoo"))


def test_files_without_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="OMEGA_DATA"):
        catalog.create(Settings(feed="files", home=tmp_path))


def test_another_number_is_another_hash(tmp_path: Path) -> None:
    hashes = set()
    for close in ("100.5", "100.6"):
        file = tmp_path / f"ACME {close}.csv"
        file.write_text(f"symbol,date,close\nACME,2018-11-20,100\nACME,2018-11-21,{close}\n")
        hashes.add(catalog.create(Settings(feed="files", data=file)).data_hash())
    assert len(hashes) == 2


def test_an_unknown_feed_file_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("hello\nworld\n")
    with pytest.raises(DataError, match="expected a column 'date'"):
        catalog.create(Settings(feed="files", data=tmp_path)).panel()
