"""Models that are asked together say what each says alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models import catalog, examples
from models.base import Artifact
from models.batch import Batch
from models.onnx import Answer, Served
from tests.models.made import asked_alone, graph, samples

NAMES = ("wisdom", "prophet-condor", "orion-up", "lgbm")


@pytest.fixture(scope="module")
def artifacts() -> list[Artifact]:
    """Of trees with features in common and with others; of a graph that is taken apart."""
    models = [catalog.create(name) for name in NAMES]
    trees = [model.fit(*samples(model, bars=200)).export() for model in models]
    row = ((0.5, 1.0), 0.15)
    plain = examples.artifact(
        onnx=graph(), golden=(row,), knots=((0.0, 1.0), (0.0, 1.0)), background=(1.0, 1.0)
    )
    return [*trees, plain]


@pytest.fixture(scope="module")
def served(artifacts: list[Artifact]) -> list[Served]:
    return [Served(artifact) for artifact in artifacts]


def moment(served: list[Served], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    names = sorted({name for one in served for name in one.artifact.features})
    drawn = rng.normal(size=len(names)).astype(np.float32)
    return dict(zip(names, drawn.tolist(), strict=True))


def alone(one: Served, known: dict[str, float]) -> Answer:
    return asked_alone(one)(np.array([known[name] for name in one.artifact.features], np.float32))


def test_together_they_say_what_each_says_alone(served: list[Served]) -> None:
    batch, spoke = Batch(served), 0
    for seed in range(40):
        known = moment(served, seed)
        answers = batch.answer(known)
        assert answers == [alone(one, known) for one in served]
        for one, answer in zip(served, answers, strict=True):
            if answer.probability is not None:
                x = np.array([[known[name] for name in one.artifact.features]], np.float32)
                assert answer.probability == one.predict(x)[0]
                spoke += 1
    assert spoke > 100


def test_what_is_unknown_or_infinite_silences_those_who_need_it(served: list[Served]) -> None:
    batch, known = Batch(served), moment(served, seed=1)
    before = batch.answer(known)
    for value in (None, float("nan"), float("inf"), float("-inf")):
        for feature in ("vix", "strike_distance", served[2].artifact.features[0]):
            less = known | {feature: value} if value is not None else known.copy()
            if value is None:
                del less[feature]
            for one, answer, whole in zip(served, batch.answer(less), before, strict=True):
                needs = feature in one.artifact.features
                assert answer == (Answer(reason=f"unknown: {feature}") if needs else whole)


def test_a_graph_that_fails_silences_nobody_else(
    artifacts: list[Artifact], served: list[Served]
) -> None:
    known = moment(served, seed=2)
    broken = Served(artifacts[-1].model_copy(update={"onnx": graph(scale=float("nan"))}))
    first, second, last = Batch([served[0], broken, served[1]]).answer(known)
    assert [first, last] == Batch(served[:2]).answer(known)
    assert second.probability is None
    assert "gave no probability" in second.reason


def test_what_a_feature_adds_where_there_are_no_trees_is_what_is_lost_without_it(
    served: list[Served],
) -> None:
    [answer] = Batch([served[-1]]).answer({"vix": 3.0, "strike_distance": 0.5})
    assert answer.probability == pytest.approx(0.35)
    assert answer.why is not None
    assert (answer.why.kind, answer.why.base) == ("occlusion", 0.2)
    assert answer.why.parts == {"vix": 0.2, "strike_distance": -0.05}


def test_threads_that_ask_at_once_each_get_their_own_answers(served: list[Served]) -> None:
    batch = Batch(served)
    moments = [moment(served, seed) for seed in range(200)]
    expected = [batch.answer(known) for known in moments]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(batch.answer, moments * 3)) == expected * 3
