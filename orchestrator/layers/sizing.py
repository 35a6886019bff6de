"""Sizing: how much of it, if there is an edge at all."""

from domain.bot import Factor
from domain.decision import Draft, Effect, Proposal, Reason, Verdict
from domain.errors import OmegaError
from orchestrator.layers.base import layer, veto
from risk import sizing as rules


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
    gain, loss = payoff(draft, proposal)
    bots = context.book.bots
    answer = rules.size(context, proposal, p, gain, loss, draft.scale, bots)
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


def payoff(draft: Draft, proposal: Proposal) -> tuple[float, float]:
    """Return what a winner brings and a loser costs, in units of the proposal's risk.

    The gain of an option structure is this one's own; what a breach costs, and both sides of a
    share trade, are the means that training measured, after costs. A vertical, of which nothing
    was measured, counts a loser as a total loss.
    """
    facts = [
        prediction.facts
        for prediction in draft.predictions
        if prediction.probability is not None and {"gain", "loss"} <= prediction.facts.keys()
    ]
    if draft.context.bot.factor is Factor.VOLATILITY:
        if proposal.max_gain is None:
            raise OmegaError(f"{proposal.structure} has no known best case")
        gain = proposal.max_gain / proposal.max_loss
        wisdom = draft.prediction("wisdom")
        if proposal.structure != "iron_condor" or wisdom is None:
            return gain, 1.0
        return gain, wisdom.facts["loss"]
    if not facts:
        raise OmegaError("no model says what a winner brings and a loser costs")
    n = len(facts)
    return sum(f["gain"] for f in facts) / n, sum(f["loss"] for f in facts) / n
