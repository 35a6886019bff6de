"""Advisor (Prophet): which structure, how far out, how much less. Never a veto, never more."""

from collections.abc import Iterator
from enum import StrEnum

from domain.bot import Bot, Factor
from domain.decision import Context, Draft, Effect, Reason, Verdict
from domain.errors import FeatureMismatch, OmegaError
from domain.values import Action
from models import orion
from orchestrator.layers.base import layer
from trading.strategies import catalog as strategies
from trading.strategies import spread


class Band(StrEnum):
    """Where the VIX stands."""

    LOW = "low"
    NORMAL = "normal"
    ELEVATED = "elevated"
    HIGH = "high"
    EXTREME = "extreme"


BANDS = ((15.0, Band.LOW), (22.0, Band.NORMAL), (28.0, Band.ELEVATED), (35.0, Band.HIGH))
CONDOR = {
    Band.LOW: -0.15,
    Band.NORMAL: 0.20,
    Band.ELEVATED: -0.05,
    Band.HIGH: -0.25,
    Band.EXTREME: -0.40,
}
DIRECTIONAL = {
    Band.LOW: 0.10,
    Band.NORMAL: 0.0,
    Band.ELEVATED: 0.15,
    Band.HIGH: 0.25,
    Band.EXTREME: 0.10,
}
SIZE = {
    Band.LOW: 1.0,
    Band.NORMAL: 1.0,
    Band.ELEVATED: 0.75,
    Band.HIGH: 0.50,
    Band.EXTREME: 0.25,
}
FURTHER = ((0.70, 1.0), (0.60, 1.3 / 1.2), (0.0, 1.4 / 1.2))
"""Least win probability of a condor, and how much further out its short strikes then go."""
UNADVISED = 0.5
"""Share of the size when no sub-model of Prophet could answer."""


def band(vix: float) -> Band:
    """Return the band of a VIX level.

    Examples
    --------
    >>> band(14.9), band(15), band(40)
    (<Band.LOW: 'low'>, <Band.NORMAL: 'normal'>, <Band.EXTREME: 'extreme'>)
    """
    return next((name for top, name in BANDS if vix < top), Band.EXTREME)


@layer
def advisor(draft: Draft) -> Verdict:
    """Choose the structure and its strikes, shrink by the VIX, and draw up the proposal."""
    context = draft.context
    if "vix" not in context.features:
        raise FeatureMismatch("no value for vix, which the advisor needs")
    level = band(context.features["vix"])
    judge = strategies.find(context.bot.strategy).judge
    if judge == "view":
        return _chosen(draft, level)
    if judge == "expiry":
        return _turned(context, level)
    if context.bot.factor is Factor.PRICE:
        return _direction(draft, level)
    return _premium(draft, level)


def _turned(context: Context, level: Band) -> Verdict:
    """Shrink the wheel by the VIX; which position is next and how far out is not for choice."""
    proposal, scale = strategies.propose(context), SIZE[level]
    return Verdict(
        layer="advisor",
        effect=Effect.ADJUST if scale < 1 else Effect.PASS,
        code=Reason.ADVISED if scale < 1 else Reason.OK,
        reason=f"{proposal.structure}: VIX is {level}",
        action=proposal.action,
        proposal=proposal,
        scale=scale,
    )


def _chosen(draft: Draft, level: Band) -> Verdict:
    """Shrink what a view has chosen: by the VIX, and by half where size or timing speak against it.

    Bought premium wants a move, and soon, before time has eaten it; sold premium wants none. What
    is usual for either is the base rate that its model was promoted over.
    """
    proposal, scale, reasons = draft.proposal, SIZE[level], [f"VIX is {level}"]
    if proposal is None:
        raise OmegaError("no view has chosen a structure to advise on")
    buys = proposal.action is Action.BUY
    calm, soon = (_leans(draft, f"discernment-{name}") for name in ("size", "soon"))
    if calm is not None and calm == buys:
        scale *= UNADVISED
        reasons.append(f"moves {'smaller' if buys else 'larger'} than usual are expected, so half")
    if buys and soon is False:
        scale *= UNADVISED
        reasons.append("what comes is expected late, so half")
    return Verdict(
        layer="advisor",
        effect=Effect.ADJUST if scale < 1 else Effect.PASS,
        code=Reason.ADVISED if scale < 1 else Reason.OK,
        reason=f"{proposal.structure}: {'; '.join(reasons)}",
        action=proposal.action,
        proposal=proposal,
        scale=scale,
    )


def _leans(draft: Draft, model: str) -> bool | None:
    """Return whether a model gives more than its base rate; None where it says neither."""
    said = draft.prediction(model)
    if said is None or said.probability is None or "base_rate" not in said.facts:
        return None
    return said.probability > said.facts["base_rate"]


def _direction(draft: Draft, level: Band) -> Verdict:
    """Shrink a bet on a direction by the VIX, and by half when another sees the other one."""
    context, scale, reasons = draft.context, SIZE[level], [f"VIX is {level}"]
    answer = draft.prediction("prophet-directional")
    against = list(_against(draft))
    if against:
        scale *= UNADVISED
        reasons.append(f"{', '.join(against)}, so half")
    structure = spread.chosen(context, draft.action) if context.bot.structures else None
    proposal = strategies.propose(context, structure, None)
    return Verdict(
        layer="advisor",
        effect=Effect.ADJUST if scale < 1 else Effect.PASS,
        code=Reason.ADVISED if scale < 1 else Reason.OK,
        reason="; ".join(reasons),
        action=proposal.action,
        proposal=proposal,
        scale=scale,
        evidence={} if answer is None or answer.probability is None else {"p": answer.probability},
    )


def _against(draft: Draft) -> Iterator[str]:
    """Yield who sees the other direction: several that do weigh no more than one.

    They share the index and its history, so their agreeing is no evidence of its own.
    """
    falls, regime = draft.action is Action.SELL, draft.context.regime
    other = "rising" if falls else "falling"
    for model, title in (("prophet-directional", "Prophet"), ("pattern", "the pattern learner")):
        said = draft.prediction(model)
        if said is None or said.probability is None or regime is None:
            continue
        if (said.probability if falls else 1 - said.probability) >= regime.gate:
            yield f"{title} sees the index {other}"
    rise, fall = (draft.prediction(f"gex-{side}") for side in ("bullish", "bearish"))
    if rise is None or fall is None or rise.probability is None or fall.probability is None:
        return
    lead = rise.probability - fall.probability
    if (lead if falls else -lead) >= orion.LEAD:
        yield f"gamma points to the index {other}"


def _premium(draft: Draft, level: Band) -> Verdict:
    context, bot = draft.context, draft.context.bot
    condor, directional = suitability(context, level)
    answer = draft.prediction("prophet-condor") or draft.prediction("prophet")
    p = None if answer is None else answer.probability
    further = 1.0 if p is None else next(k for least, k in FURTHER if p >= least)
    structure, probability = _structure(draft, bot, condor, directional)
    scale = SIZE[level]
    reasons = [f"VIX is {level}", f"condor {condor:.2f} against directional {directional:.2f}"]
    if p is None:
        scale *= UNADVISED
        reasons.append("Prophet is silent, so half")
    if structure == "iron_condor" and directional > condor + 0.10:
        scale *= UNADVISED
        reasons.append("a directional structure suits better, so half")
    distance = (bot.distance or 0.0) * (further if structure == "iron_condor" else 1.0)
    return Verdict(
        layer="advisor",
        effect=Effect.ADJUST,
        code=Reason.ADVISED,
        reason=f"{structure}: {'; '.join(reasons)}",
        action=Action.SELL,
        probability=probability,
        proposal=strategies.propose(context, structure, distance),
        scale=scale,
        evidence={"condor": condor, "directional": directional, "distance": distance}
        | ({} if p is None else {"p": p}),
    )


def suitability(context: Context, level: Band) -> tuple[float, float]:
    """Return how well a condor and a directional structure suit the day, each about 0 to 1.

    From the seed's table: VIX band, gamma regime where it is known, weekday, distance to the flip.
    """
    features = context.features
    condor, directional = 0.5 + CONDOR[level], 0.5 + DIRECTIONAL[level]
    positive = features.get("gex_regime_positive")
    if positive is not None:
        condor += 0.25 if positive else -0.30
        directional += -0.10 if positive else 0.30
    if context.bar.weekday() in (0, 4):
        condor -= 0.05
    flip = features.get("gex_distance_to_flip_pct")
    if flip is not None and flip > 2:
        condor += 0.05
    if flip is not None and flip < -2:
        directional += 0.05
    return condor, directional


def _structure(
    draft: Draft, bot: Bot, condor: float, directional: float
) -> tuple[str, float | None]:
    """Return the structure and its probability where that differs from WISDOM's.

    A vertical is chosen only when the day favours direction, the bot may trade one, and Prophet's
    directional model sees a side at the regime's gate.
    """
    answer = draft.prediction("prophet-directional")
    regime = draft.context.regime
    if (
        directional > condor + 0.10
        and answer is not None
        and answer.probability is not None
        and regime is not None
    ):
        up = answer.probability
        if up >= regime.gate and "bull_put" in bot.structures:
            return "bull_put", up
        if 1 - up >= regime.gate and "bear_call" in bot.structures:
            return "bear_call", 1 - up
    return "iron_condor", None
