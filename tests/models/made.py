"""Samples with a known edge, and a shelf that champions are served from."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from domain import examples
from domain.decision import Context
from domain.errors import IntegrityError
from domain.version import Stage, Version
from models.base import FROM_TRADE, Artifact, Model
from models.batch import Batch
from models.onnx import Answer, Served

START = "2014-01-03"


def samples(model: Model, bars: int = 500, seed: int = 7) -> tuple[pd.DataFrame, pd.Series]:
    """Return samples in time order whose first feature carries a real but noisy edge.

    Rows of one bar share its label in the index: one for each distance, or one for each of eight
    stocks. Four in five come true, at every distance but for a slope that makes far safer.
    """
    rng = np.random.default_rng(seed)
    distances = model.target.distances
    each = len(distances) or (8 if model.target.universe == "stocks" else 1)
    index = pd.bdate_range(START, periods=bars).repeat(each)
    market = [name for name in model.features if name not in FROM_TRADE]
    X = pd.DataFrame(
        rng.normal(size=(len(index), len(market))).astype(np.float32), index=index, columns=market
    )
    edge = 1.4 + 1.5 * X[market[0]].to_numpy(float)
    if distances:
        X["strike_distance"] = np.tile(np.array(distances, np.float32), bars)
        edge += 2 * (X["strike_distance"].to_numpy(float) - 1.0)
    y = pd.Series((rng.random(len(index)) < 1 / (1 + np.exp(-edge))).astype(int), index=index)
    return X[list(model.features)], y


def version(artifact: Artifact) -> Version:
    """Return what a registry would say of an artifact."""
    at = datetime(2018, 1, 5, tzinfo=UTC)
    return Version(
        model=artifact.model,
        version=artifact.version,
        sha256=artifact.sha256,
        stage=Stage.CHAMPION,
        features=artifact.features,
        trained_from=at,
        trained_to=at,
        trained_at=at,
        n=500,
        data_hash="0" * 12,
    )


def context(artifact: Artifact, row: Sequence[float]) -> Context:
    """Return a context in which this row is what a bot that asks the artifact's model sees."""
    known = dict(zip(artifact.features, row, strict=True))
    bot = examples.bot(models=(artifact.model,), distance=known.pop("strike_distance", None))
    return examples.context(bot=bot, features=known)


def asked_alone(served: Served) -> Callable[[NDArray[np.float32]], Answer]:
    """Return what an artifact says about a row, shape (F,), when nobody else is asked."""
    batch, features = Batch([served]), served.artifact.features

    def ask(row: NDArray[np.float32]) -> Answer:
        [answer] = batch.answer(dict(zip(features, row.tolist(), strict=True)))
        return answer

    return ask


def graph(outputs: int = 1, scale: float = 0.1, kind: int = TensorProto.FLOAT) -> bytes:
    """Return the bytes of a graph that multiplies two numbers with a matrix."""
    weights = numpy_helper.from_array(np.full((2, outputs), scale, np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"])]
    nodes.append(helper.make_node("Cast", ["z"], ["y"], to=kind))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", kind, ["n", outputs])
    made = helper.make_graph(nodes, "product", [x], [y], [weights])
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(made, opset_imports=[opset], ir_version=9).SerializeToString())


class Shelf:
    """Champions in memory: a `models.serving.Loader` that counts what it is asked for."""

    def __init__(self, *artifacts: Artifact) -> None:
        self.moved = 0
        self.loads = 0
        self.lines: dict[str, Version] = {}
        self.content: dict[str, bytes] = {}
        for artifact in artifacts:
            self.put(artifact)

    def put(self, artifact: Artifact, content: bytes | None = None) -> None:
        """Make an artifact champion; with `content`, what lies on disk instead of it."""
        self.lines[artifact.model] = version(artifact)
        self.content[artifact.version] = artifact.to_bytes() if content is None else content
        self.moved += 1

    def drop(self, model: str) -> None:
        del self.lines[model]
        self.moved += 1

    def epoch(self) -> int:
        return self.moved

    def champion(self, model: str) -> Version | None:
        return self.lines.get(model)

    def artifact(self, version: Version) -> bytes:
        self.loads += 1
        if version.version not in self.content:
            raise IntegrityError(f"{version.version} is gone")
        return self.content[version.version]
