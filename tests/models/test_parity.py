"""The gate between training and serving."""

import numpy as np
import pytest

from domain.errors import FeatureMismatch, ModelError
from domain.values import FloatArray
from models import catalog, parity
from models.base import Artifact
from models.wisdom import Wisdom
from tests.models.made import samples


@pytest.fixture(scope="module")
def model() -> Wisdom:
    fresh = Wisdom(seed=3)
    return fresh.fit(*samples(fresh, bars=200))


def test_an_honest_artifact_passes(model: Wisdom) -> None:
    assert 0 <= parity.check(model, model.export(), samples(model, bars=50)[0]) <= 1e-5


def test_the_artifact_of_another_fit_is_refused(model: Wisdom) -> None:
    X, y = samples(model, bars=200)
    other = catalog.create("wisdom", seed=4).fit(X, y).export()
    with pytest.raises(ModelError, match="ONNX differs from the trained model"):
        parity.check(model, other, X)


def test_a_difference_is_seen_before_calibration_too(model: Wisdom) -> None:
    flat = model.export().model_copy(update={"knots": ((0.5,), (0.8,)), "low": (), "high": ()})
    X = samples(model, bars=50)[0]
    assert parity.check(model, flat, X) <= 1e-5

    class Off(Wisdom):
        def raw(self, x: FloatArray) -> FloatArray:
            return model.raw(x) + 2e-5

    with pytest.raises(ModelError, match="ONNX differs"):
        parity.check(Off(), flat, X)


@pytest.mark.parametrize("where", ["on a grid", "with unknowns"])
def test_a_difference_that_only_odd_rows_show_is_seen(model: Wisdom, where: str) -> None:
    X = samples(model, bars=50)[0]
    plain = {row.tobytes() for row in X.to_numpy(np.float32)}

    class Odd(Wisdom):
        def raw(self, x: FloatArray) -> FloatArray:
            off = np.isnan(x).any(axis=1)
            if where == "on a grid":
                off = ~off & np.array([row.tobytes() not in plain for row in x])
            return model.raw(x) + np.where(off, 1e-3, 0.0)

    with pytest.raises(ModelError, match="ONNX differs"):
        parity.check(Odd(), model.export(), X)


def test_an_answer_that_is_no_number_is_a_difference(model: Wisdom) -> None:
    class Silent(Wisdom):
        def raw(self, x: FloatArray) -> FloatArray:
            return np.full(len(x), np.nan)

    with pytest.raises(ModelError, match="differs from the trained model by nan"):
        parity.check(Silent(), model.export(), samples(model, bars=50)[0])


def test_rows_without_a_column_cannot_be_compared(model: Wisdom) -> None:
    artifact: Artifact = model.export()
    with pytest.raises(FeatureMismatch, match="vix"):
        parity.check(model, artifact, samples(model, bars=50)[0].drop(columns="vix"))
