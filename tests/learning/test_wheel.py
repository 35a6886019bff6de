"""What puts and covered calls earned, priced by hand, and what a champion knows of the calls."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from domain.book import Costs
from learning import labels
from learning.trainer import Trained, covered, moment, train
from market import pricing, window
from market.panel import Panel
from models.wheel import Wheel
from models.wisdom import Wisdom
from trading.bots.catalog import BOTS
from trading.costs import expiry_costs, unit_costs
from trading.structures.base import payoff, value
from trading.structures.catalog import propose

COSTS, ABOVE = Costs(), Wheel.target
BOT = BOTS["cornerstone"]
ASOF = datetime(2018, 12, 31, 22, tzinfo=UTC)
WORST = 1190
"""2018-09-25: the index fell by a tenth within the 21 sessions after."""
EACH = pytest.mark.parametrize("structure", BOT.structures)


@pytest.fixture(scope="module")
def champion(packaged: Panel) -> Trained:
    return train("wheel", packaged, ASOF, 7, COSTS)


@EACH
@pytest.mark.parametrize("t", [100, 500, WORST])
def test_a_position_of_the_wheel_earns_what_it_pays_at_expiry(
    packaged: Panel, structure: str, t: int
) -> None:
    r = labels.wheeled(packaged, ABOVE, COSTS, structure)[t, 0]
    cut, opened, last = labels._surfaces(packaged)[t], packaged.open[t + 1, 0], t + 21
    close = packaged.close[last, 0]
    for result, distance in zip(r, ABOVE.distances, strict=True):
        bot = BOT.model_copy(update={"distance": distance})
        unit = propose(structure, bot, cut, 21, packaged.series["VIX"][t], COSTS)
        entry = -value(unit.legs, pricing.shifted(cut, opened), 21)
        both = unit_costs(unit.legs, opened, COSTS, 10.0) + expiry_costs(
            unit.legs, close, COSTS, 10.0
        )
        risk = unit.max_loss + (unit.entry - entry) * 10
        assert result == pytest.approx(((entry + payoff(unit.legs, close)) * 10 - both) / risk)


@EACH
def test_what_has_no_stop_is_the_same_carried_through_every_bar(
    packaged: Panel, structure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    year = window.until(packaged, moment(packaged.times[320]))
    short = labels.wheeled(year, ABOVE, COSTS, structure)
    # a stop that nothing reaches, and every bar is looked at
    watched = BOT.model_copy(update={"stop_multiple": 1e9})
    monkeypatch.setitem(labels.BOTS, "cornerstone", watched)
    np.testing.assert_allclose(labels.wheeled(year, ABOVE, COSTS, structure), short, rtol=1e-12)
    assert np.isfinite(short).sum() > 800


def test_a_put_that_holds_brings_its_credit_and_one_that_does_not_may_lose_more(
    packaged: Panel,
) -> None:
    r, y = labels.results(packaged, ABOVE, COSTS)[:, 0], labels.outcomes(packaged, ABOVE)[:, 0]
    known = np.isfinite(r) & np.isfinite(y)
    assert (r[known & (y == 1)] > 0).all()
    assert 0.0 < r[known & (y == 1)].max() < 0.06
    assert r[known & (y == 0)].min() < -0.07
    # further out both less is earned and less is lost
    assert (np.diff([r[known[:, i] & (y[:, i] == 1), i].mean() for i in range(3)]) < 0).all()


@EACH
def test_rows_whose_expiry_is_not_known_have_no_result(packaged: Panel, structure: str) -> None:
    r = labels.wheeled(packaged, ABOVE, COSTS, structure)
    assert np.isnan(r[-21:]).all()
    assert np.isfinite(r[-22]).all()
    blind = replace(packaged, series={}, memo={})
    assert np.isnan(labels.wheeled(blind, ABOVE, COSTS, structure)).all()


def test_a_desk_without_a_wheel_prices_none(
    packaged: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(labels.BOTS, "cornerstone")
    assert np.isnan(labels.results(packaged, ABOVE, COSTS)).all()
    assert covered(replace(packaged, memo={}), ABOVE, ASOF, COSTS) == {}


def test_a_champion_knows_how_calls_came_out(champion: Trained, packaged: Panel) -> None:
    r = labels.wheeled(packaged, ABOVE, COSTS, "covered_call")[:, 0]
    for i, distance in enumerate(ABOVE.distances):
        known, facts = r[np.isfinite(r[:, i]), i], champion.artifact.about(distance)
        assert facts["call_n"] == len(known)
        assert facts["call_rate"] == pytest.approx((known > 0).mean())
        assert facts["call_gain"] == pytest.approx(known[known > 0].mean())
        assert facts["call_loss"] == pytest.approx(-known[known <= 0].mean())
        edge = facts["call_rate"] * facts["call_gain"]
        edge -= (1 - facts["call_rate"]) * facts["call_loss"]
        assert edge == pytest.approx(known.mean())
    # of a distance that was never priced it says nothing
    assert "call_rate" not in champion.artifact.about(0.7)
    assert "call_rate" not in champion.artifact.about()
    assert {"gain", "loss"} <= champion.artifact.about(0.5).keys()


def test_calls_that_had_not_expired_are_not_known(packaged: Panel) -> None:
    asof = moment(packaged.times[800])
    cut = window.until(packaged, asof)
    assert covered(packaged, ABOVE, asof, COSTS) == covered(cut, ABOVE, asof, COSTS)
    first = covered(packaged, ABOVE, moment(packaged.times[800]), COSTS)
    second = covered(packaged, ABOVE, moment(packaged.times[801]), COSTS)
    assert second["call_n@0.5"] - first["call_n@0.5"] == 1.0
    assert covered(packaged, ABOVE, moment(packaged.times[20]), COSTS) == {}


def test_only_who_learns_of_puts_is_told_of_calls(packaged: Panel) -> None:
    assert covered(packaged, Wisdom.target, ASOF, COSTS) == {}
