"""Measures of a probability, and intervals that know of overlapping labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from domain.errors import InsufficientData
from learning import significance
from learning.significance import BLOCKS_NEEDED, Draws, score, weights

SESSIONS = np.arange("2014-01-01", "2014-12-01", dtype="datetime64[D]").astype("datetime64[s]")


def overlapping(rng: np.random.Generator, sessions: int, horizon: int) -> np.ndarray:
    """Return whether a sum of `horizon` shared shocks stays within one deviation of its own."""
    shocks = rng.normal(size=sessions + horizon)
    moves = np.convolve(shocks, np.ones(horizon), "valid")[:sessions] / np.sqrt(horizon)
    return (np.abs(moves) < 1.0).astype(float)


@given(
    arrays(np.float64, 30, elements=st.integers(0, 8).map(lambda k: k / 8)),
    arrays(np.float64, 30, elements=st.sampled_from([0.0, 1.0])),
)
def test_measures_are_those_of_scikit_learn(p: np.ndarray, y: np.ndarray) -> None:
    told = score(p, y, SESSIONS[: len(y)], {}, _rng(), len(y))
    safe = np.clip(p, 1e-6, 1 - 1e-6)
    assert told["brier"].value == pytest.approx(np.mean((p - y) ** 2), abs=1e-6)
    assert told["log_loss"].value == pytest.approx(
        metrics.log_loss(y, safe, labels=[0.0, 1.0]), abs=1e-6
    )
    if 0 < y.sum() < len(y):
        assert significance.auc(p, y) == pytest.approx(metrics.roc_auc_score(y, p))
    else:
        assert np.isnan(significance.auc(p, y))


def test_every_resample_is_made_of_whole_blocks_of_the_original_length() -> None:
    drawn = weights(20, 5, np.random.default_rng(0), resamples=400)
    assert (drawn.sum(axis=1) == 20).all()
    # a block is five neighbours on the circle, so a count changes by its blocks' edges only
    edges = np.abs(np.diff(drawn, axis=1, append=drawn[:, :1])).sum(axis=1)
    assert edges.max() <= 2 * 4
    # and no date is drawn less for being at the edge (0.21 is four deviations)
    np.testing.assert_allclose(drawn.mean(axis=0), 1.0, atol=0.21)


def test_rows_of_one_session_are_drawn_together() -> None:
    y = np.repeat([0.0, 1.0] * 100, 20)
    sessions = np.repeat(SESSIONS[:200], 20)
    told = score(np.full(4000, 0.5), y, sessions, {"base": np.full(4000, 0.5)}, _rng(), 1)
    lone = score(np.full(200, 0.5), y[::20], SESSIONS[:200], {"base": np.full(200, 0.5)}, _rng(), 1)
    assert told["base_rate"].n == 4000
    assert told["sessions"].value == 200
    # twenty copies of one session are no more evidence than one
    assert (told["base_rate"].low, told["base_rate"].high) == (
        lone["base_rate"].low,
        lone["base_rate"].high,
    )


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_same_generator_gives_the_same_intervals() -> None:
    rng = np.random.default_rng(1)
    p, y = rng.random(200), (rng.random(200) < 0.8).astype(float)
    rivals = {"base": np.full(200, 0.8), "logistic": np.full(200, 0.7)}
    assert score(p, y, SESSIONS[:200], rivals, _rng(), 10) == score(
        p, y, SESSIONS[:200], rivals, _rng(), 10
    )


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(150):
        y = overlapping(np.random.default_rng(seed), 160, 5)
        base = np.full(160, 0.5)
        rate = score(base, y, SESSIONS[:160], {"base": base}, _rng(), 10)["base_rate"]
        assert rate.low is not None
        assert rate.high is not None
        held += rate.low <= 0.6827 <= rate.high
    assert 0.89 <= held / 150 <= 0.98


def test_pretending_independence_would_promise_too_much() -> None:
    y = overlapping(np.random.default_rng(3), 320, 5)
    dates = np.arange(320)
    honest, naive = Draws.of(320, 10, _rng()), Draws.of(320, 1, _rng())
    assert honest is not None
    assert naive is not None
    assert honest.means(y, dates).std() > 1.4 * naive.means(y, dates).std()


def test_too_few_blocks_have_no_interval() -> None:
    n = BLOCKS_NEEDED * 10 - 1
    y = np.tile([0.0, 1.0, 1.0], 40)[:n]
    told = score(np.full(n, 0.6), y, SESSIONS[:n], {"base": np.full(n, 0.6)}, _rng(), 10)
    assert all(m.low is None and m.high is None for m in told.values())
    assert told["brier"].value == pytest.approx(np.mean((0.6 - y) ** 2), abs=1e-6)


def test_one_class_has_no_auc_and_nothing_stands_in_for_it() -> None:
    told = score(np.full(200, 0.9), np.ones(200), SESSIONS[:200], {"base": np.ones(200)}, _rng(), 5)
    assert "auc" not in told
    assert "skill" not in told
    assert told["brier"].value == 0.01


def test_skill_is_measured_against_each_rival() -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.1, 0.9, 250)
    y = (rng.random(250) < truth).astype(float)
    rivals = {"base": np.full(250, 0.5), "logistic": truth}
    told = score(truth, y, SESSIONS[:250], rivals, _rng(), 5)
    assert told["skill"].low is not None
    assert told["skill"].low > 0.05
    assert told["skill_logistic"].value == 0.0
    assert told["brier_base"].value == 0.25


def test_no_row_is_refused() -> None:
    empty = np.empty(0)
    with pytest.raises(InsufficientData, match="longer history"):
        score(empty, empty, empty, {"base": empty}, _rng(), 5)
