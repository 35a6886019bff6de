"""Four members vote on which way a stock will go, and how sure of it the desk may be.

How many members say the same is no evidence of its own, for they share their data: it never moves
the probability. It scales the size, and only downwards. The seed system multiplied its confidence
by 1.2, 1.1 or 0.8; as shares of the largest these are 1, 0.917 and 0.667 of the size.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import fsum

from pydantic import Field

from domain.decision import Prediction, Reason
from domain.errors import ModelError
from domain.market import Regime, Vol
from domain.values import Action, Fraction, Probability, Scale, Value

WEIGHTS: dict[str, float] = {"xgb": 0.25, "lgbm": 0.25, "nhits": 0.30, "patchtst": 0.20}
"""Of a full ensemble in which nothing is known of anybody's skill; see `weighed`."""
QUORUM = 2
"""Members that must answer, and that must say the same."""
MAJORITY = 3
"""Members that must say the same for a strong vote."""
CONSENSUS = 0.6
"""Share of the weight that one action needs."""
ROUNDING = 1e-9
TRUST = 250.0
"""Sessions at which a measured skill counts for half: a year's."""
FULL = 0.02
"""Skill that moves a weight all the way, in Briers of the base rate: twice what WISDOM's wanders by
from one weekly refit to the next (`learning.promotion.TOLERANCE`)."""
MEASURED = {"skill", "skill_low", "skill_high", "sessions"}
"""Facts that come with an answer whose model was measured (`learning.trainer.proven`)."""
SPAN = 0.5
"""Furthest that skill moves a weight from its prior, as a share of it."""


class Strength(StrEnum):
    """How many members stand behind a vote. One that did not answer stands behind nothing."""

    UNANIMOUS = "unanimous"
    """All of the ensemble answered, and all say the same."""
    STRONG = "strong"
    """At least three say the same, and somebody dissents or is absent."""
    SPLIT = "split"
    """Two say the same."""


SCALES: dict[Strength, float] = {
    Strength.UNANIMOUS: 1.0,
    Strength.STRONG: 1.1 / 1.2,
    Strength.SPLIT: 0.8 / 1.2,
}
"""Share of the size."""


class Vote(Value):
    """What the ensemble says, and how it came to it.

    `probability` is that of a rise, whatever the action: the weighted mean of the members' own
    calibrated probabilities. Agreement does not raise it; the members share their data, so their
    agreeing is no evidence of its own.
    """

    action: Action
    probability: Probability | None
    code: Reason
    """OK, NO_QUORUM or NO_CONSENSUS."""
    reason: str = ""
    votes: dict[str, Action] = Field(default_factory=dict)
    """Of the members present."""
    weights: dict[str, Fraction] = Field(default_factory=dict)
    """Of the members present; they add up to 1."""
    shares: dict[Action, Fraction] = Field(default_factory=dict)
    """Weight behind each action that somebody voted for."""
    absent: dict[str, str] = Field(default_factory=dict)
    """Members that did not answer, or have no vote, and why."""
    strength: Strength | None = None
    """None where no action was agreed on."""

    @property
    def scale(self) -> Scale:
        """Share of the size that this much agreement may have; 0 where there is none."""
        return 0.0 if self.strength is None else SCALES[self.strength]


def needed(regime: Regime) -> int:
    """Return how many members must say the same in a regime.

    In high volatility a split vote is not enough: three must agree. Two members that read the same
    closes are easily wrong together, and there it costs most.
    """
    return MAJORITY if regime.vol is Vol.HIGH else QUORUM


def weighed(facts: Mapping[str, float], prior: float) -> float:
    """Return a member's weight, before all are made to add up to 1.

    ``prior * (1 + SPAN * t * clip(skill / FULL, -1, 1))`` with ``t = n / (n + TRUST)``, `skill`
    being the member's over the base rate and `n` the sessions of the hold-out it was measured on.
    The fewer sessions, the nearer to the prior. With a hold-out of a year, a weight moves by at
    most a quarter. A member whose interval lies below zero is known to be worse than no model: it
    has no vote. One of whose skill nothing is known keeps its prior.

    Examples
    --------
    >>> known = {"skill": 0.01, "skill_low": -0.01, "skill_high": 0.03, "sessions": 250.0}
    >>> round(weighed(known, prior=0.3), 4)
    0.3375
    >>> weighed({}, prior=0.3)
    0.3
    >>> weighed(known | {"skill": -0.03, "skill_low": -0.04, "skill_high": -0.02}, prior=0.3)
    0.0
    """
    if not facts.keys() >= MEASURED:
        return prior
    if facts["skill_high"] < 0.0:
        return 0.0
    trust = facts["sessions"] / (facts["sessions"] + TRUST)
    return prior * (1.0 + SPAN * trust * max(-1.0, min(1.0, facts["skill"] / FULL)))


def vote(
    predictions: Sequence[Prediction],
    gate: float,
    weights: Mapping[str, float] = WEIGHTS,
    agreeing: int = QUORUM,
) -> Vote:
    """Count the votes of the members that answered.

    A member says BUY when its probability of a rise reaches `gate`, SELL when that of a fall does,
    else HOLD. The ensemble says what 60 % of the weight and at least `agreeing` members say. Two
    against two is HOLD whatever their weights, and fewer than two answers are no ensemble. Weights
    follow from what was measured of each member (`weighed`); those of members that are absent or
    have no vote go to the others in proportion.

    Parameters
    ----------
    predictions
        Of any models; those without a weight are not members and are passed over.
    gate
        Least probability of a signal, in (0.5, 1]: `domain.market.Regime.gate`.
    weights
        Of the members, before their skill is looked at.
    agreeing
        Members that must say BUY, or SELL: `needed`.

    Raises
    ------
    ModelError
        The gate would let one probability say both, or a member answered twice.

    Examples
    --------
    >>> from domain.examples import prediction
    >>> answers = [prediction(0.58, "xgb"), prediction(0.56, "lgbm"), prediction(0.53, "nhits")]
    >>> ballot = vote(answers, gate=0.54)
    >>> ballot.action, round(ballot.probability, 4), ballot.absent
    (<Action.BUY: 'buy'>, 0.555, {'patchtst': 'not asked'})
    >>> ballot.strength, round(ballot.scale, 3)
    (<Strength.SPLIT: 'split'>, 0.667)
    """
    if not 0.5 < gate <= 1.0:
        raise ModelError(f"a gate of {gate} cannot tell a rise from a fall; use more than 0.5")
    answers = {p.model: p for p in predictions if p.model in weights}
    if len(answers) < sum(p.model in weights for p in predictions):
        raise ModelError("a member of the ensemble answered twice")
    present, absent = _present(answers, weights)
    if len(present) < QUORUM:
        reason = f"{len(present)} of {len(weights)} members answered, {QUORUM} are needed"
        return Vote(
            action=Action.HOLD,
            probability=None,
            code=Reason.NO_QUORUM,
            reason=reason,
            absent=absent,
        )
    own = {name: weighed(answers[name].facts, weights[name]) for name in present}
    whole = fsum(own.values())
    share = {name: weight / whole for name, weight in own.items()}
    votes = {name: _say(p, gate) for name, p in present.items()}
    shares = {
        action: min(1.0, fsum(share[name] for name in votes if votes[name] is action))
        for action in Action
        if action in votes.values()
    }
    leader = max(shares, key=lambda action: shares[action])
    count = sum(said is leader for said in votes.values())
    reason, agreed = _judged(leader, shares[leader], count, agreeing, _tied(votes))
    traded = agreed and leader is not Action.HOLD
    return Vote(
        action=leader if agreed else Action.HOLD,
        probability=fsum(share[name] * p for name, p in present.items()),
        code=Reason.OK if agreed else Reason.NO_CONSENSUS,
        reason=reason,
        votes=votes,
        weights=share,
        shares=shares,
        absent=absent,
        strength=_strength(count, len(weights)) if traded else None,
    )


def _present(
    answers: Mapping[str, Prediction], weights: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the probabilities of the members that have a vote, and why the others have none."""
    present, absent = {}, {}
    for name, prior in weights.items():
        answer = answers.get(name)
        if answer is None or answer.probability is None:
            absent[name] = "not asked" if answer is None else answer.reason
        elif not weighed(answer.facts, prior):
            low, high = answer.facts["skill_low"], answer.facts["skill_high"]
            absent[name] = f"no vote: worse than the base rate, skill in [{low:.3f}, {high:.3f}]"
        else:
            present[name] = answer.probability
    return present, absent


def _judged(
    leader: Action, share: float, count: int, agreeing: int, tied: bool
) -> tuple[str, bool]:
    """Return why the leading action is, or is not, what the ensemble says, and whether it is."""
    if tied:
        return "two against two", False
    said = f"{share:.0%} say {leader}"
    if share < CONSENSUS - ROUNDING:
        return f"{said}, {CONSENSUS:.0%} are needed", False
    if leader is not Action.HOLD and count < agreeing:
        return f"{said}, but that is {count} of them, and {agreeing} must in this regime", False
    return said, True


def _strength(count: int, members: int) -> Strength:
    if count == members:
        return Strength.UNANIMOUS
    return Strength.STRONG if count >= MAJORITY else Strength.SPLIT


def _say(rise: float, gate: float) -> Action:
    if rise >= gate:
        return Action.BUY
    return Action.SELL if 1.0 - rise >= gate else Action.HOLD


def _tied(votes: Mapping[str, Action]) -> bool:
    """Whether the members are split down the middle between two actions."""
    counts = sorted(list(votes.values()).count(action) for action in Action)
    return counts[-1] == counts[-2]
