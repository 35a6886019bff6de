"""What each feature adds to an answer, computed where no training library is.

For trees these are the Shapley values of the log-odds in which the branches of features that are
not known are weighed by the training data that took them: what XGBoost calls `pred_contribs` and
LightGBM `pred_contrib`. For any other graph, what the answer would lose without the feature.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import fsum
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.decision import Why
from domain.values import FloatArray
from models.forest import Forest, Tree

DIGITS = 6
"""Decimals that are kept, so that the last bit of a machine's sums is no part of a record."""
ALL, LARGEST = 20, 12
"""Features up to which each has its number in the record, and how many have one beyond that."""
INNER = 8
"""Inner nodes of a tree, at most, for which every way through it is computed beforehand: as many as
a byte has bits, and one more than trees of depth 3 or of eight leaves have."""
ENTRIES = 1_000_000
"""Numbers in those tables, at most: 8 MB a model."""
AT_ONCE = 16
"""Patterns that are computed together."""
LAG = re.compile(r"(.+)_lag_(\d+)")
LAGS = (5, 21)
"""Sessions in whose reach the lags of one family are one group: a week, a month, all the rest."""

Float32s = NDArray[np.float32]


class Shapley:
    """Exact contributions to the log-odds of a forest.

    The value of a set of features is what the trees give on average if each split on a feature
    outside the set is taken in the proportions of the training data (path-dependent TreeSHAP
    [1]_). A leaf adds its value times the product, over the features of its path, of 1 or 0 for a
    known feature that leads to it or away from it, and of the proportions for an unknown one.
    The Shapley value of a product is the integral of its partial derivative along the diagonal of
    its multilinear extension [2]_: a polynomial of degree d - 1 for d features on the path, for
    which Gauss-Legendre quadrature with d / 2 points is exact.

    Where trees are small, what every pattern of outcomes of their inner nodes comes to is kept in
    a table, and `Forests` looks it up.

    Parameters
    ----------
    forest
        Read as it is packed: its numbers are those that the graph has.

    References
    ----------
    .. [1] S. M. Lundberg et al., "From local explanations to global understanding with explainable
       AI for trees", Nature Machine Intelligence 2, 2020, algorithm 2.
    .. [2] G. Owen, "Multilinear extensions of games", Management Science 18, 1972.
    """

    def __init__(self, forest: Forest) -> None:
        forest = forest if forest.strict else Forest.unpack(forest.pack())
        self.width = forest.n_features
        """Features, F."""
        self._nodes(forest.trees)
        leaves = [leaf for line, tree in enumerate(forest.trees) for leaf in _leaves(line, tree)]
        depth = max(len(leaf.slots) for leaf in leaves)
        shape = (len(leaves), depth)
        self._tree = np.array([leaf.line for leaf in leaves])
        self._value = np.array([leaf.value for leaf in leaves])
        # Leaves with fewer features than others get some that do not matter: known, and certain.
        self._feature, self._share = np.zeros(shape, np.int64), np.ones(shape)
        self._slot = np.full(shape, -1)
        node: list[int] = []
        left: list[bool] = []
        starts: list[int] = []
        for row, leaf in enumerate(leaves):
            for column, (feature, slot) in enumerate(leaf.slots.items()):
                self._slot[row, column] = len(starts)
                self._feature[row, column], self._share[row, column] = feature, slot.share
                starts.append(len(node))
                node += [leaf.line * self._most + place for place in slot.nodes]
                left += slot.left
        self._node, self._left, self._starts = np.array(node, int), np.array(left), starts
        points, weights = np.polynomial.legendre.leggauss(max((depth + 1) // 2, 1))
        self._t, self._w = (points + 1) / 2, weights / 2
        base = forest.bias + float((self._value * self._share.prod(axis=1)).sum())
        self.base = round(base, DIGITS)
        """The log-odds of a row of which nothing is known."""

    def _nodes(self, trees: tuple[Tree, ...]) -> None:
        """Keep the splits, a line for each tree and a column for each inner node, some unused."""
        inner = [np.flatnonzero(tree.left >= 0) for tree in trees]
        self._most = max(len(nodes) for nodes in inner)
        shape = (len(trees), self._most)
        self.splits = np.zeros(shape, np.int64)
        """The features that are asked for, shape (trees, nodes)."""
        self.threshold = np.full(shape, -np.inf, np.float32)
        """Below which a row goes left there; one that there is no node for it never does."""
        self._missing = np.zeros(shape, bool)
        for line, (tree, nodes) in enumerate(zip(trees, inner, strict=True)):
            here = (line, slice(len(nodes)))
            self.splits[here] = tree.feature[nodes]
            self.threshold[here] = tree.threshold[nodes]
            self._missing[here] = tree.missing_left[nodes]

    def every(self, x: Float32s) -> FloatArray:
        """Return the contributions to the log-odds of each row, shape (n, F), not rounded."""
        parts = self._parts(self._outcomes(x).reshape(len(x), -1))
        row = np.arange(len(x))[:, None, None]
        return self._summed(row, parts, len(x))

    def _outcomes(self, x: Float32s) -> NDArray[np.bool_]:
        """Return at which inner nodes the rows go left, shape (..., trees, nodes)."""
        asked = x[..., self.splits]
        taken: NDArray[np.bool_] = (asked < self.threshold) | (np.isnan(asked) & self._missing)
        return taken

    @cached_property
    def table(self) -> FloatArray | None:
        """Contributions, shape (trees, patterns of a tree's outcomes, F); None if it is too big.

        An outcome is a bit of the pattern, that of the first inner node the lowest.
        """
        trees, patterns = len(self.splits), 1 << self._most
        if not 1 <= self._most <= INNER or trees * patterns * self.width > ENTRIES:
            return None
        table = np.empty((trees, patterns, self.width))
        # A few patterns at a time: all of them at once leave 30 MB of holes in a worker's memory.
        for start in range(0, patterns, AT_ONCE):
            some = np.arange(start, min(start + AT_ONCE, patterns))
            left = (some[:, None] >> np.arange(self._most) & 1).astype(bool)
            parts = self._parts(np.tile(left, trees))
            row = self._tree[:, None] * len(some) + np.arange(len(some))[:, None, None]
            summed = self._summed(row, parts, trees * len(some))
            table[:, some] = summed.reshape(trees, len(some), self.width)
        return table

    def _parts(self, left: NDArray[np.bool_]) -> FloatArray:
        """Return the contributions by leaf and feature of its path, shape (n, leaves, depth)."""
        leads = np.ones((len(left), len(self._starts) + 1))
        if self._starts:
            taken = left[:, self._node] == self._left
            leads[:, :-1] = np.logical_and.reduceat(taken, self._starts, axis=1)
        known = leads[:, self._slot]
        factor = known[..., None] * self._t + self._share[..., None] * (1 - self._t)
        others = factor.prod(axis=2, keepdims=True) / factor
        # Summed by hand: a matrix product's last bits are those of a machine's library.
        derivative = (others * self._w).sum(axis=-1)
        parts: FloatArray = self._value[:, None] * (known - self._share) * derivative
        return parts

    def _summed(self, row: NDArray[np.int64], parts: FloatArray, rows: int) -> FloatArray:
        place = np.broadcast_to(row * self.width + self._feature, parts.shape)
        counted = np.bincount(place.ravel(), parts.ravel(), minlength=rows * self.width)
        total: FloatArray = counted.astype(np.float64, copy=False)
        return total.reshape(rows, self.width)


class _Stretch(NamedTuple):
    """Where a forest stands among others: in a row of inputs, and in the list of all trees."""

    forest: Shapley
    inputs: slice
    trees: slice
    table: FloatArray | None
    """By pattern of a tree after tree, and feature."""


class Forests:
    """Several forests that are asked at once, each about its own stretch of one row.

    Parameters
    ----------
    forests
        Each with the column at which its stretch starts; None for what is no forest.
    """

    def __init__(self, forests: Sequence[tuple[Shapley | None, int]]) -> None:
        self._stretches: list[_Stretch] = []
        self._parts: list[slice] = []
        splits, below = [np.zeros((0, INNER), np.int64)], [np.zeros((0, INNER), np.float32)]
        first = [np.zeros(0, np.int64)]
        trees = width = 0
        for forest, start in forests:
            self._parts.append(slice(width, width + (forest.width if forest else 0)))
            width = self._parts[-1].stop
            if forest is None:
                continue
            lines, table = slice(trees, trees), forest.table
            if table is not None:
                lines = slice(trees, trees + len(table))
                trees = lines.stop
                # A byte for each tree, so that the patterns of all are packed at once.
                spare = ((0, 0), (0, INNER - forest.splits.shape[1]))
                splits.append(np.pad(start + forest.splits, spare))
                below.append(np.pad(forest.threshold, spare, constant_values=-np.inf))
                first.append(np.arange(len(table)) * table.shape[1])
                table = table.reshape(-1, forest.width)
            inputs = slice(start, start + forest.width)
            self._stretches.append(_Stretch(forest, inputs, lines, table))
        self._splits, self._below = np.concatenate(splits), np.concatenate(below)
        self._first = np.concatenate(first)

    def parts(self, x: Float32s) -> list[list[float]]:
        """Return the contributions to the log-odds of each forest, rounded; of a row, all finite.

        An empty list for what is no forest.
        """
        pattern = np.packbits(x.take(self._splits) < self._below, bitorder="little")
        rows = self._first + pattern
        parts = [
            forest.every(x[None, inputs])[0]
            if table is None
            else np.add.reduce(table.take(rows[lines], axis=0))
            for forest, inputs, lines, table in self._stretches
        ]
        told: list[float] = np.concatenate([(), *parts]).round(DIGITS).tolist()
        return [told[part] for part in self._parts]


class _Slot(NamedTuple):
    """One feature on the way to a leaf: at which inner nodes, which way, how many go that way."""

    nodes: tuple[int, ...] = ()
    left: tuple[bool, ...] = ()
    share: float = 1.0


class _Leaf(NamedTuple):
    line: int
    value: float
    slots: dict[int, _Slot]


def _leaves(line: int, tree: Tree) -> Iterator[_Leaf]:
    """Walk a tree from its root, which no node leads to, to its leaves."""
    place = np.cumsum(tree.left >= 0) - 1
    ways: list[tuple[int, dict[int, _Slot]]] = [(0, {})]
    while ways:
        node, slots = ways.pop()
        children = (int(tree.left[node]), int(tree.right[node]))
        if children[0] < 0:
            yield _Leaf(line, float(tree.value[node]), slots)
            continue
        feature, whole = int(tree.feature[node]), tree.cover[list(children)].sum()
        before = slots.get(feature, _Slot())
        for child, left in zip(children, (True, False), strict=True):
            slot = _Slot(
                nodes=(*before.nodes, int(place[node])),
                left=(*before.left, left),
                share=before.share * float(tree.cover[child] / whole),
            )
            ways.append((child, slots | {feature: slot}))


class Occlusion:
    """What an answer would lose if it knew less: the answer, minus that without a feature.

    Without means at the median of what it was calibrated on. What is asked for as a sequence, a
    family ``*_lag_N``, is taken away in stretches: one lag of sixty says nothing by itself. All
    the questions are rows that go through the graph at once.

    Parameters
    ----------
    features
        Names of the columns.
    background
        What each is replaced by.
    """

    def __init__(self, features: Sequence[str], background: Sequence[float]) -> None:
        self._background = np.array(background, np.float32)
        groups: dict[str, list[int]] = {}
        for place, feature in enumerate(features):
            groups.setdefault(group(feature), []).append(place)
        self.names = tuple(groups)
        """Of the groups, in the order of their first features."""
        self._hidden = np.zeros((len(groups) + 1, len(features)), bool)
        for line, places in enumerate(groups.values()):
            self._hidden[line, places] = True

    def questions(self, x: Float32s) -> Float32s:
        """Return a row, shape (F,), without each group in turn, and last as it is."""
        return np.where(self._hidden, self._background, x)

    def parts(self, said: Sequence[float]) -> list[float]:
        """Return what each group adds to the probability, rounded, of the answers to those."""
        return [round(said[-1] - less, DIGITS) for less in said[:-1]]


def group(feature: str) -> str:
    """Return what a feature is taken away together with: itself, or a stretch of its lags.

    Examples
    --------
    >>> [group(f"return_lag_{n}") for n in (0, 5, 6, 60)] + [group("vix")]
    ['return_lag_0_5', 'return_lag_0_5', 'return_lag_6_21', 'return_lag_22_on', 'vix']
    """
    found = LAG.fullmatch(feature)
    if found is None:
        return feature
    family, lag, first = found[1], int(found[2]), 0
    for last in LAGS:
        if lag <= last:
            return f"{family}_lag_{first}_{last}"
        first = last + 1
    return f"{family}_lag_{first}_on"


def tell(
    kind: Literal["shap", "occlusion"], base: float, names: Sequence[str], parts: Sequence[float]
) -> Why:
    """Return contributions as they are recorded: no zeros, and of many only the largest."""
    told = {name: part for name, part in zip(names, parts, strict=True) if part}
    if len(names) <= ALL:
        return Why(kind=kind, base=base, parts=told)
    ordered = sorted(told.items(), key=lambda item: -abs(item[1]))
    rest = round(fsum([part for _, part in ordered[LARGEST:]]), DIGITS)
    return Why(kind=kind, base=base, parts=dict(ordered[:LARGEST]), rest=rest)
