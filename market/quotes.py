"""What can be traded at one expiry, and at what price: out of a chain, or simulated.

A `Board` lists strikes and gives a `Quote` for a contract, or refuses it with the reason. What is
not quoted stays unknown: a chain is never patched with simulated prices.

Time is counted in sessions, volatilities are annualised over 252 of them, and there are no rates
but for those in the forward, which put-call parity gives. A quote's volatility is the one at which
Black-76 gives its own mid: that of the file is of another moment (on 2026-07-08 it misses the mids
of SPX options five days out by 0.9 points, on other days by 0.02 to 0.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import log, sqrt
from typing import Protocol

import numpy as np

from domain.errors import DataError
from domain.market import Right, Surface
from domain.units import Greeks, PerShare
from domain.values import FloatArray, Points, Value
from market import calendar, pricing
from market.chain import Chain
from market.pricing import SESSIONS_PER_YEAR, Smile

PAIRS = 5
"""Strikes nearest to the money whose parity gives the forward: the median of so many."""
LEAST_PAIRS = 3
"""Strikes near the money with call and put quoted, below which an expiry is not quoted."""
NEAR = 0.02
"""Part of the spot that is near the money, and within which strikes say what the step is."""
LEAST_VOL, MOST_VOL = 0.005, 5.0
GRID = 2.0
"""How far up strikes go where none are listed, in levels of the underlying."""
ON_THE_GRID = 1e-6


class Quote(Value):
    """One contract as it can be traded. Points per share; `vol` is of its mid.

    `bid` and `ask` are None where the price is simulated: nobody offered it.
    """

    right: Right
    strike: Points
    bid: Points | None
    ask: Points | None
    mid: Points
    vol: float
    greeks: Greeks[PerShare]


class Board(Protocol):
    """The contracts on one underlying that expire at one moment.

    Attributes
    ----------
    forward
        Level at which a call and a put of one strike cost the same.
    horizon
        Sessions until expiry; not whole inside a session, or where the opening prints settle.
    expires
        None for a simulation, which knows sessions only.
    vol
        At the money, annualised.
    step
        Between neighbouring strikes near the money.
    label
        ``simulated: ...`` where nothing was quoted, else empty.
    """

    @property
    def symbol(self) -> str: ...
    @property
    def asof(self) -> datetime: ...
    @property
    def spot(self) -> Points: ...
    @property
    def forward(self) -> Points: ...
    @property
    def horizon(self) -> float: ...
    @property
    def expires(self) -> datetime | None: ...
    @property
    def vol(self) -> float: ...
    @property
    def step(self) -> Points: ...
    @property
    def label(self) -> str: ...

    def strikes(self, right: Right) -> FloatArray:
        """Return every listed strike of calls or puts, rising."""
        ...

    def quote(self, right: Right, strike: Points, quantity: int) -> Quote:
        """Return what a contract costs to buy, or brings when it is sold (`quantity` below 0).

        Raises
        ------
        DataError
            It is not listed or not quoted; names strike and expiry, and what is missing.
        """
        ...


def deviation(board: Board) -> float:
    """Return one standard deviation of the logarithm of the underlying until expiry."""
    return board.vol * sqrt(board.horizon / SESSIONS_PER_YEAR)


def move(board: Board) -> Points:
    """Return one standard deviation of the underlying until expiry, as its options have it."""
    return board.spot * deviation(board)


def by_delta(board: Board, right: Right, delta: float, quantity: int) -> Quote:
    """Return the quote out of the money whose delta is nearest to `delta`.

    Parameters
    ----------
    delta
        Without sign, above 0 and at most .5.

    Raises
    ------
    DataError
        Nothing out of the money is quoted.
    """
    sign = 1 if right is Right.CALL else -1
    strikes = board.strikes(right)
    outside = strikes[sign * (strikes - board.forward) >= 0]
    found: list[Quote] = []
    for strike in sorted(outside.tolist(), reverse=sign < 0):
        try:
            quote = board.quote(right, strike, quantity)
        except DataError:
            continue  # one that cannot be traded is not chosen; the next one may be
        found.append(quote)
        if sign * quote.greeks.delta.amount < delta:
            break
    if not found:
        raise DataError(f"{where(board)}: no {right} out of the money is quoted")
    return min(found[-2:], key=lambda quote: abs(sign * quote.greeks.delta.amount - delta))


def sessions(start: datetime, stop: datetime) -> float:
    """Return the sessions between two moments: 1 from a close to the next.

    Between two closes time runs evenly, the night and the weekend included.

    Examples
    --------
    >>> friday = datetime(2023, 9, 15, 20, tzinfo=UTC)
    >>> sessions(friday, datetime(2023, 9, 18, 20, tzinfo=UTC))
    1.0
    >>> round(sessions(friday, datetime(2023, 9, 18, 13, 30, tzinfo=UTC)), 2)
    0.91
    """
    closes = calendar.hours().closes.astype(np.int64)
    edges = [moment.timestamp() for moment in (start, stop)]
    if not closes[0] <= min(edges) <= max(edges) <= closes[-1]:
        raise DataError(f"{start:%Y-%m-%d} to {stop:%Y-%m-%d} is not within the calendar")
    begun, ended = np.interp(edges, closes, np.arange(len(closes)))
    return float(ended - begun)


@dataclass(frozen=True)
class Simulated:
    """A board on a surface: strikes on a grid, every one of them priced, none of them quoted."""

    surface: Surface
    horizon: float
    step: Points
    expires: None = None
    _cut: Smile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.step > 0 or not self.horizon > 0:
            raise DataError(f"no board over {self.horizon} sessions with a step of {self.step}")
        object.__setattr__(self, "_cut", pricing.smile(self.surface, self.horizon))

    @property
    def symbol(self) -> str:
        return self.surface.symbol

    @property
    def asof(self) -> datetime:
        return self.surface.asof

    @property
    def spot(self) -> Points:
        return self.surface.spot

    @property
    def forward(self) -> Points:
        return self.surface.spot

    @property
    def vol(self) -> float:
        return self._cut.sigma

    @property
    def label(self) -> str:
        return self.surface.label

    def strikes(self, right: Right) -> FloatArray:
        return np.arange(1, int(GRID * self.spot / self.step) + 1) * self.step

    def quote(self, right: Right, strike: Points, quantity: int) -> Quote:
        if not strike > 0:
            raise DataError(f"{where(self)}: a strike of {strike:g} is none")
        vol = float(pricing.iv(self.surface, strike, self.horizon))
        return Quote(
            right=right,
            strike=strike,
            bid=None,
            ask=None,
            mid=pricing.price_at(self._cut, right, strike),
            vol=vol,
            greeks=pricing.greeks(self.spot, right, strike, vol, self.horizon),
        )


class _Row(Value):
    bid: Points | None
    ask: Points | None
    twice: bool = False


@dataclass(frozen=True)
class Listed:
    """A board out of a chain: one of its expiries."""

    symbol: str
    asof: datetime
    spot: Points
    forward: Points
    horizon: float
    expires: datetime
    step: Points
    vol: float
    rows: Mapping[Right, Mapping[Points, _Row]] = field(repr=False)
    label: str = ""

    def strikes(self, right: Right) -> FloatArray:
        return np.array(sorted(self.rows[right]))

    def quote(self, right: Right, strike: Points, quantity: int) -> Quote:
        name = f"{where(self)}: the {strike:g} {right}"
        row = self.rows[right].get(strike)
        if row is None:
            raise DataError(f"{name} is not listed")
        if row.twice:
            raise DataError(f"{name} is listed twice, and which of them settles when is not said")
        bid, ask = row.bid, row.ask
        if ask is None or ask <= 0:
            raise DataError(f"{name} has no ask")
        if bid is None or (quantity < 0 and bid <= 0):
            raise DataError(f"{name} has no bid, so nobody would buy it")
        if bid < 0 or ask < bid:
            raise DataError(f"{name} has a crossed quote, bid {bid:g} and ask {ask:g}")
        mid = (bid + ask) / 2
        vol = implied(self.forward, right, strike, mid, self.horizon)
        if vol is None:
            raise DataError(f"{name} has no volatility that gives its mid of {mid:g}")
        return Quote(
            right=right,
            strike=strike,
            bid=bid,
            ask=ask,
            mid=mid,
            vol=vol,
            greeks=pricing.greeks(self.forward, right, strike, vol, self.horizon),
        )


def implied(
    forward: Points, right: Right, strike: Points, worth: Points, horizon: float
) -> float | None:
    """Return the volatility at which Black-76 gives `worth`; None if none from .5 to 500 % does.

    Examples
    --------
    >>> round(implied(2383.0, Right.CALL, 2385.0, 9.72, 5), 4)
    0.0798
    """
    root = sqrt(horizon / SESSIONS_PER_YEAR)

    def miss(vol: float) -> float:
        return pricing.price_at(Smile(forward, vol, 0.0, 0.0, root), right, strike) - worth

    if not miss(LEAST_VOL) < 0 < miss(MOST_VOL):
        return None
    from scipy.optimize import brentq  # only here: who decides has no chain, and no scipy

    return float(brentq(miss, LEAST_VOL, MOST_VOL, xtol=1e-10))


def expiries(chain: Chain) -> tuple[Listed, ...]:
    """Return every expiry of a chain that still lives and is quoted on both sides, nearest first.

    An expiry counts where calls and puts of at least three strikes within 2 % of spot have a living
    bid and ask; only their parity says what the forward is. What expires after the calendar's end
    is left out.
    """
    last = calendar.hours().closes[-1]
    living = np.unique(chain.settles[(chain.years > 0) & (chain.settles <= last)])
    boards = (_listed(chain, moment) for moment in living)
    return tuple(board for board in boards if board is not None)


def nearest(chain: Chain, horizon: float) -> Listed:
    """Return the quoted expiry nearest to `horizon` sessions; of two as near, the later.

    Raises
    ------
    DataError
        Nothing in the chain lives, or nothing that lives is quoted on both sides.
    """
    day = f"{chain.symbol} at {chain.asof:%Y-%m-%d %H:%MZ}"
    if not (chain.years > 0).any():
        raise DataError(f"{day}: every contract of the chain has expired")
    known = expiries(chain)
    if not known:
        raise DataError(f"{day}: no expiry has calls and puts quoted around the spot")
    return min(known, key=lambda board: (abs(board.horizon - horizon), -board.horizon))


def _listed(chain: Chain, settles: np.datetime64) -> Listed | None:
    mine = np.flatnonzero(chain.settles == settles)
    rows: dict[Right, dict[Points, _Row]] = {Right.CALL: {}, Right.PUT: {}}
    for i in mine.tolist():
        side = rows[Right.CALL if chain.call[i] else Right.PUT]
        strike = float(chain.strike[i])
        side[strike] = _Row(
            bid=_known(chain.bid[i]), ask=_known(chain.ask[i]), twice=strike in side
        )
    mids = {right: _mids(side) for right, side in rows.items()}
    quoted = mids[Right.CALL].keys() & mids[Right.PUT].keys()
    both = sorted(k for k in quoted if abs(k - chain.spot) <= NEAR * chain.spot)
    if len(both) < LEAST_PAIRS:
        return None
    gaps = {k: mids[Right.CALL][k] - mids[Right.PUT][k] for k in both}
    money = sorted(both, key=lambda strike: abs(gaps[strike]))
    forward = float(np.median([strike + gaps[strike] for strike in money[:PAIRS]]))
    expires = settles.astype("datetime64[s]").item().replace(tzinfo=UTC)
    horizon = sessions(chain.asof, expires)
    at = min(both, key=lambda strike: abs(log(strike / forward)))
    right = Right.CALL if at >= forward else Right.PUT
    vol = implied(forward, right, at, mids[right][at], horizon)
    if vol is None:
        return None
    return Listed(
        symbol=chain.symbol,
        asof=chain.asof,
        spot=chain.spot,
        forward=forward,
        horizon=horizon,
        expires=expires,
        step=_step(np.array(sorted(rows[Right.CALL].keys() & rows[Right.PUT].keys())), forward),
        vol=vol,
        rows=rows,
    )


def _mids(side: Mapping[Points, _Row]) -> dict[Points, Points]:
    return {
        strike: (row.bid + row.ask) / 2
        for strike, row in side.items()
        if row.bid and row.ask and 0 < row.bid <= row.ask and not row.twice
    }


def _step(strikes: FloatArray, forward: Points) -> Points:
    near = strikes[np.abs(strikes - forward) <= NEAR * forward]
    gaps, counts = np.unique(np.diff(near if len(near) > 1 else strikes), return_counts=True)
    return float(gaps[counts.argmax()])


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def where(board: Board) -> str:
    """Return underlying and expiry, to begin a sentence with."""
    day = f"{board.horizon:g} sessions" if board.expires is None else f"{board.expires:%Y-%m-%d}"
    return f"{board.symbol} {day}"
