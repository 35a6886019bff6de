"""Finding 5: the VIX close of a day was used to decide within that day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from market import window
from market.feeds.files import Files


def test_the_vix_close_of_today_is_unknown_before_the_close(tmp_path: Path) -> None:
    stamps = pd.date_range("2018-12-04 09:30", periods=78, freq="5min")
    rows = [f"{stamp},{2790 - i}" for i, stamp in enumerate(stamps)]
    (tmp_path / "SPX.csv").write_text("\n".join(("timestamp,close", *rows)))
    (tmp_path / "VIX.csv").write_text("date,close\n2018-12-03,16.44\n2018-12-04,20.74\n")
    panel = Files(tmp_path, timezone="America/New_York").panel()
    vix = panel.series["VIX"]
    assert vix[:-1].tolist() == [16.44] * 77
    assert (str(panel.times[-1]), vix[-1]) == ("2018-12-04T21:00:00", 20.74)


def test_a_bar_is_unknown_while_it_lasts(tmp_path: Path) -> None:
    (tmp_path / "SPX.csv").write_text(
        "timestamp,close\n2018-12-04T14:30:00Z,2790\n2018-12-04T14:35:00Z,2780\n"
    )
    panel = Files(tmp_path).panel()
    start = datetime(2018, 12, 4, 14, 35, tzinfo=UTC)
    assert window.until(panel, start).close[:, 0].tolist() == [2790.0]
    ending = start + timedelta(minutes=5)
    assert len(window.until(panel, ending - timedelta(seconds=1))) == 1
    assert len(window.until(panel, ending)) == 2
    assert not np.isnan(panel.close).any()
