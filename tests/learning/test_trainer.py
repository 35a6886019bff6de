"""Training: what is told of a version was measured where it had not looked."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from domain.book import Costs
from domain.errors import InsufficientData, Unavailable
from domain.version import Stage
from learning import trainer
from learning.dataset import Dataset, labelled
from learning.promotion import beats_base
from learning.trainer import Trained, examine, train
from learning.walkforward import holdout
from market.features import compute
from market.panel import Panel
from models import availability
from models.onnx import Served
from models.wisdom import Wisdom

COSTS = Costs()
ASOF = datetime(2017, 12, 31, 22, tzinfo=UTC)
LATER = datetime(2019, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def wisdom(packaged: Panel) -> Trained:
    return train("wisdom", packaged, ASOF, 7, COSTS)


def samples(panel: Panel) -> Dataset:
    return labelled(panel, Wisdom.target, Wisdom.features, LATER, COSTS)


def judged(data: Dataset, seed: int = 7) -> dict[str, float]:
    cut = holdout(data.starts, data.ends)
    told = examine("wisdom", data, cut, seed)
    return {"auc": told["auc"].value, "skill": told["skill"].value, "low": told["skill"].low or 0.0}


def test_a_version_names_its_window_its_data_and_its_content(
    wisdom: Trained, packaged: Panel
) -> None:
    version, artifact = wisdom.version, wisdom.artifact
    assert (version.model, version.version, version.sha256) == (
        "wisdom",
        artifact.version,
        artifact.sha256,
    )
    assert version.stage is Stage.CANDIDATE
    data = labelled(packaged, Wisdom.target, Wisdom.features, ASOF, COSTS)
    assert (version.n, version.data_hash) == (len(data), data.hash)
    assert version.trained_from == trainer.moment(packaged.times[64])
    assert version.trained_to == datetime(2017, 12, 29, 21, tzinfo=UTC)
    assert version.trained_at == ASOF
    assert "gex_normalized" in version.absent
    assert version.features == artifact.features == data.known


def test_every_measure_carries_its_sample_and_its_interval(wisdom: Trained) -> None:
    measures = wisdom.version.measures
    assert {
        *("brier", "brier_base", "brier_logistic", "auc", "log_loss", "base_rate"),
        *("skill", "skill_logistic", "sessions", "parity"),
    } == set(measures)
    assert measures["brier"].n == wisdom.report.judged_on
    for name in ("brier", "auc", "skill"):
        low, value, high = measures[name].low, measures[name].value, measures[name].high
        assert low is not None
        assert high is not None
        assert low <= value <= high
    assert measures["parity"].value <= 1e-5


def test_the_holdout_lies_behind_the_purge_and_the_embargo(
    wisdom: Trained, packaged: Panel
) -> None:
    report = wisdom.report
    assert report.rows == report.trained_on + report.purged + report.judged_on
    assert report.purged == 3 * (5 + 5 - 1)
    assert report.test_to == wisdom.version.trained_to
    sessions = wisdom.version.measures["sessions"].value
    assert sessions == pytest.approx(0.2 * report.rows / 3, abs=1)


def test_the_same_panel_moment_and_seed_give_the_same_version(
    wisdom: Trained, packaged: Panel
) -> None:
    again = train("wisdom", replace(packaged, memo={}), ASOF, 7, COSTS)
    assert again.artifact.to_bytes() == wisdom.artifact.to_bytes()
    assert again.version == wisdom.version
    other = train("wisdom", packaged, ASOF, 8, COSTS)
    assert other.version.version != wisdom.version.version


def test_an_artifact_knows_what_winners_earn_and_losers_lose(
    wisdom: Trained, packaged: Panel
) -> None:
    data = labelled(packaged, Wisdom.target, Wisdom.features, ASOF, COSTS)
    facts, wide = wisdom.artifact.about(1.2), np.isclose(data.X["strike_distance"], 1.2)
    assert facts["gain"] == pytest.approx(data.r[wide & (data.y == 1)].mean())
    assert facts["loss"] == pytest.approx(-data.r[wide & (data.y == 0)].mean())
    assert facts["base_rate"] == pytest.approx(data.y[wide].mean())
    assert facts["n"] == wide.sum()
    assert facts["gain"] < wisdom.artifact.about(0.8)["gain"]
    assert {"low", "high"} <= set(facts)


def test_an_artifact_tests_itself_and_knows_its_features_definition(wisdom: Trained) -> None:
    artifact = wisdom.artifact
    assert artifact.golden
    Served(artifact).self_test()
    market = [name for name in artifact.features if name != "strike_distance"]
    assert artifact.schema_hash == compute.schema_hash(market)


def test_the_future_of_the_panel_does_not_reach_a_version(wisdom: Trained, packaged: Panel) -> None:
    after = packaged.times > np.datetime64("2017-12-31")
    close = np.where(after[:, None], 1.0, packaged.close)
    other = replace(packaged, close=close, memo={})
    assert train("wisdom", other, ASOF, 7, COSTS).version == wisdom.version


def test_a_planted_signal_is_found(made: Callable[..., Panel]) -> None:
    told = judged(samples(made(tells=True, sessions=1200)))
    assert told["auc"] > 0.7
    assert told["low"] > 0


def test_labels_from_another_year_are_worth_the_base_rate(made: Callable[..., Panel]) -> None:
    data = samples(made(tells=True))
    moved = replace(data, y=np.roll(data.y, 3 * 250))
    told = judged(moved)
    assert told["low"] <= 0
    assert told["skill"] < 0.03


def test_a_future_without_a_past_is_worth_the_base_rate(made: Callable[..., Panel]) -> None:
    data = samples(made(tells=True))
    order = np.random.default_rng(3).permutation(len(data) // 3)
    shuffled = data.y.reshape(-1, 3)[order].ravel()
    assert judged(replace(data, y=shuffled))["low"] <= 0


def test_a_feature_that_peeks_would_be_seen(made: Callable[..., Panel]) -> None:
    data = samples(made(tells=False))
    X = data.X.copy()
    X["price_change_1d"] = np.float32(data.y)
    assert judged(replace(data, X=X))["auc"] > 0.99
    assert judged(data)["auc"] < 0.85  # strike distance alone; the peek is what made the rest


def test_noise_does_not_beat_the_base_rate(made: Callable[..., Panel]) -> None:
    """Chance would let 2.5 % through; among six, more than one has odds of one in 110."""
    passed = 0
    for seed in range(6):
        data = samples(made(tells=False, seed=seed, sessions=600))
        cut = holdout(data.starts, data.ends)
        passed += beats_base(examine("wisdom", data, cut, seed)["skill"])
    assert passed <= 1


def test_the_base_rate_to_beat_is_that_of_the_distance_and_of_the_past(
    made: Callable[..., Panel],
) -> None:
    data = samples(made(tells=False))
    cut = holdout(data.starts, data.ends)
    known, asked = data.take(cut.train), data.take(cut.test)
    base = trainer.rivals(known, asked)["base"]
    for distance in Wisdom.target.distances:
        was = known.y[np.isclose(known.X["strike_distance"], distance)].mean()
        np.testing.assert_allclose(base[np.isclose(asked.X["strike_distance"], distance)], was)


def test_the_logistic_rival_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, [1.0, 5.0, 0.1, 1.0], (500, 4))
    x[:, 3] = 2.0
    y = (rng.random(500) < 1 / (1 + np.exp(3 - x[:, 0]))).astype(float)
    asked = rng.normal(3.0, 2.0, (50, 4))
    theirs = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8)).fit(x, y)
    np.testing.assert_allclose(
        trainer.logistic(x, y, asked), theirs.predict_proba(asked)[:, 1], atol=1e-5
    )


def test_too_short_a_history_trains_nothing(made: Callable[..., Panel]) -> None:
    panel = made(tells=True, sessions=120)
    with pytest.raises(InsufficientData):
        train("wisdom", panel, LATER, 7, COSTS)


def test_an_artifact_carries_the_skill_that_was_measured_where_it_had_not_looked(
    wisdom: Trained,
) -> None:
    skill, facts = wisdom.version.measures["skill"], wisdom.artifact.facts
    assert (facts["skill"], facts["skill_low"], facts["skill_high"]) == (
        skill.value,
        skill.low,
        skill.high,
    )
    assert facts["sessions"] == wisdom.version.measures["sessions"].value


def test_a_model_whose_extra_is_not_installed_is_unavailable(
    packaged: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(availability.LIBRARIES, "deep", "torch_that_is_not_there")
    told = "nhits is unavailable: it needs the extra `deep` (`make deep`)"
    with pytest.raises(Unavailable, match=re.escape(told)):
        train("nhits", packaged, ASOF, 7, COSTS)
    assert availability.unavailable("xgb", packaged, ASOF) == ""
