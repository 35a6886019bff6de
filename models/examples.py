"""Ready-made artifacts for doctests and tests."""

from typing import Any

from models.base import Artifact
from models.novelty import Novelty

ANYWHERE = Novelty(columns=(), centre=(), scale=(), whitening=b"", limit=1.0)
"""Of a model to which nothing is new."""


def artifact(**fields: Any) -> Artifact:
    """Return an artifact of WISDOM whose graph is a stand-in, with some fields replaced."""
    plain: dict[str, Any] = {
        "model": "wisdom",
        "target": "survives",
        "features": ("vix", "strike_distance"),
        "onnx": b"graph",
        "knots": ((0.0, 1.0), (0.1, 0.9)),
        "novelty": ANYWHERE,
        "facts": {"base_rate": 0.83, "low": 0.68, "high": 0.78, "n": 500.0},
    }
    return Artifact(**(plain | fields))
