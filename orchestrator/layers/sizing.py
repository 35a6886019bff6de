"""Sizing: how much of it, if there is an edge at all."""

from math import fsum

from domain.decision import Draft, Effect, Proposal, Reason, Verdict
from domain.errors import OmegaError
from market import calendar
from models import ensemble, orion
from orchestrator.layers.base import layer, veto
from risk import sizing as rules
from trading.strategies import catalog as strategies
from trading.strategies import wheel
from trading.structures.base import value

WIN = ("wisdom",)
"""Whose payoffs go with the probability that a premium trade is sized by."""


@layer
def sizing(draft: Draft) -> Verdict:
    """Take the least of Kelly, ruin-safe Kelly and every cap; no edge, no size."""
    context, proposal, p = draft.context, draft.proposal, draft.probability
    if proposal is None or p is None:
        raise OmegaError("there is no proposal or no probability to size")
    bot = context.bot
    if bot.min_credit is not None and proposal.entry < bot.min_credit:
        reason = f"a credit of {proposal.entry:.2f}, {bot.min_credit:.2f} is the least"
        return veto("sizing", Reason.NO_CREDIT, reason, credit=proposal.entry)
    if bot.min_reward is not None and _reward(proposal) < bot.min_reward:
        reason = f"a reward of {_reward(proposal):.2f} of the risk, {bot.min_reward:g} is the least"
        return veto("sizing", Reason.NO_REWARD, reason, reward=_reward(proposal))
    gain, loss = payoff(draft, proposal)
    answer = rules.size(context, proposal, p, gain, loss, draft.scale, error(draft))
    evidence = answer.evidence | {"p": p, "gain": gain, "loss": loss}
    if not answer.quantity:
        return veto("sizing", answer.code, answer.reason, **evidence)
    return Verdict(
        layer="sizing",
        effect=Effect.ADJUST,
        code=Reason.SIZED,
        reason=answer.reason,
        quantity=answer.quantity,
        evidence=evidence,
    )


def error(draft: Draft) -> float | None:
    """Return the standard error of the probability that sizes, None where none was measured.

    It is that of the interval that inference tells beside it, or of the model that gave it. Members
    of an ensemble share their data, so their errors are taken to be one: the mean of them, weighted
    as their answers were.
    """
    judge = strategies.find(draft.context.bot.strategy).judge
    seen = next((v.evidence for v in draft.verdicts if v.layer == "inference"), {})
    if "p_low" in seen and "p_high" in seen:
        return rules.standard_error(seen["p_low"], seen["p_high"])
    if judge == "conviction" and draft.proposal is not None:
        return _error(draft, orion.DIRECTION[0 if draft.proposal.side > 0 else 1])
    if judge == "vote":
        shares = {n: seen[f"weight_{n}"] for n in ensemble.WEIGHTS if f"weight_{n}" in seen}
        parts = [(share, _error(draft, name)) for name, share in shares.items()]
        known = [share * own for share, own in parts if own is not None]
        return fsum(known) if known and len(known) == len(parts) else None
    return None


def _error(draft: Draft, model: str) -> float | None:
    said = draft.prediction(model)
    if said is None or said.low is None or said.high is None:
        return None
    return rules.standard_error(said.low, said.high)


def payoff(draft: Draft, proposal: Proposal) -> tuple[float, float]:
    """Return what a winner brings and a loser costs, in units of the proposal's risk.

    Both are means that training measured over all of history, after costs, with the bot's own
    exits. They are of whole sessions: once one has begun, a winner brings the less the more of the
    credit has gone with the time. A credit spread, of which nothing was measured, brings what it
    can bring at most, and counts a loser as a total loss. Where a view chose among structures, its
    own odds say both; where setups are counted, what they came to. A call against the index has
    means of its own, beside those of the put.
    """
    judge = strategies.find(draft.context.bot.strategy).judge
    if judge in ("view", "count"):
        seen = next(v.evidence for v in draft.verdicts if v.layer == "inference")
        return seen["gain"], seen["loss"]
    if judge == "win" and proposal.structure != "iron_condor":
        return _reward(proposal), 1.0
    asked: tuple[str, ...]
    won, lost = "gain", "loss"
    match judge:
        case "win":
            asked = WIN
        case "vote":
            asked = tuple(ensemble.WEIGHTS)
        case "conviction":
            asked = orion.DIRECTION[:1] if proposal.side > 0 else orion.DIRECTION[1:]
        case "expiry":
            asked = ("wheel",)
            if proposal.structure == wheel.CALL:
                won, lost = "call_gain", "call_loss"
    facts = [said.facts for model in asked if (said := draft.prediction(model)) is not None]
    measured = [known for known in facts if {won, lost} <= known.keys()]
    if not measured:
        raise OmegaError("no model says what a winner brings and a loser costs")
    n = len(measured)
    gain, loss = sum(f[won] for f in measured) / n, sum(f[lost] for f in measured) / n
    return gain * _kept(draft, proposal), loss


def _kept(draft: Draft, proposal: Proposal) -> float:
    """Return which share of the credit of all its sessions is left to earn, 0 to 1.

    All of it of what is bought: that costs the less, too, the less time it has.
    """
    context = draft.context
    if proposal.entry <= 0 or context.surface is None or not calendar.begun(context.bar):
        return 1.0
    whole = -value(proposal.legs, context.surface, proposal.horizon)
    return min(1.0, max(0.0, proposal.entry / whole)) if whole > 0 else 0.0


def _reward(proposal: Proposal) -> float:
    if proposal.max_gain is None:
        raise OmegaError(f"{proposal.structure} has no known best case")
    return proposal.max_gain / proposal.max_loss
