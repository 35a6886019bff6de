"""Samples hold what was known at their bar, and labels that were known at `asof`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain.book import Costs
from domain.errors import DataError, InsufficientData
from learning.dataset import Dataset, labelled
from market import window
from market.features import compute
from market.panel import Panel
from models.base import Target
from models.catalog import entry
from models.wisdom import Wisdom

SURVIVES = Target("survives", 5, "index", (0.8, 1.0, 1.2))
RISES = Target("rises", 10, "stocks")
STOCK = ("return_1d", "return_20d", "rsi_14", "volatility_20", "beta_60", "skew_60", "vix")
CASES = {"survives": (SURVIVES, Wisdom.features), "rises": (RISES, STOCK)}
COSTS = Costs()
END = datetime(2018, 12, 31, 21, tzinfo=UTC)

case = pytest.mark.parametrize("case", CASES)


def same(one: Dataset, other: Dataset) -> bool:
    return (
        one.hash == other.hash
        and one.dropped == other.dropped
        and (one.symbols == other.symbols).all()
        and (one.X.index == other.X.index).all()
    )


@case
@pytest.mark.parametrize("day", ["2014-08-01", "2015-08-24", "2016-06-24", "2018-12-24"])
def test_a_cut_equals_what_the_truncated_panel_gives(packaged: Panel, case: str, day: str) -> None:
    target, features = CASES[case]
    asof = datetime.fromisoformat(f"{day}T23:00+00:00")
    whole = labelled(packaged, target, features, asof, COSTS)
    alone = labelled(window.until(packaged, asof), target, features, asof, COSTS)
    assert len(whole) > 0
    assert same(whole, alone)


@case
def test_what_comes_after_asof_changes_nothing(packaged: Panel, case: str) -> None:
    target, features = CASES[case]
    asof = datetime(2016, 6, 24, 23, tzinfo=UTC)
    after = packaged.times > np.datetime64("2016-06-24T23:00")
    close = np.where(after[:, None], packaged.close[::-1], packaged.close)
    vix = np.where(after, 99.0, packaged.series["VIX"])
    other = replace(packaged, close=close, series={"VIX": vix}, memo={})
    assert same(
        labelled(packaged, target, features, asof, COSTS),
        labelled(other, target, features, asof, COSTS),
    )
    assert not same(
        labelled(packaged, target, features, END, COSTS),
        labelled(other, target, features, END, COSTS),
    )


@case
def test_a_label_is_known_from_the_close_that_decides_it(packaged: Panel, case: str) -> None:
    target, features = CASES[case]
    close = packaged.times[800].astype(datetime).replace(tzinfo=UTC)
    before = labelled(packaged, target, features, close - timedelta(seconds=1), COSTS)
    at = labelled(packaged, target, features, close, COSTS)
    rows = len(target.distances) or 20
    assert len(at) - len(before) == rows
    assert (at.starts[-rows:] == packaged.times[800 - target.horizon]).all()
    assert (at.ends[-rows:] == packaged.times[800]).all()
    assert at.ends.max() <= packaged.times[800]


def test_the_base_rate_is_that_of_the_market(packaged: Panel) -> None:
    target = Target("survives", 5, "index", (1.0, 1.28))
    data = labelled(packaged, target, ("vix", "strike_distance"), END, COSTS)
    near, far = data.y[::2], data.y[1::2]
    assert len(near) == 1252
    assert near.mean() == pytest.approx(0.833, abs=5e-4)
    assert far.mean() == pytest.approx(0.917, abs=5e-3)
    assert (far >= near).all()


def test_rows_are_in_time_order_and_within_a_bar_by_symbol_or_distance(packaged: Panel) -> None:
    stocks = labelled(packaged, RISES, STOCK, END, COSTS)
    assert (np.diff(stocks.starts.astype(np.int64)) >= 0).all()
    assert stocks.symbols[:20].tolist() == list(packaged.symbols[1:])
    condors = labelled(packaged, SURVIVES, Wisdom.features, END, COSTS)
    assert condors.X["strike_distance"][:3].tolist() == pytest.approx([0.8, 1.0, 1.2])
    assert set(condors.symbols) == {"SPX"}


def test_rows_with_an_unknown_feature_are_dropped_and_counted(packaged: Panel) -> None:
    data = labelled(packaged, SURVIVES, Wisdom.features, END, COSTS)
    # win_rate_60d needs 60 survivals of five sessions; the first is known at the sixth bar
    assert data.dropped == 3 * 64
    assert data.starts[0] == packaged.times[64]
    assert len(data) == 3 * (1257 - 64 - 5)
    assert np.isfinite(data.X[list(data.known)].to_numpy()).all()


def test_a_feature_without_data_is_left_out_and_costs_no_row(packaged: Panel) -> None:
    data = labelled(packaged, SURVIVES, Wisdom.features, END, COSTS)
    absent = [name for name in Wisdom.features if name.startswith("gex")]
    assert data.X[absent].isna().all(axis=None)
    assert data.known == tuple(name for name in Wisdom.features if name not in absent)


def test_a_series_that_has_just_begun_waits_until_it_is_known_in_half_the_rows(
    packaged: Panel,
) -> None:
    vix1d = np.where(np.arange(len(packaged)) < 500, np.nan, packaged.series["VIX"])
    panel = replace(packaged, series={**packaged.series, "VIX1D": vix1d}, memo={})
    features = ("vix", "vix_term_1d_vix", "strike_distance")

    def at(bar: int) -> Dataset:
        asof = panel.times[bar].astype(datetime).replace(tzinfo=UTC)
        return labelled(panel, SURVIVES, features, asof, COSTS)

    assert at(900).known == ("vix", "strike_distance")
    assert len(at(900)) == 3 * 896
    assert at(1010).known == features
    assert at(1010).dropped == 3 * 500


def test_training_sees_the_numbers_that_serving_will_see(packaged: Panel) -> None:
    data = labelled(packaged, SURVIVES, Wisdom.features, END, COSTS)
    bar = data.starts[1500]
    asof = bar.astype(datetime).replace(tzinfo=UTC)
    served = compute.newest(window.until(packaged, asof), Wisdom.market_features())["SPX"]
    learned = data.X.iloc[1500]
    assert set(served) == set(data.known) - {"strike_distance"}
    for name, value in served.items():
        assert learned[name] == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_moving_asof_computes_nothing_anew(packaged: Panel) -> None:
    labelled(packaged, SURVIVES, Wisdom.features, datetime(2016, 1, 4, tzinfo=UTC), COSTS)
    before = dict(packaged.memo)
    later = labelled(packaged, SURVIVES, Wisdom.features, END, COSTS)
    assert packaged.memo.keys() == before.keys()
    assert np.shares_memory(
        later.y,
        labelled(packaged, SURVIVES, Wisdom.features, datetime(2017, 1, 4, tzinfo=UTC), COSTS).y,
    )


def test_other_costs_give_other_results_and_the_same_labels(packaged: Panel) -> None:
    free = Costs(option_leg=0, share_slippage=0, share_commission=0)
    for target, features in CASES.values():
        dear = labelled(packaged, target, features, END, COSTS)
        cheap = labelled(packaged, target, features, END, free)
        assert (dear.y == cheap.y).all()
        # a unit of risk has the costs in it too, so a loser may lose a smaller share of it
        assert (dear.r < cheap.r)[cheap.r > 0].all()
        assert dear.r.mean() < cheap.r.mean()


def test_the_hash_is_of_every_number(packaged: Panel) -> None:
    data = labelled(packaged, SURVIVES, Wisdom.features, END, COSTS)
    y = data.y.copy()
    y[7] = 1 - y[7]
    assert replace(data, y=y).hash != data.hash
    assert data.take(slice(100)).hash != data.hash
    assert data.take(np.arange(len(data))).hash == data.hash


def test_before_the_first_label_there_is_nothing_to_learn(made: Callable[..., Panel]) -> None:
    panel = made(tells=True, sessions=30)
    third = panel.times[3].astype(datetime).replace(tzinfo=UTC)
    with pytest.raises(InsufficientData, match="start later"):
        labelled(panel, SURVIVES, ("vix", "strike_distance"), third, COSTS)
    with pytest.raises(DataError, match="no bar had closed"):
        labelled(panel, SURVIVES, ("vix",), datetime(2000, 1, 1, tzinfo=UTC), COSTS)


@pytest.mark.parametrize("name", ["wisdom", "xgb", "lgbm"])
def test_every_model_finds_its_features(packaged: Panel, name: str) -> None:
    model = entry(name).load()
    data = labelled(packaged, model.target, model.features, END, COSTS)
    assert len(data) >= model.min_samples
    assert list(data.X) == list(model.features)
    assert (data.X.dtypes == np.float32).all()
