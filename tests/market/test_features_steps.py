"""The rolling steps, against sums written out by hand and against pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.features.base import (
    TAIL,
    bars,
    deviation,
    difference,
    ewm,
    lag,
    mean,
    ratio,
    shared,
    tail,
    value,
)
from tests.market.panels import closes, market

NAN = np.nan


def test_an_ewm_starts_with_its_first_value() -> None:
    x = np.array([[4.0], [0.0], [8.0]])
    np.testing.assert_allclose(ewm(x, 0.5)[:, 0], [4.0, 2.0, 5.0])


def test_an_ewm_starts_anew_with_the_first_known_value_of_each_column() -> None:
    x = np.array([[NAN, 4.0], [NAN, 0.0], [4.0, 8.0], [0.0, NAN], [8.0, 1.0]])
    out = ewm(x, 0.5)
    np.testing.assert_allclose(out[:, 0], [NAN, NAN, 4.0, 2.0, 5.0])
    np.testing.assert_allclose(out[:, 1], [4.0, 2.0, 5.0, NAN, 3.0])


def test_an_ewm_of_nothing_is_nothing() -> None:
    assert np.isnan(ewm(np.full((5, 2), NAN), 0.1)).all()
    assert ewm(np.empty((0, 2)), 0.1).shape == (0, 2)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    length=st.integers(1, 700),
    alpha=st.sampled_from([0.5, 2 / 9, 1 / 14, 2 / 51]),
    share=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_an_ewm_is_that_of_pandas(seed: int, length: int, alpha: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    x = 100.0 + np.cumsum(rng.standard_normal((length, 3)), axis=0)
    x[rng.random(x.shape) < share] = NAN
    frame = pd.DataFrame(x)
    expected = frame.ewm(alpha=alpha, adjust=False, ignore_na=True).mean().where(frame.notna())
    np.testing.assert_allclose(ewm(x, alpha), expected.to_numpy(), rtol=1e-12)


def test_lags_longer_than_the_history_are_unknown() -> None:
    x = np.array([[1.0], [3.0]])
    np.testing.assert_array_equal(lag(x, 1), [[NAN], [1.0]])
    np.testing.assert_array_equal(difference(x, 1), [[NAN], [2.0]])
    assert np.isnan(lag(x, 5)).all()
    assert np.isnan(difference(x, 2)).all()
    assert np.isnan(mean(x, 3)).all()


def test_a_deviation_of_what_stands_still_is_unknown() -> None:
    x = np.array([1.0, 2.0, 3.0, 3.0, 3.0, 3.0])[:, None]
    out = deviation(x, 3, mean(x, 3))[:, 0]
    np.testing.assert_allclose(out, [NAN, NAN, 1.0, 3**-0.5, NAN, NAN])


def test_nothing_is_divided_by_zero() -> None:
    with np.errstate(all="ignore"):
        out = ratio(np.array([[1.0], [0.0], [6.0]]), np.array([[0.0], [0.0], [3.0]]))
    np.testing.assert_array_equal(out[:, 0], [NAN, NAN, 2.0])


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf, 0.0, -5.0])
def test_a_price_that_cannot_be_is_unknown(bad: float) -> None:
    panel = closes(np.array([1.0, bad, 2.0]), VIX=np.array([10.0, bad, 11.0]))
    np.testing.assert_array_equal(value(panel, "close")[:, 0], [1.0, NAN, 2.0])
    np.testing.assert_array_equal(value(panel, "VIX")[:, 0], [10.0, NAN, 11.0])
    np.testing.assert_array_equal(bars(panel, "close")[:, 0], [1.0, 1.0, 2.0])


def test_a_volume_may_be_zero_and_net_gamma_negative() -> None:
    panel = market(5)
    panel.volume[2] = 0.0
    panel.series["GEX_NET"][2] = -3.0
    assert value(panel, "volume")[2, 0] == 0.0
    assert value(panel, "GEX_NET")[2, 0] == -3.0


def test_the_tail_is_the_last_bars_and_always_the_same_object() -> None:
    panel = market(TAIL + 25)
    assert tail(panel) is tail(panel)
    np.testing.assert_array_equal(tail(panel).times, panel.times[25:])
    short = market(TAIL)
    assert tail(short) is short


def test_a_shared_step_runs_once_per_panel_and_arguments() -> None:
    calls = []

    @shared
    def step(panel: object, n: int) -> np.ndarray:
        calls.append(n)
        return np.zeros(n)

    panel = market(5)
    assert step(panel, 1) is step(panel, 1)
    assert len(step(panel, 2)) == 2
    step(market(5), 1)
    assert calls == [1, 2, 1]
