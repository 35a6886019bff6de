"""The iron condor: earns while the index stays between two strikes, and loses a wing at most."""

from domain.bot import Factor
from domain.market import Right
from domain.values import Action
from trading.structures.base import Row, Structure

IRON_CONDOR = Structure(
    "Iron condor",
    Action.SELL,
    Factor.VOLATILITY,
    -1,
    (
        Row(Right.PUT, 1, -1, 1),
        Row(Right.PUT, -1, -1, 0),
        Row(Right.CALL, -1, 1, 0),
        Row(Right.CALL, 1, 1, 1),
    ),
)
