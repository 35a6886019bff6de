"""A calibrated probability says no more than the evidence does."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InsufficientData, ModelError
from models.calibration import LEAST, STEEP, TRUST, cut, fit


@given(st.integers(0, 2**32 - 1), st.integers(LEAST, 900), st.floats(0.01, 0.99), st.booleans())
def test_knots_rise_lie_inside_and_are_never_steep(
    seed: int, n: int, rate: float, coarse: bool
) -> None:
    rng = np.random.default_rng(seed)
    score = rng.beta(8 * rate, 8 * (1 - rate), n).clip(1e-6, 1 - 1e-6)
    score = score.round(1).clip(0.05, 0.95) if coarse else score
    x, y, low, high = map(np.array, fit(score, (rng.random(n) < rate).astype(float)))
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()
    assert (np.diff(y) < STEEP * np.diff(x)).all()
    assert 0 < y[0] <= y[-1] < 1
    assert ((low >= 0) & (low <= y) & (y <= high) & (high <= 1)).all()


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_a_pure_slice_is_no_certainty(outcome: float) -> None:
    score = np.linspace(0.7, 0.9, 60)
    _, y, _, _ = fit(score, np.full(60, outcome))
    low, high = (TRUST * 0.7) / (TRUST + 60), (TRUST * 0.9 + 60) / (TRUST + 60)
    assert low < min(y) <= max(y) < high


def test_a_slice_that_agrees_leaves_the_score_as_it_is() -> None:
    score = np.repeat([0.6, 0.8], 300)
    happened = np.concatenate([np.tile([1, 1, 1, 0, 0], 60), np.tile([1, 1, 1, 1, 0], 60)])
    x, y, _, _ = fit(score, happened.astype(float))
    np.testing.assert_allclose(x, [0.6, 0.8])
    np.testing.assert_allclose(y, [0.6, 0.8])


def test_two_hundred_rows_move_a_score_two_thirds_of_the_way() -> None:
    score, happened = np.full(200, 0.5), np.repeat([1.0, 0.0], [160, 40])
    assert fit(score, happened)[:2] == ((0.5,), (pytest.approx(0.7),))


def test_many_rows_overrule_the_score() -> None:
    rng = np.random.default_rng(7)
    score = rng.uniform(0.2, 0.8, 40_000)
    true = 0.5 * score
    curve = fit(score, (rng.random(len(score)) < true).astype(float))
    asked = np.linspace(0.25, 0.75, 50)
    np.testing.assert_allclose(np.interp(asked, curve.x, curve.y), 0.5 * asked, atol=0.03)


def test_a_handful_of_rows_is_refused() -> None:
    with pytest.raises(InsufficientData, match="29 rows to calibrate on"):
        fit(np.full(29, 0.5), np.ones(29))


def test_rows_of_one_bar_are_never_parted() -> None:
    bars = pd.bdate_range("2018-01-01", periods=100).repeat(3)
    for start in (240, 241, 242):
        assert cut(bars, horizon=5, start=start) == (225, 240)


@given(
    st.lists(st.integers(1, 4), min_size=12, max_size=60), st.integers(1, 8), st.floats(0.5, 0.95)
)
def test_no_label_of_learning_reaches_into_calibration(
    sizes: list[int], horizon: int, share: float
) -> None:
    bars = pd.RangeIndex(len(sizes)).repeat(sizes)
    stop, start = cut(bars, horizon, int(len(bars) * share))
    assert start == 0 or bars[start] > bars[start - 1]
    assert all(bar + horizon < bars[start] for bar in bars[:stop])
    assert stop == len([bar for bar in bars if bar + horizon < bars[start]])


def test_disorder_and_a_start_that_is_no_row_are_refused() -> None:
    with pytest.raises(ModelError, match="time order"):
        cut(pd.Index([1, 3, 2]), 1)
    for start in (-1, 3):
        with pytest.raises(ModelError, match="cannot calibrate from row"):
            cut(pd.Index([1, 2, 3]), 1, start)
