"""Serving an artifact: nothing but numpy and ONNX Runtime."""

from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from domain.decision import Why
from domain.errors import FeatureMismatch, ModelError
from domain.values import FloatArray
from models import explain
from models.base import Artifact
from models.calibration import DIGITS, Lines
from models.explain import Occlusion, Shapley
from models.forest import Forest
from models.novelty import Cloud

# ONNX Runtime's errors have no base of their own.
BROKEN = (
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoSuchFile,
    native.NotImplemented,
    native.RuntimeException,
)
QUIET = 3
"""Log errors only."""
NOVEL = "out of distribution: "


def session(graph: bytes) -> ort.InferenceSession:
    """Return a session of one thread that runs `graph`.

    One thread because a spinning pool next to other busy processes turns 13 microseconds at the
    99th percentile into tens of milliseconds, and because a session with a pool that a forked
    child inherits crashes it.

    Raises
    ------
    ModelError
        It is no graph from ``x`` (n, F) to one ``y`` (n, 1), or keeps weights in other files.
    """
    # Every tensor that lies outside has an entry with the key "location". Such a path could name
    # any file of this machine, and its content is covered by no hash.
    if b"location" in graph:
        raise ModelError("the graph keeps weights outside of itself; export it in one piece")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = QUIET
    try:
        opened = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except BROKEN as error:
        raise ModelError(f"the graph cannot be loaded; train again: {error}") from error
    ends = [(end.name, end.type, end.shape[1:]) for end in opened.get_inputs()]
    ends += [(end.name, end.type, end.shape[1:]) for end in opened.get_outputs()]
    match ends:
        case [("x", "tensor(float)", [int()]), ("y", "tensor(float)", [1])]:
            return opened
    raise ModelError(f"the graph must lead from x (n, F) to y (n, 1), in float32; it has {ends}")


class Bound:
    """A session asked about as many rows each time, whose numbers stay in one place.

    That spares 4 of the 9 microseconds that a run of a few trees takes. Reentrant: one at a time.
    """

    def __init__(self, opened: ort.InferenceSession, rows: int) -> None:
        width = opened.get_inputs()[0].shape[1]
        self._x, self._y = np.zeros((rows, width), np.float32), np.zeros((rows, 1), np.float32)
        self._session, self._lock = opened, Lock()
        self._io = opened.io_binding()
        # A value is the array's own memory, for which both must stay.
        self._ends = [ort.OrtValue.ortvalue_from_numpy(end) for end in (self._x, self._y)]
        self._io.bind_ortvalue_input("x", self._ends[0])
        self._io.bind_ortvalue_output("y", self._ends[1])

    def __call__(self, x: NDArray[np.float32]) -> list[float]:
        """Return the scores of rows, shape (rows, F), or of one, shape (F,)."""
        with self._lock:
            self._x[:] = x
            try:
                self._session.run_with_iobinding(self._io)
            except BROKEN as error:
                raise ModelError(f"the graph cannot answer: {error}") from error
            scores: list[float] = self._y.ravel().tolist()
            return scores


class Answer(NamedTuple):
    """What an artifact says about one row."""

    probability: float | None = None
    low: float | None = None
    high: float | None = None
    """Of the 90 % interval."""
    why: Why | None = None
    told: dict[str, float] | None = None
    """How far the row lies from what was learned from, and how far is too far; None where nobody
    measured it."""
    reason: str = ""
    """Why there is no probability."""


class Served:
    """An artifact ready to answer. Reentrant; knows no training library.

    Raises
    ------
    ModelError
        The graph is broken, or takes another number of features than the artifact names.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.version = artifact.version
        self._session = session(artifact.onnx)
        self._x, self._y = (np.array(axis) for axis in artifact.knots)
        ends = (artifact.low, artifact.high) if artifact.low else ()
        self._read = Lines(artifact.knots[0], artifact.knots[1], *ends)
        width = self._session.get_inputs()[0].shape[1]
        if width != len(artifact.features):
            raise ModelError(f"the graph takes {width} features, not {len(artifact.features)}")
        self.cloud = Cloud(artifact.novelty, artifact.features)
        self._facts: dict[float | None, dict[str, float]] = {}

    @cached_property
    def shapley(self) -> Shapley | None:
        """What tells contributions to the log-odds of trees; None for any other graph."""
        if not self.artifact.forest:
            return None
        forest = Forest.unpack(self.artifact.forest)
        if forest.n_features != len(self.artifact.features):
            raise ModelError(f"the forest takes {forest.n_features} features; train again")
        return Shapley(forest)

    @cached_property
    def _occlusion(self) -> Occlusion | None:
        if not self.artifact.background:
            return None
        return Occlusion(self.artifact.features, self.artifact.background)

    @cached_property
    def _base(self) -> float:
        """The answer to the background itself."""
        background = np.array([self.artifact.background], np.float32)
        return round(float(self.predict(background)[0]), explain.DIGITS)

    def about(self, distance: float | None) -> dict[str, float]:
        """Return `Artifact.about`, sorted out once for each distance."""
        if distance not in self._facts:
            self._facts[distance] = self.artifact.about(distance)
        return self._facts[distance]

    def ask(self, x: NDArray[np.float32]) -> list[float]:
        """Return the scores of all that an answer about a row, finite, shape (F,), is made of.

        The last one is its own; before it those of the row with something taken away, where that
        is how its features are measured.

        Raises
        ------
        ModelError
            The graph's answer is not a probability.
        """
        hidden = self._occlusion
        return self._checked(self._bound(x if hidden is None else hidden.questions(x)))

    @cached_property
    def _bound(self) -> Bound:
        rows = 1 if self._occlusion is None else len(self._occlusion.names) + 1
        return Bound(self._session, rows)

    def answer(
        self, x: NDArray[np.float32], scores: Sequence[float], far: float, parts: Sequence[float]
    ) -> Answer:
        """Return everything that is said about one row.

        A row that lies too far from what was learned from gets no probability.

        Parameters
        ----------
        x
            Finite, shape (F,).
        scores
            What `ask` returned.
        far
            How far it lies from `cloud`.
        parts
            What each feature adds, where `shapley` can tell.
        """
        told = {"novelty": far, "novelty_limit": self.cloud.limit}
        if far > self.cloud.limit:
            return Answer(told=told, reason=NOVEL + self.cloud.told(x))
        p, *ends = self._read(scores[-1])
        why = self._why(scores, parts)
        if not ends:
            return Answer(p, why=why, told=told)
        low, high = (round(end, DIGITS) for end in ends)
        return Answer(p, min(low, p), max(high, p), why, told)

    def _why(self, scores: Sequence[float], parts: Sequence[float]) -> Why | None:
        if self.shapley is not None:
            return explain.tell("shap", self.shapley.base, self.artifact.features, parts)
        if self._occlusion is not None:
            lost = self._occlusion.parts([self._read(score)[0] for score in scores])
            return explain.tell("occlusion", self._base, self._occlusion.names, lost)
        return None

    def raw(self, x: NDArray[np.float32]) -> FloatArray:
        """Return the scores before calibration, shape (n,); NaN goes where training sent it."""
        return scores(self._session, x)

    def predict(self, x: NDArray[np.float32]) -> FloatArray:
        """Return probabilities, shape (n,), float64.

        Parameters
        ----------
        x
            float32, shape (n, F), columns as in `Artifact.features`.

        Raises
        ------
        FeatureMismatch
            A number in `x` is unknown or infinite; the message names the feature.
        ModelError
            The graph's answer is not a probability.
        """
        known = np.isfinite(x)
        if not known.all():
            names = (self.artifact.features[i] for i in np.flatnonzero(~known.all(axis=0)))
            raise FeatureMismatch(f"{self.artifact.model}: unknown {', '.join(names)}")
        scored = self._checked(scores(self._session, x).tolist())
        return np.interp(scored, self._x, self._y)

    def _checked(self, scores: list[float]) -> list[float]:
        if not all(0.0 <= score <= 1.0 for score in scores):
            raise ModelError(f"{self.artifact.model} {self.version} gave no probability")
        return scores

    def self_test(self, tolerance: float = 1e-5) -> None:
        """Answer the artifact's golden rows, and say why.

        Raises
        ------
        ModelError
            There are none, an answer is not the expected one, or what the features add does not
            come to the answer.
        """
        who = f"{self.artifact.model} {self.version}"
        if not self.artifact.golden:
            raise ModelError(f"{who} has no golden rows")
        rows, expected = zip(*self.artifact.golden, strict=True)
        x = np.array(rows, np.float32)
        worst = float(np.abs(self.predict(x) - expected).max())
        if not worst <= tolerance:
            raise ModelError(f"{who} fails its self-test by {worst:.1g}")
        unexplained = self.unexplained(x)
        if not unexplained <= tolerance:
            raise ModelError(f"{who}: its trees are not those of its graph, by {unexplained:.1g}")

    def unexplained(self, x: NDArray[np.float32]) -> float:
        """Return the largest difference, of rows (n, F), between the score and what adds up to it.

        0 for a graph without trees: what its features add is measured by asking it.
        """
        if self.shapley is None:
            return 0.0
        odds = self.shapley.base + self.shapley.every(x).sum(axis=1)
        told = 0.5 * (1.0 + np.tanh(odds / 2))
        return float(np.abs(told - self.raw(x)).max())


def scores(graph: ort.InferenceSession, x: NDArray[np.float32]) -> FloatArray:
    """Run a session, asking for the probability only; shape (n,), float64."""
    try:
        answers: list[Any] = graph.run(["y"], {"x": x})
    except BROKEN as error:
        raise ModelError(f"the graph cannot answer: {error}") from error
    return np.asarray(answers[0], np.float64).ravel()
