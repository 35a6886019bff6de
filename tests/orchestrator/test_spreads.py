"""Debit spreads: a setup of gamma, ORION's side, the spread of that side, its measured payoff."""

from typing import Any

import pytest

from domain.decision import Context, Draft, Effect, Reason
from domain.errors import SettingsError
from domain.examples import book, context, prediction, surface
from domain.values import Action
from orchestrator.layers.advisor import advisor
from orchestrator.layers.inference import inference
from orchestrator.layers.sizing import payoff, sizing
from trading.bots.catalog import BOTS
from trading.strategies import catalog as strategies
from trading.strategies import spread

FLOOR = {
    "vix": 17.0,
    "gex_ratio_log": -0.3,
    "gex_distance_to_put_wall_pct": 0.4,
    "gex_distance_to_call_wall_pct": 1.9,
}
"""Calls outweigh puts, and the put wall is near: a floor."""
CEILING = {
    "vix": 17.0,
    "gex_ratio_log": 0.4,
    "gex_distance_to_put_wall_pct": 2.5,
    "gex_distance_to_call_wall_pct": 0.6,
}


def day(known: dict[str, float], name: str = "solomon", **fields: Any) -> Context:
    steep = surface(sigmas={1: 0.15, 5: 0.15, 10: 0.15, 21: 0.15})
    return context(**{"bot": BOTS[name], "features": known, "surface": steep} | fields)


def heard(known: dict[str, float], up: float | None, down: float | None, **fields: Any) -> Draft:
    facts = {"gain": 1.4, "loss": 0.9}
    said = (prediction(up, "orion-up", **facts), prediction(down, "orion-down", **facts))
    return Draft(context=day(known, **fields), predictions=said)


def test_a_floor_is_bought_and_a_ceiling_is_sold() -> None:
    assert strategies.setup(day(FLOOR)).action is Action.BUY
    assert strategies.setup(day(CEILING)).action is Action.SELL
    assert "put wall is 0.40 % away" in strategies.setup(day(FLOOR)).reason


@pytest.mark.parametrize(
    "change",
    [
        {"vix": 11.9},
        {"vix": 35.1},
        {"gex_ratio_log": 0.0},
        {"gex_distance_to_put_wall_pct": 1.1},
        {"gex_distance_to_put_wall_pct": -1.1},
    ],
)
def test_any_gate_that_is_shut_holds(change: dict[str, float]) -> None:
    assert strategies.setup(day(FLOOR | change)).action is Action.HOLD


def test_gideon_asks_for_more_gamma_than_solomon() -> None:
    between = FLOOR | {"gex_ratio_log": -0.2}  # puts have 0.82 of the gamma of calls
    assert strategies.setup(day(between)).action is Action.BUY
    assert strategies.setup(day(between, "gideon")).action is Action.HOLD


def test_without_gamma_it_holds_and_says_what_to_import() -> None:
    blind = Draft(context=day({"vix": 17.0}, unknown=("gex_ratio_log",)))
    said = inference(blind).veto
    assert said is not None
    assert said.code is Reason.FEATURE_UNKNOWN
    assert "unavailable: import a GEX history and option chains" in said.reason


def test_without_orion_it_holds_and_says_so() -> None:
    said = inference(heard(FLOOR, None, 0.2)).veto
    assert said is not None
    assert said.code is Reason.UNTRAINED


@pytest.mark.parametrize(
    ("up", "down", "code"),
    [
        (0.30, 0.28, Reason.NO_CONSENSUS),
        (0.20, 0.45, Reason.NO_CONSENSUS),
        (0.36, 0.20, None),
    ],
)
def test_orion_must_see_the_setups_side(up: float, down: float, code: Reason | None) -> None:
    veto = inference(heard(FLOOR, up, down)).veto
    assert (veto.code if veto else None) is code


def test_the_spread_is_of_the_side_and_is_bought() -> None:
    for known, up, down, structure, side in (
        (FLOOR, 0.45, 0.2, "bull_call", 1),
        (CEILING, 0.2, 0.45, "bear_put", -1),
    ):
        draft = advisor(inference(heard(known, up, down)))
        assert not draft.vetoed
        assert draft.proposal is not None
        assert (draft.proposal.structure, draft.proposal.side) == (structure, side)
        assert draft.action is draft.proposal.action is Action.BUY
        assert draft.proposal.entry < 0
        assert draft.probability == 0.45


def test_prophet_on_the_other_side_halves_either_bet() -> None:
    for known, up, down, against in ((FLOOR, 0.45, 0.2, 0.4), (CEILING, 0.2, 0.45, 0.6)):
        plain = heard(known, up, down)
        warned = plain.model_copy(
            update={"predictions": (*plain.predictions, prediction(against, "prophet-directional"))}
        )
        assert advisor(inference(plain)).scale == 1.0
        assert advisor(inference(warned)).scale == 0.5


@pytest.mark.parametrize(
    ("others", "scale"),
    [
        ({"pattern": 0.4}, 0.5),
        ({"pattern": 0.5}, 1.0),
        ({"gex-bullish": 0.2, "gex-bearish": 0.31}, 0.5),
        ({"gex-bullish": 0.2, "gex-bearish": 0.29}, 1.0),
        ({"gex-bearish": 0.9}, 1.0),
        ({"pattern": 0.4, "prophet-directional": 0.4}, 0.5),
    ],
)
def test_whoever_sees_a_fall_halves_a_bet_on_a_rise_and_two_no_more_than_one(
    others: dict[str, float], scale: float
) -> None:
    plain = heard(FLOOR, 0.45, 0.2)
    said = tuple(prediction(p, model) for model, p in others.items())
    draft = plain.model_copy(update={"predictions": (*plain.predictions, *said)})
    assert advisor(inference(draft)).scale == scale


def test_what_a_side_brings_is_what_its_own_model_measured() -> None:
    said = (
        prediction(0.2, "orion-up", gain=9.0, loss=0.1),
        prediction(0.45, "orion-down", gain=1.4, loss=0.9),
    )
    draft = advisor(inference(Draft(context=day(CEILING), predictions=said)))
    assert draft.proposal is not None
    assert payoff(draft, draft.proposal) == (1.4, 0.9)


def test_no_edge_is_no_size() -> None:
    draft = advisor(inference(heard(FLOOR, 0.36, 0.2)))  # 0.36 x 1.4 is less than 0.64 x 0.9
    said = sizing(draft).veto
    assert said is not None
    assert said.code is Reason.NO_EDGE


def test_an_edge_is_sized_within_the_risk_of_a_trade() -> None:
    draft = sizing(advisor(inference(heard(FLOOR, 0.6, 0.1, book=book(bots=4)))))
    assert not draft.vetoed
    assert draft.proposal is not None
    assert 0 < draft.quantity * draft.proposal.max_loss <= 0.02 * 100_000
    assert draft.verdicts[-1].effect is Effect.ADJUST


def test_too_little_reward_is_refused_with_its_number() -> None:
    greedy = BOTS["solomon"].model_copy(update={"min_reward": 50.0})
    said = sizing(advisor(inference(heard(FLOOR, 0.6, 0.1, bot=greedy)))).veto
    assert said is not None
    assert said.code is Reason.NO_REWARD
    assert "50 is the least" in said.reason


def test_a_bot_without_a_structure_on_a_side_is_a_setting_that_is_wrong() -> None:
    lame = BOTS["solomon"].model_copy(update={"structures": ("bull_call",)})
    with pytest.raises(SettingsError, match="no structure to sell with"):
        spread.chosen(day(CEILING, bot=lame), Action.SELL)
    with pytest.raises(SettingsError, match="needs vix_range"):
        spread.setup(day(FLOOR, bot=lame.model_copy(update={"vix_range": None})))
