"""The history that ships inside installed packages: whole, real and light."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from domain.errors import DataError, ForeignFile
from domain.market import Bar
from market import calendar, quality
from market.feeds import packaged
from market.feeds.packaged import Packaged

HEAVY = ("arch", "skfolio", "statsmodels", "cvxpy", "sklearn", "scipy", "plotly")


@pytest.fixture(scope="module")
def feed() -> Packaged:
    return Packaged()


def test_it_is_1257_sessions_without_a_gap(feed: Packaged) -> None:
    panel = feed.panel()
    days = calendar.sessions(
        datetime(2014, 1, 3, tzinfo=UTC).date(), datetime(2018, 12, 31, tzinfo=UTC).date()
    )
    closes = [np.datetime64(calendar.closes(day).replace(tzinfo=None), "s") for day in days]
    assert len(panel) == len(days) == 1257
    assert panel.times.tolist() == [close.item() for close in closes]
    assert np.isfinite(panel.close).all()
    assert np.isfinite(panel.series["VIX"]).all()
    report = quality.report(feed)
    assert report.clean
    assert (report.bars, report.sessions_missing, report.defects) == (1257, 0, {})


def test_half_days_close_early(feed: Packaged) -> None:
    assert np.datetime64("2018-11-23T18:00:00") in feed.panel().times
    assert np.datetime64("2018-12-05") not in feed.panel().times.astype("datetime64[D]")


def test_the_index_has_whole_bars_and_the_stocks_have_closes_alone(feed: Packaged) -> None:
    panel = feed.panel()
    assert feed.symbols[0] == "SPX"
    assert len(feed.symbols) == 21
    assert list(feed.symbols[1:]) == sorted(feed.symbols[1:])
    for values in (panel.open, panel.high, panel.low, panel.volume):
        assert np.isfinite(values[:, 0]).all()
        assert np.isnan(values[:, 1:]).all()


def test_the_numbers_are_those_of_the_day(feed: Packaged) -> None:
    close = datetime(2018, 12, 31, 21, tzinfo=UTC)
    assert feed.bar("SPX", close) == Bar(
        symbol="SPX",
        at=close,
        open=2498.939941,
        high=2509.23999,
        low=2482.820068,
        close=2506.850098,
    )
    assert feed.panel().series["VIX"][0] == 13.76
    assert feed.panel().series["VIX"][-1] == 25.42


def test_the_newest_bar_is_the_last_that_had_closed(feed: Packaged) -> None:
    monday = datetime(2018, 11, 26, 21, tzinfo=UTC)
    before = feed.bar("AAPL", datetime(2018, 11, 26, 20, 59, 59, tzinfo=UTC))
    at = feed.bar("AAPL", monday)
    assert before is not None
    assert at is not None
    assert (before.at, at.at) == (datetime(2018, 11, 23, 18, tzinfo=UTC), monday)
    assert (at.open, at.high, at.low) == (None, None, None)
    assert feed.bar("SPX", datetime(2014, 1, 3, 20, 59, tzinfo=UTC)) is None


def test_the_open_is_known_at_the_open_where_there_is_one(feed: Packaged) -> None:
    assert feed.opening("SPX", datetime(2018, 12, 31, 14, 30, tzinfo=UTC)) == 2498.939941
    assert feed.opening("AAPL", datetime(2018, 12, 31, 14, 30, tzinfo=UTC)) is None
    assert feed.opening("SPX", datetime(2019, 1, 2, 14, 30, tzinfo=UTC)) is None
    for moment in (
        datetime(2018, 12, 31, 15, tzinfo=UTC),
        datetime(2018, 12, 5, 14, 30, tzinfo=UTC),
    ):
        with pytest.raises(DataError, match="no session"):
            feed.opening("SPX", moment)


def test_a_symbol_that_is_not_there_is_named(feed: Packaged) -> None:
    with pytest.raises(DataError, match="no 'TSLA'; it has SPX, AAPL"):
        feed.bar("TSLA", datetime(2018, 1, 2, tzinfo=UTC))
    with pytest.raises(DataError, match="TSLA"):
        feed.opening("TSLA", datetime(2018, 12, 31, 14, 30, tzinfo=UTC))


def test_what_is_shipped_is_what_the_loaders_return(feed: Packaged) -> None:
    code = """
from arch.data import sp500, vix
from skfolio.datasets import load_sp500_dataset
print(sp500.load()["Close"].loc["2014-01-03":"2018-12-31"].sum())
print(vix.load()["vix"].dropna().loc[:"2018-12-31"].sum())
print(load_sp500_dataset().loc["2014-01-03":"2018-12-31"].to_numpy().sum())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    index, fear, stocks = map(float, ran.stdout.split())
    panel = feed.panel()
    assert panel.close[:, 0].sum() == pytest.approx(index, rel=1e-12)
    assert panel.series["VIX"].sum() == pytest.approx(fear, rel=1e-12)
    assert panel.close[:, 1:].sum() == pytest.approx(stocks, rel=1e-12)


def test_loading_it_brings_no_heavy_package_along() -> None:
    code = f"""
import sys
from market.feeds.packaged import Packaged
assert len(Packaged().panel()) == 1257
print(*[name for name in {HEAVY} if name in sys.modules])
"""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert ran.stdout.split() == []


def test_a_package_without_the_file_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "VIX", ("arch", "data/vix/gone.csv.gz", "%m/%d/%Y"))
    with pytest.raises(ForeignFile, match="arch does not ship data/vix/gone"):
        Packaged().panel()
    monkeypatch.setattr(packaged, "VIX", ("no_such_package", "vix.csv.gz", "%m/%d/%Y"))
    with pytest.raises(ForeignFile, match="no_such_package"):
        Packaged().panel()
