"""What a strategy is: when to enter, and what would be traded."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from domain.decision import Context, Proposal
from domain.trade import Trade
from domain.values import Action, Value


class Setup(Value):
    """Whether this bar is one to enter on, by the strategy's own rules, before any model is heard.

    `score` counts the conditions that hold, and is None where nothing is counted. `evidence` has
    every condition as 0 or 1, and the numbers behind it.
    """

    action: Action
    score: int | None = None
    reason: str
    evidence: dict[str, float] = Field(default_factory=dict)


Judge = Literal["win", "vote", "conviction", "view", "count", "expiry"]
"""Who says whether a setup will pay: WISDOM's chance of a win, the ensemble's vote, ORION,
DISCERNMENT's view of direction, size and time, the count of what its setups came to, until the
learner in its shadow has shown that it knows better, or the wheel's of where a put expires."""


class Strategy(NamedTuple):
    """Two pure functions, the features that they read, and who is asked whether it will pay.

    Parameters
    ----------
    setup
        Says whether to enter. Raises `FeatureMismatch` naming a feature that it needs and that
        is unknown.
    propose
        ``propose(context, structure, distance)`` says what would be traded, per unit; structure
        and distance default to the bot's own. Raises `DataError` when there is nothing to price
        it with.
    features
        What `setup` and `propose` read of the context.
    evidence
        ``evidence(closed, asof)`` says, as features of the context, what the newest trades of the
        bot in a symbol, oldest first, mean for the next one. None where they mean nothing.
    """

    title: str
    setup: Callable[[Context], Setup]
    propose: Callable[[Context, str | None, float | None], Proposal]
    judge: Judge
    features: tuple[str, ...] = ()
    evidence: Callable[[Sequence[Trade], datetime], dict[str, float]] | None = None
