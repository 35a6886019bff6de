"""Who may answer for a bot that learns from its own trades: a count, or a model in its shadow.

A new bot has no trades to learn from. Until it has fifty, of which five won and five lost, a count
answers: a Beta(1, 1) belief for each regime of dealers' gamma [1]_. From then on a model may be
trained; it answers beside the count, in its shadow and for nothing, and takes its place only when
what it said before it happened was better, on 150 trades at least.

The ancestor measured the rivals on trades that both had learned from. Here the count that a trade
is judged against knows only trades that were closed when it was decided, and an answer of a version
that had been trained on later data does not count at all.

References
----------
.. [1] A. Gelman et al., "Bayesian Data Analysis", 3rd edition, section 2.1.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import Generator
from pydantic import AwareDatetime, Field
from scipy.stats import beta

from domain.values import Probability, Value
from domain.version import Measure
from learning.significance import block, score
from risk.measures import Criterion, Gate, wilson

COLD, FLOOR = 10, 0.52
"""With fewer trades of a regime than this, its belief is at least so high: a bot that never trades
never learns. It is no measurement, and `Belief.floored` says so."""
ENOUGH, OF_EACH = 50, 5
"""Trades, and winners and losers among them, that a model can be trained on."""
RESOLVED = 150
"""Answers out of sample that came true before a shadow may be promoted."""
BETTER = 0.05
"""Share by which its Brier must be smaller than the count's."""
SURE, MISSES = 0.7, 0.10
"""A trade that was lost at so high a probability is a catastrophic miss, and the largest share of
them. Of all answers, not of the sure ones: of trades at 0.7 three in ten are lost by right."""


class Resolved(Value):
    """One trade that was closed, and what the shadow had said of it."""

    decision_id: str
    regime: str
    """Of dealers' gamma when it was decided."""
    decided: AwareDatetime
    closed: AwareDatetime
    won: bool
    probability: Probability | None = None
    """What the shadow said; None where it was silent, or there was none."""
    trained_to: AwareDatetime | None = None
    """The newest bar that the version which said it had learned from."""

    @property
    def unseen(self) -> bool:
        """Whether the shadow answered, without having learned from what came after."""
        if self.probability is None or self.trained_to is None:
            return False
        return self.trained_to <= self.decided


class Belief(Value):
    """What a count of winners and losers says of the next trade: Beta(1 + wins, 1 + losses)."""

    wins: int = Field(0, ge=0)
    losses: int = Field(0, ge=0)

    @property
    def n(self) -> int:
        return self.wins + self.losses

    @property
    def mean(self) -> float:
        """The mean of the posterior; a half where nothing was traded yet."""
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

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the posterior."""
        low, high = beta.ppf([0.025, 0.975], 1 + self.wins, 1 + self.losses)
        return float(low), float(high)


def belief(past: Iterable[Resolved], regime: str, asof: AwareDatetime) -> Belief:
    """Return what the trades of a regime that were closed by `asof` say of the next one."""
    known = [row.won for row in past if row.regime == regime and row.closed <= asof]
    return Belief(wins=sum(known), losses=len(known) - sum(known))


def trainable(past: Iterable[Resolved], asof: AwareDatetime) -> Gate:
    """Return whether a model can be trained on the trades closed by `asof`; until then, count."""
    won = [row.won for row in past if row.closed <= asof]
    n, wins = len(won), sum(won)
    return Gate(
        name="trainable",
        criteria=(
            _count("trades", n, ENOUGH),
            _count("winners", wins, OF_EACH),
            _count("losers", n - wins, OF_EACH),
        ),
    )


def counted(rows: Sequence[Resolved]) -> list[float]:
    """Return what the count would have answered to each trade when it was decided."""
    return [belief(rows, row.regime, row.decided).probability for row in rows]


def promotable(rows: Sequence[Resolved], rng: Generator) -> Gate:
    """Return whether a shadow may answer for the bot; `Gate.failed` lists what is in its way.

    Parameters
    ----------
    rows
        Every closed trade of the bot, those too of which the shadow said nothing: the count knows
        them. Only answers out of sample are judged.
    rng
        Draws the interval of the skill.
    """
    judged = [(row, count) for row, count in zip(rows, counted(rows), strict=True) if row.unseen]
    n = len(judged)
    skill = _skill(judged, rng) if n else None
    missed = sum((row.probability or 0.0) >= SURE and not row.won for row, _ in judged)
    misses = None
    if n:
        low, high = wilson(missed, n)
        misses = Measure(value=missed / n, n=n, low=low, high=high)
    return Gate(
        name="shadow",
        criteria=(
            _count("resolved", n, RESOLVED),
            Criterion(
                name="skill_over_count",
                needs=f">= {BETTER:g}",
                measured=skill,
                passed=skill is not None and skill.value >= BETTER,
            ),
            Criterion(
                name="catastrophic_misses",
                needs=f"<= {MISSES:g}",
                measured=misses,
                passed=misses is not None and misses.value <= MISSES,
            ),
        ),
    )


def _skill(judged: Sequence[tuple[Resolved, float]], rng: Generator) -> Measure | None:
    """Return by which share the shadow's Brier is smaller than the count's."""
    said = np.array([row.probability for row, _ in judged], np.float64)
    won = np.array([row.won for row, _ in judged], np.float64)
    count = np.array([answer for _, answer in judged])
    days = np.array([row.decided.date() for row, _ in judged], "datetime64[D]")
    length = block(1, len(np.unique(days)))
    return score(said, won, days, {"base": count}, rng, length).get("skill")


def _count(name: str, n: int, least: int) -> Criterion:
    measured = Measure(value=n, n=n)
    return Criterion(name=name, needs=f">= {least}", measured=measured, passed=n >= least)
