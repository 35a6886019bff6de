"""Panels to learn from: the packaged history, and small ones whose truth is known."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from domain.settings import Settings
from market.feeds.packaged import Packaged
from market.panel import Panel
from storage import engine
from storage.engine import Store

END = datetime(2018, 12, 31, 21, tzinfo=UTC)


@pytest.fixture(scope="session")
def packaged() -> Panel:
    return Packaged().panel()


@pytest.fixture(scope="session")
def made() -> Callable[..., Panel]:
    """Return `make`, which makes a panel of one index in which VIX does, or does not, tell.

    VIX jumps between 9 and 24 every few sessions. Where it `tells` nothing, the index moves as
    much as VIX implies and survivals do not depend on it; where it does, the index always moves
    as if VIX were 14, so that strikes placed by a VIX of 24 hold and those by a VIX of 9 do not.
    """

    def make(tells: bool, seed: int = 0, sessions: int = 700) -> Panel:
        rng = np.random.default_rng(seed)
        days = np.arange("2010-01-04", "2019-01-01", dtype="datetime64[D]")
        days = days[np.is_busday(days)][:sessions]
        times = days.astype("datetime64[s]") + np.timedelta64(21, "h")
        calm = rng.random(sessions // 8 + 1) < 0.5
        vix = np.where(np.repeat(calm, 8)[:sessions], 9.0, 24.0) + rng.random(sessions)
        deviation = np.where(tells, 14.0, vix) / 100 / np.sqrt(252)
        moves = np.concatenate([[0.0], (rng.normal(size=sessions) * deviation)[:-1]])
        close = (2000 * np.exp(np.cumsum(moves)))[:, None]
        unknown = np.full((sessions, 1), np.nan)
        return Panel(times, ("SPX",), unknown, unknown, unknown, close, unknown, {"VIX": vix})

    return make


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = engine.open_store(Settings(home=tmp_path / "home"))
    yield opened
    opened.close()
