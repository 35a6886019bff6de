"""What serves takes one kind of graph and answers with probabilities only."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from domain.errors import FeatureMismatch, ModelError
from models import catalog, examples
from models.base import Artifact
from models.onnx import Served, session
from tests.models.made import graph, samples


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    model = catalog.create("wisdom")
    return model.fit(*samples(model, bars=200)).export()


def linear(**fields: object) -> Artifact:
    return examples.artifact(onnx=graph(), knots=((0.0, 1.0), (0.0, 1.0)), **fields)


def test_one_row_and_many_rows_get_the_same_answers() -> None:
    served = Served(linear())
    x = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)
    np.testing.assert_allclose(served.predict(x), [0.3, 0.4], atol=1e-7)
    np.testing.assert_allclose(served.predict(x[:1]), [0.3], atol=1e-7)
    assert served.predict(x[:0]).shape == (0,)


def test_calibration_is_interpolated_between_its_knots() -> None:
    served = Served(linear().model_copy(update={"knots": ((0.2, 0.4), (0.5, 0.9))}))
    x = np.array([[0.5, 0.5], [1.5, 1.5], [9.0, 0.5]], np.float32)
    np.testing.assert_allclose(served.predict(x), [0.5, 0.7, 0.9], atol=1e-6)


@pytest.mark.parametrize("row", [[30.0, 0.0], [-1.0, 0.0]])
def test_what_is_no_probability_is_refused_and_not_clipped(row: list[float]) -> None:
    with pytest.raises(ModelError, match="gave no probability"):
        Served(linear()).predict(np.array([[1.0, 1.0], row], np.float32))


def test_an_answer_that_is_no_number_is_refused() -> None:
    broken = linear().model_copy(update={"onnx": graph(scale=float("nan"))})
    with pytest.raises(ModelError, match="gave no probability"):
        Served(broken).predict(np.array([[1.0, 1.0]], np.float32))


def test_an_unknown_number_is_refused_by_name() -> None:
    for unknown in (np.nan, np.inf, -np.inf):
        with pytest.raises(FeatureMismatch, match=r"wisdom: unknown strike_distance$"):
            Served(linear()).predict(np.array([[1.0, unknown]], np.float32))


def test_another_shape_of_graph_is_refused() -> None:
    for odd in (graph(outputs=2), graph(kind=TensorProto.DOUBLE)):
        with pytest.raises(ModelError, match="must lead from x"):
            session(odd)
    with pytest.raises(ModelError, match="takes 2 features, not 1"):
        Served(linear(features=("vix",)))
    with pytest.raises(ModelError, match="cannot answer"):
        Served(linear()).predict(np.ones((1, 3), np.float32))


def test_weights_outside_the_artifact_are_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(graph())
    path = tmp_path / "model.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(ModelError, match="outside of itself"):
        session(path.read_bytes())


def test_bytes_that_are_no_graph_are_refused(artifact: Artifact) -> None:
    for broken in (b"", b"graph", artifact.onnx[: len(artifact.onnx) // 2]):
        with pytest.raises(ModelError, match=r"cannot be loaded|must lead from x"):
            session(broken)


def test_a_wrong_golden_row_fails_the_self_test(artifact: Artifact) -> None:
    served = Served(artifact)
    served.self_test()
    row, expected = artifact.golden[0]
    wrong = artifact.model_copy(update={"golden": ((row, expected + 1e-4), *artifact.golden[1:])})
    with pytest.raises(ModelError, match=r"fails its self-test by 0\.0001"):
        Served(wrong).self_test()
    with pytest.raises(ModelError, match="no golden rows"):
        Served(artifact.model_copy(update={"golden": ()})).self_test()


def test_golden_rows_are_rows_of_the_newest_fifth(artifact: Artifact) -> None:
    X, _ = samples(catalog.create("wisdom"), bars=200)
    newest = {tuple(row) for row in X[list(artifact.features)].to_numpy(np.float32)[480:].tolist()}
    assert len(artifact.golden) == 8
    assert all(row in newest for row, _ in artifact.golden)


HEAVY = (
    *("xgboost", "lightgbm", "sklearn", "torch", "onnx"),
    *("pandas", "scipy", "celery", "sqlalchemy"),
)
LIGHT = "models.serving, models.onnx, models.ensemble, models.catalog"


@pytest.mark.parametrize(
    "work", ["pass", "[entry.load() for entry in models.catalog.CATALOG.values()]"]
)
def test_serving_imports_no_training_library(work: str) -> None:
    code = f"import sys, {LIGHT}; {work}; print([m for m in {HEAVY} if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"


def test_an_artifact_answers_where_no_training_library_is(
    artifact: Artifact, tmp_path: Path
) -> None:
    path = tmp_path / "artifact.json"
    path.write_bytes(artifact.to_bytes())
    code = (
        "import sys; from pathlib import Path; from models.base import Artifact; "
        "from models.onnx import Served; "
        f"Served(Artifact.from_bytes(Path({str(path)!r}).read_bytes())).self_test(); "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
