"""The market regime: thresholds with two edges, a minimum stay, and one path for all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.market import Trend, Vol
from domain.values import FloatArray
from market import regime
from market.features import compute
from market.feeds.packaged import Packaged
from market.panel import Panel
from market.regime import DWELL, TREND_IN, TREND_OUT, VOL_IN, VOL_OUT, path, schmitt
from tests.market.panels import closes, market, replaced, whole

NAN = np.nan


def on(x: list[float], enter: float = 1.4, leave: float = 1.3) -> list[int]:
    return schmitt(np.array(x)[:, None], enter, leave)[:, 0].astype(int).tolist()


def stepped(x: FloatArray, enter: float, leave: float) -> list[bool]:
    """Step a trigger from bar to bar, the plain way."""
    state, stay, out = False, 0, []
    for number in x:
        turn = number < leave if state else number >= enter
        if turn and stay <= 0:
            state, stay = not state, DWELL
        stay -= 1
        out.append(state)
    return out


def test_it_turns_on_at_one_threshold_and_off_at_a_lower_one() -> None:
    assert on([1.0, 1.39, 1.4, 1.4, 1.4, 1.35, 1.3, 1.29]) == [0, 0, 1, 1, 1, 1, 1, 0]


def test_between_the_thresholds_it_stays_what_it_was() -> None:
    assert on([1.35] * 5) == [0] * 5
    assert on([1.5] + [1.35] * 5) == [1] * 6


def test_a_state_is_kept_for_three_bars_at_least() -> None:
    assert on([1.0, 1.5, 0.5, 0.5, 0.5, 0.5]) == [0, 1, 1, 1, 0, 0]
    assert on([1.5, 1.5, 1.5, 1.0, 1.5, 1.5, 1.5]) == [1, 1, 1, 0, 0, 0, 1]


def test_an_unknown_value_turns_nothing() -> None:
    assert on([1.5, NAN, NAN, NAN, 1.35, 1.0]) == [1, 1, 1, 1, 1, 0]


def test_columns_are_told_apart() -> None:
    x = np.array([[1.0, 1.5], [1.0, 1.5], [1.0, 1.5], [1.5, 1.0]])
    np.testing.assert_array_equal(schmitt(x, 1.4, 1.3), [[0, 1], [0, 1], [0, 1], [1, 0]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.5, 1.29, 1.3, 1.35, 1.4, 2.0, NAN]), max_size=40))
def test_jumping_from_turn_to_turn_is_stepping_from_bar_to_bar(numbers: list[float]) -> None:
    assert on(numbers) == stepped(np.array(numbers), 1.4, 1.3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60), st.integers(0, 60))
def test_the_state_does_not_depend_on_later_bars(numbers: list[float], cut: int) -> None:
    assert on(numbers)[:cut] == on(numbers[:cut])


def test_every_state_has_its_gate() -> None:
    low, high = [1.0] * 4, [2.0] * 4
    states = path(np.array(low + high + low + high), np.array([0.0] * 8 + [-3.0] * 8))
    seen = {(s.name, s.gate) for s in states if s}
    assert seen == {
        ("calm-chop", 0.54),
        ("high-chop", 0.58),
        ("calm-trend", 0.52),
        ("high-trend", 0.55),
    }


def test_bars_count_the_stay_and_the_alarm_rings_once() -> None:
    states = path(np.array([NAN, 1.0, 1.0, 1.5, 1.5, 1.5]), np.zeros(6))
    assert states[0] is None
    assert [(s.vol, s.bars, s.alarm) for s in states[1:] if s] == [
        (Vol.CALM, 1, False),
        (Vol.CALM, 2, False),
        (Vol.HIGH, 1, True),
        (Vol.HIGH, 2, False),
        (Vol.HIGH, 3, False),
    ]


def test_a_change_behind_an_unknown_bar_alarms_when_it_is_seen() -> None:
    states = path(np.array([1.0, 1.0, NAN, 1.5]), np.array([0.0, 0.0, 3.0, 3.0]))
    assert states[2] is None
    assert states[3] is not None
    assert (states[3].name, states[3].bars, states[3].alarm) == ("high-trend", 1, True)


def test_a_falling_market_trends_as_much_as_a_rising_one() -> None:
    noise = np.random.default_rng(5).normal(0.0, 0.01, 200)
    up, down = closes(np.exp((noise + 0.01).cumsum())), closes(np.exp((noise - 0.01).cumsum()))
    for panel, sign in ((up, 1.0), (down, -1.0)):
        state = regime.newest(panel, "S0")
        assert state is not None
        assert state.trend is Trend.TREND
        assert np.sign(state.trend_z) == sign


def test_too_short_a_history_or_a_flat_one_has_no_regime() -> None:
    assert regime.latest(market(113)) == {}
    assert set(regime.latest(market(114))) == {"S0", "S1", "S2"}
    assert regime.newest(closes(np.full(300, 10.0)), "S0") is None
    assert regime.latest(market(5).rows(0, 0)) == {}


def test_a_symbol_without_a_newest_close_has_no_regime_and_the_others_do() -> None:
    panel = market(300)
    close = panel.close.copy()
    close[-1, 1] = NAN
    assert set(regime.latest(replaced(panel, close=close))) == {"S0", "S2"}


def test_a_symbol_that_the_panel_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError):
        regime.newest(market(120), "nobody")


@pytest.mark.parametrize("seed", range(4))
def test_newest_is_the_end_of_the_path_through_the_tail(seed: int) -> None:
    panel = market(400, seed=seed)
    for column, symbol in enumerate(panel.symbols):
        ratio, z = regime.vol_ratio(panel)[:, column], regime.trend_z(panel)[:, column]
        states = path(ratio, z)
        for stop in (200, 331, 400):
            if stop == 400:
                assert regime.newest(whole(panel), symbol) == states[-1]
            else:
                assert regime.newest(panel.rows(0, stop), symbol) == states[stop - 1]


def test_newest_is_read_from_the_tail_alone() -> None:
    panel = market(700)
    assert regime.latest(whole(panel)) == regime.latest(panel.rows(300, 700))


@pytest.fixture(scope="module")
def real() -> Panel:
    return Packaged().panel()


def test_training_sees_the_regime_that_serving_saw(real: Panel) -> None:
    names = ["regime_high_vol", "regime_trend"]
    history = compute.history(real, names)
    for stop in range(401, len(real), 97):
        for symbol, state in regime.latest(real.rows(0, stop)).items():
            at = stop - 1, real.column(symbol)
            assert history["regime_high_vol"][at] == (state.vol is Vol.HIGH)
            assert history["regime_trend"][at] == (state.trend is Trend.TREND)


def test_the_real_index_is_in_every_state_and_does_not_flicker(real: Panel) -> None:
    states = [s for s in path(regime.vol_ratio(real)[:, 0], regime.trend_z(real)[:, 0]) if s]
    share = {name: np.mean([s.name == name for s in states]) for name in {s.name for s in states}}
    assert len(share) == 4
    assert share["calm-chop"] > 0.5
    assert 0.15 < sum(x for name, x in share.items() if name.startswith("high")) < 0.35
    assert sum(s.alarm for s in states) < len(states) / 20


def test_the_edges_are_in_order() -> None:
    assert VOL_OUT < VOL_IN
    assert TREND_OUT < TREND_IN
