"""Real history out of installed packages: nothing to download, nothing to configure.

`arch` ships the S&P 500 (open, high, low, close, volume) and VIX, `skfolio` ships twenty stocks
(adjusted closes). Their files are read where they lie: importing either package brings statsmodels
or cvxpy along and takes seconds, which a worker that decides must not pay.
"""

from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domain.errors import ForeignFile
from market.feeds import join
from market.feeds.base import Feed, History
from market.quality import Quarantined, clean
from market.universe import STOCKS

if TYPE_CHECKING:
    import pandas as pd

SP500 = ("arch", "data/sp500/sp500.csv.gz", "%m/%d/%Y")
VIX = ("arch", "data/vix/vix.csv.gz", "%m/%d/%Y")
TWENTY = ("skfolio", "datasets/data/sp500_dataset.csv.gz", "%Y-%m-%d")


def _read(package: str, path: str, dates: str) -> "pd.DataFrame":
    """Read a file that ships inside an installed package, without importing the package."""
    import pandas as pd

    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    file = Path(places[0], path) if places else Path(path)
    if not file.is_file():
        raise ForeignFile(f"{package} does not ship {path}: install the versions of the lock file")
    frame = pd.read_csv(file).rename(columns=str.lower)
    if "date" not in frame:
        raise ForeignFile(f"{file.name} of {package} has no column date: {list(frame.columns)}")
    return frame.rename(columns={"date": "time"}).assign(
        time=lambda f: pd.to_datetime(f["time"], format=dates)
    )


class Packaged(Feed):
    """S&P 500, VIX and twenty stocks, daily, 2014-01-03 to 2018-12-31: 1,257 sessions, no gaps.

    The intersection of the three sources, whole sessions at a time: they overlap without holes, so
    nothing is lost inside.
    """

    name = "packaged"
    title = "real SPX, VIX and 20 stocks, daily 2014-2018, out of installed packages"

    @property
    def real(self) -> tuple[str, ...]:
        return (
            "S&P 500 open, high, low, close and volume, daily (package arch).",
            "VIX closes, daily (package arch).",
            "Adjusted closes of 20 large US stocks, daily (package skfolio); all of them survived "
            "to 2022, so returns of holding them are flattered.",
        )

    @property
    def simulated(self) -> tuple[str, ...]:
        return (
            "Option prices: no option quote is in this data; they are simulated "
            "(Black-76, SPX+VIX term structure, skew).",
            "Gamma exposure: not in this data and not simulated; it is shown as unavailable.",
        )

    def load(self) -> History:
        index = _read(*SP500)
        vix = _read(*VIX).rename(columns={"vix": "close"}).dropna(subset="close")
        stocks = _read(*TWENTY)
        dates = [source["time"].to_numpy() for source in (index, vix, stocks)]
        common = reduce(np.intersect1d, dates)
        raw = {"SPX": index} | {
            symbol: stocks[["time", symbol.lower()]].set_axis(["time", "close"], axis=1)
            for symbol in sorted(STOCKS)
        }
        prices: dict[str, pd.DataFrame] = {}
        quarantined: list[Quarantined] = []
        for symbol, frame in raw.items():
            prices[symbol], bad = clean(frame[frame["time"].isin(common)], symbol)
            quarantined += bad
        levels, bad = clean(vix[vix["time"].isin(common)], "VIX", kind="volatility")
        panel = join.union(prices, {"VIX": join.Levels(levels)})
        return History(panel, (*quarantined, *bad))
