"""A round: trainings that belong together, and what each came to. The last one to end is told.

A chord would do the same in the broker, where the end of one that died with its worker never comes.
"""

from collections.abc import Iterable
from datetime import datetime

from pydantic import AwareDatetime

from domain.errors import Transient
from domain.values import Value
from storage import state
from storage.engine import Store

KEY = "round"


class Round(Value):
    """Which models are trained together; of each what came of it, None while it is under way."""

    began: AwareDatetime
    ended: dict[str, str | None]


def begin(store: Store, models: Iterable[str], at: datetime) -> None:
    """Begin a round. One that has not ended is given up for it."""
    fresh = Round(began=at, ended=dict.fromkeys(models))
    state.put(store, KEY, fresh.model_dump(mode="json"))


def ended(store: Store, model: str, how: str) -> bool:
    """Say what became of one model; True if it was the last of its round, and that once."""
    while True:
        kept = state.get(store, KEY)
        if kept is None:
            return False
        now = Round.model_validate(kept.body)
        if now.ended.get(model, how) is not None:
            return False
        after = now.model_copy(update={"ended": now.ended | {model: how}})
        try:
            state.put(store, KEY, after.model_dump(mode="json"), kept.revision)
        except Transient:
            continue
        return None not in after.ended.values()
