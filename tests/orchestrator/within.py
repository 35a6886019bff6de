"""A feed with bars within sessions: the packaged days, and five minutes that make some of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from market import calendar, window
from market.feeds.base import Feed, History
from market.panel import Panel
from market.quality import Quarantined
from tests.orchestrator.made import packaged

FIVE = timedelta(minutes=5)
WEEK = calendar.sessions(date(2016, 3, 7), date(2016, 3, 11))
TODAY = date(2016, 3, 9)


def at(minutes: int, day: date = TODAY) -> datetime:
    """Return the moment so many minutes after a session's open."""
    return calendar.opens(day) + timedelta(minutes=minutes)


class Within(Feed):
    """Daily bars of all symbols, and bars of five minutes of the index."""

    name = "within"
    title = "Daily bars, and bars within sessions"
    real = ()
    simulated = ("all of it",)

    def __init__(
        self, panel: Panel, within: Panel, quarantined: tuple[Quarantined, ...] = ()
    ) -> None:
        self._panels, self._aside = (panel, within), quarantined

    def load(self) -> History:
        panel, within = self._panels
        return History(panel, self._aside, "daily", FIVE, within)


def five_minutes(days: Sequence[date] = WEEK, seed: int = 7) -> Panel:
    """Return bars of five minutes that wander from each day's open to its close."""
    panel, rng = packaged().panel(), np.random.default_rng(seed)
    times, rows = [], []
    for day in days:
        closes = calendar.closes(day)
        place = window.index(panel, closes)
        n = (closes - calendar.opens(day)) // FIVE
        steps = rng.normal(0.0, 0.0005, n)
        path = np.r_[0.0, np.cumsum(steps - steps.mean())]
        ends = np.log([panel.open[place, 0], panel.close[place, 0]])
        level = np.exp(ends[0] + (ends[1] - ends[0]) * np.arange(n + 1) / n + path)
        times += [at(5 * (k + 1), day).replace(tzinfo=None) for k in range(n)]
        bar = np.stack([level[:-1], level[1:]])
        rows.append(np.stack([bar[0], bar.max(axis=0) + 0.25, bar.min(axis=0) - 0.25, bar[1]]))
    opened, high, low, close = np.concatenate(rows, axis=1)[:, :, None]
    return Panel(
        times=np.array(times, "datetime64[s]"),
        symbols=("SPX",),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=np.full(close.shape, np.nan),
    )


def scanning(days: Sequence[date] = WEEK, **series: np.ndarray) -> Within:
    """Return the packaged days with bars within some of them, and levels printed there."""
    return Within(packaged().panel(), replace(five_minutes(days), series=series))


def known(feed: Within, asof: datetime) -> Within:
    """Return the feed as it was at a moment: nothing of what came after it is there."""
    panel, within = feed.panel(), feed.within()
    assert within is not None
    return Within(window.until(panel, asof), window.until(within, asof))
