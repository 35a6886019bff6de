"""What every feature in the catalog promises. A new feature is tested by its line there."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import DataError, FeatureMismatch
from domain.values import FloatArray
from market.features import compute
from market.features.base import TAIL, Feature, lag, value
from market.features.catalog import CATALOG, GROUPS
from market.panel import Panel
from tests.market.panels import closes, market, replaced, whole

EVERY = pytest.mark.parametrize("name", CATALOG)
PROMISED = """
return_1d return_3d return_5d return_10d return_20d gap range_1d close_position sma_ratio_5
sma_ratio_10 sma_ratio_20 sma_ratio_50 sma_ratio_100 sma_ratio_200 ema_ratio_8 ema_ratio_21
ema_ratio_50 distance_from_high_252 drawdown_60 volume_ratio_20 volume_z_50 obv_z_20
dollar_volume_ratio_20 rsi_2 rsi_7 rsi_14 rsi_21 macd macd_signal macd_histogram stochastic_k
stochastic_d williams_r atr_14 close_range_14 bollinger_b bollinger_width adx_14 plus_di_14
minus_di_14 volatility_5 volatility_10 volatility_20 volatility_60 parkinson_20
volatility_ratio_5_60 zscore_10 zscore_20 zscore_50 skew_60 kurtosis_60 autocorrelation_50
variance_ratio_5 hurst_100 beta_60 correlation_60 regime_vol_ratio regime_trend_z
regime_high_vol regime_trend day_of_week_sin day_of_week_cos is_monday is_friday is_opex_week
is_month_end month_sin month_cos vix vix_percentile_30d vix_change_1d vix_change_5d
price_change_1d expected_move_pct volatility_risk_premium win_rate_60d iv_rank_252
vix_term_1d_vix rv5_over_vix rv21_over_vix gex_normalized gex_regime_positive
gex_distance_to_flip_pct gex_between_walls gex_percentile_252 gex_change_1d gex_regime_changed
gex_near_flip gex_distance_to_call_wall_pct gex_distance_to_put_wall_pct gex_wall_spread_pct
gex_position_in_walls gex_above_call_wall gex_below_put_wall gex_near_wall
gex_distance_to_magnet_pct gex_near_magnet gex_in_pin_zone gex_pin_zone_width_pct gex_ratio_log
gex_imbalance put_call put_call_z_60 dix dix_percentile_252 skew_index_percentile_252
vix_term_9d_vix vix_term_vix_3m vvix_percentile_252 chain_atm_iv_over_rv21 chain_skew
vix_regime_low vix_regime_mid vix_regime_high prev_range_pct bar_time bar_change_1 bar_change_3
bar_change_6 bar_change_12 bar_change_36 bar_range bar_trend bar_since_open bar_place bar_vix
bar_vix_1d bar_flip_pct bar_call_wall_pct bar_put_wall_pct bar_gamma_positive bar_magnet_pct
bar_in_pin_zone bar_pin_zone_width_pct bar_gamma_ratio_log
"""
FLAGS = (
    "is_monday",
    "is_friday",
    "is_opex_week",
    "is_month_end",
    "gex_regime_positive",
    "gex_between_walls",
    "gex_regime_changed",
    "gex_near_flip",
    "gex_above_call_wall",
    "gex_below_put_wall",
    "gex_near_wall",
    "gex_near_magnet",
    "gex_in_pin_zone",
    "vix_regime_low",
    "vix_regime_mid",
    "vix_regime_high",
    "regime_high_vol",
    "regime_trend",
    "bar_gamma_positive",
    "bar_in_pin_zone",
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return market(bars=900, closes_only=True)


@pytest.fixture(scope="module")
def history(panel: Panel) -> dict[str, FloatArray]:
    return compute.history(panel)


def test_the_promised_features_are_there() -> None:
    sequence = {f"log_return_lag_{bars}" for bars in range(64)}
    assert set(PROMISED.split()) | sequence == set(CATALOG)
    assert sum(len(group.FEATURES) for group in GROUPS) == len(CATALOG)


@EVERY
def test_a_feature_does_not_look_ahead(name: str, panel: Panel) -> None:
    compute.check(CATALOG[name], panel)


@EVERY
def test_a_feature_is_known_from_its_warm_up_on_and_not_before(
    name: str, history: dict[str, FloatArray]
) -> None:
    feature, first = CATALOG[name], history[name][:, 0]
    assert np.isnan(first[: feature.warmup - 1]).all()
    assert np.isfinite(first[feature.warmup - 1 :]).all()
    assert 1 <= feature.warmup <= TAIL


@EVERY
def test_the_newest_bar_of_the_tail_agrees_with_all_of_history(
    name: str, panel: Panel, history: dict[str, FloatArray]
) -> None:
    for stop in (TAIL, 523, 777, len(panel)):
        row = compute.newest(panel.rows(0, stop), [name])
        last = np.array([row[symbol].get(name, np.nan) for symbol in panel.symbols])
        spread = np.nanstd(history[name]) if np.isfinite(history[name]).any() else 0.0
        np.testing.assert_allclose(last, history[name][stop - 1], rtol=2e-6, atol=1e-6 * spread)


@EVERY
def test_what_a_symbol_lacks_is_unknown_for_it_alone(
    name: str, history: dict[str, FloatArray]
) -> None:
    lacking = {"open", "high", "low", "volume"} & set(CATALOG[name].needs)
    assert np.isnan(history[name][-1, 1:]).all() == bool(lacking)
    assert np.isfinite(history[name][-1, 0])


@EVERY
def test_without_its_inputs_a_feature_is_unknown_and_never_zero(name: str, panel: Panel) -> None:
    needs = CATALOG[name].needs
    nothing = np.full(panel.close.shape, np.nan)
    for need in needs:
        if need in panel.series:
            series = {key: x for key, x in panel.series.items() if key != need}
            bare = replaced(panel, series=series)
        else:
            bare = replaced(panel, **{"close" if need == "benchmark" else need: nothing})
        assert np.isnan(compute.history(bare, [name])[name]).all()
        assert compute.newest(bare, [name]) == {symbol: {} for symbol in panel.symbols}


@EVERY
def test_a_missing_stretch_does_not_poison_other_symbols_or_later_bars(
    name: str, history: dict[str, FloatArray]
) -> None:
    panel = market(bars=900, closes_only=True)
    holes = {field: getattr(panel, field).copy() for field in ("high", "close", "volume")}
    for hole in holes.values():
        hole[300:310, 2] = np.nan
    after = compute.history(replaced(panel, **holes), [name])[name]
    np.testing.assert_array_equal(after[:, :2], history[name][:, :2])
    np.testing.assert_array_equal(after[:300, 2], history[name][:300, 2])
    assert np.isnan(after[-1, 2]) == np.isnan(history[name][-1, 2])
    if "close" in CATALOG[name].needs:
        assert np.isnan(after[300:310, 2]).all()


@EVERY
def test_a_market_that_does_not_move_is_never_infinite(name: str) -> None:
    flat = np.full((450, 2), 50.0)
    panel = replaced(market(450, 2), open=flat, high=flat, low=flat, close=flat, volume=flat * 0.0)
    moving = {"rsi_14", "bollinger_b", "zscore_20", "volatility_20", "skew_60", "hurst_100"}
    moving |= {"beta_60", "stochastic_k", "close_position", "parkinson_20", "regime_trend_z"}
    moving |= {"adx_14", "atr_14", "volume_ratio_20", "obv_z_20", "volatility_risk_premium"}
    out = compute.history(panel, [name])[name]
    assert not np.isinf(out).any()
    if name in moving:
        assert np.isnan(out).all()


@EVERY
def test_a_flag_is_zero_or_one(name: str, history: dict[str, FloatArray]) -> None:
    numbers = set(np.unique(history[name][np.isfinite(history[name])]))
    assert (numbers <= {0.0, 1.0}) == (name in FLAGS)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bars=st.integers(2, 330),
    cut=st.floats(0.0, 1.0),
    holes=st.lists(
        st.tuples(
            st.sampled_from(["open", "high", "low", "close", "volume", "VIX", "GEX_NET"]),
            st.integers(0, 2),
            st.integers(0, 329),
            st.integers(1, 40),
            st.sampled_from([np.nan, np.inf, 0.0]),
        ),
        max_size=4,
    ),
)
def test_no_value_depends_on_what_comes_after_it(
    seed: int, bars: int, cut: float, holes: list[tuple[str, int, int, int, float]]
) -> None:
    panel = market(bars, seed=seed)
    for need, symbol, start, length, bad in holes:
        if need in panel.series:
            panel.series[need][start : start + length] = bad
        else:
            getattr(panel, need)[start : start + length, symbol] = bad
    stop = 1 + int(cut * (bars - 1))
    all_of_it, part = compute.history(panel), compute.history(panel.rows(0, stop))
    for name, rows in part.items():
        np.testing.assert_array_equal(rows, all_of_it[name][:stop], err_msg=name)


def peek(panel: Panel) -> FloatArray:
    """Return the next close, as it comes out when `shift` is given the wrong sign."""
    close = value(panel, "close")
    return np.vstack([close[1:], np.full((1, close.shape[1]), np.nan)]) / close - 1.0


def centred(panel: Panel) -> FloatArray:
    """Return the distance from the mean of all bars, later ones included."""
    close = value(panel, "close")
    return close / close.mean(axis=0) - 1.0


def far(panel: Panel) -> FloatArray:
    """Peek a hundred bars ahead, early in the history only."""
    close = value(panel, "close")
    out = close / lag(close, 1)
    ahead = close[100:150]
    out[: len(ahead)] = ahead
    return out


@pytest.mark.parametrize("function", [peek, centred, far])
def test_a_feature_that_peeks_is_caught_by_name(function: object) -> None:
    planted = Feature("planted", "price", "fraction", 1, ("close",), function)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'planted' looks ahead"):
        compute.check(planted, market(300))


def test_the_same_feature_without_the_peek_passes() -> None:
    honest = Feature("honest", "price", "fraction", 2, ("close",), lambda p: lag(p.close, 1))
    compute.check(honest, market(300))


def test_only_the_features_asked_for_are_computed(panel: Panel) -> None:
    fresh = whole(panel)
    assert set(compute.history(fresh, ["return_1d"])) == {"return_1d"}
    steps = {getattr(key[0], "__name__", "") for key in fresh.memo if isinstance(key, tuple)}
    assert not steps & {"smoothed", "average", "trending", "volatility"}


def test_asking_again_for_more_gives_what_asking_at_once_gives(panel: Panel) -> None:
    fresh = whole(panel)
    compute.newest(fresh, ["rsi_14", "vix"])
    assert compute.newest(fresh) == compute.newest(whole(panel))


def test_history_is_float32_of_time_by_symbol_and_newest_is_the_same_bits(panel: Panel) -> None:
    out = compute.history(panel.rows(0, TAIL))
    row = compute.newest(panel.rows(0, TAIL))
    for name, rows in out.items():
        assert rows.shape == (TAIL, 3)
        assert rows.dtype == np.float32
        for column, symbol in enumerate(panel.symbols):
            last = rows[-1, column]
            assert row[symbol].get(name) == (None if np.isnan(last) else float(last))


def test_an_empty_panel_knows_nothing(panel: Panel) -> None:
    empty = panel.rows(0, 0)
    assert compute.newest(empty) == {"S0": {}, "S1": {}, "S2": {}}
    assert {rows.shape for rows in compute.history(empty).values()} == {(0, 3)}


def test_a_misspelt_feature_is_refused_with_the_right_name() -> None:
    with pytest.raises(FeatureMismatch, match="rsi14; did you mean 'rsi_14'"):
        compute.history(closes(np.ones(3)), ["rsi14"])


def test_the_schema_hash_changes_with_all_that_defines_a_feature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("rsi_14", "vix")
    seen = {
        compute.schema_hash(names),
        compute.schema_hash(names[::-1]),
        compute.schema_hash(["vix"]),
    }
    original = CATALOG["rsi_14"]
    changes = ({"units": "fraction"}, {"warmup": 99}, {"version": 2}, {"needs": ("open",)})
    for change in changes:
        monkeypatch.setitem(CATALOG, "rsi_14", replace(original, **change))  # type: ignore[arg-type]
        compute._hash.cache_clear()
        seen.add(compute.schema_hash(names))
    monkeypatch.setitem(CATALOG, "rsi_14", original)
    compute._hash.cache_clear()
    assert len(seen) == 3 + len(changes)
    assert all(len(hexes) == 12 for hexes in seen)
    assert compute.schema_hash(names) == compute.schema_hash(list(names))


def test_decision_workers_can_compute_without_the_libraries_of_training() -> None:
    code = (
        "import sys, market.features.compute, market.regime;"
        "print({'pandas', 'scipy', 'sklearn', 'exchange_calendars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
