"""The iron butterfly: a condor whose short strikes meet at the money."""

from domain.bot import Factor
from domain.market import Right
from domain.values import Action
from trading.structures.base import Row, Structure

IRON_BUTTERFLY = Structure(
    "Iron butterfly",
    Action.SELL,
    Factor.VOLATILITY,
    -1,
    (
        Row(Right.PUT, 1, -1, 1),
        Row(Right.PUT, -1, -1, 0),
        Row(Right.CALL, -1, 1, 0),
        Row(Right.CALL, 1, 1, 1),
    ),
    atm=True,
)
