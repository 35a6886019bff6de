"""A version of a model, and what was measured of it."""

from enum import StrEnum

from pydantic import AwareDatetime

from domain.values import Value


class Stage(StrEnum):
    """Where a version stands. At most one champion per model."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"
    REJECTED = "rejected"


class Measure(Value):
    """A number that was measured: its sample size and 95 % interval go with it.

    `low` and `high` are None where the sample is too small for an interval.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        interval = (
            "" if self.low is None or self.high is None else f" [{self.low:.4g}, {self.high:.4g}]"
        )
        return f"{self.value:.4g}{interval} (n={self.n})"


class Version(Value):
    """One trained version: content-addressed, with its window and its measures."""

    model: str
    version: str
    """First 12 hex digits of the SHA-256 of the artifact's content."""
    sha256: str
    stage: Stage = Stage.CANDIDATE
    features: tuple[str, ...]
    absent: tuple[str, ...] = ()
    """Features that the model knows and the data did not have."""
    trained_from: AwareDatetime
    trained_to: AwareDatetime
    trained_at: AwareDatetime
    n: int
    data_hash: str
    measures: dict[str, Measure] = {}
    verdict: str = ""
    """What the promotion gate said, in a sentence."""
