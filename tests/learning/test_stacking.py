"""Answers of one model as features of another: never of bars that the model had learned from."""

from dataclasses import replace

import numpy as np
import pytest

from domain.book import Costs
from learning import dataset
from learning.trainer import moment
from market import window
from market.panel import Panel
from models.base import FROM_MODELS, Target


@pytest.fixture(scope="module")
def gamma(packaged: Panel) -> Panel:
    """Return the packaged history with a made-up gamma series, which ORION learns from."""
    net = np.random.default_rng(3).normal(size=len(packaged))
    series = {**packaged.series, "GEX_NET": net}
    return replace(packaged, series=series, memo={})


@pytest.mark.parametrize("name", FROM_MODELS.values())
def test_answers_are_probabilities_from_the_second_year_on(gamma: Panel, name: str) -> None:
    said = dataset.stacked(gamma, name, Costs())
    years = gamma.times.astype("datetime64[Y]").astype(int) + 1970
    assert np.isnan(said[years == 2014]).all()
    assert np.isfinite(said[years >= 2016]).all()
    known = said[np.isfinite(said)]
    assert ((known > 0) & (known < 1)).all()
    assert len(np.unique(known)) > 20


def test_what_comes_later_changes_no_answer(gamma: Panel) -> None:
    whole = dataset.stacked(gamma, "orion-up", Costs())
    for cut in (600, 754, 755, 900):
        part = window.until(gamma, moment(gamma.times[cut - 1]))
        part = replace(part, memo={})
        np.testing.assert_array_equal(dataset.stacked(part, "orion-up", Costs()), whole[:cut])


def test_a_label_that_was_not_known_by_the_year_cannot_have_been_learned(gamma: Panel) -> None:
    """Turn every label of a year round: the answers of that year stay, those of the next move."""
    years = gamma.times.astype("datetime64[Y]").astype(int) + 1970
    year = np.flatnonzero(years == 2016)
    turned = {name: getattr(gamma, name).copy() for name in ("open", "close", "high", "low")}
    inside = year[1:-1]
    turned["open"][inside, 0], turned["close"][inside, 0] = (
        gamma.close[inside, 0],
        gamma.open[inside, 0],
    )
    other = replace(gamma, memo={}, **turned)
    before, after = (dataset.stacked(panel, "orion-up", Costs()) for panel in (gamma, other))
    first = year[0]
    assert before[first] == after[first]
    assert not np.array_equal(before[years == 2017], after[years == 2017])


def test_without_what_the_other_model_is_about_the_feature_is_absent(packaged: Panel) -> None:
    assert np.isnan(dataset.stacked(packaged, "orion-up", Costs())).all()
    target = Target("rises", 5, "index")
    asof = moment(packaged.times[-1])
    data = dataset.labelled(packaged, target, ("vix", "orion_up"), asof, Costs())
    assert data.known == ("vix",)


def test_a_stacked_feature_is_that_of_its_bar(gamma: Panel) -> None:
    target = Target("rises", 5, "index")
    asof = moment(gamma.times[-1])
    data = dataset.labelled(gamma, target, ("vix", "orion_up"), asof, Costs())
    said = dataset.stacked(gamma, "orion-up", Costs())
    place = np.searchsorted(gamma.times, data.starts)
    np.testing.assert_allclose(data.X["orion_up"], said[place], rtol=1e-6)
