"""What the desk sees at one bar: computed once, for every bot and symbol that decides on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from domain.book import Exposure
from domain.bot import Factor
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
    )


def surface(tail: Panel, bar: datetime) -> Surface | None:
    """Return the implied volatility of the index at the newest bar, or None without its VIX."""
    vix, close = tail.series.get("VIX"), tail.close[:, 0]
    if vix is None or len(tail) < 23 or not np.isfinite(vix[[-1, -6]]).all():
        return None
    moves = np.diff(np.log(close[-22:]))
    if not np.isfinite(moves).all():
        return None
    annual = 100 * np.sqrt(pricing.SESSIONS_PER_YEAR)
    return pricing.surface(
        tail.symbols[0],
        bar,
        float(close[-1]),
        float(vix[-1]),
        float(annual * np.std(moves[-5:], ddof=1)),
        float(annual * np.std(moves, ddof=1)),
        float(np.log(vix[-1] / vix[-6])),
        bar.weekday() == 4,
        vix1d=_newest(tail, "VIX1D"),
        vix9d=_newest(tail, "VIX9D"),
    )


def _newest(tail: Panel, name: str) -> float | None:
    values = tail.series.get(name)
    return None if values is None or not np.isfinite(values[-1]) else float(values[-1])
