"""Panels to test features on."""

from collections.abc import Mapping

import numpy as np

from domain.values import FloatArray
from market.panel import Panel

MONDAY = np.datetime64("2014-01-06T21:00:00", "s")
DAY = np.timedelta64(1, "D")


def sessions(bars: int, start: np.datetime64 = MONDAY) -> np.ndarray:
    """Return weekdays in a row at 21:00 UTC."""
    first = np.busday_offset(start.astype("datetime64[D]"), np.arange(bars), roll="forward")
    return first.astype("datetime64[s]") + np.timedelta64(21, "h")


def closes(close: FloatArray, **series: FloatArray) -> Panel:
    """Return a panel of closes alone, shape (T,) or (T, S)."""
    close = np.asarray(close, dtype=np.float64)
    close = close[:, None] if close.ndim == 1 else close
    nothing = np.full(close.shape, np.nan)
    symbols = tuple(f"S{i}" for i in range(close.shape[1]))
    return Panel(
        sessions(len(close)), symbols, nothing, nothing, nothing, close, nothing, series
    )


def market(
    bars: int = 500, symbols: int = 3, seed: int = 7, closes_only: bool = False, gex: bool = True
) -> Panel:
    """Return a random market whose volatility comes and goes, with every series there is.

    With `closes_only` the symbols after the first have neither bars nor volume.
    """
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    calm = np.exp(0.6 * np.sin(np.arange(bars) / 25.0))[:, None]
    common = rng.standard_normal((bars, 1))
    returns = 0.008 * calm * (0.6 * common + 0.8 * rng.standard_normal(shape))
    close = 1000.0 * np.exp(np.cumsum(returns, axis=0))
    before = np.vstack([close[:1], close[:-1]])
    open_ = before * np.exp(0.002 * rng.standard_normal(shape))
    high = np.maximum(open_, close) * np.exp(0.004 * rng.random(shape))
    low = np.minimum(open_, close) * np.exp(-0.004 * rng.random(shape))
    volume = rng.lognormal(12.0, 0.4, shape)
    if closes_only:
        for field in (open_, high, low, volume):
            field[:, 1:] = np.nan
    vix = 14.0 * calm[:, 0] * np.exp(0.05 * rng.standard_normal(bars))
    series: dict[str, FloatArray] = {"VIX": vix, "VIX1D": vix * rng.uniform(0.7, 1.2, bars)}
    if gex:
        series |= {
            "GEX_NET": 5.0 * rng.standard_normal(bars),
            "GEX_FLIP": close[:, 0] * rng.uniform(0.95, 1.02, bars),
            "GEX_CALL_WALL": close[:, 0] * rng.uniform(0.99, 1.05, bars),
            "GEX_PUT_WALL": close[:, 0] * rng.uniform(0.9, 1.01, bars),
        }
    names = tuple(f"S{i}" for i in range(symbols))
    return Panel(sessions(bars), names, open_, high, low, close, volume, series)


def replaced(panel: Panel, series: Mapping[str, FloatArray] | None = None, **fields: FloatArray) -> Panel:
    """Return a panel with other arrays and an empty memo."""
    parts = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
    return Panel(
        panel.times, panel.symbols, **(parts | fields), series=panel.series if series is None else series
    )


def whole(panel: Panel) -> Panel:
    """Return the same panel with nothing remembered."""
    return panel.rows(0, len(panel))
