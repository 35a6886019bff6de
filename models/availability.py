"""Whether a model can be trained here at all, and what is to be done where it cannot.

No failure: nothing is wrong with a model whose data was never imported, and trying again does not
help. Whoever would ask it holds, and says this.
"""

from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from market import window
from market.panel import Panel
from models import catalog

if TYPE_CHECKING:
    from market.feeds.base import Feed

GEX, CHAINS = "import a GEX history", "import a history of option chains"
IMPORTS = {
    "GEX_NET": GEX,
    "GEX_FLIP": CHAINS,
    "GEX_CALL_WALL": CHAINS,
    "GEX_PUT_WALL": CHAINS,
    "GEX_MAGNET_1": CHAINS,
    "GEX_MAGNET_2": CHAINS,
    "MINUTE": "import bars within sessions of the index, beside its daily ones",
}
"""What to do about a series that is not there."""
LIBRARIES = {"deep": "torch"}
"""What an extra brings that training needs."""


def unavailable(name: str, panel: Panel, asof: datetime) -> str:
    """Return what must be got before a model can be trained, or "" where nothing must.

    Examples
    --------
    >>> from datetime import UTC
    >>> from market.feeds.packaged import Packaged
    >>> unavailable("wisdom", Packaged().panel(), datetime(2018, 1, 5, tzinfo=UTC))
    ''
    """
    model = catalog.entry(name).load()
    if lacking_extra(model.extra):
        return f"it needs the extra `{model.extra}` (`make {model.extra}`)"
    if model.target.universe == "stocks" and len(panel.symbols) == 1:
        return f"the feed has only {panel.symbols[0]}; import stocks to learn of them"
    known = window.until(panel, asof)
    lacking = [
        series
        for series in model.requires
        if not np.isfinite(known.series.get(series, np.nan)).any()
    ]
    return "; ".join(dict.fromkeys(IMPORTS.get(series, f"no {series}") for series in lacking))


def bars(name: str, feed: "Feed") -> Panel:
    """Return the panel that a model learns from: its bars are those that its target counts."""
    return feed.by(catalog.entry(name).target.unit)


def lacking(name: str, feed: "Feed", asof: datetime) -> str:
    """Return what a feed must get before a model can be trained on it; see `unavailable`."""
    return unavailable(name, bars(name, feed), asof)


def lacking_extra(extra: str) -> bool:
    """Return whether an extra that is named is not installed."""
    return bool(extra) and find_spec(LIBRARIES[extra]) is None
