"""What came true and what it earned, checked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from domain.book import Costs
from domain.errors import Refused
from learning import labels
from learning.trainer import moment
from market import pricing, window
from market.panel import Panel
from models.base import Target
from trading.bots.anchor import ANCHOR
from trading.costs import option_costs
from trading.structures.base import payoff, value
from trading.structures.catalog import propose

SURVIVES = Target("survives", 5, "index", (0.8, 1.0, 1.2, 1.5))
RISES = Target("rises", 10, "stocks")


def test_survival_is_within_the_expected_move_of_the_horizon(packaged: Panel) -> None:
    y = labels.outcomes(packaged, SURVIVES)
    close, vix = packaged.close[:, 0], packaged.series["VIX"]
    for t in (0, 500, 1022, 1251):
        move = abs(close[t + 5] - close[t])
        width = close[t] * vix[t] / 100 * np.sqrt(5 / 252)
        assert y[t, 0].tolist() == [move <= d * width for d in SURVIVES.distances]
    assert np.isnan(y[1252:]).all()


def test_a_move_of_exactly_the_distance_survives(packaged: Panel) -> None:
    edge = pricing.expected_move(2000.0, 16.0, 1)
    close = np.array([[2000.0], [2000.0 + edge], [2000.0], [2000.0 + 1.001 * edge]])
    panel = _closes(close, VIX=np.full(4, 16.0))
    y = labels.outcomes(panel, Target("survives", 1, "index", (1.0,)))[:, 0, 0]
    assert y[[0, 2]].tolist() == [1.0, 0.0]


def _closes(close: np.ndarray, **series: np.ndarray) -> Panel:
    times = np.datetime64("2016-01-04T21:00:00", "s") + np.arange(len(close)) * 86400
    nothing = np.full(close.shape, np.nan)
    names = ("SPX", "AAA", "BBB")[: close.shape[1]]
    return Panel(times, names, nothing, nothing, nothing, close, nothing, series)


def test_without_vix_nothing_is_known_to_survive(packaged: Panel) -> None:
    blind = replace(packaged, series={}, memo={})
    assert np.isnan(labels.outcomes(blind, SURVIVES)).all()
    assert np.isnan(labels.results(blind, SURVIVES, Costs())).all()


def test_an_unchanged_price_has_not_risen() -> None:
    close = np.array([[1.0, 5.0, 5.0], [1.0, 5.0, 6.0], [1.0, np.nan, 5.0]])
    y = labels.outcomes(_closes(close), Target("rises", 1, "stocks"))[:, :, 0]
    np.testing.assert_array_equal(y, [[0.0, 1.0], [np.nan, 0.0], [np.nan, np.nan]])


def test_a_condor_without_exits_earns_what_its_strikes_pay_at_expiry(
    packaged: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = ANCHOR.model_copy(update={"profit_target": None, "stop_multiple": None})
    monkeypatch.setitem(labels.BOTS, "anchor", patient)
    costs, t = Costs(), 1023  # 2018-01-26, a week before the worst one of the five years
    panel = window.until(packaged, moment(packaged.times[t + 5]))
    surface = labels._surfaces(panel)[t]
    assert surface.asof == moment(panel.times[t])
    assert surface.label.startswith("simulated")
    unit = propose("iron_condor", patient, surface, 5, panel.series["VIX"][t], costs)
    credit = -value(unit.legs, pricing.shifted(surface, panel.open[t + 1, 0]), 5)
    risk = unit.max_loss + (unit.entry - credit) * 100
    getting_in = option_costs(4, panel.open[t + 1, 0], costs)
    earned = (credit + payoff(unit.legs, panel.close[t + 5, 0])) * 100 - getting_in
    r = labels.results(panel, Target("survives", 5, "index", (1.0,)), costs)
    assert r[t, 0, 0] == pytest.approx(earned / risk, abs=1e-3)
    # the index fell through the wing, and what expires costs nothing to close
    assert r[t, 0, 0] == pytest.approx(-1 + unit.costs / 2 / risk, abs=1e-3)
    assert np.isnan(r[t + 1 :]).all()


def test_the_exits_of_the_bot_are_in_the_result(
    packaged: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, costs = Target("survives", 5, "index", (1.0,)), Costs()
    held, stopped = (ANCHOR.model_copy(update={"stop_multiple": m}) for m in (None, 2.0))
    survived = labels.outcomes(packaged, one)[:, 0, 0] == 1
    monkeypatch.setitem(labels.BOTS, "anchor", held)
    patient = labels.results(packaged, one, costs)[:, 0, 0]
    monkeypatch.setitem(labels.BOTS, "anchor", stopped)
    managed = labels.results(packaged, one, costs)[:, 0, 0]
    assert np.nanmin(patient[survived]) > 0
    # a survivor may have been stopped on the way, and a loser before it had lost all
    assert np.nanmin(managed[survived]) < -0.3
    assert np.nanmean(managed[~survived]) > np.nanmean(patient[~survived]) + 0.1
    assert np.nanmin(managed) > -1.02  # a higher spot may cost more to close at


def test_what_cannot_be_priced_has_a_label_and_no_result(packaged: Panel) -> None:
    cheap = replace(packaged, close=packaged.close / 2000, open=packaged.open / 2000, memo={})
    assert np.isfinite(labels.outcomes(cheap, SURVIVES)[:1252]).all()
    assert np.isnan(labels.results(cheap, SURVIVES, Costs())).all()


def test_wings_are_those_of_the_bot_that_trades_the_distance() -> None:
    assert [labels.seller(d, 2500.0).wing for d in (0.8, 1.0, 1.2)] == [10.0, 10.0, 50.0]
    assert labels.seller(1.5, 2480.0).wing == 50.0
    assert labels.seller(1.5, 5000.0).wing == 100.0
    assert labels.seller(1.5, 5000.0).distance == 1.5


def test_shares_are_counted_in_the_distance_of_their_first_stop(packaged: Panel) -> None:
    r = labels.results(packaged, RISES, Costs())
    t, column = 700, packaged.column("AAPL")
    close = packaged.close[:, column]
    move = np.abs(np.diff(close))[t - 14 : t].mean() / close[t]
    both_ways = 2 * (0.0005 + 0.001)
    expected = (close[t + 10] / close[t] - 1 - both_ways) / (max(2.5 * move, 0.015) + both_ways)
    assert r[t, column - 1, 0] == pytest.approx(expected)
    assert np.isnan(r[:14]).all()
    assert np.isnan(r[1247:]).all()


def test_an_index_alone_has_no_stocks_to_learn_of() -> None:
    panel = _closes(np.ones((3, 1)))
    with pytest.raises(Refused, match="add stocks"):
        labels.outcomes(panel, RISES)
