"""Features of markets small enough to work out by hand, and of the real one."""

from datetime import date, timedelta

import numpy as np
import pytest

from domain.values import FloatArray
from market.features import compute
from market.features.catalog import CATALOG
from market.feeds.packaged import Packaged
from market.panel import Panel
from tests.market.panels import closes, market, replaced, sessions


def last(panel: Panel, name: str, symbol: str = "S0") -> float | None:
    """Return the newest value, None where it is unknown."""
    return compute.newest(panel, [name])[symbol].get(name)


def column(panel: Panel, name: str) -> FloatArray:
    return compute.history(panel, [name])[name][:, 0]


def test_rsi_is_a_hundred_when_the_price_only_rises_and_zero_when_it_only_falls() -> None:
    assert last(closes(np.arange(100.0, 200.0)), "rsi_14") == 100.0
    assert last(closes(np.arange(200.0, 100.0, -1.0)), "rsi_14") == 0.0


def test_rsi_of_a_price_that_never_moved_is_unknown() -> None:
    assert last(closes(np.full(200, 10.0)), "rsi_14") is None


def test_rsi_of_a_price_that_stopped_moving_is_unknown_in_the_end() -> None:
    lively = 100.0 + np.sin(np.arange(100.0))
    assert last(closes(np.append(lively, np.full(390, lively[-1]))), "rsi_14") is None


def test_a_bar_without_a_range_closes_nowhere_in_it() -> None:
    one = np.full((3, 1), 5.0)
    panel = replaced(closes(one), open=one, high=one, low=one, volume=one)
    assert last(panel, "close_position") is None
    assert last(panel, "range_1d") == 0.0
    assert last(panel, "gap") == 0.0


def test_the_first_symbol_moves_with_itself() -> None:
    panel = market(100)
    assert last(panel, "beta_60") == pytest.approx(1.0, abs=1e-6)
    assert last(panel, "correlation_60") == pytest.approx(1.0, abs=1e-6)


def test_a_symbol_at_twice_the_leverage_has_a_beta_of_two() -> None:
    steps = np.random.default_rng(1).normal(0.0, 0.01, 100).cumsum()
    panel = closes(np.exp(np.column_stack([steps, 2.0 * steps, -steps])))
    row = compute.newest(panel, ["beta_60", "correlation_60"])
    assert row["S1"]["beta_60"] == pytest.approx(2.0)
    assert row["S2"] == pytest.approx({"beta_60": -1.0, "correlation_60": -1.0})


@pytest.mark.parametrize(
    ("name", "trending", "reverting"),
    [("hurst_100", 0.55, 0.45), ("variance_ratio_5", 1.3, 0.6), ("autocorrelation_50", 0.2, -0.2)],
)
def test_memory_is_told_from_its_absence(name: str, trending: float, reverting: float) -> None:
    noise = np.random.default_rng(3).normal(0.0, 0.01, 400)
    persistent, contrary = noise.copy(), noise.copy()
    for t in range(1, 400):
        persistent[t] += 0.6 * persistent[t - 1]
        contrary[t] -= 0.6 * contrary[t - 1]
    high = np.nanmean(column(closes(np.exp(persistent.cumsum())), name))
    low = np.nanmean(column(closes(np.exp(contrary.cumsum())), name))
    assert high > trending
    assert low < reverting


def test_the_expected_move_is_one_session_of_vix() -> None:
    panel = closes(np.full(3, 4000.0), VIX=np.full(3, 16.0))
    assert last(panel, "expected_move_pct") == pytest.approx(16.0 / 252**0.5)


def test_the_risk_premium_is_implied_less_realised() -> None:
    close = 4000.0 * np.cumprod(np.full(10, 1.01))
    panel = closes(close, VIX=np.full(10, 20.0))
    assert last(panel, "volatility_risk_premium") == pytest.approx(20.0 / 252**0.5 - 1.0)


def test_the_win_rate_is_one_when_nothing_moves_far_and_zero_when_everything_does() -> None:
    quiet = 4000.0 + np.sin(np.arange(70.0))
    assert last(closes(quiet, VIX=np.full(70, 20.0)), "win_rate_60d") == 1.0
    wild = 4000.0 * 1.02 ** np.arange(70.0)
    assert last(closes(wild, VIX=np.full(70, 10.0)), "win_rate_60d") == 0.0


def test_without_vix_nothing_is_implied_but_the_price_still_changed() -> None:
    panel = closes(100.0 * 1.01 ** np.arange(300.0))
    known = compute.newest(panel, [n for n, f in CATALOG.items() if f.group == "options"])["S0"]
    assert known == {"price_change_1d": pytest.approx(1.0, rel=1e-6)}


def test_a_vix_that_never_moved_has_no_rank() -> None:
    panel = closes(np.full(300, 10.0), VIX=np.full(300, 12.0))
    assert last(panel, "iv_rank_252") is None
    assert last(panel, "vix_percentile_30d") is None
    assert last(panel, "vix") == 12.0


def test_gamma_features_of_one_chain() -> None:
    net = np.full(25, np.nan)
    net[-1] = -4.0
    series = {"GEX_NET": net, "GEX_FLIP": np.full(25, 3960.0)}
    panel = closes(
        np.full(25, 4000.0),
        **series,
        GEX_CALL_WALL=np.full(25, 4100.0),
        GEX_PUT_WALL=np.full(25, 3900.0),
    )
    row = compute.newest(panel, [n for n, f in CATALOG.items() if f.group == "gex"])["S0"]
    assert row == {
        "gex_regime_positive": 0.0,
        "gex_distance_to_flip_pct": 1.0,
        "gex_near_flip": 0.0,
        "gex_distance_to_call_wall_pct": -2.5,
        "gex_distance_to_put_wall_pct": 2.5,
        "gex_wall_spread_pct": 5.0,
        "gex_position_in_walls": 0.5,
        "gex_between_walls": 1.0,
        "gex_above_call_wall": 0.0,
        "gex_below_put_wall": 0.0,
        "gex_near_wall": 0.0,
    }


@pytest.mark.parametrize(
    ("close", "far", "near", "inside"),
    [
        (4000.0, 0.25, 1.0, 1.0),  # 10 above the lower magnet
        (4020.0, 0.746269, 0.0, 1.0),  # as far from both: the lower counts
        (4049.0, -0.024697, 1.0, 1.0),
        (4050.0, 0.0, 1.0, 1.0),
        (4075.0, 0.613497, 0.0, 0.0),
    ],
)
def test_the_nearer_magnet_counts(close: float, far: float, near: float, inside: float) -> None:
    magnets = {"GEX_MAGNET_1": np.array([3990.0]), "GEX_MAGNET_2": np.array([4050.0])}
    panel = closes(np.array([close]), **magnets)
    assert last(panel, "gex_distance_to_magnet_pct") == pytest.approx(far, abs=1e-6)
    assert (last(panel, "gex_near_magnet"), last(panel, "gex_in_pin_zone")) == (near, inside)
    assert last(panel, "gex_pin_zone_width_pct") == pytest.approx(6000.0 / close)


def test_one_magnet_is_no_pin_zone() -> None:
    panel = closes(np.array([4000.0]), GEX_MAGNET_1=np.array([3990.0]))
    assert not [name for name in compute.newest(panel)["S0"] if "magnet" in name or "pin" in name]


def test_a_gamma_without_calls_or_puts_stays_within_its_bounds() -> None:
    one = closes(np.ones(1), CHAIN_CALLS=np.array([50.0]), CHAIN_PUTS=np.array([-1.0]))
    assert last(one, "gex_ratio_log") == pytest.approx(-np.log(10.0))
    assert last(one, "gex_imbalance") == pytest.approx(49.0 / 51.0)


def test_one_chain_is_enough_to_be_set_against_what_was_realised() -> None:
    quoted = np.full(30, np.nan)
    quoted[-1] = 20.0
    panel = closes(100.0 * np.exp(0.01 * (-1.0) ** np.arange(30)), CHAIN_IV=quoted)
    realised = 100.0 * np.sqrt(252.0) * 0.02 * np.sqrt((1 - (1 / 21) ** 2) * 21 / 20)
    found = last(panel, "chain_atm_iv_over_rv21")
    assert found == pytest.approx(20.0 / realised, rel=1e-4)
    assert last(panel.rows(0, 29), "chain_atm_iv_over_rv21") is None
    assert last(panel.rows(9, 30), "chain_atm_iv_over_rv21") is None  # 21 closes: 20 returns


@pytest.mark.parametrize(
    ("vix", "regime"), [(14.99, "low"), (15.0, "mid"), (24.99, "mid"), (25.0, "high")]
)
def test_vix_is_in_one_regime_at_a_time(vix: float, regime: str) -> None:
    row = compute.newest(closes(np.ones(1), VIX=np.array([vix])))["S0"]
    assert {name for name, on in row.items() if "vix_regime" in name and on} == {
        f"vix_regime_{regime}"
    }
    assert sum("vix_regime" in name for name in row) == 3


def dated(*days: str) -> Panel:
    """Return a panel with a bar at 21:00 UTC of each day."""
    plain = closes(np.ones(len(days)))
    times = np.array(days, "datetime64[D]").astype("datetime64[s]") + np.timedelta64(21, "h")
    return Panel(times, plain.symbols, *(plain.close,) * 5)


def test_the_calendar_of_a_week() -> None:
    week = dated("2018-09-21", "2018-09-24", "2018-09-25", "2018-09-28", "2018-09-29")
    np.testing.assert_array_equal(column(week, "is_friday"), [1, 0, 0, 1, np.nan])
    np.testing.assert_array_equal(column(week, "is_monday"), [0, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(column(week, "is_month_end"), [0, 0, 1, 1, 1])
    np.testing.assert_allclose(
        column(week, "day_of_week_sin")[:2], [np.sin(2 * np.pi * 0.8), 0.0], rtol=1e-6
    )


def test_friday_is_as_near_to_monday_as_monday_to_tuesday() -> None:
    week = dated("2018-09-21", "2018-09-24", "2018-09-25")
    x, y = column(week, "day_of_week_sin"), column(week, "day_of_week_cos")
    steps = np.hypot(np.diff(x), np.diff(y))
    assert steps[0] == pytest.approx(steps[1], rel=1e-5)


def test_opex_week_is_the_week_of_the_third_friday() -> None:
    times = sessions(1300)
    days = [date.fromisoformat(str(day)) for day in times.astype("datetime64[D]")]
    expected = [15 <= (day + timedelta(days=4 - day.weekday())).day <= 21 for day in days]
    plain = closes(np.ones(1300))
    panel = Panel(times, plain.symbols, *(plain.close,) * 5)
    np.testing.assert_array_equal(column(panel, "is_opex_week"), expected)


@pytest.fixture(scope="module")
def real() -> Panel:
    return Packaged().panel()


def test_real_vix_of_the_storm_of_february_2018(real: Panel) -> None:
    at = int(np.flatnonzero(real.times.astype("datetime64[D]") == np.datetime64("2018-02-05"))[0])
    row = compute.newest(real.rows(0, at + 1))["SPX"]
    assert row["vix"] == pytest.approx(37.32, abs=0.005)
    assert row["return_1d"] == pytest.approx(-0.04098, abs=5e-6)
    assert row["iv_rank_252"] == 1.0
    assert row["is_monday"] == 1.0
    assert row["volatility_risk_premium"] == pytest.approx(0.27, abs=0.2)


def test_real_five_session_survivals_match_the_measured_base_rate(real: Panel) -> None:
    from market.features.options import survived

    known = survived(real)[:, 0]
    assert np.nanmean(known) == pytest.approx(0.833, abs=0.005)
    assert np.isnan(known).sum() == 5


def test_real_history_is_known_wherever_its_inputs_are(real: Panel) -> None:
    rows = compute.newest(real)
    lacking = {name for name in CATALOG if name not in rows["SPX"]}
    packaged = {"VIX", "benchmark", "open", "high", "low", "close", "volume"}
    assert lacking == {name for name, one in CATALOG.items() if set(one.needs) - packaged}
    assert "gex_normalized" in lacking
    assert "rv21_over_vix" not in lacking
    needs_bars = {n for n, f in CATALOG.items() if {"open", "high", "volume"} & set(f.needs)}
    assert set(CATALOG) - set(rows["AAPL"]) == lacking | needs_bars
