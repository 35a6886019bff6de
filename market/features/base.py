"""What a feature is, and the rolling steps that features are made of.

Every step works on arrays of shape (T, S), oldest bar first, and looks back only. NaN is
"unknown": it spreads to whatever needs it, within its own column, and never becomes a zero.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce, wraps
from typing import Any, Concatenate, Literal, ParamSpec

import bottleneck as bn
import numpy as np
from numpy.typing import NDArray

from domain.values import FloatArray
from market import window
from market.panel import Panel

P = ParamSpec("P")
Columns = NDArray[np.integer[Any]]
Step = Callable[Concatenate[Panel, P], FloatArray]
Group = Literal[
    "price",
    "volume",
    "technical",
    "statistical",
    "sequence",
    "regime",
    "seasonality",
    "options",
    "gex",
    "within",
]

TAIL = 400
"""Bars that the newest value of every feature is made of.

The slowest feature (an EWM of span 50) then differs from its value over all history by 1e-7 of
its standard deviation; 250 bars would give 1e-4.
"""

YEAR = float(np.sqrt(252.0))
"""From one bar's volatility to a year's, a bar being a session."""

FLAT = 1e-7
"""Standard deviation, as a share of the level, below which a series does not move.

Rolling sums leave residues near 1e-8 of the level behind them, so exactly zero would be luck.
"""


FIELDS = ("open", "high", "low", "close", "volume")
SIGNED = frozenset({"GEX_NET", "CHAIN_NET", "CHAIN_PUTS", "CHAIN_SKEW"})
"""Inputs that may be zero or negative; every other level must be positive."""


@dataclass(frozen=True)
class Feature:
    """One number per symbol and bar, made of what was known when the bar closed.

    Parameters
    ----------
    name
        Unique in the catalog.
    group
        The module it is written in.
    units
        What one unit is, for people: ``fraction``, ``percent``, ``0..100``, ``sigmas``...
    warmup
        Bars of every need, the newest included, that must be known within the last `TAIL` before
        the value is. At most `TAIL`.
    needs
        Inputs: ``open``, ``high``, ``low``, ``close``, ``volume`` of the symbol, ``benchmark``
        for the close of the panel's first symbol, or the name of a series such as ``VIX``.
    compute
        From a panel to an array of shape (T, S), or (T, 1) where all symbols share the value.
    version
        Raised whenever the code changes a value. It enters the schema hash, so that no model
        is ever served a feature other than the one it learnt from.
    current
        Needs of which only the newest bar is read, and which the warm-up does not count: a series
        that is there on some days only must not be unknown on those.
    """

    name: str
    group: Group
    units: str
    warmup: int
    needs: tuple[str, ...]
    compute: Callable[[Panel], FloatArray]
    version: int = 1
    current: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[str, ...]:
        """The needs that the warm-up counts."""
        return tuple(need for need in self.needs if need not in self.current)


def shared(step: Step[P]) -> Step[P]:
    """Compute a step once per panel and arguments; features that share it share the array."""

    @wraps(step)
    def once(panel: Panel, /, *args: P.args, **kwargs: P.kwargs) -> FloatArray:
        key = (step, args, *kwargs.items())
        found = panel.memo.get(key)
        if found is None:
            found = panel.memo[key] = step(panel, *args, **kwargs)
        return found

    return once


def tail(panel: Panel) -> Panel:
    """Return the last `TAIL` bars, the same object every time, so that its memo is shared."""
    if len(panel) <= TAIL:
        return panel
    if tail not in panel.memo:
        panel.memo[tail] = window.until(panel, closed(panel, -1), TAIL)
    return panel.memo[tail]


def closed(panel: Panel, bar: int) -> datetime:
    """Return when a bar closed, as a moment that `market.window` cuts at."""
    return datetime.fromtimestamp(int(panel.times[bar].astype(np.int64)), UTC)


# inputs


@shared
def value(panel: Panel, need: str) -> FloatArray:
    """Return an input by its name, NaN where it is unknown or cannot be.

    A price or a VIX must be positive, a volume not negative. One infinite or zero price would
    otherwise stay in every rolling sum after it.
    """
    if need == "benchmark":
        return value(panel, "close")[:, :1]
    if need in FIELDS:
        raw: FloatArray = getattr(panel, need)
    elif need in panel.series:
        raw = np.asarray(panel.series[need], dtype=np.float64)[:, None]
    else:
        return np.full((len(panel), 1), np.nan)
    valid = np.isfinite(raw)
    if need == "volume":
        valid &= raw >= 0
    elif need not in SIGNED:
        valid &= raw > 0
    return raw if valid.all() else np.where(valid, raw, np.nan)


@shared
def bars(panel: Panel, need: str) -> FloatArray:
    """Count the bars at which a need is known, among the last `TAIL`."""
    known = ~np.isnan(value(panel, need))
    if known.all():
        return np.minimum(np.arange(1.0, len(panel) + 1), TAIL)[:, None]
    return bn.move_sum(known.astype(np.float64), min(TAIL, len(panel)), min_count=1, axis=0)


@shared
def ready(panel: Panel, needs: tuple[str, ...]) -> FloatArray:
    """Count the bars at which the scarcest of several needs is known, among the last `TAIL`."""
    counts = [bars(panel, need) for need in needs]
    return reduce(np.minimum, counts) if counts else np.arange(1.0, len(panel) + 1)[:, None]


def narrowed(panel: Panel, needs: tuple[str, ...]) -> tuple[Panel, Columns]:
    """Return the panel of only those symbols that have every need at some bar, and their columns.

    Where one symbol of twenty has highs and lows, what needs them then costs a twentieth.
    """
    key = (narrowed, needs)
    if key not in panel.memo:
        panel.memo[key] = _narrowed(panel, needs)
    return panel.memo[key]


def _narrowed(panel: Panel, needs: tuple[str, ...]) -> tuple[Panel, Columns]:
    everyone = np.arange(len(panel.symbols))
    if "benchmark" in needs or not set(needs) & set(FIELDS):  # its column has to stay the first
        return panel, everyone
    having = np.broadcast_to(ready(panel, needs) > 0.0, (len(panel), len(everyone))).any(axis=0)
    columns = np.flatnonzero(having)
    if len(columns) == len(everyone):
        return panel, everyone
    key = (narrowed, columns.tobytes())
    if key not in panel.memo:
        cut = {field: getattr(panel, field)[:, columns] for field in FIELDS}
        symbols = tuple(panel.symbols[column] for column in columns)
        panel.memo[key] = replace(panel, symbols=symbols, memo={}, **cut)
    return panel.memo[key], columns


@shared
def log_close(panel: Panel, need: str = "close") -> FloatArray:
    """Return the logarithm of the close."""
    return np.log(value(panel, need))


@shared
def log_return(panel: Panel, n: int = 1, need: str = "close") -> FloatArray:
    """Return the log return over n bars."""
    return difference(log_close(panel, need), n)


@shared
def change(panel: Panel, n: int = 1, need: str = "close") -> FloatArray:
    """Return the simple return over n bars, a fraction."""
    level = value(panel, need)
    return level / lag(level, n) - 1.0


@shared
def volatility(panel: Panel, n: int, need: str = "close") -> FloatArray:
    """Return the standard deviation of the last n log returns, per bar, not annualised."""
    return deviation(log_return(panel, need=need), n)


# steps


def lag(x: FloatArray, n: int) -> FloatArray:
    """Return the values of n bars earlier."""
    out = np.empty(x.shape)
    out[:n] = np.nan
    out[n:] = x[: max(len(x) - n, 0)]
    return out


def difference(x: FloatArray, n: int = 1) -> FloatArray:
    """Return how much x changed over n bars."""
    out = np.empty(x.shape)
    out[:n] = np.nan
    np.subtract(x[n:], x[: max(len(x) - n, 0)], out=out[n:])
    return out


def ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return a / b, unknown where b is zero: no infinity may enter a rolling sum."""
    out = a / b
    np.copyto(out, np.nan, where=b == 0.0)
    return out


def _rolling(move: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
    """Make a bottleneck function give unknown, instead of raising, when bars are too few."""

    def over(x: FloatArray, n: int, **options: int) -> FloatArray:
        return np.full(x.shape, np.nan) if len(x) < n else move(x, n, axis=0, **options)

    return over


mean = _rolling(bn.move_mean)
highest = _rolling(bn.move_max)
lowest = _rolling(bn.move_min)
median = _rolling(bn.move_median)
rank = _rolling(bn.move_rank)
_std = _rolling(bn.move_std)


def deviation(x: FloatArray, n: int, level: FloatArray | None = None) -> FloatArray:
    """Return the sample standard deviation of the last n values, unknown where they are flat.

    Parameters
    ----------
    level
        What `FLAT` is a share of; 1 if left out, as is right for log returns.
    """
    out = _std(x, n, ddof=1)
    floor = FLAT if level is None else FLAT * np.abs(level)
    np.copyto(out, np.nan, where=out <= floor)
    return out


def percentile(x: FloatArray, n: int) -> FloatArray:
    """Return the share of the last n values below the newest, ties halved, 0 to 1.

    Unknown where none of them differs.
    """
    return np.where(highest(x, n) > lowest(x, n), (rank(x, n) + 1.0) / 2.0, np.nan)


def _smooth(x: FloatArray, alpha: float) -> FloatArray:
    """Return the EWM of columns without gaps, seeded with their first value.

    ``y[t] = sum of q**k * x[t-k]`` is summed by doubling: after the m-th step, y holds the newest
    2**m terms. Eleven steps over 1,257 bars, each two passes, and nothing but elementwise
    arithmetic, so a value never depends on what comes after it, to the last bit. A product with a
    blocked triangular matrix takes half as long again and leaves that to the BLAS.
    """
    q = 1.0 - alpha
    y = alpha * x
    y[:1] = x[:1]
    older = np.empty_like(y)
    step = 1
    while step < len(x) and (weight := q**step) > 1e-18:
        y[step:] += np.multiply(y[:-step], weight, out=older[step:])
        step *= 2
    return y


def ewm(x: FloatArray, alpha: float) -> FloatArray:
    """Return the exponentially weighted mean ``y += alpha * (x - y)``, per column.

    Starts with the first known value. A bar at which x is unknown is stepped over: unknown there,
    going on after it.
    """
    known = ~np.isnan(x)
    if known.all():
        return _smooth(x, alpha)
    out = np.full(x.shape, np.nan)
    first = int(np.argmax(known.any(axis=1)))
    body, known = x[first:], known[first:]
    if known.all():
        out[first:] = _smooth(body, alpha)
        return out
    # close the gaps of each column, smooth, and open them again
    place = np.maximum(np.cumsum(known, axis=0) - 1, 0)
    at, column = np.nonzero(known)
    packed = np.zeros(body.shape)
    packed[place[at, column], column] = body[at, column]
    smooth = np.take_along_axis(_smooth(packed, alpha), place, axis=0)
    np.copyto(out[first:], smooth, where=known)
    return out
