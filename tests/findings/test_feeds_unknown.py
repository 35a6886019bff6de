"""Findings 1 and 4: a default stood in for a measurement, and missing became zero."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from market.feeds.files import Files
from market.feeds.packaged import Packaged


def test_an_open_that_no_feed_has_is_not_the_close() -> None:
    feed = Packaged()
    bar = feed.bar("AAPL", datetime(2018, 12, 31, 21, tzinfo=UTC))
    assert bar is not None
    assert (bar.open, bar.high, bar.low) == (None, None, None)
    assert feed.opening("AAPL", datetime(2018, 12, 31, 14, 30, tzinfo=UTC)) is None
    assert np.isnan(feed.panel().volume[:, 1:]).all()


def test_gamma_exposure_that_is_not_there_is_not_made_up() -> None:
    assert set(Packaged().panel().series) == {"VIX"}
    assert any("unavailable" in sentence for sentence in Packaged().simulated)


def test_a_missing_day_is_neither_zero_nor_the_day_before(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text("date,close\n2018-12-03,10\n2018-12-04,\n2018-12-06,11\n")
    (tmp_path / "SPX.csv").write_text("date,close\n2018-12-03,1\n2018-12-04,1.1\n2018-12-06,1.2\n")
    (tmp_path / "VIX.csv").write_text("date,close\n2018-12-03,16\n2018-12-06,21\n")
    panel = Files(tmp_path).panel()
    np.testing.assert_array_equal(panel.close[:, 1], [10, np.nan, 11])
    np.testing.assert_array_equal(panel.series["VIX"], [16, np.nan, 21])
