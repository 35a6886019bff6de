"""Findings of the seed systems in their features; each of these fails when the defect is back."""

import numpy as np
import pytest

from market.features import compute
from market.features.catalog import CATALOG
from market.features.options import HORIZON
from tests.market.panels import closes, market, replaced

BARS = 120


def newest(close: np.ndarray, vix: np.ndarray, name: str) -> float:
    return compute.newest(closes(close, VIX=vix), [name])["S0"][name]


def test_win_rate_counts_no_trade_that_is_still_open() -> None:
    """The seed dated a trade's outcome by its entry, so it knew it five sessions early."""
    close = 4000.0 + np.sin(np.arange(float(BARS)))
    vix = np.full(BARS, 20.0)
    assert newest(close, vix, "win_rate_60d") == 1.0
    crash = close.copy()
    crash[-1] = 3000.0  # every trade of the last five sessions will be lost; one ends today
    lost = newest(crash, vix, "win_rate_60d")
    assert lost == pytest.approx(59.0 / 60.0)
    dates = np.flatnonzero(
        compute.history(closes(crash, VIX=vix), ["win_rate_60d"])["win_rate_60d"][:, 0] < 1.0
    )
    assert dates.tolist() == [BARS - 1]


def test_win_rate_takes_the_implied_move_of_the_entry_and_not_of_today() -> None:
    close = 4000.0 + np.sin(np.arange(float(BARS)))
    vix = np.full(BARS, 20.0)
    vix[-HORIZON:] = 0.01  # entries that are still open; a move of nothing would lose them all
    assert newest(close, vix, "win_rate_60d") == 1.0


def test_risk_premium_ends_with_the_bar_that_has_closed() -> None:
    """The seed's window held the change of the trade that was about to be entered."""
    panel = market(200)
    name = "volatility_risk_premium"
    before = compute.newest(panel.rows(0, 199), [name])["S0"][name]
    jump = panel.close.copy()
    jump[199] *= 0.8
    after = compute.history(replaced(panel, close=jump), [name])[name][:, 0]
    assert after[198] == pytest.approx(before)
    assert after[199] < before - 5.0


def test_risk_premium_is_measured_and_no_formula_of_vix_alone() -> None:
    """At inference the seed took expected move x (0.10 + 0.004 VIX) for the premium."""
    vix = np.full(BARS, 20.0)
    wild = 4000.0 * np.cumprod(1.0 + 0.03 * (-1.0) ** np.arange(BARS))
    assert newest(wild, vix, "volatility_risk_premium") < 0.0
    calm = 4000.0 * np.cumprod(1.0 + 0.001 * (-1.0) ** np.arange(BARS))
    assert newest(calm, vix, "volatility_risk_premium") > 1.0


def test_a_missing_input_is_unknown_and_not_zero() -> None:
    """The seeds filled missing features with 0 and padded vectors with zeros."""
    bare = closes(market(450).close)
    row = compute.newest(bare)["S0"]
    lacking = {"open", "high", "low", "volume", "VIX", "VIX1D", "GEX_NET", "GEX_FLIP"}
    assert not [name for name in row if lacking & set(CATALOG[name].needs)]
    assert "rsi_14" in row


def test_training_and_serving_share_one_function() -> None:
    """The seeds computed features one way to train and another way to serve."""
    panel = market(600, closes_only=True)
    history, row = compute.history(panel), compute.newest(panel)
    for name, rows in history.items():
        spread = np.nanstd(rows)
        for column, symbol in enumerate(panel.symbols):
            served = row[symbol].get(name, np.nan)
            np.testing.assert_allclose(
                served, rows[-1, column], rtol=2e-6, atol=1e-6 * spread, err_msg=name
            )


def test_no_expiry_falls_into_a_week_that_is_not_marked() -> None:
    """The seed marked days 15 to 21, of which up to four come after the third Friday."""
    times = np.array(["2018-06-11", "2018-06-15", "2018-06-18"], "datetime64[D]")
    plain = closes(np.ones(3))
    panel = type(plain)(
        times.astype("datetime64[s]") + np.timedelta64(20, "h"), ("S0",), *(plain.close,) * 5
    )
    marked = compute.history(panel, ["is_opex_week"])["is_opex_week"][:, 0]
    assert marked.tolist() == [1.0, 1.0, 0.0]


def test_the_calendar_is_the_bars_and_not_the_servers() -> None:
    """The seed read expiry weeks from the clock of the machine."""
    panel = market(30)
    fields = (getattr(panel, field) for field in ("open", "high", "low", "close", "volume"))
    later = type(panel)(panel.times + np.timedelta64(7, "D"), panel.symbols, *fields)
    names = ["is_monday", "is_opex_week"]
    now, then = compute.history(panel, names), compute.history(later, names)
    np.testing.assert_array_equal(now["is_monday"], then["is_monday"])
    np.testing.assert_array_equal(now["is_opex_week"][5:], then["is_opex_week"][:-5])
    assert now["is_opex_week"].sum() == 15  # five days of three symbols
