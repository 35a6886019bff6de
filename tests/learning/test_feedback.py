"""Every prediction meets its outcome, by decision id, at its own horizon."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain import examples
from domain.decision import Draft, OmegaDecision
from learning import labels
from learning.feedback import Forecast, outcomes, verified
from learning.trainer import moment
from market.panel import Panel
from models.base import Target

END = datetime(2018, 12, 31, 21, tzinfo=UTC)


def forecast(panel: Panel, bar: int, **fields: object) -> Forecast:
    plain: dict[str, object] = {
        "decision_id": f"fortress-SPX-{bar}",
        "model": "wisdom",
        "version": "0" * 12,
        "target": "survives",
        "horizon": 5,
        "symbol": "SPX",
        "bar": moment(panel.times[bar]),
        "distance": 1.0,
        "probability": 0.9,
        "base_rate": 0.83,
    }
    return Forecast(**(plain | fields))


def test_an_outcome_is_the_label_that_training_would_use(packaged: Panel) -> None:
    bars = range(100, 1252, 50)
    found = outcomes(packaged, [forecast(packaged, bar) for bar in bars], END)
    truth = labels.outcomes(packaged, Target("survives", 5, "index", (1.0,)))[list(bars), 0, 0]
    assert [o.happened for o in found] == truth.astype(bool).tolist()
    assert [o.at for o in found] == [moment(packaged.times[bar + 5]) for bar in bars]
    assert [o.decision_id for o in found] == [f"fortress-SPX-{bar}" for bar in bars]


def test_a_stocks_outcome_is_its_own(packaged: Panel) -> None:
    asked = [
        forecast(
            packaged, 700, model="xgb", target="rises", horizon=10, symbol=symbol, distance=None
        )
        for symbol in packaged.symbols
    ]
    found = outcomes(packaged, asked, END)
    rose = packaged.close[710] > packaged.close[700]
    assert [o.happened for o in found] == rose.tolist()
    assert len(set(rose)) == 2


def test_a_horizon_that_has_not_passed_is_pending(packaged: Panel) -> None:
    asked = [forecast(packaged, 700)]
    decided = moment(packaged.times[705])
    assert outcomes(packaged, asked, decided - timedelta(seconds=1)) == []
    [found] = outcomes(packaged, asked, decided)
    assert found.at == decided
    assert outcomes(packaged, [forecast(packaged, 1254)], END) == []


def test_what_the_panel_does_not_know_stays_pending(packaged: Panel) -> None:
    blind = replace(packaged, series={}, memo={})
    assert outcomes(blind, [forecast(packaged, 700)], END) == []
    strangers = [
        forecast(packaged, 700, symbol="ZZZ"),
        forecast(packaged, 700, distance=None),
        *(
            forecast(packaged, 700).model_copy(update={"bar": bar})
            for bar in (moment(packaged.times[700]) + timedelta(hours=1), END + timedelta(days=9))
        ),
    ]
    assert outcomes(packaged, strangers, END) == []


def test_the_outcome_does_not_depend_on_when_it_is_looked_up(packaged: Panel) -> None:
    asked = [forecast(packaged, bar) for bar in (200, 500)]
    soon = outcomes(packaged, asked, moment(packaged.times[505]))
    assert soon == outcomes(packaged, asked, END)


def test_every_answer_in_a_decision_is_a_forecast_even_if_nothing_was_traded() -> None:
    answers = (
        examples.prediction(0.9),
        examples.prediction(None, "prophet-condor"),
        examples.prediction(0.8, "prophet"),
    )
    draft = Draft(context=examples.context(), predictions=answers)
    decision = OmegaDecision.seal(draft)
    assert decision.quantity == 0
    made = Forecast.of(decision)
    assert [(f.model, f.probability, f.horizon) for f in made] == [
        ("wisdom", 0.9, 5),
        ("prophet", 0.8, 5),
    ]
    assert made[0].decision_id == decision.id
    assert made[0].distance == decision.context.bot.distance
    assert made[0].base_rate == 0.83


def test_an_answer_without_a_base_rate_is_nothing_to_judge_by() -> None:
    bare = examples.prediction(0.9).model_copy(update={"facts": {}})
    decision = OmegaDecision.seal(Draft(context=examples.context(), predictions=(bare,)))
    assert Forecast.of(decision) == ()


def test_live_predictions_are_measured_like_a_training(packaged: Panel) -> None:
    bars = range(100, 1250)
    truth = labels.outcomes(packaged, Target("survives", 5, "index", (1.0,)))[:, 0, 0]
    knows = [forecast(packaged, bar, probability=0.95 if truth[bar] else 0.6) for bar in bars]
    measures = verified(outcomes(packaged, knows, END), 5, np.random.default_rng(0))
    assert measures["auc"].value == 1.0
    assert measures["skill"].low is not None
    assert measures["skill"].low > 0
    assert measures["sessions"].value == len(bars)
    assert measures["brier"].value == pytest.approx(
        np.mean(np.where(truth[100:1250] == 1, 0.05, 0.6) ** 2), abs=1e-6
    )
    assert verified([], 5, np.random.default_rng(0)) == {}
