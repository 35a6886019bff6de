"""Inference: is there a setup, and how probable is it that it pays."""

from domain.bot import Factor
from domain.decision import Context, Draft, Effect, Prediction, Reason, Verdict
from domain.errors import FeatureMismatch
from domain.market import Regime
from domain.values import Action
from models import ensemble
from orchestrator.layers.base import layer, veto
from trading.strategies import catalog as strategies

REDUCED = 2 / 3
"""Share of the size between WISDOM's two thresholds: 5 % of the equity where 7.5 % is full."""


@layer
def inference(draft: Draft) -> Verdict:
    """Ask the strategy for a setup, then the champions whether it will pay.

    A bot that sells volatility takes WISDOM's win probability, against thresholds that move with
    the learned base rate. A bot that bets on a direction needs the ensemble to agree with its
    setup, at a gate set by the regime; the fewer of its members agree, the smaller the size.
    """
    context = draft.context
    if context.unknown:
        raise FeatureMismatch(f"no value for {', '.join(context.unknown)}")
    setup = strategies.setup(context)
    if setup.action is Action.HOLD:
        return veto("inference", Reason.NO_SETUP, setup.reason, **setup.evidence)
    if context.bot.factor is Factor.VOLATILITY:
        if context.surface is None:
            reason = f"{context.symbol} has no volatility surface to price options on"
            return veto("inference", Reason.NO_SURFACE, reason)
        return _wisdom(draft, setup.action)
    return _agreement(draft, setup.action, setup.evidence)


def _wisdom(draft: Draft, action: Action) -> Verdict:
    wisdom = draft.prediction("wisdom")
    if wisdom is None or wisdom.probability is None:
        return _silent(draft.predictions, "wisdom")
    p, facts = wisdom.probability, wisdom.facts
    floor = max(draft.context.bot.p_min, facts["low"])
    evidence = {"p": p, "base_rate": facts["base_rate"], "low": floor, "high": facts["high"]}
    if p < floor:
        reason = f"WISDOM gives {p:.3f}, {floor:.3f} is the least"
        return veto("inference", Reason.LOW_PROBABILITY, reason, **evidence)
    full = p >= facts["high"]
    return Verdict(
        layer="inference",
        effect=Effect.PASS if full else Effect.ADJUST,
        reason=f"WISDOM gives {p:.3f} at a base rate of {facts['base_rate']:.3f}",
        action=action,
        probability=p,
        scale=1.0 if full else REDUCED,
        evidence=evidence,
    )


def _agreement(draft: Draft, wanted: Action, evidence: dict[str, float]) -> Verdict:
    context = draft.context
    regime = _regime(context)
    gate = max(regime.gate, context.bot.p_min)
    vote = ensemble.vote(draft.predictions, gate, agreeing=ensemble.needed(regime))
    numbers = evidence | {"gate": gate, "members": float(len(vote.weights))}
    numbers |= {f"weight_{name}": weight for name, weight in vote.weights.items()}
    if vote.probability is None:
        silent = [model for model in context.bot.models if model in vote.absent]
        if len(vote.absent) == len(ensemble.WEIGHTS):
            return _silent(draft.predictions, *silent)
        told = "".join(f"; {model}: {vote.absent[model]}" for model in silent)
        return veto("inference", vote.code, vote.reason + told, **numbers)
    numbers["p"] = vote.probability
    if vote.action is not wanted:
        reason = f"the setup says {wanted}, the ensemble {vote.action}: {vote.reason}"
        return veto("inference", Reason.NO_CONSENSUS, reason, **numbers)
    agree = sum(said is wanted for said in vote.votes.values())
    absent = f"; absent: {', '.join(vote.absent)}" if vote.absent else ""
    return Verdict(
        layer="inference",
        effect=Effect.PASS if vote.scale == 1.0 else Effect.ADJUST,
        reason=f"{agree} members say {wanted} at {vote.probability:.3f}, a {vote.strength} "
        f"vote{absent}",
        action=wanted,
        probability=vote.probability,
        scale=vote.scale,
        evidence=numbers,
    )


def _regime(context: Context) -> Regime:
    if context.regime is None:
        raise FeatureMismatch("the regime is unknown: too little history for its two axes")
    return context.regime


def _silent(predictions: tuple[Prediction, ...], *models: str) -> Verdict:
    """Return the veto that says why the models that matter did not answer."""
    said = [f"{p.model}: {p.reason}" for p in predictions if p.model in models and p.reason]
    missing = f"no champion of {', '.join(models)}; train with `omega train {' '.join(models)}`"
    why = "; ".join(said) or missing
    unknown = any("unknown" in reason or "missing" in reason for reason in said)
    return veto("inference", Reason.FEATURE_UNKNOWN if unknown else Reason.UNTRAINED, why)
