"""Who may answer for a bot that learns from its own setups."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.examples import CLOSE
from learning import shadow
from learning.shadow import Resolved, belief, count, counted, promotable
from models import belief as beliefs
from models.belief import Belief

HOUR = timedelta(hours=1)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def row(number: int, won: bool, p: float | None = None, regime: str = "positive") -> Resolved:
    """Return the number-th trade: decided on its hour, closed half an hour later."""
    decided = CLOSE + number * HOUR
    return Resolved(
        decision_id=f"{number}",
        regime=regime,
        decided=decided,
        closed=decided + HOUR / 2,
        won=won,
        probability=p,
        trained_to=None if p is None else decided - HOUR,
    )


def blockers(rows: Sequence[Resolved]) -> list[str]:
    gate = promotable(rows, rng())
    assert gate.passed is not bool(gate.failed)
    return [c.name for c in gate.criteria if not c.passed]


# the count


def test_nothing_traded_is_a_half_lifted_to_the_floor() -> None:
    nothing = Belief()
    assert (nothing.mean, nothing.probability, nothing.floored) == (0.5, 0.52, True)
    counted_none = belief([], "positive", CLOSE)
    assert (counted_none.low, counted_none.high) == pytest.approx((0.05, 0.95))


@pytest.mark.parametrize(
    ("wins", "losses", "probability", "floored"),
    [
        (0, 9, 0.52, True),
        (0, 10, 1 / 12, False),
        (9, 0, 10 / 11, False),
        (5, 4, 6 / 11, False),
        (4, 5, 0.52, True),
        (5, 5, 0.5, False),
        (30, 10, 31 / 42, False),
    ],
)
def test_the_floor_holds_for_ten_trades(
    wins: int, losses: int, probability: float, floored: bool
) -> None:
    known = Belief(wins=wins, losses=losses)
    assert known.probability == pytest.approx(probability)
    assert known.floored is floored


def test_each_regime_is_counted_by_itself() -> None:
    rows = [row(k, won=k % 4 != 0, regime="negative" if k % 2 else "positive") for k in range(40)]
    later = CLOSE + 100 * HOUR
    known = [belief(rows, regime, later) for regime in ("negative", "positive", "neutral")]
    assert [(one.wins, one.losses) for one in known] == [(20, 0), (10, 10), (0, 0)]


def test_a_trade_that_is_still_open_is_not_known() -> None:
    rows = [row(0, won=True), row(1, won=True)]
    assert belief(rows, "positive", rows[0].decided).n == 0
    assert belief(rows, "positive", rows[0].closed).wins == 1
    assert counted(rows) == [0.52, pytest.approx(2 / 3)]


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_count_knows_nothing_of_what_came_after(won: list[bool], random: object) -> None:
    rows = [row(k, one) for k, one in enumerate(won)]
    changed = [one.model_copy(update={"won": not one.won}) for one in rows[-1:]]
    assert counted([*rows[:-1], *changed]) == counted(rows)
    assert counted(rows)[:5] == counted(rows[:5])


def test_what_winners_brought_and_losers_cost_is_of_their_own_regime() -> None:
    rows = [
        row(0, won=True).model_copy(update={"r": 0.9}),
        row(1, won=True).model_copy(update={"r": 1.1}),
        row(2, won=False).model_copy(update={"r": -0.8}),
        row(3, won=False),
        row(4, won=True, regime="negative").model_copy(update={"r": 5.0}),
    ]
    known = belief(rows, "positive", CLOSE + 100 * HOUR)
    assert (known.wins, known.losses) == (2, 2)
    assert (known.gain, known.loss) == (pytest.approx(1.0), pytest.approx(0.8))
    assert belief(rows, "negative", CLOSE + 100 * HOUR).loss is None
    assert belief(rows, "neutral", CLOSE + 100 * HOUR).gain is None


def test_the_count_knows_every_regime_and_who_answers() -> None:
    rows = [row(k, won=k % 4 != 0, regime="negative" if k % 2 else "positive") for k in range(40)]
    known = count(rows, CLOSE + 100 * HOUR, rng())
    assert set(known.regimes) == {"negative", "positive"}
    assert known.regimes["negative"].wins == 20
    assert not known.promoted
    assert "resolved >= 150: 0 (n=0)" in known.blockers
    beaten = count(seer(150), CLOSE + 1_000 * HOUR, rng())
    assert beaten.promoted
    assert beaten.blockers == ()


# the promotion


def seer(n: int, sure: float = 0.65, misses: int = 0) -> list[Resolved]:
    """Return trades won and lost in turn, told apart by the shadow but for some sure misses."""
    rows = [row(k, won=k % 2 == 0, p=sure if k % 2 == 0 else 1 - sure) for k in range(n)]
    lost = [k for k in range(n) if k % 2][:misses]
    for k in lost:
        rows[k] = rows[k].model_copy(update={"probability": 0.7})
    return rows


def test_a_shadow_that_sees_more_than_the_count_may_answer() -> None:
    gate = promotable(seer(150), rng())
    assert gate.passed
    assert gate.failed == ()
    skill = next(c.measured for c in gate.criteria if c.name == "skill_over_count")
    assert skill is not None
    assert skill.n == 150
    count = np.mean([(p - r.won) ** 2 for p, r in zip(counted(seer(150)), seer(150), strict=True)])
    assert skill.value == pytest.approx(1 - 0.35**2 / count, abs=1e-6)


def test_one_answer_too_few_is_named() -> None:
    assert blockers(seer(149)) == ["resolved"]
    assert promotable(seer(149), rng()).failed == ("resolved >= 150: 149 (n=149)",)


def test_a_shadow_that_says_what_the_count_says_is_no_better() -> None:
    rows = seer(200)
    same = [
        one.model_copy(update={"probability": p})
        for one, p in zip(rows, counted(rows), strict=True)
    ]
    assert blockers(same) == ["skill_over_count"]


def test_five_percent_better_is_enough_and_less_is_not() -> None:
    rows = seer(200)
    count = np.array(counted(rows))
    won = np.array([one.won for one in rows], float)
    theirs = float(np.mean((count - won) ** 2))

    def off(skill: float) -> list[Resolved]:
        # wrong by the same on every trade, so that the Brier is exactly the one that is asked for
        miss = float(np.sqrt((1 - skill) * theirs))
        return [
            one.model_copy(update={"probability": 1 - miss if one.won else miss}) for one in rows
        ]

    assert blockers(off(0.051)) == []
    assert blockers(off(0.049)) == ["skill_over_count"]


def test_one_in_ten_may_be_lost_though_it_was_sure() -> None:
    assert blockers(seer(150, 0.95, misses=15)) == []
    assert blockers(seer(150, 0.95, misses=16)) == ["catastrophic_misses"]
    below = [
        one.model_copy(update={"probability": 0.699}) if one.probability == 0.7 else one
        for one in seer(150, 0.95, misses=16)
    ]
    assert blockers(below) == []


def test_what_was_learned_from_later_data_does_not_count() -> None:
    seen = [one.model_copy(update={"trained_to": one.closed}) for one in seer(150)]
    assert blockers(seen) == ["resolved", "skill_over_count", "catastrophic_misses"]
    unsaid = [one.model_copy(update={"trained_to": None}) for one in seer(150)]
    assert not any(one.unseen for one in unsaid)
    assert blockers([*seen[:1], *seer(151)[1:]]) == []
    assert blockers([*seen[:2], *seer(151)[2:]]) == ["resolved"]


def test_trades_that_the_shadow_said_nothing_of_are_known_to_the_count() -> None:
    silent = [row(k - 100, won=True) for k in range(60)]
    alone, both = seer(160), [*silent, *seer(160)]
    assert counted(both)[60] == pytest.approx(61 / 62)
    assert counted(alone)[0] == 0.52
    measured = [
        next(c.measured for c in promotable(rows, rng()).criteria if c.name == "resolved")
        for rows in (alone, both)
    ]
    assert measured[0] == measured[1]


def test_nothing_at_all_is_not_promoted() -> None:
    assert blockers([]) == ["resolved", "skill_over_count", "catastrophic_misses"]


def test_the_numbers_are_those_of_the_rule() -> None:
    assert (beliefs.COLD, beliefs.FLOOR) == (10, 0.52)
    assert (shadow.RESOLVED, shadow.BETTER, shadow.MISSES) == (150, 0.05, 0.10)
