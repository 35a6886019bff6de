"""Vertical spreads: two options of one kind, one bought and one sold, a wing apart.

The credits earn while the index stays on its side of the short strike. The debits need it to
reach the short strike, and have bought the option a wing nearer.
"""

from domain.bot import Factor
from domain.market import Right
from domain.values import Action
from trading.structures.base import Row, Structure

BULL_PUT = Structure(
    "Bull put spread",
    Action.SELL,
    Factor.PRICE,
    1,
    (Row(Right.PUT, 1, -1, 1), Row(Right.PUT, -1, -1, 0)),
)
BEAR_CALL = Structure(
    "Bear call spread",
    Action.SELL,
    Factor.PRICE,
    -1,
    (Row(Right.CALL, -1, 1, 0), Row(Right.CALL, 1, 1, 1)),
)
BULL_CALL = Structure(
    "Bull call spread",
    Action.BUY,
    Factor.PRICE,
    1,
    (Row(Right.CALL, 1, 1, -1), Row(Right.CALL, -1, 1, 0)),
)
BEAR_PUT = Structure(
    "Bear put spread",
    Action.BUY,
    Factor.PRICE,
    -1,
    (Row(Right.PUT, -1, -1, 0), Row(Right.PUT, 1, -1, -1)),
)
