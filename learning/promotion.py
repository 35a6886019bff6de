"""The gate between a version that was trained and one that decides, and what moves a champion.

A weekly refit is rarely *better* than last week's: its hold-out is all but the same. So the gate
does not ask for an improvement that nobody could see. It asks four things, in this order:

1. Is it sound? Parity, a base rate that is one, enough sessions, every measure there: else REJECT.
2. Is it worse than the base rate, beyond its 95 % interval? Then REJECT, champion or not.
3. Is there a champion, and is it still fresh? A fresh one is replaced only by what is
   distinguishably better: else HOLD.
4. Is it worse than a champion that is a week old or more? Then HOLD, until the champion's own
   measure is so old that it says nothing of today's market. If not: PROMOTE, as a refresh.

A noise model whose interval covers the base rate passes 2. That is meant: its calibrated
probability stays near the base rate, and sizing finds no edge in it. What noise does not get is
the sentence "beats the base rate", which asks for an interval widened by the number of trials.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from numpy.random import Generator
from pydantic import AwareDatetime
from scipy.stats import norm

from domain.trade import Outcome
from domain.values import Value
from domain.version import Measure, Version
from learning.feedback import verified
from learning.trainer import Trained
from storage import artifacts, registry
from storage.engine import Store
from storage.registry import Ruling, Why

PARITY = 1e-5
"""Largest difference between the training library's probability and the served one."""
LEAST_SESSIONS = 60
"""Of the hold-out."""
RATES = (0.02, 0.98)
"""A base rate outside has too few of one class to learn or to judge anything by."""
NEEDED = ("brier", "brier_base", "skill", "base_rate", "sessions", "parity")
FRESH = timedelta(days=6)
"""A younger champion makes way only for what is distinguishably better."""
STALE = timedelta(days=56)
"""An older one's measures are of a hold-out of which a good part has passed."""
TOLERANCE = 0.02
"""Loss of skill, in Briers of the base rate, that still counts as equal: WISDOM's skill wanders
by 0.011 (standard deviation) from one weekly refit of 2016-2018 to the next."""


class Judgement(Value):
    """A ruling, its reason in a sentence, and how many versions had been tried by then."""

    ruling: Ruling
    reason: str
    trials: int


def beats_base(skill: Measure, trials: int = 1) -> bool:
    """Return whether a skill is above zero for sure, having been tried so often.

    The interval's lower half is widened to 1 - 0.05/trials (Bonferroni). Weekly refits share most
    of their data, so this asks for too much rather than too little.

    Examples
    --------
    >>> some = Measure(value=0.03, n=500, low=0.01, high=0.05)
    >>> beats_base(some), beats_base(some, trials=50)
    (True, False)
    """
    if skill.low is None:
        return False
    z = norm.ppf(1 - 0.025 / max(trials, 1)) / norm.ppf(0.975)
    return bool(skill.value - z * (skill.value - skill.low) > 0)


def judge(candidate: Version, champion: Version | None, history: Collection[str] = ()) -> Judgement:
    """Say whether a candidate becomes the champion of its model.

    Parameters
    ----------
    champion
        The one in office, or None.
    history
        Names of the versions of this model that were tried before. They are counted, for who
        tries often enough finds a lucky one.
    """
    trials = len({*history, candidate.version})

    def say(ruling: Ruling, reason: str) -> Judgement:
        return Judgement(ruling=ruling, reason=reason, trials=trials)

    if flaw := _flaw(candidate):
        return say(Ruling.REJECT, flaw)
    skill = candidate.measures["skill"]
    told = f"skill over the base rate {skill}"
    if beats_base(skill, trials):
        told += ", beats it"
        told += f" also after {trials} trials" if trials > 1 else ""
    else:
        told += ", adds nothing that could be told from noise"
    if champion is None:
        return say(Ruling.PROMOTE, f"first champion; {told}")
    return say(*_against(candidate, champion, told))


def _flaw(candidate: Version) -> str:
    measures = candidate.measures
    if missing := [name for name in NEEDED if name not in measures]:
        return f"not measured: {', '.join(missing)}; a version is not promoted on trust"
    if (parity := measures["parity"].value) > PARITY:
        return f"served and native probabilities differ by {parity:.2g}, more than {PARITY:.0e}"
    if (sessions := measures["sessions"].value) < LEAST_SESSIONS:
        return f"judged on {sessions:.0f} sessions; {LEAST_SESSIONS} are needed"
    if not RATES[0] <= (rate := measures["base_rate"].value) <= RATES[1]:
        return f"base rate {rate:.3f} of the hold-out leaves nothing to tell apart"
    skill = measures["skill"]
    if skill.high is None:
        return f"the hold-out is too short for an interval around its skill of {skill.value:.4f}"
    if skill.high < 0:
        return f"worse than the base rate: skill {skill}"
    return ""


def _against(candidate: Version, champion: Version, told: str) -> tuple[Ruling, str]:
    age = candidate.trained_to - champion.trained_to
    theirs, ours = champion.measures.get("skill"), candidate.measures["skill"]
    if candidate.version == champion.version:
        return Ruling.HOLD, "the very same content as the champion"
    if age <= timedelta(0):
        return Ruling.HOLD, f"it knows nothing that champion {champion.version} did not; {told}"
    if theirs is None:
        return Ruling.PROMOTE, f"champion {champion.version} was never measured; {told}"
    if ours.low is not None and ours.low > theirs.value:
        return Ruling.PROMOTE, f"better than champion {champion.version} ({theirs}); {told}"
    if age < FRESH:
        return Ruling.HOLD, f"champion {champion.version} is {age.days} days old; {told}"
    if ours.value >= theirs.value - TOLERANCE:
        return Ruling.PROMOTE, f"as good as champion {champion.version}, and newer; {told}"
    if age < STALE:
        return Ruling.HOLD, f"worse than champion {champion.version} ({theirs}); {told}"
    return Ruling.PROMOTE, f"champion {champion.version} was measured {age.days} days ago; {told}"


def settle(store: Store, trained: Trained, who: str, at: AwareDatetime) -> Judgement:
    """Store a trained version, judge it against the champion, and do what the gate says.

    Champion and ledger move by compare-and-set: who judged against a champion that was replaced
    meanwhile changes nothing.

    Raises
    ------
    Refused
        Another version became champion in between; settle again.
    """
    version = trained.version
    artifacts.put(store, trained.artifact.to_bytes())
    registry.register(store, version)
    champion = registry.champion(store, version.model)
    judgement = judge(version, champion, registry.tried(store, version.model))
    measures = {name: str(measure) for name, measure in version.measures.items()}
    why = Why(who=who, reason=judgement.reason, measures=measures | {"trials": judgement.trials})
    if judgement.ruling is Ruling.PROMOTE:
        expected = champion.version if champion else None
        registry.promote(store, version.model, version.version, expected, why, at)
    else:
        registry.rule(store, version.model, version.version, judgement.ruling, why, at)
    return judgement


def relapse(
    champion: Version, outcomes: Sequence[Outcome], horizon: int, rng: Generator
) -> Judgement:
    """Say whether a champion is to be demoted by what became of its own predictions.

    REJECT when it did worse than the base rate it was promoted over, beyond the 95 % interval;
    HOLD when it did not, or too little came true yet to know.
    """
    measures = verified(outcomes, horizon, rng) if outcomes else {}
    skill = measures.get("skill")
    if skill is None or skill.high is None:
        seen = measures["sessions"].value if measures else 0
        return Judgement(ruling=Ruling.HOLD, reason=f"{seen:.0f} sessions came true", trials=1)
    if skill.high < 0:
        reason = f"live, {champion.version} is worse than the base rate: skill {skill}"
        return Judgement(ruling=Ruling.REJECT, reason=reason, trials=1)
    return Judgement(ruling=Ruling.HOLD, reason=f"live skill {skill}", trials=1)
