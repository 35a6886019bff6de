"""Sizing: how much of it, if there is an edge at all."""

from domain.bot import Factor
from domain.decision import Draft, Effect, Proposal, Reason, Verdict
from domain.errors import OmegaError
from market import calendar
from models import ensemble
from orchestrator.layers.base import layer, veto
from risk import sizing as rules
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

    Both are means that training measured over all of history, after costs, with the bot's own
    exits. They are of whole sessions: once one has begun, a winner brings the less the more of the
    credit has gone with the time. A vertical, of which nothing was measured, brings what it can
    bring at most, and counts a loser as a total loss.
    """
    if draft.context.bot.factor is Factor.VOLATILITY and proposal.structure != "iron_condor":
        if proposal.max_gain is None:
            raise OmegaError(f"{proposal.structure} has no known best case")
        return proposal.max_gain / proposal.max_loss, 1.0
    asked = WIN if draft.context.bot.factor is Factor.VOLATILITY else tuple(ensemble.WEIGHTS)
    facts = [said.facts for model in asked if (said := draft.prediction(model)) is not None]
    measured = [known for known in facts if {"gain", "loss"} <= known.keys()]
    if not measured:
        raise OmegaError("no model says what a winner brings and a loser costs")
    n = len(measured)
    gain, loss = sum(f["gain"] for f in measured) / n, sum(f["loss"] for f in measured) / n
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
