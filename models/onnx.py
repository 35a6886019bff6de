"""Serving an artifact: nothing but numpy and ONNX Runtime."""

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from domain.errors import FeatureMismatch, ModelError
from domain.values import FloatArray
from models.base import Artifact

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
        width = self._session.get_inputs()[0].shape[1]
        if width != len(artifact.features):
            raise ModelError(f"the graph takes {width} features, not {len(artifact.features)}")

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
        raw = scores(self._session, x)
        if not (raw.min(initial=1.0) >= 0.0 and raw.max(initial=0.0) <= 1.0):
            raise ModelError(f"{self.artifact.model} {self.version} gave no probability")
        return np.interp(raw, self._x, self._y)

    def self_test(self, tolerance: float = 1e-5) -> None:
        """Answer the artifact's golden rows; `ModelError` if an answer is not the expected one."""
        if not self.artifact.golden:
            raise ModelError(f"{self.artifact.model} {self.version} has no golden rows")
        rows, expected = zip(*self.artifact.golden, strict=True)
        worst = float(np.abs(self.predict(np.array(rows, np.float32)) - expected).max())
        if worst > tolerance:
            raise ModelError(
                f"{self.artifact.model} {self.version} fails its self-test by {worst:.1g}"
            )


def scores(graph: ort.InferenceSession, x: NDArray[np.float32]) -> FloatArray:
    """Run a session, asking for the probability only; shape (n,), float64."""
    try:
        answers: list[Any] = graph.run(["y"], {"x": x})
    except BROKEN as error:
        raise ModelError(f"the graph cannot answer: {error}") from error
    return np.asarray(answers[0], np.float64).reshape(len(x))
