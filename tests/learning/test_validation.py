"""A verdict is measured, or it is UNKNOWN."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.book import Costs
from domain.errors import Refused
from domain.version import Measure
from learning.validation import Health, _verdict, validate
from market.panel import Panel

ASOF = datetime(2019, 1, 1, tzinfo=UTC)


def test_wisdom_is_judged_at_one_expected_move_year_by_year(packaged: Panel) -> None:
    told = validate("wisdom", packaged, ASOF, 7, Costs(), distance=1.0)
    assert [row.label for row in told.years] == ["2016", "2017", "2018"]
    assert told.total is not None
    measures = told.total.measures
    assert measures["sessions"].value == measures["brier"].n == 749
    assert measures["base_rate"].value == pytest.approx(0.8411, abs=1e-4)
    # honest: this much can be known of five-session survival, and no more
    assert 0.45 < measures["auc"].value < 0.66
    assert abs(measures["skill"].value) < 0.08
    assert {"brier_base", "brier_logistic", "skill_logistic"} <= set(measures)
    assert told.health in (Health.NOTHING, Health.ADDS, Health.WORSE)
    assert told.data_hash
    assert told == validate("wisdom", packaged, ASOF, 7, Costs(), distance=1.0)


def test_a_signal_adds(made: Callable[..., Panel]) -> None:
    told = validate("wisdom", made(tells=True, sessions=1200), ASOF, 7, Costs())
    assert told.health is Health.ADDS
    assert "beats the base rate" in told.sentence


def test_noise_adds_nothing(made: Callable[..., Panel]) -> None:
    told = validate("wisdom", made(tells=False), ASOF, 7, Costs())
    assert told.health in (Health.NOTHING, Health.WORSE)


def test_what_cannot_be_measured_is_unknown(made: Callable[..., Panel]) -> None:
    told = validate("wisdom", made(tells=True, sessions=200), ASOF, 7, Costs())
    assert told.health is Health.UNKNOWN
    assert "could not be measured" in told.sentence
    assert (told.total, told.years) == (None, ())
    panel = made(tells=True)
    blind = replace(panel, series={}, memo={})
    assert validate("wisdom", blind, ASOF, 7, Costs()).health is Health.UNKNOWN
    early = datetime(2000, 1, 1, tzinfo=UTC)
    assert validate("wisdom", panel, early, 7, Costs()).health is Health.UNKNOWN


@pytest.mark.parametrize(
    ("low", "high", "health"),
    [
        (0.01, 0.05, Health.ADDS),
        (-0.01, 0.05, Health.NOTHING),
        (-0.05, -0.01, Health.WORSE),
        (None, None, Health.UNKNOWN),
    ],
)
def test_the_verdict_is_where_the_interval_lies(
    low: float | None, high: float | None, health: Health
) -> None:
    skill = Measure(value=0.02 if low is None else (low + (high or 0)) / 2, n=9, low=low, high=high)
    assert _verdict("WISDOM", {"skill": skill})[0] is health
    assert _verdict("WISDOM", {})[0] is Health.UNKNOWN


def test_a_distance_that_was_never_learned_is_refused(packaged: Panel) -> None:
    with pytest.raises(Refused, match="is not one"):
        validate("wisdom", packaged, ASOF, 7, Costs(), distance=3.0)
    with pytest.raises(Refused, match="no model"):
        validate("oracle", packaged, ASOF, 7, Costs())
