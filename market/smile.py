"""Implied volatility read off a chain: at the money, and what puts cost more than calls.

Both are of the one expiry that settles nearest to 21 sessions ahead, the term of VIX, and of
nothing when no expiry settles within `TERM`: another term is another number.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.values import FloatArray
from market import calendar
from market.chain import Chain

MONTH = 21
TERM = (14, 30)
"""Sessions ahead, fewest and most, that an expiry may settle in to stand for a month."""
WING = 0.25
"""Size of the delta that the skew is read at."""
LEAST_IV, MOST_IV = 0.01, 5.0
"""Between these a volatility is a quote; a missing one looks like 0 or like nonsense."""


class Smile(NamedTuple):
    """Volatilities of the month ahead, in percent per year as VIX is; None where not quoted."""

    atm: float | None = None
    """At spot, between the two strikes around it; calls and puts averaged."""
    skew: float | None = None
    """Of the put with a delta of -0.25, less that of the call with 0.25: positive in fear."""


def measure(chain: Chain) -> Smile:
    """Return the smile of the expiry nearest to 21 sessions ahead.

    Where a settlement carries a strike twice, as where roots have been merged, the two are
    averaged.
    """
    month = _month(chain)
    if month is None:
        return Smile()
    own = (chain.settles == month) & (chain.iv > LEAST_IV) & (chain.iv < MOST_IV)
    call, put = own & chain.call, own & ~chain.call
    down = _at(-chain.delta[put], chain.iv[put], WING)
    up = _at(chain.delta[call], chain.iv[call], WING)
    return Smile(
        atm=_percent(_atm(chain, call, put)),
        skew=None if down is None or up is None else 100.0 * (down - up),
    )


def _month(chain: Chain) -> np.datetime64 | None:
    """Return the settlement nearest to 21 sessions ahead, the later of two as near."""
    settles = np.unique(chain.settles[chain.years > 0])
    ends = calendar.hours().closes
    start = np.searchsorted(ends, np.datetime64(_utc(chain.asof), "s"), side="right")
    ahead = np.searchsorted(ends, settles, side="right") - start
    near = (ahead >= TERM[0]) & (ahead <= TERM[1])
    if not near.any():
        return None
    settles, far = settles[near][::-1], np.abs(ahead[near][::-1] - MONTH)
    return settles[far.argmin()]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _atm(chain: Chain, call: NDArray[np.bool_], put: NDArray[np.bool_]) -> float | None:
    of_calls = _at(chain.strike[call], chain.iv[call], chain.spot)
    of_puts = _at(chain.strike[put], chain.iv[put], chain.spot)
    return None if of_calls is None or of_puts is None else (of_calls + of_puts) / 2


def _at(x: FloatArray, y: FloatArray, wanted: float) -> float | None:
    """Return y at `wanted`, between the two x around it; None outside of them."""
    known = np.isfinite(x)
    levels, at = np.unique(x[known], return_inverse=True)
    if not len(levels) or not levels[0] <= wanted <= levels[-1]:
        return None
    average = np.bincount(at, weights=y[known]) / np.bincount(at)
    return float(np.interp(wanted, levels, average))


def _percent(volatility: float | None) -> float | None:
    return None if volatility is None else 100.0 * volatility
