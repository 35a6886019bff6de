"""What a model is, and what is left of it when its training is over.

A model learns, answers, and can be written down. Versions, walk-forward tests, shadowing, drift
watching and hot reload are not its business; they follow from its line in `models.catalog`.

Nothing in here imports pandas or a training library: whoever serves needs `Artifact`, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from domain.errors import FeatureMismatch, IntegrityError, ModelError
from domain.values import FloatArray, Value, canonical
from market.panel import Unit
from models.novelty import Novelty

if TYPE_CHECKING:
    import pandas as pd

FROM_TRADE = frozenset({"strike_distance"})
"""Features of the trade and not of the market: `domain.bot.Bot.facts` supplies them."""


FROM_MODELS = {"orion_up": "orion-up", "orion_down": "orion-down"}
"""Features that are answers of other models, and of which: `learning.stacking` makes the history
that is learned from, the champions of the day make the newest."""

Question = Literal[
    "survives",
    "rises",
    "gains",
    "loses",
    "contained",
    "above",
    "nears_flip",
    "touches_magnet",
    "pins",
    "soon",
    "long_pays",
    "short_pays",
]
"""What can be asked of the sessions after a bar; `learning.labels` has the answers."""


class Target(NamedTuple):
    """What a model predicts: one question with two answers.

    A question of three classes (up, flat, down) is two of these: each then has a base rate, a
    calibration and a verdict of its own, and what is learned of rises can be of use where nothing
    is learned of falls.

    Parameters
    ----------
    name
        ``survives``: after `horizon` sessions the close is within `distance` expected moves of
        the close at entry. ``above``: it is not further below it. ``contained``: no price between
        is further away. ``rises``: the close is above that at entry. ``gains``, ``loses``: the
        last of the sessions closes at least `level` above, or below, where the first opened.
        ``nears_flip``: the last bar closes nearer to the gamma flip than the next one opens.
        ``touches_magnet``: a range comes within 0.1 % of the nearest magnet. ``pins``: the last
        bar closes between the two magnets. These three are unknown where another session begins
        within bars that are counted. ``soon``: a move that goes `level` expected moves away
        within the sessions does so in the first of them; unknown where none goes so far.
        ``long_pays``, ``short_pays``: a future that is bought, or sold, at the next open and held
        between the brackets of the bot that trades it ends ahead, costs aside.
    horizon
        Sessions, or bars, from the bar of the features to the bar that decides.
    universe
        ``index``: the first symbol of the panel. ``stocks``: all the others, pooled.
    distances
        Each bar gives one row per distance, `strike_distance` being the feature that tells them
        apart.
    level
        A fraction of the price; for ``soon`` a number of expected moves.
    """

    name: Question
    horizon: int
    universe: Literal["index", "stocks"]
    distances: tuple[float, ...] = ()
    level: float = 0.0
    unit: Unit = "session"
    """What `horizon` counts, and which bars the model learns from and answers of."""

    @property
    def words(self) -> str:
        """Say what comes true, for people.

        Examples
        --------
        >>> Target("gains", 1, "index", level=0.003).words
        'the index closes at least 0.3 % above the next open, 1 session on'
        """
        of = "the index" if self.universe == "index" else "a stock"
        away = ", ".join(f"{distance:g}" for distance in self.distances) + " expected moves"
        level = f"{100 * self.level:g} %"
        verb = {
            "survives": f"stays within strikes at {away}",
            "above": f"closes no more than {away} lower",
            "contained": f"never leaves a range of {away}",
            "rises": "closes higher",
            "gains": f"closes at least {level} above the next open",
            "loses": f"closes at least {level} below the next open",
            "nears_flip": "closes nearer to the gamma flip than it opens",
            "touches_magnet": "comes within 0.1 % of the nearest magnet",
            "pins": "closes between the two magnets",
            "soon": f"goes {self.level:g} expected moves in the first session, if at all within",
            "long_pays": "bought as a future at the next open, between brackets, ends ahead",
            "short_pays": "sold as a future at the next open, between brackets, ends ahead",
        }[self.name]
        plural = "s" if self.horizon > 1 else ""
        return f"{of} {verb}, {self.horizon} {self.unit}{plural} on"


class Artifact(Value):
    """A fitted model as a value: what is stored, shipped and reloaded. Never a pickle.

    Two artifacts with the same content are the same version, wherever and whenever they were made.
    """

    model_config = Value.model_config | ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    model: str
    target: str
    """`Target.name`."""
    features: tuple[str, ...]
    """Columns of the input, in order: those that were really used."""
    absent: tuple[str, ...] = ()
    """Features the model knows and its training data did not have."""
    onnx: bytes
    """float32 ``x`` of shape (n, F) to float32 ``y`` of shape (n, 1), before calibration."""
    knots: tuple[tuple[float, ...], tuple[float, ...]]
    """Calibration: `numpy.interp` through these points."""
    low: tuple[float, ...] = ()
    """Lower ends of the 90 % interval at the knots; none where none was measured."""
    high: tuple[float, ...] = ()
    """Its upper ends."""
    forest: bytes = b""
    """`models.forest.Forest.pack`, of trees: what each feature adds is computed from it."""
    background: tuple[float, ...] = ()
    """Of any other graph: what stands in for a feature that is taken away, one number each."""
    novelty: Novelty
    """Where the training rows lie, and what is too far from them."""
    facts: dict[str, float] = Field(default_factory=dict)
    """What training measured; see `about`."""
    golden: tuple[tuple[tuple[float, ...], float], ...] = ()
    """Input rows and the probabilities they must give: the self-test before a swap."""
    schema_hash: str = ""
    """Of the features' definitions at training (`market.features.compute.schema_hash`)."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        x, y = self.knots
        if not self.features or not self.onnx:
            raise ValueError("an artifact needs features and a graph")
        if len(x) != len(y) or not x or min(y) < 0 or max(y) > 1 or sorted(set(x)) != list(x):
            raise ValueError("calibration needs as many y in [0, 1] as rising x")
        if sorted(y) != list(y):
            raise ValueError("calibration must not reverse the order of two scores")
        if any(len(row) != len(self.features) for row, _ in self.golden):
            raise ValueError("a golden row has one number per feature")
        if self.background and len(self.background) != len(self.features):
            raise ValueError("a background has one number per feature")
        if not {*self.novelty.columns} <= {*range(len(self.features))}:
            raise ValueError("what is too far is measured in columns of the input")
        return self

    @model_validator(mode="after")
    def _around(self) -> Self:
        _, y = self.knots
        if not self.low and not self.high:
            return self
        if not len(self.low) == len(self.high) == len(y):
            raise ValueError("an interval has two ends at every knot")
        ends = zip(self.low, y, self.high, strict=True)
        if not all(0 <= low <= p <= high <= 1 for low, p, high in ends):
            raise ValueError("an interval lies in [0, 1] and around its probability")
        return self

    @property
    def sha256(self) -> str:
        """SHA-256 of `to_bytes`, in hex."""
        return sha256(self.to_bytes()).hexdigest()

    @property
    def version(self) -> str:
        """The first 12 hex digits of `sha256`: same content, same version."""
        return self.sha256[:12]

    def to_bytes(self) -> bytes:
        """Return the one canonical JSON text of this artifact, UTF-8."""
        return canonical(self).encode()

    @classmethod
    def from_bytes(cls, content: bytes, expected: str | None = None) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        IntegrityError
            The content does not have the hash it should have.
        ModelError
            It is no artifact, or not the canonical text of one.
        """
        found = sha256(content).hexdigest()
        if expected is not None and found != expected:
            raise IntegrityError(
                f"artifact has hash {found[:12]}, not {expected[:12]}; restore it, or train again"
            )
        try:
            artifact = cls.model_validate_json(content)
        except ValidationError as error:
            problem = error.errors()[0]
            raise ModelError(
                f"no artifact of this version of Omega, train again: "
                f"{problem['loc']}: {problem['msg']}"
            ) from error
        if artifact.to_bytes() != content:
            raise ModelError("no artifact: not in canonical form, train again")
        return artifact

    def about(self, distance: float | None = None) -> dict[str, float]:
        """Return the facts that hold for a trade with strikes at `distance`.

        A key such as ``base_rate@1.2`` is the base rate at 1.2 expected moves. It replaces the
        plain key for a trade at that distance, whose base rate is far from the pooled one.

        Examples
        --------
        >>> from models.examples import artifact
        >>> some = artifact(facts={"base_rate": 0.83, "base_rate@1.2": 0.9, "n": 500.0})
        >>> some.about(1.2)
        {'base_rate': 0.9, 'n': 500.0}
        >>> some.about()
        {'base_rate': 0.83, 'n': 500.0}
        """
        plain = {name: value for name, value in self.facts.items() if "@" not in name}
        if distance is None:
            return plain
        suffix = at("", distance)
        special = {
            name.removesuffix(suffix): value
            for name, value in self.facts.items()
            if name.endswith(suffix)
        }
        return plain | special


def of_market(features: Iterable[str]) -> tuple[str, ...]:
    """Return those features that are neither of the trade nor answers of other models."""
    return tuple(name for name in features if name not in FROM_TRADE and name not in FROM_MODELS)


def at(fact: str, distance: float) -> str:
    """Return the key of a fact that holds at one strike distance: ``base_rate@1.2``."""
    return f"{fact}@{distance:g}"


class Model(ABC):
    """A learner of one probability.

    The same data and seed give the same artifact, to the byte.

    Parameters
    ----------
    seed
        Of every random choice.
    """

    name: ClassVar[str]
    """Key in the catalog."""
    title: ClassVar[str]
    """What people call it."""
    features: ClassVar[tuple[str, ...]]
    """Names in `market.features.catalog`, and those of `FROM_TRADE`, in the order of columns."""
    target: ClassVar[Target]
    requires: ClassVar[tuple[str, ...]] = ()
    """Series of the panel that it is about. Other inputs may be absent, and it trains without them;
    without one of these there is nothing to learn, and it is unavailable."""
    extra: ClassVar[str] = ""
    """Extra of `pyproject.toml` that training needs. Serving needs none."""
    min_samples: ClassVar[int] = 200
    """Rows, of both classes together, below which it will not learn."""
    stride: ClassVar[int] = 1
    """Learns from every so many sessions, counted back from the newest. Labels of several sessions
    overlap, so where rows are many, most of them say what their neighbours said."""
    accepts_nan: ClassVar[bool] = True
    """Whether the training library answers rows with NaN. Only the parity gate asks it to."""
    limits: ClassVar[str] = ""
    """What it cannot know, in sentences; on its card."""
    retrain: ClassVar[str]
    """When, as five crontab fields in exchange time (America/Chicago)."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @classmethod
    def market_features(cls) -> tuple[str, ...]:
        """Return the features that are computed from market data."""
        return of_market(cls.features)

    @abstractmethod
    def fit(self, X: pd.DataFrame, y: pd.Series, calibrate_from: int | None = None) -> Self:
        """Learn, calibrate, and return self.

        Parameters
        ----------
        X
            Shape (n, >= F), in time order. The index is the bar of each row, rising; rows of one
            bar (several distances, several symbols) share one label, and that is how the purge
            knows how many rows `target.horizon` sessions are. A column that is NaN throughout is
            left out and named in `Artifact.absent`.
        y
            1 where the target came true, else 0; shape (n,).
        calibrate_from
            Row where the calibration slice starts; by default four fifths of the way. It is
            moved back to the first row of its bar. The rows of the `target.horizon` sessions
            before it are used by neither slice, because their labels reach into it.

        Raises
        ------
        InsufficientData
            Fewer than `min_samples` rows, or too few of one class to learn or calibrate from.
        FeatureMismatch
            A column is missing, or unknown in some rows only; the message names it.
        ModelError
            Rows out of time order, or labels other than 0 and 1.
        """

    @abstractmethod
    def raw(self, x: FloatArray) -> FloatArray:
        """Return the training library's own scores, before calibration, shape (n,).

        `x` is float32 of shape (n, F') in the columns of the exported artifact. The parity gate
        compares this with what ONNX says.
        """

    @abstractmethod
    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Return calibrated probabilities in [0, 1], shape (n,), computed natively.

        Raises
        ------
        FeatureMismatch
            A column that the fitted model uses is missing or unknown in a row.
        ModelError
            It has not been fitted.
        """

    @abstractmethod
    def export(self, facts: Mapping[str, float] | None = None, schema_hash: str = "") -> Artifact:
        """Write the fitted model down.

        Parameters
        ----------
        facts
            What the trainer measured, added to what the model did (``base_rate``, ``low``,
            ``high``, ``n``, and the same at each distance): ``gain`` and ``loss``, and
            ``gain@1.2`` and so on where they differ by distance (`at` makes the key).
        schema_hash
            Of the definitions of the features it was trained on.
        """


def matrix(X: pd.DataFrame, features: tuple[str, ...], model: str) -> FloatArray:
    """Return the named columns as contiguous float32, shape (n, F).

    Raises `FeatureMismatch` naming the columns that are missing.
    """
    missing = [name for name in features if name not in X]
    if missing:
        raise FeatureMismatch(f"{model} needs {', '.join(missing)}")
    return np.ascontiguousarray(X[list(features)].to_numpy(np.float32))
