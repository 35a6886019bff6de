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
        answers = self._lacking(np.isfinite(x))
        if answers:
            x = np.nan_to_num(x, posinf=0.0, neginf=0.0)
        rows = [x[inputs] for inputs in self._inputs]
        # All graphs in a row: between two of them nothing else takes their place in the caches.
        scores: dict[int, list[float]] = {}
        for n, one in enumerate(self.served):
            if n not in answers:
                try:
                    scores[n] = one.ask(rows[n])
                except ModelError as error:
                    answers[n] = Answer(reason=str(error))
        far, parts = self._clouds.distances(x), self._forests.parts(x)
        for n, said in scores.items():
            answers[n] = self.served[n].answer(rows[n], said, far[n], parts[n])
        return [answers[n] for n in range(len(self.served))]

    def _lacking(self, there: NDArray[np.bool_]) -> dict[int, Answer]:
        """Return what those say, by their places, of whose inputs not all are there."""
        if there.all():
            return {}
        found = {}
        for n, (one, inputs) in enumerate(zip(self.served, self._inputs, strict=True)):
            inside = zip(one.artifact.features, there[inputs].tolist(), strict=True)
            if names := [name for name, known in inside if not known]:
                found[n] = Answer(reason=f"unknown: {', '.join(names)}")
        return found
