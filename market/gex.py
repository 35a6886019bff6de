"""Gamma exposure: what dealers must trade when the index moves one percent.

``GEX = sum of +-gamma * open interest * 100 * S**2 * 0.01``, calls counted as held by dealers (+)
and puts as sold by them (-), in billions of dollars per 1 % move. It is an estimate out of public
open interest: who really holds what is not public, and other models give other numbers (over
2020-2024 one vendor reports 14 % negative days, another 56 %), so those of two are never mixed.
"""

from math import inf, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime

from domain.errors import DataError
from domain.values import FloatArray, Points, Value
from market.chain import Chain
from market.smile import LEAST_IV, MOST_IV

BILLION = 1e9
PER_MOVE = 100 * 0.01 / BILLION
"""Contract multiplier times one percent, in billions."""
STRONG = 10
"""Strikes with the most net gamma, of either sign, that count as magnets. In 18 chains of SPX of
June and July 2026 they held 20 to 28 % of the net gamma of all, and the two around spot lay 0.3 to
4.0 % of spot apart, half of the time less than 1.1 %."""
NEAR = np.linspace(0.8, 1.2, 401)
"""Spots, as shares of today's, between which the flip is looked for."""
ROOM = 2_000_000
"""Numbers in memory at a time while a profile is drawn."""


class Gex(Value):
    """Gamma exposure of one chain. Billions of dollars per 1 % move, but for the levels.

    `net`, `calls` and `puts` use the gamma of Black and Scholes at each contract's own volatility
    and calendar time; the ``cboe_`` ones the gamma in the file, which is rounded to four decimals.
    Net is a small difference of large sums: where `net_over_gross` is near 0, so is what it says.
    """

    symbol: str
    asof: AwareDatetime
    spot: Points
    net: float
    calls: float
    puts: float
    cboe_net: float | None
    cboe_calls: float | None
    cboe_puts: float | None
    flip: Points | None
    """Level nearest to spot at which net changes sign; None if it does not within 20 %."""
    call_wall: Points | None
    """Strike at or above spot with the most call gamma; None if there is none."""
    put_wall: Points | None
    """Strike at or below spot with the most put gamma."""
    magnet_below: Points | None
    """Nearest to spot, at or below it, of the ten strikes whose calls and puts net to the most
    gamma, of either sign; None if all ten are above."""
    magnet_above: Points | None
    """The same above spot."""
    net_over_gross: float
    """Net as a share of calls plus puts, -1 to 1."""
    contracts: int
    """In the file, expired ones too."""
    contracts_with_oi: int
    put_call_oi: float | None
    """Open interest of living puts over that of living calls."""


def measure(chain: Chain) -> Gex:
    """Return the gamma exposure of a chain.

    Expired contracts count for nothing; for the gamma of Black and Scholes, nor do those whose
    volatility is at most 1 % or at least 500 %, which is how a missing quote looks.

    Raises
    ------
    DataError
        No living contract has open interest, a volatility and gamma: unknown is not 0.
    """
    own = _own(chain)
    gamma = _gamma(chain.spot, chain.strike[own], chain.iv[own], chain.years[own])
    calls, puts = _sums(chain.spot, gamma * chain.open_interest[own], chain.call[own])
    if not 0 < calls - puts < inf:
        raise DataError(
            f"no contract on {chain.symbol} that lives on {chain.asof:%Y-%m-%d} has open interest, "
            "an implied volatility and gamma: read a file with both, of a day before the expiry"
        )
    filed = (chain.years > 0) & (chain.open_interest > 0) & (chain.gamma > 0)
    weights = chain.gamma[filed] * chain.open_interest[filed]
    known = bool(filed.any())
    file_calls, file_puts = _sums(chain.spot, weights, chain.call[filed])
    strikes, call = chain.strike[filed], chain.call[filed]
    above, below = call & (strikes >= chain.spot), ~call & (strikes <= chain.spot)
    magnet_below, magnet_above = _magnets(chain.spot, strikes, np.where(call, weights, -weights))
    return Gex(
        symbol=chain.symbol,
        asof=chain.asof,
        spot=chain.spot,
        net=calls + puts,
        calls=calls,
        puts=puts,
        cboe_net=file_calls + file_puts if known else None,
        cboe_calls=file_calls if known else None,
        cboe_puts=file_puts if known else None,
        flip=_flip(chain),
        call_wall=_wall(strikes[above], weights[above]),
        put_wall=_wall(strikes[below], weights[below]),
        magnet_below=magnet_below,
        magnet_above=magnet_above,
        net_over_gross=(calls + puts) / (calls - puts),
        contracts=len(chain),
        contracts_with_oi=int((chain.open_interest > 0).sum()),
        put_call_oi=_put_call(chain),
    )


def profile(chain: Chain, spots: FloatArray) -> FloatArray:
    """Return what net exposure would be at other spots, volatility and time held, shape of `spots`.

    Contracts as in `measure`.
    """
    own = _own(chain)
    strike, iv, years = chain.strike[own], chain.iv[own], chain.years[own]
    signed = np.where(chain.call[own], 1.0, -1.0) * chain.open_interest[own]
    step = max(1, ROOM // max(1, len(strike)))
    parts = [
        (_gamma(some[:, None], strike, iv, years) @ signed) * some**2 * PER_MOVE
        for some in (spots[i : i + step] for i in range(0, len(spots), step))
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _own(chain: Chain) -> NDArray[np.bool_]:
    quoted = (chain.iv > LEAST_IV) & (chain.iv < MOST_IV)
    return quoted & (chain.years > 0) & (chain.open_interest > 0)


def _gamma(
    spot: FloatArray | float, strike: FloatArray, iv: FloatArray, years: FloatArray
) -> FloatArray:
    deviation = iv * np.sqrt(years)
    d1 = np.log(spot / strike) / deviation + deviation / 2
    return np.exp(-0.5 * d1 * d1) / (sqrt(2 * pi) * spot * deviation)


def _sums(spot: Points, weights: FloatArray, call: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the exposure of calls (not below 0) and of puts (not above)."""
    scale = spot**2 * PER_MOVE
    return float(weights[call].sum() * scale), -float(weights[~call].sum() * scale)


def _flip(chain: Chain) -> Points | None:
    spots = chain.spot * NEAR
    net = profile(chain, spots)
    spots, net = spots[net != 0], net[net != 0]
    turns = np.flatnonzero(np.signbit(net[1:]) != np.signbit(net[:-1]))
    if not len(turns):
        return None
    before, after = net[turns], net[turns + 1]
    roots = spots[turns] - before * (spots[turns + 1] - spots[turns]) / (after - before)
    return float(roots[np.abs(roots - chain.spot).argmin()])


def _wall(strikes: FloatArray, weights: FloatArray) -> Points | None:
    if not len(strikes):
        return None
    levels, at = np.unique(strikes, return_inverse=True)
    return float(levels[np.bincount(at, weights=weights).argmax()])


def _magnets(
    spot: Points, strikes: FloatArray, signed: FloatArray
) -> tuple[Points | None, Points | None]:
    """Return the strong strikes next to spot, at or below it and above."""
    levels, at = np.unique(strikes, return_inverse=True)
    net = np.abs(np.bincount(at, weights=signed, minlength=len(levels)))
    # A stable order, so that of two as strong the lower strike counts, on every machine.
    strong = np.sort(levels[np.argsort(-net, kind="stable")[:STRONG]])
    below, above = strong[strong <= spot], strong[strong > spot]
    return (
        float(below[-1]) if len(below) else None,
        float(above[0]) if len(above) else None,
    )


def _put_call(chain: Chain) -> float | None:
    held = np.where((chain.years > 0) & (chain.open_interest > 0), chain.open_interest, 0.0)
    calls = float(held[chain.call].sum())
    return float(held[~chain.call].sum()) / calls if calls else None
