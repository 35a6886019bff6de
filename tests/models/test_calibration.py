"""A calibrated probability says no more than the evidence does."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtr
from scipy.stats import beta, binomtest

from domain.errors import InsufficientData, ModelError
from domain.values import FloatArray
from models.calibration import LEAST, LEVEL, STEEP, TRUST, Curve, Lines, cut, fit, inflation


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12, unique=True),
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(-0.5, 1.5), max_size=20),
)
def test_lines_are_to_the_last_bit_what_numpy_says(
    x: list[float], seed: int, at: list[float]
) -> None:
    x = sorted(x)
    assume(all(right - left > 1e-9 for left, right in pairwise(x)))
    columns = np.random.default_rng(seed).random((3, len(x)))
    lines = Lines(x, *columns.tolist())
    for one in (*at, *x):
        assert lines(one) == tuple(float(np.interp(one, x, column)) for column in columns)
    assert Lines(x, columns[0].tolist())(x[-1]) == (columns[0, -1],)


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
    curve = fit(score, happened)
    assert curve.x == (0.5,)
    assert curve.y == pytest.approx((0.7,))


def test_many_rows_overrule_the_score() -> None:
    rng = np.random.default_rng(7)
    score = rng.uniform(0.2, 0.8, 40_000)
    true = 0.5 * score
    curve = fit(score, (rng.random(len(score)) < true).astype(float))
    asked = np.linspace(0.25, 0.75, 50)
    np.testing.assert_allclose(np.interp(asked, curve.x, curve.y), 0.5 * asked, atol=0.03)


def covered(curve: Curve, score: FloatArray, true: FloatArray) -> float:
    low, high = (np.interp(score, curve.x, end) for end in (curve.low, curve.high))
    return float(((low <= true) & (true <= high)).mean())


@pytest.mark.parametrize("n", [150, 450, 2000])
@pytest.mark.parametrize("steep", [0.5, 1.0])
@pytest.mark.parametrize(("centre", "spread"), [(1.5, 0.6), (0.1, 0.15)])
def test_an_interval_covers_what_it_says_on_independent_rows(
    n: int, steep: float, centre: float, spread: float
) -> None:
    """Each trial asks about one new row; scores are right, or twice as sure as they should be."""
    rng = np.random.default_rng(n)
    trials, hits = 300, 0
    for _ in range(trials):
        score = expit(centre + spread * rng.normal(size=n + 1))
        true = expit(steep * logit(score) + 0.2)
        curve = fit(score[:n], (rng.random(n) < true[:n]).astype(float))
        hits += int(covered(curve, score[n:], true[n:]))
    assert binomtest(hits, trials, LEVEL, alternative="less").pvalue > 0.01
    assert hits / trials >= LEVEL


def overlapping(
    rng: np.random.Generator, bars: int, reach: int = 5
) -> tuple[FloatArray, FloatArray, FloatArray, pd.Index]:
    """Return scores, true chances, outcomes and bars: one path, three distances, five sessions."""
    state = np.zeros(bars)
    for t in range(1, bars):
        state[t] = 0.97 * state[t - 1] + 0.24 * rng.normal()
    steps = rng.normal(size=bars + reach).cumsum()
    move = np.abs(steps[reach:] - steps[:-reach])[:, None] / np.sqrt(reach)
    edge = np.array([0.8, 1.0, 1.2]) * 1.35 / np.exp(0.25 * state)[:, None]
    true = (2 * ndtr(edge) - 1).ravel()
    rows = pd.RangeIndex(bars).repeat(3)
    return expit(0.6 * logit(true) + 0.3), true, (move < edge).ravel().astype(float), rows


def test_an_interval_covers_what_it_says_where_labels_overlap() -> None:
    """Measured over 200 slices: 0.97 (150 bars) and 0.95 (600); taken as independent 0.84."""
    rng = np.random.default_rng(5)
    told, naive = [], []
    for _ in range(60):
        score, true, happened, bars = overlapping(rng, 400)
        told.append(covered(fit(score, happened, bars, 5), score, true))
        naive.append(covered(fit(score, happened), score, true))
    assert np.mean(told) >= LEVEL
    assert np.mean(naive) < LEVEL


def test_an_interval_is_that_of_clopper_and_pearson() -> None:
    happened = np.repeat([1.0, 0.0], [160, 40])
    low, high = (float(beta.ppf(*tail).round(6)) for tail in ((0.05, 160, 41), (0.95, 161, 40)))
    assert fit(np.full(200, 0.8), happened)[1:] == ((0.8,), (low,), (high,))
    stretched = fit(np.full(200, 0.5), happened)
    assert low > stretched.y[0] == stretched.low[0]


def test_rows_that_repeat_each_other_count_once() -> None:
    rng = np.random.default_rng(7)
    happened = (rng.random(500) < 0.6).astype(float)
    once, bar = np.zeros(500, int), np.arange(500)
    alone = inflation(once, happened, bar, 1)
    assert alone == pytest.approx(1.0, abs=1e-9)
    four = inflation(once.repeat(4), happened.repeat(4), bar.repeat(4), 1)
    assert four == pytest.approx(4.0)
    assert inflation(once, happened, bar, 5) == pytest.approx(1.0, abs=0.5)
    steps = rng.normal(size=2005).cumsum()
    risen = (steps[5:] > steps[:-5]).astype(float)
    assert inflation(np.zeros(2000, int), risen, np.arange(2000), 5) == pytest.approx(3.8, abs=0.6)
    assert inflation(once, np.ones(500), bar, 5) == 5.0, "what never fails shows no variance"


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
