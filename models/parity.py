"""The gate every artifact passes: what serves says what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from domain.errors import ModelError
from domain.values import FloatArray
from models.base import Artifact, Model, matrix
from models.onnx import Served

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-5
"""Of a probability."""
ROWS = 2000
"""Newest rows that are compared."""
EXPLAINED = 50
"""Newest rows whose contributions are added up."""
UNKNOWN = 0.05
"""Share of numbers that become NaN in the third comparison."""


def check(model: Model, artifact: Artifact, X: pd.DataFrame, tolerance: float = TOLERANCE) -> float:
    """Return the largest difference between the fitted model and its artifact.

    Compared are the newest rows as they are; the same rows on a grid, where numbers lie exactly
    on the thresholds of trees and a rounded threshold sends them astray; and, where the library
    takes them, rows with unknown numbers. Each before calibration and after it, and of some of
    them whether what the features add comes to the answer.

    Raises
    ------
    ModelError
        The difference is above `tolerance`, or not a number. Such an artifact must not serve.
    """
    served = Served(Artifact.from_bytes(artifact.to_bytes(), artifact.sha256))
    x = matrix(X, artifact.features, model.name)[-ROWS:]
    cases = [x, _on_grid(x)]
    if model.accepts_nan:
        holes = np.random.default_rng(model.seed).random(x.shape) < UNKNOWN
        cases.append(np.where(holes, np.float32(np.nan), x))
    worst = max(float(np.max(_differences(model, served, case))) for case in cases)
    if not worst <= tolerance:
        raise ModelError(
            f"{model.name}: ONNX differs from the trained model by {worst:.1g}, "
            f"more than {tolerance:.0g}; check the library's version and its exporter"
        )
    return worst


def _differences(model: Model, served: Served, x: FloatArray) -> tuple[float, float, float]:
    native, exported = model.raw(x), served.raw(x)
    knots = served.artifact.knots
    before = np.abs(native - exported).max()
    after = np.abs(np.interp(native, *knots) - np.interp(exported, *knots)).max()
    return float(before), float(after), served.unexplained(x[-EXPLAINED:])


def _on_grid(x: FloatArray) -> FloatArray:
    """Return `x` with each column rounded to a grid of 32 steps over its own range."""
    low, high = x.min(axis=0), x.max(axis=0)
    step = np.where(high > low, (high - low) / np.float32(32), np.float32(1))
    return np.ascontiguousarray(low + np.round((x - low) / step) * step, np.float32)
