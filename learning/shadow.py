"""Who may answer for a bot that learns from its own setups: a count, or a model in its shadow.

A count answers first: a Beta(1, 1) belief for each regime of dealers' gamma [1]_ (`models.belief`).
The bot's learner answers beside it, in its shadow and for nothing, and takes its place only when
what it said before it happened was better, on 150 setups at least.

The ancestor measured the rivals on trades that both had learned from. Here the count that a setup
is judged against knows only setups that had ended when it was decided, and an answer of a version
that had been trained on later data does not count at all.

References
----------
.. [1] A. Gelman et al., "Bayesian Data Analysis", 3rd edition, section 2.1.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np
from numpy.random import Generator
from pydantic import AwareDatetime
from scipy.stats import beta

from domain.values import Probability, Value
from domain.version import Measure
from learning.significance import block, score
from models.belief import Belief, Count
from risk.measures import Criterion, Gate, wilson
from risk.sizing import INTERVAL

RESOLVED = 150
"""Answers out of sample that came true before a shadow may be promoted."""
BETTER = 0.05
"""Share by which its Brier must be smaller than the count's."""
SURE, MISSES = 0.7, 0.10
"""A setup that was lost at so high a probability is a catastrophic miss, and the largest share of
them. Of all answers, not of the sure ones: of setups at 0.7 three in ten are lost by right."""


class Resolved(Value):
    """One setup that came to its end, traded or not, and what the shadow had said of it."""

    decision_id: str
    regime: str
    """Of dealers' gamma when it was decided; `models.belief.regime`."""
    decided: AwareDatetime
    closed: AwareDatetime
    won: bool
    r: float | None = None
    """Its result in units of risk, after costs; None where no contract says what they are."""
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


def belief(past: Iterable[Resolved], regime: str, asof: AwareDatetime) -> Belief:
    """Return what the setups of a regime that had ended by `asof` say of the next one."""
    known = [row for row in past if row.regime == regime and row.closed <= asof]
    gains, losses = (
        [row.r for row in known if row.won is won and row.r is not None] for won in (True, False)
    )
    wins = sum(row.won for row in known)
    tails = (1 - INTERVAL) / 2, (1 + INTERVAL) / 2
    low, high = beta.ppf(tails, 1 + wins, 1 + len(known) - wins)
    return Belief(
        wins=wins,
        losses=len(known) - wins,
        low=float(low),
        high=float(high),
        gain=fmean(gains) if gains else None,
        loss=-fmean(losses) if losses else None,
    )


def count(rows: Sequence[Resolved], asof: AwareDatetime, rng: Generator) -> Count:
    """Return what all setups so far say, and whether the shadow may answer from now on."""
    gate = promotable(rows, rng)
    found = {row.regime for row in rows}
    return Count(
        regimes={regime: belief(rows, regime, asof) for regime in sorted(found)},
        promoted=gate.passed,
        blockers=gate.failed,
    )


def counted(rows: Sequence[Resolved]) -> list[float]:
    """Return what the count would have answered to each setup when it was decided."""
    return [belief(rows, row.regime, row.decided).probability for row in rows]


def promotable(rows: Sequence[Resolved], rng: Generator) -> Gate:
    """Return whether a shadow may answer for the bot; `Gate.failed` lists what is in its way.

    Parameters
    ----------
    rows
        Every setup of the bot that ended, those too of which the shadow said nothing: the count
        knows them. Only answers out of sample are judged.
    rng
        Draws the interval of the skill.
    """
    answers = zip(rows, counted(rows), strict=True)
    judged = [(row, answer) for row, answer in answers if row.unseen]
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
            Criterion(
                name="resolved",
                needs=f">= {RESOLVED}",
                measured=Measure(value=n, n=n),
                passed=n >= RESOLVED,
            ),
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
    base = np.array([answer for _, answer in judged])
    days = np.array([row.decided.date() for row, _ in judged], "datetime64[D]")
    length = block(1, len(np.unique(days)))
    return score(said, won, days, {"base": base}, rng, length).get("skill")
