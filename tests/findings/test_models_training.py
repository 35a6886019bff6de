"""Defects in how the seed systems trained and exported, each with the rule that replaced it."""

import numpy as np
import pandas as pd
import pytest

from domain.errors import FeatureMismatch
from models import availability, catalog, forest
from models.base import Artifact, Model
from models.calibration import cut
from models.forest import Forest, Tree
from models.onnx import Served, scores, session
from tests.models.made import samples

EVERY = pytest.mark.parametrize(
    "name",
    [
        name
        for name, line in catalog.CATALOG.items()
        if not availability.lacking_extra(line.load().extra)
    ],
)


def fitted(name: str, X: pd.DataFrame, y: pd.Series) -> Artifact:
    return catalog.create(name, seed=3).fit(X, y).export()


def data(name: str) -> tuple[Model, pd.DataFrame, pd.Series, int, int]:
    model = catalog.create(name)
    X, y = samples(model, bars=300)
    return model, X, y, *cut(X.index, model.target.horizon)


@EVERY
def test_trees_are_not_judged_by_the_rows_that_calibrate_them(name: str) -> None:
    """Systems 3, 4: the calibrator was fitted in folds of shuffled time, over the fitted data."""
    _, X, y, _, start = data(name)
    other = y.copy()
    other.iloc[start:] = 1 - other.iloc[start:]
    one, two = fitted(name, X, y), fitted(name, X, other)
    assert one.onnx == two.onnx
    assert one.knots != two.knots


@EVERY
def test_no_label_reaches_over_the_gap_between_the_slices(name: str) -> None:
    """Systems 38, row 6: labels of five sessions overlapped the split and leaked across it."""
    model, X, y, stop, start = data(name)
    assert len(X.index[stop:start].unique()) == model.target.horizon
    other = y.copy()
    other.iloc[stop:start] = 1 - other.iloc[stop:start]
    one, two = fitted(name, X, y), fitted(name, X, other)
    assert (one.onnx, one.knots) == (two.onnx, two.knots)


def test_the_base_rate_is_learned() -> None:
    """Systems 3: 0.70 stood in for a base rate, and the thresholds with it."""
    X, y = samples(catalog.create("wisdom"), bars=300)
    often, seldom = fitted("wisdom", X, y).facts, fitted("wisdom", X, 1 - y).facts
    assert often["base_rate"] == pytest.approx(1 - seldom["base_rate"])
    assert often["high"] - often["low"] == pytest.approx(0.10)
    assert often["high"] != pytest.approx(seldom["high"], abs=0.1)


def test_a_quiet_spell_is_no_certainty() -> None:
    """Systems 3: isotonic regression on a pure slice of winners answered 1.0."""
    X, y = samples(catalog.create("wisdom"), bars=300)
    y.iloc[len(y) * 4 // 5 :] = 1
    model = catalog.create("wisdom").fit(X, y)
    assert max(model.export().knots[1]) < 0.99
    assert (model.predict(X) < 0.99).all()


def test_labels_at_a_high_base_rate_do_not_make_the_model_say_one_half() -> None:
    """Systems 3: classes were reweighted and the probability was then read as it came."""
    X, y = samples(catalog.create("wisdom"), bars=600)
    seen = len(y) * 4 // 5
    model = catalog.create("wisdom").fit(X[:seen], y[:seen])
    raw = model.raw(X[seen:].to_numpy(np.float32))
    assert raw.mean() == pytest.approx(y[seen:].mean(), abs=0.05)


def test_the_names_of_the_features_are_those_that_are_served() -> None:
    """Systems 2: ``vix_percentile`` was passed, ``vix_percentile_30d`` expected, and 0 used."""
    X, y = samples(catalog.create("wisdom"), bars=300)
    with pytest.raises(FeatureMismatch, match="vix_percentile_30d"):
        catalog.create("wisdom").fit(X.rename(columns={"vix_percentile_30d": "vix_percentile"}), y)


@EVERY
def test_columns_in_another_order_change_nothing(name: str) -> None:
    """Systems 20: vectors were matched to the scaler by position and length."""
    _, X, y, _, _ = data(name)
    shuffled = X[sorted(X.columns)].assign(stranger=1.0)
    assert fitted(name, shuffled, y).version == fitted(name, X, y).version


def test_sub_models_are_in_the_catalog_and_travel_with_their_thresholds() -> None:
    """Systems 4: the sub-models had no caller, were not saved, and their thresholds not read."""
    for name in ("prophet", "prophet-condor", "prophet-directional"):
        facts = fitted(name, *samples(catalog.create(name), bars=300)).facts
        assert {"base_rate", "low", "high", "n"} <= facts.keys()


def test_a_threshold_between_two_float32s_sends_no_row_astray() -> None:
    """The converter libraries round to the nearest float32: 2 rows in 21,000 took a wrong turn."""
    tree = Tree(
        feature=np.array([0, 0, 0]),
        threshold=np.array([0.1, 0.0, 0.0]),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        value=np.array([0.0, -1.0, 1.0]),
        missing_left=np.array([False, False, False]),
        cover=np.array([2.0, 1.0, 1.0]),
    )
    graph = session(Forest(1, 0.0, strict=False, trees=(tree,)).to_onnx())
    x = np.float32(0.1)  # a little above the double 0.1
    assert float(x) > 0.1
    assert scores(graph, np.array([[x]], np.float32))[0] > 0.5
    assert forest.floor32(0.1) < x


def test_calibration_is_interpolated_and_not_rounded_to_a_knot() -> None:
    """The converter of isotonic regression took the nearest knot: off by up to 0.039."""
    artifact = fitted("wisdom", *samples(catalog.create("wisdom"), bars=300))
    steps = artifact.model_copy(update={"knots": ((0.0, 1.0), (0.2, 0.6)), "low": (), "high": ()})
    rows = np.array([row for row, _ in artifact.golden], np.float32)
    served = Served(steps)
    np.testing.assert_allclose(served.predict(rows), 0.2 + 0.4 * served.raw(rows), atol=1e-12)
