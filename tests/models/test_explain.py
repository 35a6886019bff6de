"""What a feature is said to have added is what the training library says it added."""

from itertools import combinations
from math import comb

import lightgbm as lgb
import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from domain.errors import ModelError
from domain.values import FloatArray
from models import explain, forest
from models.explain import Forests, Occlusion, Shapley, group
from models.forest import Forest, Tree
from models.prophet import one_thread

ROWS, WIDTH = 1200, 6
Float32s = NDArray[np.float32]

X = np.random.default_rng(7).normal(size=(ROWS, WIDTH)).astype(np.float32)
GRID = np.round(X * 4) / np.float32(4)
HOLED = np.where(np.random.default_rng(8).random(X.shape) < 0.05, np.float32(np.nan), X)
Y = (X[:, 0] + X[:, 1] * X[:, 2] + np.random.default_rng(9).normal(size=ROWS) > -0.8).astype(int)
CASES = {"as they are": X, "on a grid": GRID, "with unknowns": HOLED}
EVERY = pytest.mark.parametrize("case", CASES)
QUIET = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 3}


def packed(trees: Forest) -> Shapley:
    return Shapley(Forest.unpack(trees.pack()))


def assert_told(told: FloatArray, trees: Forest, x: Float32s) -> None:
    """Check what is said of many rows, and of one whose numbers are known."""
    said = packed(trees)
    np.testing.assert_allclose(said.every(x), told[:, :-1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(said.base, told[:, -1], rtol=0, atol=1e-5)
    some = np.nan_to_num(x[:40])
    forests = Forests([(said, 0)])
    alone = np.array([forests.parts(row)[0] for row in some])
    np.testing.assert_allclose(alone, said.every(some), rtol=0, atol=1e-6)


@EVERY
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_it_is_what_xgboost_says(case: str, depth: int) -> None:
    x = CASES[case]
    parameters = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1, "seed": 3}
    booster = xgb.train(parameters | {"base_score": 0.7}, xgb.DMatrix(x, Y), 25)
    told = booster.predict(xgb.DMatrix(x), pred_contribs=True).astype(float)
    assert_told(told, forest.from_xgboost(booster), x)


@EVERY
@pytest.mark.parametrize("leaves", [2, 8, 20])
def test_it_is_what_lightgbm_says(case: str, leaves: int) -> None:
    x = CASES[case]
    bagged = {"num_leaves": leaves, "bagging_fraction": 0.5, "bagging_freq": 1}
    booster = lgb.train(QUIET | bagged, lgb.Dataset(x, Y), 25)
    told = np.asarray(booster.predict(x, pred_contrib=True, num_threads=1))
    assert_told(told, forest.from_lightgbm(booster), x)


@EVERY
def test_what_the_features_of_scikit_learn_add_comes_to_its_log_odds(case: str) -> None:
    x = CASES[case]
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=3)
    with one_thread():
        odds = np.asarray(model.fit(x, Y).decision_function(x))
    said = packed(forest.from_histogram(model))
    np.testing.assert_allclose(said.base + said.every(x).sum(axis=1), odds, rtol=0, atol=1e-5)
    assert np.abs(said.every(x)).max() > 0.1


def value(tree: Tree, x: Float32s, known: tuple[int, ...], node: int = 0) -> float:
    """Return what a tree gives on average where only some features are known: the definition."""
    left, right = int(tree.left[node]), int(tree.right[node])
    if left < 0:
        return float(tree.value[node])
    feature = int(tree.feature[node])
    if feature in known:
        below = bool(x[feature] < tree.threshold[node])
        below = bool(tree.missing_left[node]) if np.isnan(x[feature]) else below
        return value(tree, x, known, left if below else right)
    share = tree.cover[left] / (tree.cover[left] + tree.cover[right])
    both = (value(tree, x, known, left), value(tree, x, known, right))
    return float(share * both[0] + (1 - share) * both[1])


def shapley(tree: Tree, x: Float32s, width: int) -> list[float]:
    """Return Shapley values by the sum over all sets of features."""
    told = []
    for feature in range(width):
        others = [f for f in range(width) if f != feature]
        told.append(
            sum(
                (value(tree, x, (*some, feature)) - value(tree, x, some))
                / (width * comb(width - 1, size))
                for size in range(width)
                for some in combinations(others, size)
            )
        )
    return told


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_it_is_the_sum_over_all_sets_of_features(seed: int, splits: int) -> None:
    rng, width = np.random.default_rng(seed), 4
    left, right = [-1], [-1]
    for _ in range(splits):
        leaf = int(rng.choice([n for n, child in enumerate(left) if child < 0]))
        left[leaf], right[leaf] = len(left), len(left) + 1
        left += [-1, -1]
        right += [-1, -1]
    n = len(left)
    tree = Tree(
        feature=rng.integers(0, width, n),
        threshold=rng.normal(size=n).astype(np.float32).astype(float),
        left=np.array(left),
        right=np.array(right),
        value=rng.normal(size=n),
        missing_left=rng.random(n) < 0.5,
        cover=rng.uniform(0.5, 9, n),
    )
    x = rng.normal(size=width).astype(np.float32)
    x[rng.random(width) < 0.2] = np.nan
    said = Shapley(Forest(width, 0.25, strict=True, trees=(tree,)))
    np.testing.assert_allclose(said.every(x[None])[0], shapley(tree, x, width), atol=1e-12)
    known = np.nan_to_num(x)
    [parts] = Forests([(said, 0)]).parts(known)
    np.testing.assert_allclose(parts, shapley(tree, known, width), atol=5.1e-7)
    assert said.base == pytest.approx(0.25 + value(tree, x, ()), abs=1e-6)


def test_a_forest_that_parts_at_or_below_is_read_as_its_graph_reads_it() -> None:
    booster = lgb.train(QUIET | {"num_leaves": 8}, lgb.Dataset(GRID, Y), 10)
    trees = forest.from_lightgbm(booster)
    np.testing.assert_array_equal(Shapley(trees).every(GRID), packed(trees).every(GRID))


def test_trees_that_learned_nothing_add_nothing() -> None:
    booster = lgb.train(QUIET | {"min_data_in_leaf": ROWS}, lgb.Dataset(X, Y), 3)
    said = packed(forest.from_lightgbm(booster))
    assert Forests([(said, 0)]).parts(X[0]) == [[0.0] * WIDTH]
    assert said.base == pytest.approx(np.log(Y.mean() / (1 - Y.mean())), abs=1e-6)


def test_a_packed_forest_is_read_back_or_refused() -> None:
    booster = xgb.train({"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(X, Y), 3)
    content = forest.from_xgboost(booster).pack()
    assert Forest.unpack(content).pack() == content
    head, first = forest.HEAD.itemsize, forest.HEAD.itemsize + 6
    twice = bytearray(content)
    twice[first + 2 : first + 4] = twice[first + 4 : first + 6]
    unknown = bytearray(content)
    unknown[:2] = b"\1\0"
    endless = bytearray(content)
    endless[4:head] = np.array([np.inf], "<f8").tobytes()
    bare = bytearray(content)
    bare[first + 15 + 10 : first + 15 + 14] = b"\0\0\0\0"
    short = (b"", content[:5], content[: head + 3], content[:-1], content + b"\0", b"\0" * head)
    for broken in (*short, twice, unknown, endless, bare):
        with pytest.raises(ModelError, match="train again"):
            Forest.unpack(bytes(broken))


def test_forests_side_by_side_say_what_each_says_alone() -> None:
    """A big one, too, whose table would not fit, and what is no forest."""
    boosters = [
        xgb.train({"max_depth": depth, "objective": "binary:logistic"}, xgb.DMatrix(X, Y), trees)
        for depth, trees in ((2, 5), (9, 3), (3, 8))
    ]
    small, big, middle = (packed(forest.from_xgboost(booster)) for booster in boosters)
    assert big.table is None
    together = Forests([(None, 0), (small, 2), (big, 2 + WIDTH), (middle, 1)])
    row = np.concatenate([X[3, :2], X[1], X[2]])
    none, *told = together.parts(row)
    assert none == []
    for one, start, parts in zip((small, big, middle), (2, 2 + WIDTH, 1), told, strict=True):
        inputs = row[start : start + WIDTH]
        assert [parts] == Forests([(one, 0)]).parts(inputs)
        np.testing.assert_allclose(parts, one.every(inputs[None])[0], rtol=0, atol=1e-6)


def test_what_is_taken_away_is_missed() -> None:
    told = Occlusion(("a", "b", "c"), (1.0, 2.0, 3.0))
    assert told.names == ("a", "b", "c")
    asked = told.questions(np.array([2, 4, 5], np.float32))
    assert asked.tolist() == [[1, 4, 5], [2, 2, 5], [2, 4, 3], [2, 4, 5]]
    assert told.parts([0.5, 0.7, 0.6, 0.6]) == [0.1, -0.1, 0.0]


def test_lags_of_a_family_go_together() -> None:
    names = (*(f"return_lag_{n}" for n in range(64)), "vix")
    told = Occlusion(names, (0.0,) * 65)
    assert told.names == ("return_lag_0_5", "return_lag_6_21", "return_lag_22_on", "vix")
    asked = told.questions(np.ones(65, np.float32))
    assert (65 - asked.sum(axis=1)).tolist() == [6, 16, 42, 1, 0]
    assert {group(name) for name in names} == set(told.names)


def test_up_to_twenty_features_are_told_and_of_more_the_largest_and_the_rest() -> None:
    parts = (0.5, -0.25, 0.0)
    assert explain.tell("shap", 1.0, ("a", "b", "c"), parts).parts == {"a": 0.5, "b": -0.25}
    many = [(-1) ** n * (n + 1) / 100 for n in range(21)]
    told = explain.tell("shap", 1.0, tuple(f"f{n}" for n in range(21)), many)
    assert list(told.parts) == [f"f{n}" for n in range(20, 8, -1)]
    assert told.rest == pytest.approx(sum(many[:9]))
    assert sum(told.parts.values()) + told.rest == pytest.approx(sum(many))
    few = explain.tell("shap", 1.0, tuple(f"f{n}" for n in range(20)), many[:20])
    assert (len(few.parts), few.rest) == (20, 0.0)
