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
    return Panel(sessions(len(close)), symbols, nothing, nothing, nothing, close, nothing, series)


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
    minute = 5.0 * (np.arange(bars) % 78 + 1)
    series: dict[str, FloatArray] = {
        "MINUTE": minute,
        "VIX": vix,
        "VIX1D": vix * rng.uniform(0.7, 1.2, bars),
    }
    if gex:
        series |= {
            "GEX_NET": 5.0 * rng.standard_normal(bars),
            "GEX_FLIP": close[:, 0] * rng.uniform(0.95, 1.02, bars),
            "GEX_CALL_WALL": close[:, 0] * rng.uniform(0.99, 1.05, bars),
            "GEX_PUT_WALL": close[:, 0] * rng.uniform(0.9, 1.01, bars),
            "GEX_MAGNET_1": close[:, 0] * rng.uniform(0.97, 1.005, bars),
            "GEX_MAGNET_2": close[:, 0] * rng.uniform(0.997, 1.03, bars),
            "CHAIN_CALLS": 60.0 * rng.lognormal(0.0, 0.3, bars),
            "CHAIN_PUTS": -60.0 * rng.lognormal(0.0, 0.3, bars),
        }
    series |= {
        "VIX9D": vix * rng.uniform(0.8, 1.1, bars),
        "VIX3M": vix * rng.uniform(1.0, 1.2, bars),
        "VVIX": 90.0 * rng.lognormal(0.0, 0.1, bars),
        "SKEW": 130.0 * rng.lognormal(0.0, 0.05, bars),
        "DIX": rng.uniform(0.38, 0.5, bars),
        "PUT_CALL": rng.lognormal(-0.4, 0.2, bars),
        "PUT_CALL_INDEX": rng.lognormal(0.1, 0.2, bars),
        "CHAIN_NET": 20.0 * rng.standard_normal(bars),
        "CHAIN_IV": 0.85 * vix * rng.uniform(0.9, 1.1, bars),
        "CHAIN_SKEW": 4.0 + rng.standard_normal(bars),
    }
    names = tuple(f"S{i}" for i in range(symbols))
    return Panel(sessions(bars), names, open_, high, low, close, volume, series)


def waves(bars: int = 450) -> Panel:
    """Return a market of two symbols that is the same on every machine: sines, no generator."""
    t = np.arange(float(bars))[:, None]
    phase = np.array([[0.0, 1.0]])
    close = 1000.0 * np.exp(
        0.1 * np.sin(t / 20.0 + phase)
        + 0.01 * np.sin(1.7 * t + 3.0 * phase) * (1.5 + np.sin(t / 31.0))
        + 0.004 * np.sin(t**2)
    )
    before = np.vstack([close[:1], close[:-1]])
    open_ = before * (1.0 + 0.002 * np.sin(3.1 * t))
    high = np.maximum(open_, close) * (1.002 + 0.001 * np.sin(2.3 * t))
    low = np.minimum(open_, close) * (0.998 - 0.001 * np.cos(1.9 * t))
    volume = 1e6 * (2.0 + np.sin(0.9 * t + phase))
    vix, spot = (16.0 + 4.0 * np.sin(t / 17.0) + np.sin(2.7 * t))[:, 0], close[:, 0]
    series = {
        "MINUTE": 5.0 * (t[:, 0] % 78 + 1),
        "VIX": vix,
        "VIX1D": vix * (0.9 + 0.1 * np.sin(1.3 * t[:, 0])),
        "GEX_NET": 5.0 * np.sin(t[:, 0] / 3.0),
        "GEX_FLIP": 0.98 * spot,
        "GEX_CALL_WALL": 1.03 * spot,
        "GEX_PUT_WALL": 0.97 * spot,
        "GEX_MAGNET_1": 0.995 * spot,
        "GEX_MAGNET_2": 1.008 * spot,
        "CHAIN_CALLS": 60.0 + 10.0 * np.sin(t[:, 0] / 5.0),
        "CHAIN_PUTS": -45.0 - 9.0 * np.cos(t[:, 0] / 7.0),
        "VIX9D": vix * (0.93 + 0.08 * np.sin(1.1 * t[:, 0])),
        "VIX3M": vix * (1.1 + 0.05 * np.cos(0.7 * t[:, 0])),
        "VVIX": 90.0 + 12.0 * np.sin(0.37 * t[:, 0]),
        "SKEW": 135.0 + 9.0 * np.cos(0.23 * t[:, 0]),
        "DIX": 0.44 + 0.03 * np.sin(0.41 * t[:, 0]),
        "PUT_CALL": 0.65 + 0.1 * np.sin(0.53 * t[:, 0]),
        "CHAIN_IV": 0.84 * vix,
        "CHAIN_SKEW": 4.0 + np.sin(0.61 * t[:, 0]),
    }
    return Panel(sessions(bars), ("S0", "S1"), open_, high, low, close, volume, series)


def replaced(
    panel: Panel, series: Mapping[str, FloatArray] | None = None, **fields: FloatArray
) -> Panel:
    """Return a panel with other arrays and an empty memo."""
    parts = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
    return Panel(
        panel.times,
        panel.symbols,
        **(parts | fields),
        series=panel.series if series is None else series,
    )


def whole(panel: Panel) -> Panel:
    """Return the same panel with nothing remembered."""
    return panel.rows(0, len(panel))
