"""From the trees of any training library to one exact ONNX graph.

The converter libraries are not used. They round double thresholds to the nearest float32, which
sends a row that lies on a threshold down the other branch; and they fail on two of the three
libraries here. Rounding thresholds *down* makes ``x <= t`` exact for every float32 ``x``.

Binary classification only. What this cannot say exactly it refuses: boosters with dropout (DART),
categorical splits, zeros that count as missing, linear leaves, several outputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain.errors import ModelError
from domain.values import FloatArray

if TYPE_CHECKING:
    import lightgbm as lgb
    import xgboost as xgb
    from onnx import NodeProto
    from sklearn.ensemble import HistGradientBoostingClassifier

OPSET = 17
OPSET_ML = 3
IR_VERSION = 9
HEAD = np.dtype([("features", "<u2"), ("trees", "<u2"), ("bias", "<f8")])
NODE = np.dtype(
    [
        *(("feature", "<u2"), ("left", "<u2"), ("right", "<u2")),
        *(("number", "<f4"), ("cover", "<f4"), ("missing_left", "u1")),
    ]
)
"""A node as it is packed: `number` is a threshold, or at a leaf, whose `left` is 0, its value."""


class Tree(NamedTuple):
    """One tree as arrays over its N nodes, node 0 being the root.

    `left` is -1 at a leaf, and there `value` counts; elsewhere `feature` and `threshold` do.
    `cover` is what of the training data came to each node, as its library weighs branches for
    contributions: XGBoost by the sum of the Hessian, LightGBM by rows. scikit-learn, which has
    none, counts rows too.
    """

    feature: NDArray[np.int64]
    threshold: FloatArray
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: FloatArray
    missing_left: NDArray[np.bool_]
    cover: FloatArray


class Forest(NamedTuple):
    """Trees whose leaves add up, with `bias`, to the log-odds of class 1.

    `strict` forests go left where ``x < threshold``, others where ``x <= threshold``.
    """

    n_features: int
    bias: float
    strict: bool
    trees: tuple[Tree, ...]

    def to_onnx(self) -> bytes:
        """Return a graph from float32 ``x`` (n, F) to float32 ``y`` (n, 1), the probability."""
        from onnx import TensorProto, helper

        nodes = [_ensemble(self), helper.make_node("Sigmoid", ["odds"], ["y"])]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", self.n_features])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)]
        graph = helper.make_graph(nodes, "forest", [x], [y])
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        return bytes(model.SerializeToString(deterministic=True))

    def pack(self) -> bytes:
        """Return the trees in 15 bytes a node, for an artifact: `unpack` reads them.

        Numbers are those of the graph, float32, and every split becomes ``x < threshold``: the next
        float32 above a threshold of ``<=`` says the same of every float32.
        """
        sizes = np.array([len(tree.left) for tree in self.trees], "<u2")
        nodes = np.zeros(int(sizes.sum()), NODE)
        leaf = _joined(self.trees, "left") < 0
        threshold = _joined(self.trees, "threshold")
        if self.strict:
            below = threshold.astype(np.float32)
        else:
            below = np.nextafter(floor32(threshold), np.float32(np.inf))
        nodes["number"] = np.where(leaf, _joined(self.trees, "value"), below)
        nodes["cover"] = _joined(self.trees, "cover")
        for field in ("feature", "left", "right", "missing_left"):
            nodes[field] = np.where(leaf, 0, _joined(self.trees, field))
        head = np.array([(self.n_features, len(sizes), self.bias)], HEAD)
        return head.tobytes() + sizes.tobytes() + nodes.tobytes()

    @classmethod
    def unpack(cls, content: bytes) -> Self:
        """Read what `pack` wrote; `ModelError` if it is anything else."""
        if len(content) < HEAD.itemsize:
            raise ModelError("no forest: it ends before its trees; train again")
        head = np.frombuffer(content, HEAD, 1)[0]
        start = HEAD.itemsize + 2 * int(head["trees"])
        if start == HEAD.itemsize or start > len(content):
            raise ModelError("no forest: it ends before its trees; train again")
        sizes = np.frombuffer(content[HEAD.itemsize : start], "<u2")
        if len(content) != start + NODE.itemsize * int(sizes.sum()) or 0 in sizes:
            raise ModelError("no forest: it has another length than its trees; train again")
        nodes = np.frombuffer(content, NODE, offset=start)
        ends = np.cumsum(sizes, dtype=np.int64)
        trees = tuple(_unpacked(part) for part in np.split(nodes, ends[:-1]))
        n_features, bias = int(head["features"]), float(head["bias"])
        known = np.isfinite(bias) and np.isfinite(nodes["number"]).all()
        if not known or max(tree.feature.max() for tree in trees) >= n_features:
            raise ModelError("no forest: a number is not finite, or a feature unknown; train again")
        return cls(n_features, bias, strict=True, trees=trees)


def _unpacked(nodes: NDArray[Any]) -> Tree:
    """Return a tree whose branches lead to later nodes of its own, each to its own two."""
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    inner = np.flatnonzero(left)
    children = np.concatenate([left[inner], right[inner]])
    forward = (children > np.tile(inner, 2)).all() and (children < len(nodes)).all()
    if not forward or len(set(children.tolist())) < len(children):
        raise ModelError("no forest: a branch leads to no node of its own; train again")
    if not (np.isfinite(nodes["cover"]).all() and (nodes["cover"][children] > 0).all()):
        raise ModelError("no forest: a node without any training data; train again")
    number = nodes["number"].astype(np.float64)
    return Tree(
        feature=nodes["feature"].astype(np.int64),
        threshold=number,
        left=np.where(left == 0, -1, left),
        right=np.where(left == 0, -1, right),
        value=number,
        missing_left=nodes["missing_left"].astype(bool),
        cover=nodes["cover"].astype(np.float64),
    )


def floor32(thresholds: ArrayLike) -> NDArray[np.float32]:
    """Return the largest float32 that is no larger than each threshold.

    For float32 ``x``, ``x <= t`` holds exactly where ``x <= floor32(t)`` does.

    Examples
    --------
    >>> float(np.float32(0.1)) > 0.1 > float(floor32(0.1))
    True
    """
    exact = np.asarray(thresholds, np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(np.float32)
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > exact, below, near).astype(np.float32)


def _ensemble(forest: Forest) -> NodeProto:
    """Return the tree node. Attributes are filled directly: the helper checks every number."""
    from onnx import AttributeProto, helper

    trees = forest.trees
    sizes = [len(tree.left) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left, right, feature = (_joined(trees, f) for f in ("left", "right", "feature"))
    leaf = left < 0
    exact = np.concatenate([tree.threshold for tree in trees])
    threshold = exact.astype(np.float32) if forest.strict else floor32(exact)
    branch = b"BRANCH_LT" if forest.strict else b"BRANCH_LEQ"
    integers = {
        "nodes_treeids": tree_ids,
        "nodes_nodeids": node_ids,
        "nodes_featureids": np.where(leaf, 0, feature),
        "nodes_truenodeids": np.where(leaf, 0, left),
        "nodes_falsenodeids": np.where(leaf, 0, right),
        "nodes_missing_value_tracks_true": ~leaf & _joined(trees, "missing_left"),
        "target_treeids": tree_ids[leaf],
        "target_nodeids": node_ids[leaf],
        "target_ids": np.zeros(int(leaf.sum())),
    }
    floats = {
        "base_values": np.array([forest.bias]),
        "nodes_values": np.where(leaf, np.float32(0), threshold),
        "target_weights": np.concatenate([tree.value for tree in trees])[leaf],
    }
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["odds"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
    )
    for name, values in integers.items():
        attribute = AttributeProto(name=name, type=AttributeProto.INTS)
        attribute.ints.extend(values.astype(np.int64).tolist())
        node.attribute.append(attribute)
    for name, values in floats.items():
        attribute = AttributeProto(name=name, type=AttributeProto.FLOATS)
        attribute.floats.extend(values.astype(np.float32).tolist())
        node.attribute.append(attribute)
    modes = AttributeProto(name="nodes_modes", type=AttributeProto.STRINGS)
    modes.strings.extend([b"LEAF" if end else branch for end in leaf.tolist()])
    node.attribute.append(modes)
    return node


def _joined(trees: Iterable[Tree], field: str) -> NDArray[Any]:
    return np.concatenate([getattr(tree, field) for tree in trees])


def _refuse(what: str, found: object) -> None:
    if found:
        raise ModelError(f"{what} cannot be exported exactly; train without it")


def from_xgboost(booster: xgb.Booster) -> Forest:
    """Read an XGBoost booster with objective ``binary:logistic``, all its trees."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient, parameters = learner["gradient_booster"], learner["learner_model_param"]
    _refuse(f"booster {gradient['name']!r}", gradient["name"] != "gbtree")
    objective = learner["objective"]["name"]
    _refuse(f"objective {objective!r}", objective != "binary:logistic")
    trees = gradient["model"]["trees"]
    _refuse("a categorical split", any(any(tree["split_type"]) for tree in trees))
    base = float(np.ravel(json.loads(parameters["base_score"]))[0])
    return Forest(
        n_features=int(parameters["num_feature"]),
        bias=float(np.log(base / (1 - base))),
        strict=True,
        trees=tuple(
            Tree(
                feature=np.array(tree["split_indices"]),
                threshold=np.array(tree["split_conditions"]),
                left=np.array(tree["left_children"]),
                right=np.array(tree["right_children"]),
                value=np.array(tree["split_conditions"]),  # XGBoost keeps leaf values here
                missing_left=np.array(tree["default_left"]).astype(bool),
                cover=np.array(tree["sum_hessian"]),
            )
            for tree in trees
        ),
    )


def from_lightgbm(booster: lgb.Booster) -> Forest:
    """Read a LightGBM booster with objective ``binary``, up to its best iteration."""
    model = booster.dump_model()
    _refuse(f"objective {model['objective']!r}", model["objective"] != "binary sigmoid:1")
    _refuse("a random forest", model["average_output"])
    _refuse("dart", booster.params.get("boosting", booster.params.get("boosting_type")) == "dart")
    return Forest(
        n_features=int(model["max_feature_idx"]) + 1,
        bias=0.0,
        strict=False,
        trees=tuple(_lightgbm_tree(info["tree_structure"]) for info in model["tree_info"]),
    )


def _lightgbm_tree(root: Mapping[str, Any]) -> Tree:
    """Return a nested tree as arrays, its nodes in the order they are met, parents first."""
    rows: list[tuple[int, float, int, int, float, bool, float]] = []

    def visit(node: Mapping[str, Any]) -> int:
        place = len(rows)
        # A tree that is one leaf does not say how many rows it has, and nobody asks.
        cover = float(node.get("internal_count", node.get("leaf_count", 0)))
        rows.append((0, 0.0, -1, -1, float(node.get("leaf_value", 0.0)), False, cover))
        if "split_feature" in node:
            kind = node["missing_type"]
            _refuse("a categorical split", node["decision_type"] != "<=")
            _refuse("zero_as_missing", kind == "Zero")
            threshold = float(node["threshold"])
            # Without missing values in training LightGBM reads NaN as 0.
            missing_left = bool(node["default_left"]) if kind == "NaN" else threshold >= 0
            left, right = visit(node["left_child"]), visit(node["right_child"])
            feature = int(node["split_feature"])
            rows[place] = (feature, threshold, left, right, 0.0, missing_left, cover)
        else:
            _refuse("a linear leaf", "leaf_coeff" in node)
        return place

    visit(root)
    return Tree(*(np.array(column) for column in zip(*rows, strict=True)))


def from_histogram(model: HistGradientBoostingClassifier) -> Forest:
    """Read scikit-learn's histogram boosting, two classes."""
    _refuse("several classes", model.n_trees_per_iteration_ != 1)
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    _refuse("a categorical split", any(node["is_categorical"].any() for node in nodes))

    def read() -> Iterator[Tree]:
        for node in nodes:
            leaf = node["is_leaf"].astype(bool)
            yield Tree(
                feature=node["feature_idx"].astype(np.int64),
                threshold=node["num_threshold"],
                left=np.where(leaf, -1, node["left"].astype(np.int64)),
                right=node["right"].astype(np.int64),
                value=node["value"],
                missing_left=node["missing_go_to_left"].astype(bool),
                cover=node["count"].astype(np.float64),
            )

    bias = float(np.ravel(model._baseline_prediction)[0])
    return Forest(int(model.n_features_in_), bias, strict=False, trees=tuple(read()))
