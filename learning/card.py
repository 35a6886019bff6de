"""What a version is and is not good for, on one card.

Half of a card is in the class and in the registry, and costs nothing to show. The other half,
calibration and permutation importance, needs the fit that was judged on the hold-out, which is not
kept: what is exported has learned from everything. It is fitted again, from the same rows, by the
same code and seed, and has to come to the Brier score that the registry has: then what is shown of
it is what was judged, and no row of it had been seen by the fit. A training does none of this, for
a replay trains a thousand times and nobody looks.
"""

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import AwareDatetime

from domain.book import Costs
from domain.errors import ModelError
from domain.values import FloatArray, Value
from domain.version import Measure, Version
from learning.dataset import Dataset, labelled
from learning.significance import block, dates_of
from learning.trainer import HOLDOUT, fitted, moment
from learning.walkforward import holdout
from market.panel import Panel
from models import catalog
from models.base import FROM_TRADE, Artifact, Model
from models.onnx import Served
from risk.measures import wilson

BINS = 8
"""Groups of equal size that the predictions of the hold-out make."""
REPEATS = 30
"""Times that a feature is permuted."""
ROWS = 2000
"""Rows of the hold-out that importance is measured on; of more, every so many sessions."""
FAMILY = 16
"""Members of a numbered family of features (lags of a sequence) that are permuted together. One lag
of sixty-four means nothing by itself, and each would cost as much as any other feature."""
SAME = 1e-5
"""Difference of two Brier scores that are the same one."""
ASKED = 2000
"""Rows served one by one to see how long one takes."""

IntArray = NDArray[np.integer[Any]]


class Bin(Value):
    """Predictions of about the same size, and how many of them came true."""

    n: int
    hits: int
    predicted: float
    """Their mean."""
    sessions: int
    low: float
    high: float
    """95 % interval of the share that came true, every `horizon`-th session counted as one."""

    @property
    def happened(self) -> float:
        """The share that came true."""
        return self.hits / self.n


class Influence(Value):
    """What the hold-out loses when a feature tells of other sessions than its own."""

    features: tuple[str, ...]
    """One, or some of a numbered family."""
    rise: Measure
    """Of the Brier score: the mean of the repeats, and between which 95 % of them lie."""


class Held(Value):
    """What the hold-out shows of the fit that was judged on it."""

    since: AwareDatetime
    until: AwareDatetime
    rows: int
    sessions: int
    base_rate: float
    bins: tuple[Bin, ...]
    influences: tuple[Influence, ...]
    """The largest first."""


class Latency(Value):
    """How long one row takes to be answered, in microseconds, on this machine at this moment."""

    p50: float
    p99: float
    n: int


def held(name: str, version: Version, panel: Panel, seed: int, costs: Costs) -> Held:
    """Fit what was judged again, and return what it said of its hold-out.

    Parameters
    ----------
    panel
        May reach beyond the version's training; what lies there is not looked at.
    seed
        That of the training.

    Raises
    ------
    ModelError
        The feed has other data by now, or the code or the seed is another, so that this would be
        the card of another fit.
    """
    target = catalog.entry(name).target
    data = labelled(panel, target, catalog.entry(name).features, version.trained_at, costs)
    if data.hash != version.data_hash:
        raise ModelError(
            f"{name} {version.version} learned from data {version.data_hash}, the feed gives "
            f"{data.hash} by then; choose the feed it was trained on, or train again"
        )
    cut = holdout(data.starts, data.ends, HOLDOUT)
    judged = data.take(cut.test)
    model = fitted(name, data.take(cut.train), seed)
    said = model.predict(judged.X)
    was, now = version.measures["brier"].value, float(np.mean((said - judged.y) ** 2))
    if abs(was - now) > SAME:
        raise ModelError(
            f"{name} {version.version} was judged with a Brier of {was:.6f}, the same fit has "
            f"{now:.6f} today: its code, its library or the seed is another; train again"
        )
    return Held(
        since=moment(judged.starts[0]),
        until=moment(judged.ends[-1]),
        rows=len(judged),
        sessions=len(np.unique(judged.starts)),
        base_rate=float(judged.y.mean()),
        bins=bins(said, judged.y, judged.starts, target.horizon),
        influences=influences(model, judged, np.random.default_rng([seed, len(data)])),
    )


def bins(p: FloatArray, y: FloatArray, starts: NDArray[Any], horizon: int) -> tuple[Bin, ...]:
    """Return groups of equal size by probability. Equal probabilities stay in one group.

    Parameters
    ----------
    p, y, starts
        Probability, 0 or 1, and session of each row, shape (n,).
    horizon
        Sessions that a label looks ahead: so many neighbours saw mostly the same days.
    """
    edges = np.unique(np.quantile(p, np.linspace(0, 1, BINS + 1)[1:-1], method="higher"))
    group = np.searchsorted(edges, p, side="right")
    found = []
    for k in np.unique(group):
        inside = group == k
        sessions = len(np.unique(starts[inside]))
        independent = max(1, round(sessions / horizon))
        low, high = wilson(round(float(y[inside].mean()) * independent), independent)
        found.append(
            Bin(
                n=int(inside.sum()),
                hits=int(y[inside].sum()),
                predicted=float(p[inside].mean()),
                sessions=sessions,
                low=low,
                high=high,
            )
        )
    return tuple(found)


def influences(
    model: Model, judged: Dataset, rng: Generator, repeats: int = REPEATS
) -> tuple[Influence, ...]:
    """Return by how much the Brier score rises when each feature is permuted, largest first.

    Blocks of consecutive sessions change places, each as long as those that the intervals are
    drawn from: a feature keeps its own memory and loses what it has to do with the label [1]_.
    All rows of a session take what those of another had, so that stocks of one day keep the same
    VIX. A feature of the trade is permuted among the rows of its own session.

    Parameters
    ----------
    model
        Fitted, and not on `judged`.

    References
    ----------
    .. [1] L. Breiman, "Random forests", Machine Learning 45 (2001), section 10.
    """
    sessions = len(np.unique(judged.starts))
    some = judged.every(max(1, -(-len(judged) // ROWS)))
    length = block(model.target.horizon, sessions)
    plain = _brier(model, some, some.X)
    used = tuple(name for name in model.features if name in some.known)
    found = []
    for names in families(used):
        move = _within if names[0] in FROM_TRADE else _between
        rises = np.empty(repeats)
        for k in range(repeats):
            X = some.X.copy()
            X[list(names)] = some.X[list(names)].to_numpy()[move(some, length, rng)]
            rises[k] = _brier(model, some, X) - plain
        low, high = np.quantile(rises, (0.025, 0.975))
        rise = Measure(value=float(rises.mean()), n=len(some), low=float(low), high=float(high))
        found.append(Influence(features=names, rise=rise))
    return tuple(sorted(found, key=lambda one: -one.rise.value))


def families(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return names one by one, and those of a long numbered family in groups.

    Examples
    --------
    >>> families(["vix", "ema_5", "ema_9"])
    (('vix',), ('ema_5',), ('ema_9',))
    >>> [len(group) for group in families([f"lag_{n}" for n in range(40)])]
    [16, 16, 8]
    """
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(name.rstrip("0123456789"), []).append(name)
    found: list[tuple[str, ...]] = []
    for own in stems.values():
        size = FAMILY if len(own) > FAMILY else 1
        found += [tuple(own[k : k + size]) for k in range(0, len(own), size)]
    return tuple(found)


def _brier(model: Model, judged: Dataset, X: Any) -> float:
    return float(np.mean((model.predict(X) - judged.y) ** 2))


def _between(judged: Dataset, length: int, rng: Generator) -> IntArray:
    """Return for each row the row of another session, same symbol and same place within it."""
    date = dates_of(judged.starts)
    count = int(date.max()) + 1
    turned = np.roll(np.arange(count), int(rng.integers(count)))
    blocks = np.split(turned, np.arange(length, count, length))
    order = np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])
    source = np.arange(len(judged))
    for rows in _alike(judged):
        here = np.full(count, -1)
        here[date[rows]] = rows
        source[rows] = here[order[here[order] >= 0]]
    return source


def _alike(judged: Dataset) -> list[IntArray]:
    """Return the rows of each symbol at each distance, in the order of their sessions."""
    far = judged.X.get("strike_distance", np.zeros(len(judged)))
    kind = np.unique(judged.symbols, return_inverse=True)[1] * len(judged)
    kind += np.unique(far, return_inverse=True)[1]
    return [np.flatnonzero(kind == one) for one in np.unique(kind)]


def _within(judged: Dataset, length: int, rng: Generator) -> IntArray:
    """Return for each row another row of its session."""
    date = dates_of(judged.starts)
    source = np.empty(len(judged), int)
    source[np.argsort(date, kind="stable")] = np.lexsort((rng.random(len(judged)), date))
    return source


def latency(artifact: Artifact, times: int = ASKED) -> Latency:
    """Serve one row after another and return how long one takes, warm."""
    served = Served(artifact)
    if not artifact.golden:
        raise ModelError(f"{artifact.model} {artifact.version} has no golden rows")
    rows = [np.array([row], np.float32) for row, _ in artifact.golden]
    taken = np.empty(times)
    for k in range(-times // 10, times):
        row = rows[k % len(rows)]
        began = perf_counter_ns()
        served.predict(row)
        taken[k] = (perf_counter_ns() - began) / 1000
    return Latency(p50=float(np.median(taken)), p99=float(np.quantile(taken, 0.99)), n=times)
