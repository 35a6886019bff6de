"""Inference: is there a setup, and how probable is it that it pays."""

from collections.abc import Callable, Mapping

from domain.decision import Context, Draft, Effect, Prediction, Reason, Verdict
from domain.errors import FeatureMismatch
from domain.market import Regime
from domain.values import Action
from market.features.catalog import CATALOG as FEATURES
from models import belief, ensemble, orion, valor
from orchestrator.layers.base import layer, veto
from risk.measures import wilson
from risk.sizing import INTERVAL, NORMAL, standard_error
from trading.strategies import catalog as strategies
from trading.strategies import scan, wheel
from trading.strategies.base import Judge, Setup
from trading.structures.scanner import Candidate, View

CALLS = frozenset({"call_rate", "call_gain", "call_loss", "call_n"})
"""Facts of the wheel's champion about calls; see `learning.trainer.covered`."""
REDUCED = 2 / 3
"""Share of the size between WISDOM's two thresholds: 5 % of the equity where 7.5 % is full."""


@layer
def inference(draft: Draft) -> Verdict:
    """Ask the strategy for a setup, then the champions whether it will pay.

    A bot that sells volatility takes WISDOM's win probability, against thresholds that move with
    the learned base rate. A bot that buys stocks needs the ensemble to agree with its setup, at a
    gate set by the regime; the fewer of its members agree, the smaller the size. One that buys
    spreads needs ORION to see its side. One that scans has a view choose its structure. One that
    turns a wheel asks where the put will expire, and of the call what history says.
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
    return _premium(draft, setup, "wisdom", "WISDOM")


def _premium(draft: Draft, setup: Setup, model: str, title: str) -> Verdict:
    """Ask one model whether what is sold will win, and shrink where it gives less than is usual."""
    said = draft.prediction(model)
    if said is None or said.probability is None:
        return _silent(draft.predictions, model)
    p, facts = said.probability, said.facts
    floor = max(draft.context.bot.p_min, facts["low"])
    evidence = {"p": p, "base_rate": facts["base_rate"], "low": floor, "high": facts["high"]}
    if said.low is not None and said.high is not None:
        evidence |= {"p_low": said.low, "p_high": said.high}
    evidence |= setup.evidence
    if p < floor:
        reason = f"{title} gives {p:.3f}, {floor:.3f} is the least"
        return veto("inference", Reason.LOW_PROBABILITY, reason, **evidence)
    full = p >= facts["high"]
    return Verdict(
        layer="inference",
        effect=Effect.PASS if full else Effect.ADJUST,
        reason=f"{title} gives {p:.3f} at a base rate of {facts['base_rate']:.3f}",
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


def _counted(draft: Draft, setup: Setup) -> Verdict:
    """Ask the count of what the setups of this regime came to, or the learner that has beaten it.

    What a winner brings and a loser costs is what they came to, too; until ten have ended, what
    training measured of the side.
    """
    context, name = draft.context, valor.ANSWERS[setup.action]
    count, said = belief.Belief.of(context.features), draft.prediction(name)
    gain, loss = count.gain, count.loss
    if count.n < belief.COLD or gain is None or loss is None:
        facts = {} if said is None else said.facts
        gain, loss = facts.get("gain"), facts.get("loss")
    if gain is None or loss is None:
        ended = (
            f"{count.n} of its setups in this regime have ended, {belief.COLD} say what one brings"
        )
        silent = _silent(draft.predictions, name)
        return silent.model_copy(update={"reason": f"{ended}; {silent.reason}"})
    numbers = setup.evidence | {"count": count.probability, "n": float(count.n)}
    numbers |= {"gain": gain, "loss": loss, "floored": float(count.floored)}
    p, reason = count.probability, f"the count gives {belief.told(count)}"
    low, high = count.low, count.high
    if said is not None and said.probability is not None:
        numbers[name] = said.probability
        if context.features.get(belief.PROMOTED):
            p, reason = said.probability, f"{name} gives {said.probability:.3f}, {reason}"
            low, high = said.low, said.high
    numbers["p"] = p
    numbers |= {} if low is None or high is None else {"p_low": low, "p_high": high}
    if p < context.bot.p_min:
        least = f"{reason}; {context.bot.p_min:.3f} is the least"
        return veto("inference", Reason.LOW_PROBABILITY, least, **numbers)
    return Verdict(
        layer="inference",
        reason=f"{reason}; {setup.reason}",
        action=setup.action,
        probability=p,
        evidence=numbers,
    )


def _expiry(draft: Draft, setup: Setup) -> Verdict:
    """Ask the wheel's model of the put, and the measured history of the call.

    What the model answers is where the index closes against a strike *below* the spot. That says
    whether a put expires worthless. Of the index with a call sold against it, it says next to
    nothing: that earns by every point up to a strike above, and loses by every point from the
    start. So a call is judged by how all of its kind came out before the model was trained, after
    costs, and by no forecast: no edge in that is no trade here either. The model must answer all
    the same, for a day that is like none it knows is like none of that history.
    """
    if wheel.phase(draft.context) == wheel.PUT:
        return _premium(draft, setup, "wheel", "the wheel's model")
    said = draft.prediction("wheel")
    if said is None:
        return _silent(draft.predictions, "wheel")
    facts = {name: v for name, v in said.facts.items() if name.startswith("call_")}
    if not facts.keys() >= CALLS:
        away = draft.context.bot.distance
        reason = f"no call {away} expected moves away was measured with champion {said.version}"
        return veto("inference", Reason.UNTRAINED, f"{reason}; train it again", **setup.evidence)
    p, n = facts["call_rate"], facts["call_n"]
    # positions of a month that begin every session share most of their path
    apart = n / draft.context.bot.horizon
    low, high = wilson(p * apart, apart, INTERVAL)
    evidence = setup.evidence | facts | {"p": p, "p_low": low, "p_high": high}
    if p < draft.context.bot.p_min:
        reason = f"{p:.3f} of such calls paid, {draft.context.bot.p_min:.3f} is the least"
        return veto("inference", Reason.LOW_PROBABILITY, reason, **evidence)
    return Verdict(
        layer="inference",
        reason=f"{setup.reason}; {p:.3f} of {n:.0f} such positions in history paid, no forecast",
        action=setup.action,
        probability=p,
        evidence=evidence,
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
    "count": _counted,
    "expiry": _expiry,
}


def _regime(context: Context) -> Regime:
    if context.regime is None:
        raise FeatureMismatch("the regime is unknown: too little history for its two axes")
    return context.regime


def _hint(unknown: tuple[str, ...]) -> str:
    """Return what to do about gamma features, which need data that few feeds have."""
    groups = {FEATURES[name].group for name in unknown if name in FEATURES}
    if "within" in groups:
        return "; unavailable: import bars within sessions, a GEX history and option chains"
    return "; unavailable: import a GEX history and option chains" if "gex" in groups else ""


def _silent(predictions: tuple[Prediction, ...], *models: str) -> Verdict:
    """Return the veto that says why the models that matter did not answer."""
    said = [f"{p.model}: {p.reason}" for p in predictions if p.model in models and p.reason]
    missing = f"no champion of {', '.join(models)}; train with `omega train {' '.join(models)}`"
    why = "; ".join(said) or missing
    if any(p.novel for p in predictions if p.model in models):
        return veto("inference", Reason.NOVEL, why)
    unknown = any("unknown" in reason or "missing" in reason for reason in said)
    return veto("inference", Reason.FEATURE_UNKNOWN if unknown else Reason.UNTRAINED, why)
