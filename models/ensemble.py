"""Four members vote on which way a stock will go."""

from collections.abc import Mapping, Sequence
from math import fsum

from pydantic import Field

from domain.decision import Prediction, Reason
from domain.errors import ModelError
from domain.values import Action, Fraction, Probability, Value

WEIGHTS: dict[str, float] = {"xgb": 0.25, "lgbm": 0.25, "nhits": 0.30, "patchtst": 0.20}
"""Of a full ensemble; of those present, in proportion."""
QUORUM = 2
"""Members that must answer."""
CONSENSUS = 0.6
"""Share of the weight that one action needs."""
ROUNDING = 1e-9


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
    """Members that did not answer, and why."""


def vote(
    predictions: Sequence[Prediction],
    gate: float,
    weights: Mapping[str, float] = WEIGHTS,
) -> Vote:
    """Count the votes of the members that answered.

    A member says BUY when its probability of a rise reaches `gate`, SELL when that of a fall does,
    else HOLD. The ensemble says what 60 % of the weight says. Two against two is HOLD whatever
    their weights, and fewer than two answers are no ensemble. Weights of members that are absent
    go to the others in proportion.

    Parameters
    ----------
    predictions
        Of any models; those without a weight are not members and are passed over.
    gate
        Least probability of a signal, in (0.5, 1]: `domain.market.Regime.gate`.
    weights
        Of the members.

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
    """
    if not 0.5 < gate <= 1.0:
        raise ModelError(f"a gate of {gate} cannot tell a rise from a fall; use more than 0.5")
    answers = {p.model: p for p in predictions if p.model in weights}
    if len(answers) < sum(p.model in weights for p in predictions):
        raise ModelError("a member of the ensemble answered twice")
    chances = {name: answers[name].probability for name in weights if name in answers}
    present = {name: p for name, p in chances.items() if p is not None}
    absent = {
        name: answers[name].reason if name in answers else "not asked"
        for name in weights
        if name not in present
    }
    if len(present) < QUORUM:
        reason = f"{len(present)} of {len(weights)} members answered, {QUORUM} are needed"
        return Vote(
            action=Action.HOLD,
            probability=None,
            code=Reason.NO_QUORUM,
            reason=reason,
            absent=absent,
        )
    whole = fsum(weights[name] for name in present)
    share = {name: weights[name] / whole for name in present}
    votes = {name: _say(p, gate) for name, p in present.items()}
    shares = {
        action: min(1.0, fsum(share[name] for name in votes if votes[name] is action))
        for action in Action
        if action in votes.values()
    }
    leader = max(shares, key=lambda action: shares[action])
    tied = _tied(votes)
    agreed = shares[leader] >= CONSENSUS - ROUNDING and not tied
    reason = "two against two" if tied else f"{shares[leader]:.0%} say {leader}"
    return Vote(
        action=leader if agreed else Action.HOLD,
        probability=fsum(share[name] * p for name, p in present.items()),
        code=Reason.OK if agreed else Reason.NO_CONSENSUS,
        reason=reason if agreed or tied else f"{reason}, {CONSENSUS:.0%} are needed",
        votes=votes,
        weights=share,
        shares=shares,
        absent=absent,
    )


def _say(rise: float, gate: float) -> Action:
    if rise >= gate:
        return Action.BUY
    return Action.SELL if 1.0 - rise >= gate else Action.HOLD


def _tied(votes: Mapping[str, Action]) -> bool:
    """Whether the members are split down the middle between two actions."""
    counts = sorted(list(votes.values()).count(action) for action in Action)
    return counts[-1] == counts[-2]
