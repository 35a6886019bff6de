"""A gate that can say no."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain.book import Costs
from domain.errors import Refused
from domain.trade import Outcome
from domain.version import Measure, Stage, Version
from learning.promotion import beats_base, judge, relapse, settle
from learning.trainer import train
from market.panel import Panel
from storage import artifacts, registry
from storage.engine import Store
from storage.registry import Ruling, Why

MONDAY = datetime(2017, 6, 5, 21, tzinfo=UTC)
DAY = timedelta(days=1)


def version(
    skill: tuple[float, float | None, float | None] = (0.01, -0.02, 0.04),
    day: int = 0,
    **changes: Measure,
) -> Version:
    """Return a sound candidate, trained `day` days after a Monday."""
    measures = {
        "brier": Measure(value=0.137, n=500),
        "brier_base": Measure(value=0.139, n=500),
        "skill": Measure(value=skill[0], n=500, low=skill[1], high=skill[2]),
        "base_rate": Measure(value=0.83, n=500),
        "sessions": Measure(value=167.0, n=500),
        "parity": Measure(value=2e-7, n=500),
    } | changes
    content = f"{abs(hash((skill, day))):012x}"[:12]
    return Version(
        model="wisdom",
        version=content,
        sha256=content.ljust(64, "0"),
        features=("vix",),
        trained_from=MONDAY - 700 * DAY,
        trained_to=MONDAY + day * DAY,
        trained_at=MONDAY + day * DAY,
        n=2000,
        data_hash="0" * 12,
        measures=measures,
    )


def test_the_first_champion_need_not_beat_the_base_rate_but_says_so() -> None:
    ruled = judge(version(), None)
    assert ruled.ruling is Ruling.PROMOTE
    assert "adds nothing" in ruled.reason
    ruled = judge(version((0.05, 0.02, 0.08)), None)
    assert ruled.ruling is Ruling.PROMOTE
    assert "beats it" in ruled.reason


@pytest.mark.parametrize("champion", [None, version((-0.09, -0.15, -0.04), -70)])
def test_worse_than_the_base_rate_is_rejected_whoever_is_champion(
    champion: Version | None,
) -> None:
    ruled = judge(version((-0.05, -0.09, -0.01)), champion)
    assert ruled.ruling is Ruling.REJECT
    assert "worse than the base rate" in ruled.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parity": Measure(value=3e-4, n=500)}, "differ by 0.0003"),
        ({"sessions": Measure(value=40.0, n=120)}, "judged on 40 sessions"),
        ({"base_rate": Measure(value=0.995, n=500)}, "base rate 0.995"),
        ({"base_rate": Measure(value=0.0, n=500)}, "base rate 0.000"),
    ],
)
def test_an_unsound_version_is_rejected(changes: dict[str, Measure], reason: str) -> None:
    ruled = judge(version((0.2, 0.1, 0.3), **changes), None)
    assert ruled.ruling is Ruling.REJECT
    assert reason in ruled.reason


def test_what_was_not_measured_is_not_promoted() -> None:
    whole = version((0.2, 0.1, 0.3))
    measures = {name: m for name, m in whole.measures.items() if name not in ("skill", "parity")}
    ruled = judge(whole.model_copy(update={"measures": measures}), None)
    assert (ruled.ruling, ruled.reason.split(";")[0]) == (
        Ruling.REJECT,
        "not measured: skill, parity",
    )
    ruled = judge(version((0.2, None, None)), None)
    assert ruled.ruling is Ruling.REJECT
    assert "too short for an interval" in ruled.reason


@pytest.mark.parametrize(
    ("skill", "day", "ruling"),
    [
        ((0.011, -0.02, 0.04), 7, Ruling.PROMOTE),  # a week on, as good
        ((-0.005, -0.04, 0.03), 7, Ruling.PROMOTE),  # within the noise of a week
        ((-0.02, -0.05, 0.01), 7, Ruling.HOLD),  # worse
        ((-0.02, -0.05, 0.01), 55, Ruling.HOLD),
        ((-0.02, -0.05, 0.01), 56, Ruling.PROMOTE),  # than a measure that has gone stale
        ((0.02, -0.01, 0.05), 3, Ruling.HOLD),  # the champion is fresh
        ((0.06, 0.03, 0.09), 3, Ruling.PROMOTE),  # distinguishably better
        ((0.06, 0.03, 0.09), 0, Ruling.HOLD),  # knows nothing new
        ((0.06, 0.03, 0.09), -7, Ruling.HOLD),
    ],
)
def test_a_champion_is_refreshed_by_its_equal_and_kept_before_the_worse(
    skill: tuple[float, float, float], day: int, ruling: Ruling
) -> None:
    assert judge(version(skill, day), version()).ruling is ruling


def test_the_same_content_is_no_news() -> None:
    again = version().model_copy(update={"trained_to": MONDAY + 14 * DAY})
    assert judge(again, version()).ruling is Ruling.HOLD


def test_who_tries_often_needs_more_to_claim_a_skill() -> None:
    lucky = version((0.03, 0.005, 0.055))
    tried = [version((0.0, -0.03, 0.03), day).version for day in range(1, 40)]
    alone, late = judge(lucky, None), judge(lucky, None, [*tried, lucky.version])
    assert (alone.trials, late.trials) == (1, 40)
    assert "beats it" in alone.reason
    assert "adds nothing" in late.reason
    assert not beats_base(Measure(value=0.3, n=9))


def test_a_trained_version_is_stored_judged_and_made_champion(
    store: Store, made: Callable[..., Panel]
) -> None:
    panel, asof = made(tells=True), datetime(2019, 1, 1, tzinfo=UTC)
    trained = train("wisdom", panel, asof, 7, Costs())
    ruled = settle(store, trained, "test", asof)
    assert ruled.ruling is Ruling.PROMOTE
    champion = registry.champion(store, "wisdom")
    assert champion is not None
    assert champion.version == trained.version.version
    assert champion.stage is Stage.CHAMPION
    assert artifacts.get(store, champion.sha256) == trained.artifact.to_bytes()
    assert settle(store, trained, "test", asof).ruling is Ruling.HOLD
    assert [line.ruling for line in registry.ledger(store)] == [Ruling.PROMOTE, Ruling.HOLD]
    assert registry.ledger(store)[0].measures["trials"] == 1


def test_a_rejected_version_never_becomes_champion(
    store: Store, made: Callable[..., Panel]
) -> None:
    panel, asof = made(tells=True), datetime(2019, 1, 1, tzinfo=UTC)
    trained = train("wisdom", panel, asof, 7, Costs())
    worse = trained.version.measures | {"skill": Measure(value=-0.1, n=9, low=-0.2, high=-0.01)}
    trained = trained._replace(version=trained.version.model_copy(update={"measures": worse}))
    assert settle(store, trained, "test", asof).ruling is Ruling.REJECT
    assert registry.champion(store, "wisdom") is None
    assert registry.epoch(store) == 0
    [kept] = registry.versions(store)
    assert kept.stage is Stage.REJECTED


def test_judged_against_a_champion_that_was_replaced_changes_nothing(
    store: Store, made: Callable[..., Panel]
) -> None:
    panel, asof = made(tells=True), datetime(2019, 1, 1, tzinfo=UTC)
    first = train("wisdom", panel, asof, 7, Costs())
    settle(store, first, "test", asof)
    why = Why(who="late", reason="judged when there was no champion")
    with pytest.raises(Refused, match="compare again"):
        registry.promote(store, "wisdom", first.version.version, None, why, asof)
    assert len(registry.ledger(store)) == 1


def outcomes(n: int, skill: float, seed: int = 0) -> list[Outcome]:
    """Return what became of n daily predictions, `skill` from 1 (knows) to -1 (knows wrongly)."""
    rng = np.random.default_rng(seed)
    happened = rng.random(n) < 0.8
    p = np.clip(0.8 + skill * np.where(happened, 0.15, -0.3), 0, 1)
    return [
        Outcome(
            decision_id=f"d{i}",
            model="wisdom",
            version="0" * 12,
            target="survives",
            probability=float(p[i]),
            base_rate=0.8,
            happened=bool(happened[i]),
            at=MONDAY + i * DAY,
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("n", "skill", "ruling"),
    [
        (200, -1.0, Ruling.REJECT),
        (200, 1.0, Ruling.HOLD),
        (200, 0.0, Ruling.HOLD),
        (30, -1.0, Ruling.HOLD),  # too few to know
        (0, 0.0, Ruling.HOLD),
    ],
)
def test_a_champion_that_harms_is_demoted_by_its_own_outcomes(
    n: int, skill: float, ruling: Ruling
) -> None:
    ruled = relapse(version(), outcomes(n, skill), 5, np.random.default_rng(1))
    assert ruled.ruling is ruling
    assert ("came true" in ruled.reason) == (n < 80)
