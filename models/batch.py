"""Models that are asked about one moment together."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import nan

import numpy as np
from numpy.typing import NDArray

from domain.errors import ModelError
from models.explain import Forests
from models.novelty import Clouds
from models.onnx import Answer, Served


class Batch:
    """Artifacts that answer about one moment, each for itself, at the price of a few.

    A call of numpy takes a microsecond however little it has to do, and what is said beside one
    probability takes twenty of them. So the inputs of all stand side by side in one row, which is
    held against what each has learned from, and against the splits of all trees, at once. Each
    graph runs by itself, and one that fails silences nobody else. Reentrant.
    """

    def __init__(self, served: Sequence[Served]) -> None:
        self.served = tuple(served)
        columns = [feature for one in self.served for feature in one.artifact.features]
        self._features = sorted({*columns})
        self._place = np.array([self._features.index(feature) for feature in columns], np.int64)
        ends = accumulate((len(one.artifact.features) for one in self.served), initial=0)
        self._inputs = [slice(*between) for between in pairwise(ends)]
        inputs = list(zip(self.served, self._inputs, strict=True))
        self._clouds = Clouds([(one.cloud, part.start) for one, part in inputs])
        self._forests = Forests([(one.shapley, part.start) for one, part in inputs])

    def answer(self, known: Mapping[str, float]) -> list[Answer]:
        """Return what each says, given the numbers of this moment by feature.

        Where a number is unknown or infinite, those who need it say so and nothing else.
        """
        numbers = np.array([known.get(feature, nan) for feature in self._features], np.float32)
        x = numbers.take(self._place)
        there = np.isfinite(x)
        whole = bool(there.all())
        if not whole:
            x = np.where(there, x, np.float32(0))
        rows = [x[inputs] for inputs in self._inputs]
        # All graphs in a row: between two of them nothing else takes their place in the caches.
        scores = [_asked(one, row) for one, row in zip(self.served, rows, strict=True)]
        far, parts = self._clouds.distances(x), self._forests.parts(x)
        answers = []
        for n, one in enumerate(self.served):
            said, its = scores[n], there[self._inputs[n]]
            if not (whole or its.all()):
                answers.append(_lacking(one, its))
            elif isinstance(said, str):
                answers.append(Answer(reason=said))
            else:
                answers.append(one.answer(rows[n], said, far[n], parts[n]))
        return answers


def _asked(one: Served, x: NDArray[np.float32]) -> list[float] | str:
    """Return its scores, or why there are none."""
    try:
        return one.ask(x)
    except ModelError as error:
        return str(error)


def _lacking(one: Served, there: NDArray[np.bool_]) -> Answer:
    names = zip(one.artifact.features, there.tolist(), strict=True)
    return Answer(reason=f"unknown: {', '.join(name for name, known in names if not known)}")
