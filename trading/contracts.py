"""The futures that can be traded: what a point is worth, and how finely they are quoted.

Point values and ticks are those of the exchange (CME Group's contract specifications). The ancestor
traded "CL", "RTY" and "NG" under the names of their markets: the micro contracts of 100 and 5
dollars a point are MCL and M2K. Its 100 dollars a point for natural gas is no contract that is
listed; the micro one, MNG, has 1,000.

Margin is not modelled: a contract counts with its whole notional, as if it were paid for in full.
"""

from pydantic import Field

from domain.errors import SettingsError
from domain.values import Dollars, Points, Value

STRUCTURE = "future"
"""What a proposal of one is called."""
_PLAIN = "simulated: no margin is called for futures, each is paid for in full"
_OF_INDEX = f"{_PLAIN}; filled at the price of the index, as if there were no basis"


class Contract(Value):
    """One future. `point` is what one point of its price is worth, `tick` its smallest move."""

    symbol: str
    title: str
    point: Dollars = Field(gt=0)
    tick: Points = Field(gt=0)
    index: str
    """Whose options say where its dealers' gamma turns."""


CONTRACTS: dict[str, Contract] = {
    contract.symbol: contract
    for contract in (
        Contract(symbol="MES", title="Micro E-mini S&P 500", point=5.0, tick=0.25, index="SPX"),
        Contract(symbol="MNQ", title="Micro E-mini Nasdaq-100", point=2.0, tick=0.25, index="NDX"),
        Contract(symbol="M2K", title="Micro E-mini Russell 2000", point=5.0, tick=0.1, index="RUT"),
        Contract(symbol="MCL", title="Micro WTI Crude Oil", point=100.0, tick=0.01, index="CL"),
        Contract(symbol="MNG", title="Micro Natural Gas", point=1_000.0, tick=0.001, index="NG"),
        Contract(symbol="MGC", title="Micro Gold", point=10.0, tick=0.1, index="GC"),
    )
}


def known(symbol: str) -> bool:
    """Return whether there is a future of this symbol, or on this index."""
    return symbol in CONTRACTS or symbol in _ON


def find(symbol: str) -> Contract:
    """Return the contract of a symbol, or the one on an index where that is what is watched.

    Bars of an index are more easily had than those of its future, and what moves one moves the
    other; the basis between the two, some 0.3 % a quarter, is left out.

    Raises
    ------
    SettingsError
        There is none; the message has those there are.

    Examples
    --------
    >>> find("MES").point, find("MNQ").point, find("SPX").symbol
    (5.0, 2.0, 'MES')
    """
    if not known(symbol):
        raise SettingsError(f"{symbol} is no known future; there are {', '.join(CONTRACTS)}")
    return CONTRACTS[_ON.get(symbol, symbol)]


def simulated(symbol: str) -> str:
    """Return what is simulated where a symbol is traded as a future."""
    return _PLAIN if symbol in CONTRACTS else _OF_INDEX


_ON = {contract.index: contract.symbol for contract in CONTRACTS.values()}
