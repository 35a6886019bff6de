"""Bought at the money and nothing sold: a call, a put, or both.

What can be lost is the premium. What a call can gain has no bound, so its best case is unknown.
"""

from domain.bot import Factor
from domain.market import Right
from domain.values import Action
from trading.structures.base import Row, Structure

LONG_CALL = Structure(
    "Long call", Action.BUY, Factor.PRICE, 1, (Row(Right.CALL, 1, 1, 0),), atm=True
)
LONG_PUT = Structure(
    "Long put", Action.BUY, Factor.PRICE, -1, (Row(Right.PUT, 1, -1, 0),), atm=True
)
LONG_STRADDLE = Structure(
    "Long straddle",
    Action.BUY,
    Factor.VOLATILITY,
    1,
    (Row(Right.PUT, 1, -1, 0), Row(Right.CALL, 1, 1, 0)),
    atm=True,
)
