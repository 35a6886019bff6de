"""From a panel to a version: learn, be judged on what was not learned from, then learn it all.

Two fits. The first learns from what lies before the hold-out and is measured on it, beside the
base rate and a plain logistic regression, all three knowing the same. The second learns from
everything and is the one that is exported. So a version's measures are those of its recipe on the
last fifth of its window, and never of rows that the measured fit had seen.

A fit learns from all of history. Walked forward through 2016-2018 (`validation.validate` with
`sessions`), learning from the last 500 sessions only gave a Brier of 0.1384 instead of 0.1389
(WISDOM), 0.2505 instead of 0.2486 (XGBoost) and 0.2507 instead of 0.2487 (LightGBM), the last 250
more still: nothing that a window length, one more thing to tune, would be worth.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from domain.book import Costs
from domain.errors import Unavailable
from domain.values import FloatArray, Value
from domain.version import Measure, Version
from learning import labels
from learning.dataset import Dataset, labelled
from learning.significance import RESAMPLES, block, score
from learning.walkforward import Split, holdout
from market import window
from market.features import compute
from market.panel import Panel
from models import catalog, parity
from models.availability import unavailable
from models.base import Artifact, Model, Target, at

HOLDOUT = 0.2
"""Share of the sessions that a version is judged on."""
THOROUGH = 2000
"""Resamples of a training that may take its time."""


PROBES = 500
"""Newest rows that the parity gate compares, unless the training may take its time."""
NEWTON, PRECISION, RIDGE = 25, 1e-7, 1e-9


class Report(Value):
    """What went into a training, for people."""

    rows: int
    dropped: int
    """Rows left out because a feature in use was unknown."""
    purged: int
    """Rows between training and hold-out whose labels reach into it, or into the embargo."""
    trained_on: int
    judged_on: int
    test_from: datetime
    test_to: datetime


class Trained(NamedTuple):
    """A version, the artifact that it is the hash of, and what went into it."""

    artifact: Artifact
    version: Version
    report: Report


def train(
    name: str,
    panel: Panel,
    asof: datetime,
    seed: int,
    costs: Costs,
    thorough: bool = False,
) -> Trained:
    """Train a model of the catalog on what was known at `asof`.

    Parameters
    ----------
    panel
        May reach beyond `asof`; keep one and move `asof`, for its features are computed once.
    seed
        Same panel, moment and seed: same artifact, to the byte, and same measures.
    thorough
        Ten times as many resamples for the intervals.

    Returns
    -------
    Trained
        The version is a candidate; `learning.promotion.judge` says what becomes of it.

    Raises
    ------
    Unavailable
        The feed lacks what the model is about, or this environment what it is trained with.
    InsufficientData
        Too few rows, or of one class, for the model or for the split.
    ModelError
        The exported artifact does not say what the model says.
    """
    if why := unavailable(name, panel, asof):
        raise Unavailable(f"{name} is unavailable: {why}")
    kind = catalog.entry(name).load()
    data = labelled(panel, kind.target, kind.features, asof, costs)
    cut = holdout(data.starts, data.ends, HOLDOUT)
    measures = examine(name, data, cut, seed, THOROUGH if thorough else RESAMPLES)
    model = fitted(name, data, seed)
    schema = compute.schema_hash(f for f in data.known if f in model.market_features())
    facts = earnings(data, model.target.distances) | proven(measures)
    facts |= covered(panel, model.target, asof, costs)
    artifact = model.export(facts, schema)
    probes = data.X if thorough else data.X.iloc[-PROBES:]
    worst = parity.check(model, artifact, probes)
    measures["parity"] = Measure(value=worst, n=min(len(probes), parity.ROWS))
    version = Version(
        model=name,
        version=artifact.version,
        sha256=artifact.sha256,
        features=artifact.features,
        absent=artifact.absent,
        trained_from=moment(data.starts[0]),
        trained_to=moment(data.ends[-1]),
        trained_at=asof,
        n=len(data),
        data_hash=data.hash,
        measures=measures,
    )
    report = Report(
        rows=len(data),
        dropped=data.dropped,
        purged=cut.purged,
        trained_on=len(cut.train),
        judged_on=len(cut.test),
        test_from=moment(data.starts[cut.test[0]]),
        test_to=moment(data.ends[cut.test[-1]]),
    )
    return Trained(artifact, version, report)


def proven(measures: dict[str, Measure]) -> dict[str, float]:
    """Return what was measured on rows not learned from, as facts that go along with an answer.

    ``skill`` over the base rate, its 95 % interval ``skill_low`` and ``skill_high``, and
    ``sessions``, how many it was measured on. Nothing of it where there is no interval.

    Examples
    --------
    >>> some = {"skill": Measure(value=0.03, n=500, low=-0.01, high=0.05)}
    >>> proven(some | {"sessions": Measure(value=250.0, n=250)})
    {'skill': 0.03, 'skill_low': -0.01, 'skill_high': 0.05, 'sessions': 250.0}
    >>> proven({"skill": Measure(value=0.03, n=20)})
    {}
    """
    skill, sessions = measures.get("skill"), measures.get("sessions")
    if skill is None or skill.low is None or skill.high is None or sessions is None:
        return {}
    return {
        "skill": skill.value,
        "skill_low": skill.low,
        "skill_high": skill.high,
        "sessions": sessions.value,
    }


def examine(
    name: str, data: Dataset, cut: Split, seed: int, resamples: int = RESAMPLES
) -> dict[str, Measure]:
    """Fit on the training part of a split and measure on its test, beside the two rivals."""
    known, judged = data.take(cut.train), data.take(cut.test)
    model = fitted(name, known, seed)
    return score(
        model.predict(judged.X),
        judged.y,
        judged.starts,
        rivals(known, judged),
        np.random.default_rng([seed, len(data)]),
        block(model.target.horizon, len(np.unique(judged.starts))),
        resamples,
    )


def fitted(name: str, known: Dataset, seed: int) -> Model:
    """Return a model that has learned from these rows, as many of them as it learns from."""
    model = catalog.create(name, seed)
    learned = known.every(model.stride)
    return model.fit(learned.X, learned.label)


def rivals(known: Dataset, judged: Dataset) -> dict[str, FloatArray]:
    """Return what a model must beat, as probabilities for the judged rows.

    ``base`` is the base rate of the known rows; of each strike distance where there are several,
    for a model that merely knows that far is safer than near has learned nothing. ``logistic`` is
    a standardised logistic regression, scaler and all fitted on the known rows.
    """
    kind, place = _distances(known), _distances(judged)
    base = np.full(len(judged), known.y.mean())
    for distance in np.unique(kind):
        base[place == distance] = known.y[kind == distance].mean()
    columns = [name for name in known.known if name in judged.known]
    x, asked = (part.X[columns].to_numpy(np.float64) for part in (known, judged))
    return {"base": base, "logistic": logistic(x, known.y, asked)}


def logistic(x: FloatArray, y: FloatArray, asked: FloatArray) -> FloatArray:
    """Return what a standardised logistic regression on (x, y) says of the rows `asked`.

    Newton's method on the log-likelihood with half a squared norm of the coefficients against it,
    which is scikit-learn's default without its 30 ms of checks: a replay trains a thousand times.
    Means and deviations are those of `x` alone.
    """
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1.0
    design = np.column_stack([np.ones(len(x)), (x - mean) / scale])
    penalty = np.ones(design.shape[1])
    penalty[0] = 0.0
    beta = np.zeros(design.shape[1])
    for _ in range(NEWTON):
        p = expit(design @ beta)
        gradient = design.T @ (p - y) + penalty * beta
        hessian = (design.T * (p * (1 - p))) @ design + np.diag(penalty + RIDGE)
        step = np.linalg.solve(hessian, gradient)
        beta -= step
        if np.abs(step).max() < PRECISION:
            break
    return expit(beta[0] + (asked - mean) / scale @ beta[1:])


def _distances(data: Dataset) -> FloatArray:
    found = data.X.get("strike_distance")
    return np.zeros(len(data)) if found is None else found.to_numpy(np.float64)


def earnings(data: Dataset, distances: tuple[float, ...]) -> dict[str, float]:
    """Return what winners earned and losers lost on average, in units of risk, after costs.

    ``gain`` is the mean result of the rows that came true, ``loss`` minus that of the others, and
    the same at each distance. A side without a priced row is left out.
    """
    facts, kind = _sides(data.y, data.r), _distances(data)
    for distance in distances:
        here = np.isclose(kind, distance)
        sides = _sides(data.y[here], data.r[here])
        facts |= {at(side, distance): value for side, value in sides.items()}
    return facts


def covered(panel: Panel, target: Target, asof: datetime, costs: Costs) -> dict[str, float]:
    """Return how calls that were sold against the index came out, of every bar known at `asof`.

    For who learns of puts: the other half of a wheel, of which nothing is predicted. At each
    distance ``call_rate`` is the share that brought anything after costs, ``call_gain`` and
    ``call_loss`` what those brought and the others lost on average, in units of risk, and
    ``call_n`` how many there were. A distance at which all won, or none, is left out.
    """
    if target.name != "above":
        return {}
    key = (covered, target, costs)
    if key not in panel.memo:
        panel.memo[key] = labels.wheeled(panel, target, costs, "covered_call")
    known = max(window.index(panel, asof) + 1 - target.horizon, 0)
    results: FloatArray = panel.memo[key][:known, 0, :]
    facts: dict[str, float] = {}
    for distance, column in zip(target.distances, results.T, strict=True):
        r = column[np.isfinite(column)]
        sides = _sides((r > 0).astype(np.float64), r)
        if len(sides) == 2:
            told = sides | {"rate": float((r > 0).mean()), "n": float(len(r))}
            facts |= {at(f"call_{name}", distance): value for name, value in told.items()}
    return facts


def _sides(y: FloatArray, r: FloatArray) -> dict[str, float]:
    priced = np.isfinite(r)
    won, lost = r[priced & (y > 0)], r[priced & (y == 0)]
    facts = {"gain": float(won.mean())} if len(won) else {}
    return facts | ({"loss": -float(lost.mean())} if len(lost) else {})


def moment(time: np.datetime64) -> datetime:
    """Return a bar's time as a moment in UTC."""
    naive: datetime = time.astype("datetime64[s]").astype(datetime)
    return naive.replace(tzinfo=UTC)
