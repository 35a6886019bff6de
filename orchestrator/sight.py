"""What the desk sees at one bar: computed once, for every bot and symbol that decides on it.

Within a session it sees prices of the moment, and features, regimes and correlations of the last
session that has closed: those its models have learned from. Of a day that goes on nothing else is
known but what its bars show, to those models that learned from bars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from domain.book import Exposure
from domain.bot import Factor
from domain.errors import DataError
from domain.market import Regime, Surface
from domain.values import FloatArray
from market import pricing, regime, window
from market.features import compute
from market.panel import Panel
from risk import correlation

HALF_LIFE = 60
"""Sessions after which a day counts half in the correlations."""
SESSIONS = 250
"""Days of returns the correlations look at; the oldest then weighs 6 % of the newest."""


@dataclass(frozen=True)
class Sight:
    """One bar of the whole panel.

    Attributes
    ----------
    bar
        Close of the newest bar.
    daily
        Close of the bar that features, regimes and correlations are of; `bar` but within a session.
    scanning
        Symbols whose newest bar is within the session.
    features
        By symbol and name; what is unknown is not in it.
    surface
        Of the index, the panel's first symbol; None where its VIX is unknown.
    matrix
        Correlations of the factors of all symbols: their returns first, then how far they moved.
    """

    bar: datetime
    symbols: tuple[str, ...]
    prices: Mapping[str, float]
    features: Mapping[str, Mapping[str, float]]
    regimes: Mapping[str, Regime]
    surface: Surface | None
    matrix: FloatArray
    daily: datetime
    scanning: frozenset[str] = frozenset()

    def at(self, symbol: str) -> datetime:
        """Return the close of the newest bar of a symbol: daily ones wait for the session's."""
        return self.bar if symbol in self.scanning else self.daily

    def correlations(
        self, symbol: str, factor: Factor, exposures: Sequence[Exposure]
    ) -> dict[str, float]:
        """Return the correlation with each exposure, by its id; what is unknown is left out."""
        return correlation.against(self.matrix, self.symbols, symbol, factor, exposures)


def moment(panel: Panel, place: int) -> datetime:
    """Return when one bar of a panel closed, in UTC."""
    naive: datetime = panel.times[place].astype("datetime64[s]").item()
    return naive.replace(tzinfo=UTC)


def see(panel: Panel, asof: datetime, names: Sequence[str]) -> Sight:
    """Return what the newest bar of the panel shows, with the named features.

    Only the last `compute.TAIL` bars are looked at: the same number in a backtest and live.
    """
    tail = window.until(panel, asof, compute.TAIL)
    bar = moment(tail, -1)
    closes = tail.close[-1]
    known = {s: float(c) for s, c in zip(tail.symbols, closes, strict=True) if np.isfinite(c)}
    returns = np.diff(np.log(tail.close[-SESSIONS - 1 :]), axis=0)
    return Sight(
        bar=bar,
        symbols=tail.symbols,
        prices=known,
        features=compute.newest(tail, names),
        regimes=regime.latest(tail),
        surface=surface(tail, bar),
        matrix=correlation.matrix(correlation.factors(returns), HALF_LIFE),
        daily=bar,
    )


def glance(sight: Sight, within: Panel, bar: datetime, cut: Surface | None) -> Sight:
    """Return what a bar within the session adds to the last close: prices, and the surface there.

    A symbol without that bar has no price; one that has only daily bars keeps its last.
    """
    row = window.until(within, bar, 1)
    if moment(row, -1) != bar:
        raise DataError(f"no bar within a session closed at {bar}")
    closes = zip(row.symbols, row.close[-1].tolist(), strict=True)
    still = {s: price for s, price in sight.prices.items() if s not in row.symbols}
    return replace(
        sight,
        bar=bar,
        prices=still | {symbol: price for symbol, price in closes if np.isfinite(price)},
        surface=cut,
        scanning=frozenset(row.symbols),
    )


def beside(sight: Sight, own: Mapping[str, Mapping[str, float]]) -> Sight:
    """Return the sight with features of bars within sessions beside those of the last close."""
    if not own:
        return sight
    known = sight.features
    every = {symbol: {**known.get(symbol, {}), **found} for symbol, found in own.items()}
    return replace(sight, features={**known, **every})


def surface(tail: Panel, bar: datetime, within: Panel | None = None) -> Surface | None:
    """Return the implied volatility of the index at the newest bar, or None without its VIX.

    Parameters
    ----------
    tail
        Daily bars that had closed by `bar`.
    bar
        The moment it is of: the last daily close, or a bar within the session after it.
    within
        Bars within sessions up to that moment. The spot is then the last of them, and so is each
        level that is printed within sessions; the others are those of the close before.
    """
    vix, close = tail.series.get("VIX"), tail.close[:, 0]
    if vix is None or len(tail) < 23 or not np.isfinite(vix[[-1, -6]]).all():
        return None
    moves = np.diff(np.log(close[-22:]))
    if not np.isfinite(moves).all():
        return None
    spot, now = float(close[-1]), dict[str, float]()
    if within is not None:
        spot = float(within.close[-1, within.column(tail.symbols[0])])
        now = _printed(within)
    level = now.get("VIX", float(vix[-1]))
    before = vix[-5 if "VIX" in now else -6]
    if not np.isfinite([spot, before]).all():
        return None
    day = bar if "VIX" in now else moment(tail, -1)
    annual = 100 * np.sqrt(pricing.SESSIONS_PER_YEAR)
    return pricing.surface(
        tail.symbols[0],
        bar,
        spot,
        level,
        float(annual * np.std(moves[-5:], ddof=1)),
        float(annual * np.std(moves, ddof=1)),
        float(np.log(level / before)),
        day.weekday() == 4,
        vix1d=now.get("VIX1D", _newest(tail, "VIX1D")),
        vix9d=now.get("VIX9D", _newest(tail, "VIX9D")),
    )


def _printed(within: Panel) -> dict[str, float]:
    """Return the levels that the newest bar within a session knows."""
    newest = {name: float(values[-1]) for name, values in within.series.items()}
    return {name: level for name, level in newest.items() if np.isfinite(level)}


def _newest(tail: Panel, name: str) -> float | None:
    values = tail.series.get(name)
    return None if values is None or not np.isfinite(values[-1]) else float(values[-1])
