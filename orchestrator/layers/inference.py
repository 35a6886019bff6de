"""Inference: is there a setup, and how probable is it that it pays."""

from collections.abc import Callable, Mapping

from domain.decision import Context, Draft, Effect, Prediction, Reason, Verdict
from domain.errors import FeatureMismatch
from domain.market import Regime
from domain.values import Action
from market.features.catalog import CATALOG as FEATURES
from models import ensemble, orion
from orchestrator.layers.base import layer, veto
from risk.sizing import NORMAL, standard_error
from trading.strategies import catalog as strategies
from trading.strategies import scan
from trading.strategies.base import Judge, Setup
from trading.structures.scanner import Candidate, View

REDUCED = 2 / 3
"""Share of the size between WISDOM's two thresholds: 5 % of the equity where 7.5 % is full."""


@layer
def inference(draft: Draft) -> Verdict:
    """Ask the strategy for a setup, then the champions whether it will pay.

    A bot that sells volatility takes WISDOM's win probability, against thresholds that move with
    the learned base rate. A bot that buys stocks needs the ensemble to agree with its setup, at a
    gate set by the regime; the fewer of its members agree, the smaller the size. One that buys
    spreads needs ORION to see its side. One that scans has a view choose its structure.
    """
    context = draft.context
    if context.unknown:
        raise FeatureMismatch(f"no value for {', '.join(context.unknown)}{_hint(context.unknown)}")
    setup = strategies.setup(context)
    if setup.action is Action.HOLD:
        return veto("inference", Reason.NO_SETUP, setup.reason, **setup.evidence)
    if context.bot.structures and context.surface is None:
        reason = f"{context.symbol} has no volatility surface to price options on"
        return veto("inference", Reason.NO_SURFACE, reason)
    return JUDGES[strategies.find(context.bot.strategy).judge](draft, setup)


def _wisdom(draft: Draft, setup: Setup) -> Verdict:
    wisdom = draft.prediction("wisdom")
    if wisdom is None or wisdom.probability is None:
        return _silent(draft.predictions, "wisdom")
    p, facts = wisdom.probability, wisdom.facts
    floor = max(draft.context.bot.p_min, facts["low"])
    evidence = {"p": p, "base_rate": facts["base_rate"], "low": floor, "high": facts["high"]}
    if wisdom.low is not None and wisdom.high is not None:
        evidence |= {"p_low": wisdom.low, "p_high": wisdom.high}
    if p < floor:
        reason = f"WISDOM gives {p:.3f}, {floor:.3f} is the least"
        return veto("inference", Reason.LOW_PROBABILITY, reason, **evidence)
    full = p >= facts["high"]
    return Verdict(
        layer="inference",
        effect=Effect.PASS if full else Effect.ADJUST,
        reason=f"WISDOM gives {p:.3f} at a base rate of {facts['base_rate']:.3f}",
        action=setup.action,
        probability=p,
        scale=1.0 if full else REDUCED,
        evidence=evidence,
    )


def _agreement(draft: Draft, setup: Setup) -> Verdict:
    context, wanted, evidence = draft.context, setup.action, setup.evidence
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


def _conviction(draft: Draft, setup: Setup) -> Verdict:
    """Ask ORION for a side, and hold where it is not the setup's."""
    said, bot = orion.combine(draft.predictions), draft.context.bot
    if said.probability is None:
        return _silent(draft.predictions, *orion.DIRECTION)
    numbers = setup.evidence | {"p": said.probability, "conviction": said.conviction}
    numbers |= {f"conviction_{name}": part for name, part in said.parts.items()}
    seen = {1: Action.BUY, -1: Action.SELL}.get(said.side, Action.HOLD)
    if seen is not setup.action:
        told = f"{said.probability:.3f}, conviction {said.conviction:.2f}"
        reason = f"the setup says {setup.action}, ORION {seen} ({told})"
        return veto("inference", Reason.NO_CONSENSUS, reason, **numbers)
    if said.probability < bot.p_min:
        reason = f"ORION gives {said.probability:.3f}, {bot.p_min:.3f} is the least"
        return veto("inference", Reason.LOW_PROBABILITY, reason, **numbers)
    absent = f"; absent: {', '.join(said.absent)}" if said.absent else ""
    return Verdict(
        layer="inference",
        reason=f"ORION gives {said.probability:.3f} with a conviction of {said.conviction:.2f}"
        f"; {setup.reason}{absent}",
        action=setup.action,
        probability=said.probability,
        evidence=numbers,
    )


def _view(draft: Draft, setup: Setup) -> Verdict:
    """Have DISCERNMENT's view choose among the nine; without an edge after costs, hold."""
    context = draft.context
    answers = {name: draft.prediction(f"discernment-{name}") for name in ("up", "down")}
    up, down = (None if said is None else said.probability for said in answers.values())
    if up is None or down is None:
        return _silent(draft.predictions, "discernment-up", "discernment-down")
    over = max(1.0, up + down)  # two models that were fitted apart may say more than all
    view = View(
        bullish=up / over,
        neutral=max(0.0, 1 - (up + down) / over),
        bearish=down / over,
        vix=context.features.get("vix"),
        gamma=context.features.get("gex_normalized"),
    )
    found = scan.choose(context, view)
    numbers = {"up": view.bullish, "flat": view.neutral, "down": view.bearish}
    numbers |= {"priced_move": found.priced_move, "expected_move": found.expected_move}
    if not found.candidates:
        told = "; ".join(f"{name}: {why}" for name, why in found.refused.items())
        return veto("inference", Reason.NO_SURFACE, f"nothing could be priced: {told}", **numbers)
    best = found.candidates[0]
    numbers |= {"p": best.probability, "implied": best.implied, "edge": best.edge}
    numbers |= {"gain": best.gain, "loss": best.loss} | _within(context, view, best, answers, over)
    told = f"{best.found.structure}: {best.reason}"
    if not best.stake:
        return veto("inference", Reason.NO_EDGE, f"the best of nine is {told}", **numbers)
    made = scan.made(context, best.found)
    return Verdict(
        layer="inference",
        reason=f"of nine the view prefers {told}",
        action=made.action,
        probability=best.probability,
        proposal=made,
        evidence=numbers,
    )


def _within(
    context: Context,
    view: View,
    best: Candidate,
    answers: Mapping[str, Prediction | None],
    over: float,
) -> dict[str, float]:
    """Return the 90 % interval of the chance of what a view chose; nothing if a side has none."""
    sides = [
        standard_error(said.low, said.high) / over
        for said in answers.values()
        if said is not None and said.low is not None and said.high is not None
    ]
    if len(sides) < len(answers):
        return {}
    reach = NORMAL * scan.wavering(context, view, best.found, *sides)
    return {
        "p_low": max(0.0, best.probability - reach),
        "p_high": min(1.0, best.probability + reach),
    }


JUDGES: dict[Judge, Callable[[Draft, Setup], Verdict]] = {
    "win": _wisdom,
    "vote": _agreement,
    "conviction": _conviction,
    "view": _view,
}


def _regime(context: Context) -> Regime:
    if context.regime is None:
        raise FeatureMismatch("the regime is unknown: too little history for its two axes")
    return context.regime


def _hint(unknown: tuple[str, ...]) -> str:
    """Return what to do about gamma features, which need data that few feeds have."""
    gamma = any(FEATURES[name].group == "gex" for name in unknown if name in FEATURES)
    return "; unavailable: import a GEX history and option chains" if gamma else ""


def _silent(predictions: tuple[Prediction, ...], *models: str) -> Verdict:
    """Return the veto that says why the models that matter did not answer."""
    said = [f"{p.model}: {p.reason}" for p in predictions if p.model in models and p.reason]
    missing = f"no champion of {', '.join(models)}; train with `omega train {' '.join(models)}`"
    why = "; ".join(said) or missing
    if any(p.novel for p in predictions if p.model in models):
        return veto("inference", Reason.NOVEL, why)
    unknown = any("unknown" in reason or "missing" in reason for reason in said)
    return veto("inference", Reason.FEATURE_UNKNOWN if unknown else Reason.UNTRAINED, why)
