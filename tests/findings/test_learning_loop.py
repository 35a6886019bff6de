"""Defects of the systems before this one, in how they learned and what they made of it.

Each test fails when its defect is put back.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from domain import examples
from domain.book import Costs
from domain.decision import Draft, OmegaDecision
from domain.version import Measure, Version
from learning import trainer
from learning.dataset import Dataset, labelled
from learning.feedback import Forecast, outcomes
from learning.promotion import judge
from learning.trainer import examine, train
from learning.validation import Health, validate
from learning.walkforward import holdout
from market import window
from market.features import compute
from market.feeds.packaged import Packaged
from market.panel import Panel
from models.wisdom import Wisdom
from storage.registry import Ruling

ASOF = datetime(2017, 12, 31, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Packaged().panel()


@pytest.fixture(scope="module")
def data(panel: Panel) -> Dataset:
    return labelled(panel, Wisdom.target, Wisdom.features, ASOF, Costs())


def test_a_default_never_stands_in_for_a_measurement(panel: Panel) -> None:
    """Auto-Validation reported .65/.55 of models it could not ask, and called them healthy."""
    short = window.until(panel, datetime(2014, 12, 1, tzinfo=UTC))
    told = validate("wisdom", short, datetime(2014, 12, 1, tzinfo=UTC), 7, Costs())
    assert told.health is Health.UNKNOWN
    assert told.total is None


def test_a_row_is_trained_on_the_bits_that_serve(panel: Panel, data: Dataset) -> None:
    """Win rates were over trades in training and over calendar days when serving."""
    bar = data.starts[-1].astype(datetime).replace(tzinfo=UTC)
    served = compute.newest(window.until(panel, bar), Wisdom.market_features())["SPX"]
    for name, value in served.items():
        assert data.X[name].iloc[-1] == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_no_label_is_used_before_it_is_known(panel: Panel, data: Dataset) -> None:
    """VRP windows and vix_close held the very day that they were to predict."""
    assert data.ends.max() <= np.datetime64("2017-12-31T22:00")
    assert (data.ends > data.starts).all()
    later = panel.times > np.datetime64("2017-12-31T22:00")
    mad = replace(panel, series={"VIX": np.where(later, 80.0, panel.series["VIX"])}, memo={})
    assert labelled(mad, Wisdom.target, Wisdom.features, ASOF, Costs()).hash == data.hash


def test_the_split_is_by_time_and_purged(data: Dataset) -> None:
    """Random train_test_split on overlapping outcomes; Brier scores in-sample."""
    cut = holdout(data.starts, data.ends)
    assert data.ends[cut.train].max() < data.starts[cut.test].min()
    assert data.starts[cut.test].min() > data.starts[cut.train].max()


def test_nothing_is_fitted_on_what_it_is_judged_by(data: Dataset) -> None:
    """The scaler saw everything before the split, and calibration the data it was fitted on.

    Whatever the hold-out says, what is said of it stays the same.
    """
    cut = holdout(data.starts, data.ends)
    known, judged = data.take(cut.train), data.take(cut.test)
    upside_down = replace(judged, y=1 - judged.y)
    for name, said in trainer.rivals(known, judged).items():
        np.testing.assert_array_equal(said, trainer.rivals(known, upside_down)[name])
    y = data.y.copy()
    y[cut.test] = 1 - y[cut.test]
    right, wrong = (examine("wisdom", d, cut, 7) for d in (data, replace(data, y=y)))
    assert right["auc"].value == pytest.approx(1 - wrong["auc"].value, abs=1e-6)
    mean, scale = known.X["vix"].mean(), known.X["vix"].std()
    louder = data.X.copy()
    louder.iloc[cut.test[1:], louder.columns.get_loc("vix")] = np.float32(mean + 50 * scale)
    moved = replace(data, X=louder).take(cut.test)
    first = trainer.rivals(known, moved)["logistic"][0]
    assert first == trainer.rivals(known, judged)["logistic"][0]


def test_a_version_is_judged_before_it_is_live(panel: Panel) -> None:
    """CLM v3 restarted the engine with the new model, and evaluated two constants later."""
    trained = train("wisdom", panel, ASOF, 7, Costs())
    assert {"brier", "auc", "skill", "parity"} <= set(trained.version.measures)
    unmeasured = trained.version.model_copy(update={"measures": {}})
    assert judge(unmeasured, None).ruling is Ruling.REJECT


def test_a_gate_says_no_to_what_is_worse_than_the_base_rate(panel: Panel) -> None:
    """Accuracy of 35 % and a Sharpe that was a constant were enough to be promoted."""
    trained = train("wisdom", panel, ASOF, 7, Costs())
    bad = trained.version.measures | {"skill": Measure(value=-0.1, n=500, low=-0.2, high=-0.01)}
    version: Version = trained.version.model_copy(update={"measures": bad})
    assert judge(version, None).ruling is Ruling.REJECT


def test_an_outcome_names_its_decision_and_its_version(panel: Panel) -> None:
    """The last hundred predictions and the last hundred outcomes were compared unpaired."""
    context = examples.context(bar=panel.times[700].astype(datetime).replace(tzinfo=UTC))
    said = (examples.prediction(0.9), examples.prediction(0.7, "prophet"))
    decision = OmegaDecision.seal(Draft(context=context, predictions=said))
    found = outcomes(panel, Forecast.of(decision), ASOF)
    assert [(o.decision_id, o.model, o.version, o.probability) for o in found] == [
        (decision.id, "wisdom", said[0].version, 0.9),
        (decision.id, "prophet", said[1].version, 0.7),
    ]


def test_the_horizon_of_an_outcome_is_fixed(panel: Panel) -> None:
    """DISCERNMENT took the price of whenever it looked, 24 hours to 7 days later."""
    context = examples.context(bar=panel.times[700].astype(datetime).replace(tzinfo=UTC))
    decision = OmegaDecision.seal(Draft(context=context, predictions=(examples.prediction(),)))
    asked = Forecast.of(decision)
    looks: list[Callable[[], object]] = [
        lambda k=k: outcomes(panel, asked, panel.times[k].astype(datetime).replace(tzinfo=UTC))
        for k in (705, 706, 900)
    ]
    first, second, third = (look() for look in looks)
    assert first
    assert first == second == third


def test_no_accuracy_without_the_base_rate_beside_it(panel: Panel) -> None:
    """Win rates of 89 % were told as a model's merit; they are what the strikes give away."""
    trained = train("wisdom", panel, ASOF, 7, Costs())
    measures = trained.version.measures
    assert {"brier_base", "brier_logistic", "base_rate"} <= set(measures)
    assert measures["brier"].n == measures["brier_base"].n
    assert "accuracy" not in measures
