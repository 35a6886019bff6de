"""Every library's trees become one graph that sends no row astray."""

import lightgbm as lgb
import numpy as np
import onnx
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from domain.errors import ModelError
from models import forest
from models.forest import Forest, Tree, floor32
from models.onnx import scores, session
from models.prophet import one_thread

ROWS, WIDTH = 1200, 6
Float32s = NDArray[np.float32]

X = np.random.default_rng(7).normal(size=(ROWS, WIDTH)).astype(np.float32)
GRID = np.round(X * 4) / np.float32(4)
HOLED = np.where(np.random.default_rng(8).random(X.shape) < 0.05, np.float32(np.nan), X)
Y = (X[:, 0] + X[:, 1] * X[:, 2] + np.random.default_rng(9).normal(size=ROWS) > -0.8).astype(int)
CASES = {"as they are": X, "on a grid": GRID, "with unknowns": HOLED}
EVERY = pytest.mark.parametrize("case", CASES)
QUIET = {"verbosity": -1, "num_threads": 1, "seed": 3, "min_data_in_leaf": 5}


def served(trees: Forest, x: Float32s) -> NDArray[np.float64]:
    return np.asarray(scores(session(trees.to_onnx()), x))


def assert_exact(trees: Forest, native: NDArray[np.float64], x: Float32s) -> None:
    assert np.abs(served(trees, x) - native).max() <= 1e-5


@EVERY
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_xgboost_is_exact(case: str, depth: int) -> None:
    x = CASES[case]
    parameters = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1, "seed": 3}
    booster = xgb.train(parameters, xgb.QuantileDMatrix(x, Y), 40)
    assert_exact(forest.from_xgboost(booster), booster.inplace_predict(x), x)


def test_xgboost_with_named_columns_and_a_given_start_is_exact() -> None:
    names = [f"price of <{i}>" for i in range(WIDTH)]
    # XGBoost forbids some names; those it takes must not matter here.
    names = [name.replace("<", "").replace(">", "") for name in names]
    data = xgb.DMatrix(X, Y, feature_names=names)
    parameters = {"objective": "binary:logistic", "base_score": 0.83, "nthread": 1}
    booster = xgb.train(parameters, data, 10)
    assert_exact(forest.from_xgboost(booster), booster.predict(data), X)


@EVERY
@pytest.mark.parametrize("more", [{}, {"use_missing": False}, {"boosting": "goss"}, {"max_bin": 7}])
def test_lightgbm_is_exact(case: str, more: dict[str, object]) -> None:
    x = CASES[case]
    booster = lgb.train({"objective": "binary"} | QUIET | more, lgb.Dataset(x, Y), 40)
    assert_exact(forest.from_lightgbm(booster), booster.predict(x, num_threads=1), x)


def test_lightgbm_trained_without_unknowns_reads_them_as_it_does() -> None:
    booster = lgb.train({"objective": "binary"} | QUIET, lgb.Dataset(X, Y), 40)
    assert_exact(forest.from_lightgbm(booster), booster.predict(HOLED, num_threads=1), HOLED)


def test_a_lightgbm_that_learned_nothing_is_exact() -> None:
    stump = {"objective": "binary"} | QUIET | {"min_data_in_leaf": ROWS}
    booster = lgb.train(stump, lgb.Dataset(X, Y), 3)
    assert_exact(forest.from_lightgbm(booster), booster.predict(X, num_threads=1), X)


@EVERY
def test_histogram_boosting_is_exact(case: str) -> None:
    x = CASES[case]
    model = HistGradientBoostingClassifier(max_iter=30, max_features=0.5, random_state=3)
    with one_thread():
        assert_exact(forest.from_histogram(model.fit(x, Y)), model.predict_proba(x)[:, 1], x)


def test_an_export_is_a_valid_graph_and_always_the_same() -> None:
    booster = xgb.train({"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(X, Y), 5)
    graph = forest.from_xgboost(booster).to_onnx()
    assert graph == forest.from_xgboost(booster).to_onnx()
    onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)


def refused(what: str) -> pytest.RaisesExc[ModelError]:
    return pytest.raises(ModelError, match=f"{what}.* cannot be exported exactly")


def test_xgboost_it_cannot_say_exactly_is_refused() -> None:
    def trained(labels: NDArray[np.int_], **more: object) -> xgb.Booster:
        data = xgb.DMatrix(X, labels)
        return xgb.train({"objective": "binary:logistic", "nthread": 1} | more, data, 3)

    with refused("dart"):
        forest.from_xgboost(trained(Y, booster="dart"))
    with refused("gblinear"):
        forest.from_xgboost(trained(Y, booster="gblinear", updater="coord_descent"))
    with refused("multi:softprob"):
        forest.from_xgboost(trained(Y + (X[:, 3] > 0), objective="multi:softprob", num_class=3))
    with refused("reg:squarederror"):
        forest.from_xgboost(trained(Y, objective="reg:squarederror"))
    kinds = np.column_stack([X[:, 0], np.arange(ROWS) % 4]).astype(np.float32)
    data = xgb.DMatrix(kinds, kinds[:, 1] > 2, feature_types=["q", "c"], enable_categorical=True)
    booster = xgb.train({"objective": "binary:logistic", "nthread": 1}, data, 3)
    with refused("a categorical split"):
        forest.from_xgboost(booster)


def test_lightgbm_it_cannot_say_exactly_is_refused() -> None:
    def trained(**more: object) -> lgb.Booster:
        columns = more.pop("categorical", "auto")
        x = np.column_stack([X[:, :2], np.arange(ROWS) % 4]).astype(np.float32)
        y = (np.arange(ROWS) % 4 > 1) ^ (Y > 0)
        data = lgb.Dataset(x, y, categorical_feature=columns)
        return lgb.train({"objective": "binary"} | QUIET | more, data, 3)

    forest.from_lightgbm(trained())
    with refused("dart"):
        forest.from_lightgbm(trained(boosting="dart"))
    with refused("a random forest"):
        forest.from_lightgbm(trained(boosting="rf", bagging_fraction=0.5, bagging_freq=1))
    with refused("objective 'binary sigmoid:2'"):
        forest.from_lightgbm(trained(sigmoid=2.0))
    with refused("zero_as_missing"):
        forest.from_lightgbm(trained(zero_as_missing=True))
    with refused("a linear leaf"):
        forest.from_lightgbm(trained(linear_tree=True))
    with refused("a categorical split"):
        forest.from_lightgbm(trained(categorical=[2]))


def test_sklearn_it_cannot_say_exactly_is_refused() -> None:
    three = Y + (X[:, 3] > 0)
    kinds = np.column_stack([X[:, 0], np.arange(ROWS) % 4])
    with one_thread():
        many = HistGradientBoostingClassifier(max_iter=3).fit(X, three)
        coded = HistGradientBoostingClassifier(max_iter=3, categorical_features=[1])
        coded.fit(kinds, kinds[:, 1] % 2 > 0)
    with refused("several classes"):
        forest.from_histogram(many)
    with refused("a categorical split"):
        forest.from_histogram(coded)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_a_floored_threshold_parts_float32_as_the_double_does(t: float, x: float) -> None:
    assert (np.float64(x) <= t) == bool(np.float32(x) <= floor32(t))


@given(st.floats(-3, 3, width=32), st.integers(-2, 2))
def test_neighbours_of_a_threshold_go_where_they_belong(t: float, steps: int) -> None:
    exact = float(t) + 1e-9  # between two float32s, or on one where the sum rounds back
    x = np.float32(t)
    for _ in range(abs(steps)):
        x = np.nextafter(x, np.float32(np.sign(steps) * np.inf))
    assert bool(x <= floor32(exact)) == (float(x) <= exact)


@pytest.mark.parametrize(("strict", "on_it"), [(True, 0.75), (False, 0.25)])
def test_a_row_on_the_threshold_and_an_unknown_one_take_their_branch(
    strict: bool, on_it: float
) -> None:
    log_odds = np.log(3.0)
    tree = Tree(
        feature=np.array([1, 0, 0]),
        threshold=np.array([0.5, 0.0, 0.0]),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        value=np.array([0.0, -log_odds, log_odds]),
        missing_left=np.array([True, False, False]),
        cover=np.array([3.0, 1.0, 2.0]),
    )
    x = np.array([[9, 0.4], [9, 0.5], [9, 0.6], [9, np.nan]], np.float32)
    said = served(Forest(2, 0.0, strict, (tree,)), x)
    np.testing.assert_allclose(said, [0.25, on_it, 0.75, 0.25], atol=1e-7)
    swapped = tree._replace(missing_left=np.array([False, False, False]))
    assert served(Forest(2, 0.0, strict, (swapped,)), x)[3] == pytest.approx(0.75)
