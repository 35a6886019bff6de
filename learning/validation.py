"""Is a model any good: the whole walk-forward, year by year, on rows that no fit had seen.

Each calendar year, or month where bars within sessions are counted, is predicted by a fit that
learned from everything before it and nothing after, purged and embargoed, and so are the two
rivals. All years together give the verdict. There are four, and none of them is a default: what
cannot be measured is UNKNOWN.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from pydantic import AwareDatetime

from domain.book import Costs
from domain.errors import DataError, InsufficientData, ModelError, Refused, Unavailable
from domain.values import FloatArray, Value
from domain.version import Measure
from learning.dataset import Dataset, IntArray, labelled
from learning.significance import block, score
from learning.trainer import moment, rivals
from learning.walkforward import Split, forward
from market.panel import Panel, Times, Unit
from models import catalog
from models.availability import unavailable

RESAMPLES = 2000
WEEK = 390
"""Bars of five minutes in five sessions."""


class Health(StrEnum):
    """What a walk-forward says of a model."""

    ADDS = "adds"
    """The interval of its skill over the base rate lies above zero."""
    NOTHING = "adds nothing"
    """It covers zero."""
    WORSE = "worse"
    """It lies below zero."""
    UNKNOWN = "unknown"
    """It could not be measured."""


class Row(Value):
    """One line of the table: a year, or all of them."""

    label: str
    trained_on: int
    measures: dict[str, Measure]


class Validation(Value):
    """The walk-forward of one model, with all that is needed to repeat it."""

    model: str
    health: Health
    sentence: str
    distance: float | None = None
    """The one strike distance that was scored, or None for all."""
    data_hash: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    total: Row | None = None
    years: tuple[Row, ...] = ()


def validate(
    name: str,
    panel: Panel,
    asof: datetime,
    seed: int,
    costs: Costs,
    distance: float | None = None,
    sessions: int | None = None,
) -> Validation:
    """Walk a model forward through everything that was known at `asof`.

    Parameters
    ----------
    distance
        Score only rows at this strike distance; the model still learns from all of them.
    sessions
        Learn from the newest so many only; None for all there are.

    Returns
    -------
    Validation
        UNKNOWN, with the reason, where nothing could be measured.

    Raises
    ------
    Refused
        There is no such model, or it does not know the distance.
    """
    model = catalog.entry(name).load()
    horizon = model.target.horizon
    if distance is not None and distance not in model.target.distances:
        raise Refused(f"{name} learns distances {model.target.distances}; {distance} is not one")
    try:
        if why := unavailable(name, panel, asof):
            raise Unavailable(why)
        data = labelled(panel, model.target, model.features, asof, costs)
        years = _walk(name, data, seed, distance, sessions)
    except (ModelError, DataError) as error:
        sentence = f"{model.title} could not be measured: {error}"
        return Validation(model=name, health=Health.UNKNOWN, sentence=sentence, distance=distance)
    total = _together(list(years.values())).row("all", horizon, seed)
    health, sentence = _verdict(model.title, total.measures)
    return Validation(
        model=name,
        health=health,
        sentence=sentence,
        distance=distance,
        data_hash=data.hash,
        since=moment(data.starts[0]),
        until=moment(data.ends[-1]),
        total=total,
        years=tuple(told.row(year, horizon, seed) for year, told in years.items()),
    )


@dataclass(frozen=True, eq=False)
class _Told:
    """What was said of some rows by fits that had not seen them, and what came true."""

    trained_on: int
    p: FloatArray
    y: FloatArray
    starts: Times
    rivals: dict[str, FloatArray]

    def row(self, label: str, horizon: int, seed: int) -> Row:
        length = block(horizon, len(np.unique(self.starts)))
        rng = np.random.default_rng(seed)
        measures = score(self.p, self.y, self.starts, self.rivals, rng, length, RESAMPLES)
        return Row(label=label, trained_on=self.trained_on, measures=measures)


def _together(years: list[_Told]) -> _Told:
    return _Told(
        trained_on=years[-1].trained_on,
        p=np.concatenate([year.p for year in years]),
        y=np.concatenate([year.y for year in years]),
        starts=np.concatenate([year.starts for year in years]),
        rivals={
            name: np.concatenate([year.rivals[name] for year in years]) for name in years[0].rivals
        },
    )


def _walk(
    name: str, data: Dataset, seed: int, distance: float | None, sessions: int | None
) -> dict[str, _Told]:
    told = {}
    for year, cut in _steps(data, catalog.entry(name).target.unit).items():
        model, judged = catalog.create(name, seed), data.take(cut.test)
        known = data.take(_newest(data, cut.train, sessions))
        learned = known.every(model.stride)
        model.fit(learned.X, learned.label)
        p, against = model.predict(judged.X), rivals(known, judged)
        rows = np.ones(len(judged), bool)
        if distance is not None:
            rows = np.isclose(judged.X["strike_distance"].to_numpy(), distance)
        against = {name: values[rows] for name, values in against.items()}
        told[year] = _Told(len(learned), p[rows], judged.y[rows], judged.starts[rows], against)
    if not told:
        raise InsufficientData("no calendar year has 250 sessions before it, no month five of bars")
    return told


def _steps(data: Dataset, unit: Unit) -> dict[str, Split]:
    """Return a split for every year; of bars within sessions, of which few have years, months."""
    if unit == "session":
        return forward(data.starts, data.ends)
    return forward(data.starts, data.ends, WEEK, period="M")


def _newest(data: Dataset, rows: IntArray, sessions: int | None) -> IntArray:
    """Return the rows of the last so many sessions among these."""
    dates = np.unique(data.starts[rows])
    if sessions is None or sessions >= len(dates):
        return rows
    return rows[data.starts[rows] >= dates[-sessions]]


def _verdict(title: str, measures: dict[str, Measure]) -> tuple[Health, str]:
    skill = measures.get("skill")
    if skill is None or skill.low is None or skill.high is None:
        return Health.UNKNOWN, f"{title}: too few sessions for an interval of its skill"
    if skill.high < 0:
        return Health.WORSE, f"{title} is worse than the base rate: skill {skill}"
    if skill.low > 0:
        return Health.ADDS, f"{title} beats the base rate: skill {skill}"
    return Health.NOTHING, f"{title} adds nothing to the base rate: skill {skill} covers zero"
