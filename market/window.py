"""The only way to cut a panel: what was known at a moment, and nothing later."""

from datetime import datetime

import numpy as np

from domain.errors import DataError
from market.panel import Panel


def _second(moment: datetime) -> int:
    """Return whole seconds since 1970, rounded down; bars close on whole seconds."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; a moment without one cuts nowhere")
    return int(moment.timestamp() // 1)


def _known(panel: Panel, asof: datetime) -> int:
    """Return how many bars had closed by `asof`."""
    return int(panel.times.view(np.int64).searchsorted(_second(asof), side="right"))


def until(panel: Panel, asof: datetime, bars: int | None = None) -> Panel:
    """Return the bars that had closed by `asof`, or only the last `bars` of them.

    The arrays are views. The panel is empty when nothing had closed yet.
    """
    stop = _known(panel, asof)
    return panel.rows(0 if bars is None else max(0, stop - bars), stop)


def between(panel: Panel, start: datetime, stop: datetime) -> Panel:
    """Return the bars that closed from `start` to `stop`, both included."""
    first = int(panel.times.view(np.int64).searchsorted(_ceiling(start), side="left"))
    return panel.rows(first, max(first, _known(panel, stop)))


def _ceiling(moment: datetime) -> int:
    return _second(moment) + (moment.microsecond > 0)


def index(panel: Panel, asof: datetime) -> int:
    """Return the position of the newest bar that had closed by `asof`.

    Raises `DataError` when there is none: -1 would be the last bar of history.
    """
    stop = _known(panel, asof)
    if not stop:
        raise DataError(f"no bar had closed by {asof}; the history starts later")
    return stop - 1
