import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from risk import kelly

P = st.floats(0.0, 1.0)
SIZES = st.floats(0.02, 3.0)


def test_the_stake_is_the_one_of_the_formula() -> None:
    # p / loss - q / gain
    assert kelly.full(0.6, 1.5, 1.0) == pytest.approx(0.6 - 0.4 / 1.5)
    assert kelly.edge(0.9, 0.12, 0.5) == pytest.approx(0.058)
    assert kelly.fractional(0.6, 1.0, 1.0, 0.25) == pytest.approx(0.05)


def test_no_more_than_everything_is_staked() -> None:
    assert kelly.full(0.99, 0.1, 0.2) == 1.0
    assert kelly.stake(1.0, 1.0, 0.5, 1.0) == 1.0
    assert kelly.ruin_safe(1.0, 1.0, 1.0) == 1.0


def test_the_full_stake_grows_fastest() -> None:
    p, gain, loss = 0.7, 0.8, 1.0
    stakes = np.linspace(0, 0.9, 901)
    growth = p * np.log1p(stakes * gain) + (1 - p) * np.log1p(-stakes * loss)
    assert stakes[growth.argmax()] == pytest.approx(kelly.full(p, gain, loss), abs=1e-3)


@given(P, SIZES, SIZES, st.floats(0.01, 1.0))
def test_size_needs_an_edge(p: float, gain: float, loss: float, fraction: float) -> None:
    stake = kelly.stake(p, gain, loss, fraction)
    if kelly.edge(p, gain, loss) <= 0:
        assert stake == kelly.full(p, gain, loss) == 0.0
        assert kelly.ruin_safe(p, gain, loss) == 0.0
    else:
        assert 0.0 < stake <= fraction * kelly.full(p, gain, loss) <= 1.0


@given(P, P, SIZES, SIZES)
def test_a_better_chance_is_never_staked_less(a: float, b: float, gain: float, loss: float) -> None:
    low, high = sorted((a, b))
    assert kelly.stake(low, gain, loss, 0.9) <= kelly.stake(high, gain, loss, 0.9) + 1e-9
    assert kelly.ruin_safe(low, gain, loss) <= kelly.ruin_safe(high, gain, loss) + 1e-7


@given(st.floats(0.05, 0.95), SIZES, SIZES, st.floats(0.1, 0.5), st.floats(0.6, 0.98))
def test_more_caution_is_never_a_larger_stake(
    p: float, gain: float, loss: float, floor: float, survival: float
) -> None:
    plain = kelly.ruin_safe(p, gain, loss, floor, survival)
    assert kelly.ruin_safe(p, gain, loss, floor * 1.5, survival) <= plain + 1e-7
    assert kelly.ruin_safe(p, gain, loss, floor, survival + 0.015) <= plain + 1e-7


@pytest.mark.parametrize("gain", [0.0, -0.1])
def test_a_trade_that_cannot_gain_is_not_made(gain: float) -> None:
    assert kelly.stake(0.9, gain, 0.5, 0.5) == 0.0


@pytest.mark.parametrize(
    ("p", "gain", "loss"),
    [
        (0.6, 1.0, 0.0),
        (0.6, 1.0, -1.0),
        (0.6, 1.0, float("nan")),
        (0.6, 1.0, float("inf")),
        (0.6, float("nan"), 1.0),
        (1.1, 1.0, 1.0),
        (float("nan"), 1.0, 1.0),
    ],
)
def test_what_was_not_measured_is_not_sized(p: float, gain: float, loss: float) -> None:
    for rule in (kelly.edge, kelly.full, kelly.ruin_safe):
        with pytest.raises(DataError):
            rule(p, gain, loss)
    with pytest.raises(DataError):
        kelly.stake(p, gain, loss, 0.5)


def ruined(p: float, gain: float, loss: float, stake: float) -> float:
    """Return the share of 4,000 paths of 2,000 trades that ever fall below a quarter."""
    rng = np.random.default_rng(5)
    wealth, least = np.zeros(4_000), np.zeros(4_000)
    won, lost = np.log1p(stake * gain), np.log1p(-stake * loss)
    for _ in range(2_000):
        wealth += np.where(rng.random(4_000) < p, won, lost)
        np.minimum(least, wealth, out=least)
    return float((least < np.log(0.25)).mean())


@pytest.mark.parametrize(
    ("p", "gain", "loss"), [(0.6, 1.0, 1.0), (0.9, 0.12, 0.9), (0.45, 1.6, 1.0), (0.55, 1.0, 1.0)]
)
def test_the_ruin_safe_stake_survives_in_simulation_and_is_not_timid(
    p: float, gain: float, loss: float
) -> None:
    safe = kelly.ruin_safe(p, gain, loss)
    # three standard errors of 4,000 paths are one per cent
    assert 0.02 < ruined(p, gain, loss, safe) < 0.06
    assert ruined(p, gain, loss, min(0.99 / loss, 1.6 * safe)) > 0.10


def test_full_kelly_is_more_than_survives_and_half_is_less() -> None:
    # small edges: the ruin-safe stake is about 0.63 of Kelly, 2 / (1 + ln 0.05 / ln 0.25)
    full, safe = kelly.full(0.51, 1.0, 1.0), kelly.ruin_safe(0.51, 1.0, 1.0)
    assert safe / full == pytest.approx(2 / (1 + np.log(0.05) / np.log(0.25)), abs=0.01)
    assert kelly.stake(0.51, 1.0, 1.0, 1.0) == safe
    assert kelly.stake(0.51, 1.0, 1.0, 0.5) == full / 2
