"""The state of the market on two axes: how much it moves, and whether it goes anywhere.

Each axis is a Schmitt trigger: it is entered at one threshold and left at a lower one, and stays
as it is in between, so that a value that lingers at an edge does not flip the state on every bar.
It also keeps each state for a minimum of bars. Both axes are read from the last `TAIL` bars.

The volatility axis is the mean close-to-close move of 14 bars over its own median of 100: 1.4
times the usual is high, and stays so until it is below 1.3. Closes alone, so that it means the
same for a symbol that has only those.

The trend axis is the t-statistic of the last 50 returns. In a market without drift it is beyond 2,
either way, on one bar in twenty, the usual threshold of "not by chance", and beyond 1.5 on one in
seven: a band of half a standard error for a trend to pause in.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from domain.market import Regime, Trend, Vol
from domain.values import FloatArray
from market.features.base import log_return, mean, median, shared, tail, volatility
from market.features.technical import close_range
from market.panel import Panel

MEDIAN = 100
"""Bars whose median is the usual move."""
DRIFT = 50
"""Returns that a trend is read from."""
VOL_IN, VOL_OUT = 1.4, 1.3
TREND_IN, TREND_OUT = 2.0, 1.5
DWELL = 3
"""Bars that an axis keeps a state at least."""
GATES = {
    (Vol.CALM, Trend.TREND): 0.52,
    (Vol.CALM, Trend.CHOP): 0.54,
    (Vol.HIGH, Trend.TREND): 0.55,
    (Vol.HIGH, Trend.CHOP): 0.58,
}
"""The least probability of a directional signal: the harder the market is to read, the more."""

Flags = NDArray[np.bool_]


# what is measured


@shared
def vol_ratio(panel: Panel) -> FloatArray:
    """Return the mean move of 14 bars over its median of 100, shape (T, S)."""
    move = close_range(panel)
    return move / median(move, MEDIAN)


@shared
def trend_z(panel: Panel) -> FloatArray:
    """Return the t-statistic of the last 50 log returns, shape (T, S); its sign is the way."""
    return mean(log_return(panel), DRIFT) / volatility(panel, DRIFT) * sqrt(DRIFT)


# what follows from it


def _turns(start: int, stop: int, rise: bytes, fall: bytes) -> list[int]:
    """Return the places from `start` to `stop` at which an axis turns on, off, on..., in order."""
    turns: list[int] = []
    while (at := (fall if len(turns) % 2 else rise).find(1, start, stop)) >= 0:
        turns.append(at)
        start = at + DWELL
    return turns


def schmitt(x: FloatArray, enter: float, leave: float) -> Flags:
    """Return when each column is on: from `enter` upward, until below `leave`, `DWELL` at least.

    Jumps from turn to turn instead of stepping from bar to bar: there are few turns.

    Parameters
    ----------
    x
        Shape (T, S). A column starts off, free to turn. An unknown value turns nothing; it is
        for the caller to call that bar unknown.
    """
    flat = np.ascontiguousarray(x.T).ravel()  # column after column
    rise, fall = (flat >= enter).tobytes(), (flat < leave).tobytes()  # unknown is neither
    change = np.zeros(flat.shape, dtype=np.int64)
    bars, columns = x.shape
    for column in range(columns):
        change[_turns(column * bars, (column + 1) * bars, rise, fall)] = 1
    return np.cumsum(change.reshape(columns, bars), axis=1).T % 2 == 1


def _high(ratio: FloatArray) -> Flags:
    return schmitt(ratio, VOL_IN, VOL_OUT)


def _trending(z: FloatArray) -> Flags:
    return schmitt(np.abs(z), TREND_IN, TREND_OUT)


@shared
def high_vol(panel: Panel) -> FloatArray:
    """Return 1 where volatility is high, 0 where it is calm, NaN where it is unknown."""
    ratio = vol_ratio(panel)
    return np.where(np.isnan(ratio), np.nan, _high(ratio))


@shared
def trending(panel: Panel) -> FloatArray:
    """Return 1 in a trend, 0 in chop, NaN where it is unknown."""
    z = trend_z(panel)
    return np.where(np.isnan(z), np.nan, _trending(z))


def _runs(state: NDArray[np.int64]) -> tuple[NDArray[np.int64], Flags]:
    """Return how many bars each state has lasted by then, and whether it began on that bar."""
    changed = np.zeros(len(state), dtype=np.bool_)
    changed[1:] = state[1:] != state[:-1]
    place = np.arange(len(state))
    return place - np.maximum.accumulate(np.where(changed, place, 0)) + 1, changed


def _known(ratio: FloatArray, z: FloatArray) -> NDArray[np.int64]:
    return np.flatnonzero(~(np.isnan(ratio) | np.isnan(z)))


def _regime(state: int, bars: int, alarm: bool, ratio: float, z: float) -> Regime:
    vol, trend = (Vol.HIGH if state & 2 else Vol.CALM), (Trend.TREND if state & 1 else Trend.CHOP)
    return Regime(
        vol=vol,
        trend=trend,
        gate=GATES[vol, trend],
        bars=bars,
        alarm=alarm,
        vol_ratio=ratio,
        trend_z=z,
    )


def path(vol_ratio: FloatArray, trend_z: FloatArray) -> list[Regime | None]:
    """Return the regime of one symbol at every bar, None where either axis is unknown.

    Parameters
    ----------
    vol_ratio, trend_z
        Shape (T,), oldest first.

    Examples
    --------
    >>> ratio = np.array([1.0, 1.35, 1.4, 1.35, 1.35, 1.2])
    >>> [str(state.vol) for state in path(ratio, np.zeros(6)) if state]
    ['calm', 'calm', 'high', 'high', 'high', 'calm']
    """
    ratio, z = np.asarray(vol_ratio, dtype=np.float64), np.asarray(trend_z, dtype=np.float64)
    state = 2 * _high(ratio[:, None])[:, 0] + _trending(z[:, None])[:, 0]
    known = _known(ratio, z)
    bars, alarm = _runs(state[known])
    out: list[Regime | None] = [None] * len(ratio)
    rows = zip(known, state[known], bars, alarm, strict=True)
    for at, code, lasted, began in rows:
        out[at] = _regime(int(code), int(lasted), bool(began), float(ratio[at]), float(z[at]))
    return out


def latest(panel: Panel) -> dict[str, Regime]:
    """Return the regime of every symbol at the newest bar, without those where it is unknown.

    Read from the last `TAIL` bars alone, so that a worker, a replay and an audit see the same.
    `Regime.bars` counts no further back than those.
    """
    cut = tail(panel)
    if not len(cut):
        return {}
    ratio, z = vol_ratio(cut), trend_z(cut)
    known = ~(np.isnan(ratio) | np.isnan(z))
    state = 2 * _high(ratio) + _trending(z)
    other = known & (state != state[-1])
    changed = other.any(axis=0)
    last = len(cut) - 1 - np.argmax(other[::-1], axis=0)  # the newest bar of another state
    seen = np.cumsum(known, axis=0)
    before = np.where(changed, seen[last, np.arange(len(cut.symbols))], 0)
    lasted = (seen[-1] - before).tolist()
    return {
        symbol: _regime(
            int(state[-1, column]),
            lasted[column],
            lasted[column] == 1 and bool(changed[column]),
            float(ratio[-1, column]),
            float(z[-1, column]),
        )
        for column, symbol in enumerate(cut.symbols)
        if known[-1, column]
    }


def newest(panel: Panel, symbol: str) -> Regime | None:
    """Return the regime of one symbol at the newest bar, None where it is unknown.

    All symbols are read at once and kept in the panel's memo. Raises `KeyError` for a symbol that
    the panel does not have.
    """
    panel.column(symbol)
    if latest not in panel.memo:
        panel.memo[latest] = latest(panel)
    return panel.memo[latest].get(symbol)
