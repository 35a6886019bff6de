"""One bar seen live is that bar of history, and nothing after it makes a difference."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from domain import examples
from domain.bot import Factor
from market import regime, window
from market.features import compute
from market.features.catalog import CATALOG
from market.panel import Panel
from orchestrator.sight import Sight, moment, see, surface
from tests.orchestrator.made import packaged

ASOF = datetime(2016, 3, 7, 21, tzinfo=UTC)
NAMES = ("vix", "rsi_14", "beta_60", "volatility_20", "sma_ratio_200", "iv_rank_252", "macd")
DAYS = [datetime(2015, 6, 1, 20, tzinfo=UTC), ASOF, datetime(2018, 12, 31, 21, tzinfo=UTC)]


def same(one: Sight, other: Sight) -> None:
    assert (one.bar, one.symbols) == (other.bar, other.symbols)
    assert one.prices == other.prices
    assert one.features == other.features
    assert one.regimes == other.regimes
    assert one.surface == other.surface
    np.testing.assert_array_equal(one.matrix, other.matrix)


def changed_after(panel: Panel, asof: datetime) -> Panel:
    """Return the panel with every number after `asof` another one."""
    rng = np.random.default_rng(7)
    first = window.index(panel, asof) + 1

    def spoilt(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[first:] *= rng.uniform(0.5, 2.0, values[first:].shape)
        return values

    names = ("open", "high", "low", "close", "volume")
    bars = {name: spoilt(getattr(panel, name)) for name in names}
    series = {name: spoilt(values) for name, values in panel.series.items()}
    return replace(panel, **bars, series=series, memo={})


def test_features_of_the_newest_bar_are_that_row_of_all_of_history() -> None:
    panel = packaged().panel()
    place = window.index(panel, ASOF)
    names = tuple(CATALOG)
    seen, rows = see(panel, ASOF, names), compute.history(panel, names)
    assert place > compute.TAIL
    for name, values in rows.items():
        known = values[: place + 1][np.isfinite(values[: place + 1])]
        scale = max(1.0, float(known.std())) if len(known) else 1.0
        for column, symbol in enumerate(panel.symbols):
            expected = values[place, column]
            if np.isnan(expected):
                assert name not in seen.features[symbol], (name, symbol)
            else:
                assert seen.features[symbol][name] == pytest.approx(
                    float(expected), rel=1e-6, abs=1e-6 * scale
                ), (name, symbol)


@pytest.mark.parametrize("asof", DAYS)
def test_nothing_later_than_asof_is_read(asof: datetime) -> None:
    panel = packaged().panel()
    whole = see(panel, asof, NAMES)
    same(whole, see(changed_after(panel, asof), asof, NAMES))
    same(whole, see(window.until(panel, asof), asof, NAMES))


def test_the_numbers_are_those_of_the_newest_bar() -> None:
    panel = packaged().panel()
    seen, place = see(panel, ASOF, ("vix",)), window.index(panel, ASOF)
    assert seen.bar == ASOF == moment(panel, place)
    assert seen.prices == dict(zip(panel.symbols, panel.close[place].tolist(), strict=True))
    assert seen.features["SPX"]["vix"] == np.float32(panel.series["VIX"][place])
    assert set(seen.regimes) == set(panel.symbols)
    assert seen.regimes == regime.latest(window.until(panel, ASOF, compute.TAIL))
    assert seen.surface is not None
    assert (seen.surface.spot, seen.surface.asof) == (seen.prices["SPX"], ASOF)
    assert seen.surface.label.startswith("simulated")


def test_between_two_closes_the_last_one_is_seen() -> None:
    panel = packaged().panel()
    same(see(panel, ASOF, NAMES), see(panel, datetime(2016, 3, 8, 20, 59, tzinfo=UTC), NAMES))


def test_a_symbol_without_a_price_has_none() -> None:
    panel = packaged().panel()
    close = panel.close.copy()
    close[window.index(panel, ASOF), panel.column("KO")] = np.nan
    seen = see(replace(panel, close=close, memo={}), ASOF, NAMES)
    assert "KO" not in seen.prices
    assert "rsi_14" not in seen.features["KO"]
    assert "JPM" in seen.prices


def vix(panel: Panel, place: int, value: float) -> Panel:
    values = panel.series["VIX"].copy()
    values[place] = value
    return replace(panel, series=dict(panel.series) | {"VIX": values}, memo={})


@pytest.mark.parametrize("ago", [1, 6])
def test_without_the_vix_of_today_and_of_a_week_ago_there_is_no_surface(ago: int) -> None:
    tail = window.until(packaged().panel(), ASOF, 30)
    assert surface(tail, ASOF) is not None
    assert surface(vix(tail, len(tail) - ago, np.nan), ASOF) is None
    assert surface(vix(tail, len(tail) - 3, np.nan), ASOF) is not None


def test_without_a_vix_at_all_or_a_month_of_prices_there_is_no_surface() -> None:
    panel = packaged().panel()
    tail = window.until(panel, ASOF, 30)
    assert surface(replace(tail, series={}, memo={}), ASOF) is None
    assert surface(window.until(panel, ASOF, 22), ASOF) is None
    assert surface(window.until(panel, ASOF, 23), ASOF) is not None
    close = tail.close.copy()
    close[-10, 0] = np.nan
    assert surface(replace(tail, close=close, memo={}), ASOF) is None


def test_a_short_term_vix_is_taken_where_there_is_one() -> None:
    tail = window.until(packaged().panel(), ASOF, 30)
    plain = surface(tail, ASOF)
    level = np.full(len(tail), 40.0)
    with_one = surface(replace(tail, series=dict(tail.series) | {"VIX1D": level}, memo={}), ASOF)
    assert plain is not None
    assert with_one is not None
    assert with_one.sigmas[1] > plain.sigmas[1]
    unknown = dict(tail.series) | {"VIX1D": np.full(len(tail), np.nan)}
    assert surface(replace(tail, series=unknown, memo={}), ASOF) == plain


def test_correlations_are_those_of_the_factors() -> None:
    seen = see(packaged().panel(), ASOF, ("vix",))
    assert seen.matrix.shape == (42, 42)
    bank = examples.exposure(id="a", symbol="JPM", factor=Factor.PRICE)
    itself = examples.exposure(id="b", symbol="BAC", factor=Factor.PRICE)
    stranger = examples.exposure(id="c", symbol="ES", factor=Factor.PRICE)
    found = seen.correlations("BAC", Factor.PRICE, [bank, itself, stranger])
    assert found["b"] == 1.0
    assert 0.7 < found["a"] < 1
    assert "c" not in found
