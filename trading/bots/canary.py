"""CANARY is asked in drills, like any bot, and never trades."""

from trading.bots.fortress import FORTRESS

CANARY = FORTRESS.model_copy(
    update={"name": "canary", "title": "CANARY", "capital": 1_000.0, "max_quantity": 0}
)
"""It is in no catalog: nobody scans for it, and it has no share of the capital. Its size is nothing
in sizing; a drill that wants to see a seal refuse asks for one dollar of risk past it."""
