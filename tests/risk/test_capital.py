from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import DataError
from risk import capital
from risk.capital import Arm, Capital

DAY = date(2017, 3, 3)
BOTS = ("fortress", "anchor", "solomon", "valor")
ARMS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=6),
    st.builds(Arm, alpha=st.floats(1, 500), beta=st.floats(1, 500)),
    min_size=1,
    max_size=12,
)


def desk(**arms: Arm) -> dict[str, Arm]:
    return {bot: Arm() for bot in BOTS} | arms


@pytest.mark.parametrize(
    ("r", "alpha", "beta"),
    [
        (0.5, 2.5, 1.0),
        (9.0, 4.0, 1.0),
        (-0.5, 1.0, 3.0),
        (-9.0, 1.0, 5.0),
        (0.0, 1.0, 2.0),
    ],
)
def test_a_loss_weighs_up_to_four_wins(r: float, alpha: float, beta: float) -> None:
    assert capital.learn(Arm(), r) == Arm(alpha=alpha, beta=beta)


@pytest.mark.parametrize("r", [float("nan"), float("inf")])
def test_a_result_that_is_unknown_teaches_nothing(r: float) -> None:
    with pytest.raises(DataError):
        capital.update(Capital(), "fortress", r)


def test_a_trade_changes_its_own_arm_and_not_todays_allotment() -> None:
    before = capital.allot(Capital(), BOTS, DAY, seed=7)
    after = capital.update(before, "fortress", 0.5)
    assert after.arms == {"fortress": Arm(alpha=2.5)}
    assert (after.day, after.allotted) == (before.day, before.allotted)
    assert before.arms == {}


def test_the_allotment_is_drawn_once_a_day() -> None:
    friday = capital.allot(Capital(), BOTS, DAY, seed=7)
    learnt = capital.update(friday, "fortress", -3.0)
    assert capital.allot(learnt, BOTS, DAY, seed=7) == learnt
    monday = capital.allot(learnt, BOTS, DAY + timedelta(days=3), seed=7)
    assert monday.allotted != friday.allotted


def test_a_bot_that_joins_during_the_day_is_allotted_something() -> None:
    friday = capital.allot(Capital(), BOTS, DAY, seed=7)
    assert capital.allot(friday, (*BOTS, "titan"), DAY, seed=7).allotted["titan"] >= 0.05


def test_the_draw_depends_on_seed_day_and_nothing_else() -> None:
    arms = desk()
    turned = dict(reversed(arms.items()))
    assert capital.sample(arms, DAY, 7) == capital.sample(turned, DAY, 7)
    assert capital.sample(arms, DAY, 7) != capital.sample(arms, DAY, 8)
    assert capital.sample(arms, DAY, 7) != capital.sample(arms, DAY + timedelta(days=1), 7)


def test_a_bot_that_joins_does_not_change_what_the_others_draw() -> None:
    draws = [capital._draw(Arm(), bot, DAY, 7) for bot in BOTS]
    assert len(set(draws)) == 4
    assert draws == [capital._draw(Arm(), bot, DAY, 7) for bot in BOTS]


def test_the_better_bot_gets_more_on_average() -> None:
    arms = desk(fortress=Arm(alpha=40.0, beta=10.0), valor=Arm(alpha=10.0, beta=40.0))
    days = [capital.sample(arms, DAY + timedelta(days=i), 7) for i in range(200)]
    mean = {bot: np.mean([day[bot] for day in days]) for bot in BOTS}
    assert mean["fortress"] > 1.3 * mean["anchor"] > 1.3 * mean["valor"]


@given(ARMS, st.integers(0, 2**31), st.dates(date(2000, 1, 1), date(2100, 1, 1)))
@example({"only": Arm()}, 0, DAY)
@example({"one": Arm(), "other": Arm(alpha=500.0)}, 0, DAY)
def test_shares_add_up_and_keep_their_bounds(arms: dict[str, Arm], seed: int, day: date) -> None:
    shares = capital.sample(arms, day, seed)
    assert shares.keys() == arms.keys()
    assert abs(sum(shares.values()) - 1.0) <= 1e-12
    high = max(capital.HIGH, 1 / len(arms))
    assert all(capital.LOW <= share <= high for share in shares.values())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_projection_adds_up_keeps_its_order_and_repeats(shares: list[float]) -> None:
    once = capital.bounded(np.array(shares))
    assert abs(once.sum() - 1.0) <= 1e-12
    assert (np.diff(once[np.argsort(shares, kind="stable")]) >= -1e-15).all()
    np.testing.assert_allclose(capital.bounded(once), once, atol=1e-12)


def test_shares_within_the_bounds_are_left_alone() -> None:
    shares = np.array([0.4, 0.35, 0.25])
    np.testing.assert_allclose(capital.bounded(shares), shares, atol=1e-15)


def test_the_projection_is_the_closest_point() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.8, 0.15, 0.03, 0.02])
    found = capital.bounded(shares)
    distance = np.square(found - shares).sum()
    for _ in range(500):
        other = capital.bounded(found + 0.1 * rng.normal(size=4))
        assert np.square(other - shares).sum() >= distance - 1e-12


def test_one_bot_gets_everything_and_thirty_get_equal_parts() -> None:
    assert capital.sample({"only": Arm()}, DAY, 7) == {"only": 1.0}
    np.testing.assert_allclose(capital.bounded(np.linspace(0, 1, 30)), 1 / 30, atol=1e-12)
    assert capital.sample({}, DAY, 7) == {}


def test_the_state_survives_json() -> None:
    state = capital.update(capital.allot(Capital(), BOTS, DAY, 7), "fortress", 0.5)
    assert Capital.model_validate_json(state.model_dump_json()) == state


def test_a_belief_below_the_prior_is_refused() -> None:
    with pytest.raises(ValidationError):
        Arm(alpha=0.5)
