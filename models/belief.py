"""A count as a model: what a bot's setups in a regime came to, and what that says of the next one.

It answers for a bot whose learner has yet to show that it knows better (`learning.shadow`).
"""

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from domain.values import Probability, Value

COLD, FLOOR = 10, 0.52
"""With fewer setups of a regime than this, its belief is at least so high: a bot that never trades
never learns. It is no measurement, and `Belief.floored` says so."""
_FACT = "count_"


class Belief(Value):
    """What a count of winners and losers says of the next one: Beta(1 + wins, 1 + losses)."""

    wins: int = Field(0, ge=0)
    losses: int = Field(0, ge=0)
    gain: float | None = None
    """Mean result of the winners in units of risk, after costs; None without one."""
    loss: float | None = None
    """That of the losers, what they lost being positive."""
    low: Probability | None = None
    """Lower end of the 90 % interval of the posterior; None before it was counted."""
    high: Probability | None = None
    """Its upper end."""

    @property
    def n(self) -> int:
        return self.wins + self.losses

    @property
    def mean(self) -> float:
        """The mean of the posterior; a half where nothing came to an end yet."""
        return (1 + self.wins) / (2 + self.n)

    @property
    def floored(self) -> bool:
        """Whether `probability` is the floor of a cold start and no measurement."""
        return self.n < COLD and self.mean < FLOOR

    @property
    def probability(self) -> float:
        """What it answers.

        Examples
        --------
        >>> Belief().probability, Belief(wins=2, losses=8).probability
        (0.52, 0.25)
        """
        return FLOOR if self.floored else self.mean

    @classmethod
    def of(cls, facts: Mapping[str, float]) -> Self:
        """Read what `Count.facts` has put into a context."""
        return cls(
            wins=int(facts.get(f"{_FACT}wins", 0)),
            losses=int(facts.get(f"{_FACT}losses", 0)),
            gain=facts.get(f"{_FACT}gain"),
            loss=facts.get(f"{_FACT}loss"),
            low=facts.get(f"{_FACT}low"),
            high=facts.get(f"{_FACT}high"),
        )


class Count(Value):
    """What is known of a bot's setups, and who answers for it."""

    regimes: dict[str, Belief] = Field(default_factory=dict)
    """By the sign of dealers' gamma when they were decided; see `regime`."""
    promoted: bool = False
    """Whether its learner answers, no longer in the shadow of the count."""
    blockers: tuple[str, ...] = ()
    """What is in the way of that, in words."""

    def facts(self, market: Mapping[str, float]) -> dict[str, float]:
        """Return what a context is told: the belief of today's regime, and who answers.

        Nothing where the regime is unknown. What was never measured is left out.
        """
        now = regime(market)
        if now is None:
            return {}
        known = self.regimes.get(now, Belief())
        told: dict[str, float | None] = {
            "wins": known.wins,
            "losses": known.losses,
            "gain": known.gain,
            "loss": known.loss,
            "low": known.low,
            "high": known.high,
            "promoted": float(self.promoted),
        }
        return {f"{_FACT}{name}": float(x) for name, x in told.items() if x is not None}


PROMOTED = f"{_FACT}promoted"
"""Name of the fact that a bot's learner answers: 1 or 0."""


def regime(market: Mapping[str, float]) -> str | None:
    """Return the regime of dealers' gamma by the features of a context; None where unknown."""
    positive = market.get("bar_gamma_positive")
    return None if positive is None else "positive" if positive > 0 else "negative"


def told(known: Belief) -> str:
    """Say what a belief answers, and what that rests on.

    Examples
    --------
    >>> told(Belief(wins=2, losses=8))
    '0.250: 2 of 10 setups paid'
    >>> told(Belief(losses=3))
    '0.520, a floor until 10 setups have ended: 0 of 3 paid'
    """
    paid = f"{known.wins} of {known.n}"
    if known.floored:
        return f"{known.probability:.3f}, a floor until {COLD} setups have ended: {paid} paid"
    return f"{known.probability:.3f}: {paid} setups paid"
