"""The two positions of a wheel: a put sold against cash, and a call sold against the index.

A put can lose its whole strike, and the index what was paid for it: what bounds either is that
nothing falls below 0, and what covers it is the money for all of it. The two are one position in
two dresses: the index with a call sold against it pays what a put of that strike does.
"""

from domain.bot import Factor
from domain.market import Right
from domain.values import Action
from trading.structures.base import Row, Structure

CASH_SECURED_PUT = Structure(
    "Cash-secured put", Action.SELL, Factor.PRICE, 1, (Row(Right.PUT, -1, -1, 0),)
)
COVERED_CALL = Structure(
    "Covered call", Action.BUY, Factor.PRICE, 1, (Row(Right.CALL, -1, 1, 0),), held=True
)
