"""DISCERNMENT: a view of three probabilities chooses among nine structures, or holds."""

from typing import Any

import pytest

from domain import examples
from domain.decision import Context, Draft, Prediction, Reason
from domain.examples import context, prediction
from domain.values import Action
from market import quotes
from orchestrator.layers.advisor import UNADVISED, advisor
from orchestrator.layers.inference import inference
from orchestrator.layers.sizing import payoff, sizing
from trading.bots.catalog import BOTS
from trading.strategies import scan
from trading.structures import catalog, odds

NINE = {
    "bull_call",
    "bull_put",
    "long_call",
    "bear_put",
    "bear_call",
    "long_put",
    "iron_condor",
    "iron_butterfly",
    "long_straddle",
}


def day(**fields: Any) -> Context:
    steep = examples.surface(sigmas={1: 0.15, 5: 0.15, 10: 0.15, 21: 0.15})
    plain = {"bot": BOTS["discernment"], "features": {"vix": 17.0}, "surface": steep}
    return context(**plain | {"book": examples.book(bots=4)} | fields)


def seen(up: float | None, down: float | None, *others: Prediction) -> Draft:
    said = (prediction(up, "discernment-up"), prediction(down, "discernment-down"), *others)
    return Draft(context=day(), predictions=said)


def test_it_may_trade_all_nine() -> None:
    assert set(BOTS["discernment"].structures) == set(catalog.NINE) == NINE


def test_a_view_that_is_the_markets_own_has_no_edge() -> None:
    board = scan.board(day())
    fall, _, rise = odds.classes(odds.lognormal(board.forward, quotes.deviation(board), 0.005))
    said = inference(seen(rise, fall))
    assert said.veto is not None
    assert said.veto.code is Reason.NO_EDGE
    assert "the best of nine is" in said.veto.reason


@pytest.mark.parametrize(
    ("up", "down", "side"), [(0.75, 0.05, 1), (0.05, 0.75, -1)], ids=["rise", "fall"]
)
def test_a_strong_view_is_traded_on_its_side(up: float, down: float, side: int) -> None:
    draft = sizing(advisor(inference(seen(up, down))))
    assert not draft.vetoed
    assert draft.proposal is not None
    assert draft.proposal.side == side
    assert draft.proposal.structure in NINE
    assert draft.proposal.simulated.startswith("simulated")
    assert draft.quantity >= 1
    assert draft.quantity * draft.proposal.max_loss <= 0.03 * 100_000
    assert draft.action is draft.proposal.action


def test_a_view_of_nothing_happening_sells_premium() -> None:
    draft = inference(seen(0.05, 0.05))
    assert draft.proposal is not None
    assert draft.proposal.structure in {"iron_condor", "iron_butterfly"}
    assert draft.action is Action.SELL


def test_what_it_is_sized_by_are_the_odds_that_chose_it() -> None:
    draft = inference(seen(0.75, 0.05))
    evidence = draft.verdicts[-1].evidence
    assert draft.proposal is not None
    gain, loss = payoff(draft, draft.proposal)
    assert (gain, loss) == (evidence["gain"], evidence["loss"])
    p = draft.probability
    assert p is not None
    assert p * gain - (1 - p) * loss == pytest.approx(evidence["edge"], abs=1e-9)


def test_two_models_that_together_say_more_than_all_are_scaled_back() -> None:
    evidence = inference(seen(0.9, 0.6)).verdicts[-1].evidence
    assert evidence["up"] == pytest.approx(0.6)
    assert evidence["down"] == pytest.approx(0.4)
    assert evidence["flat"] == 0.0


@pytest.mark.parametrize("silent", ["up", "down"])
def test_without_a_direction_it_holds(silent: str) -> None:
    said = inference(seen(*((None, 0.3) if silent == "up" else (0.3, None)))).veto
    assert said is not None
    assert said.code is Reason.UNTRAINED


def test_bought_premium_is_halved_where_the_move_is_small_or_late() -> None:
    base = {"base_rate": 0.6}
    bought = [
        (prediction(0.7, "discernment-size", **base), UNADVISED),
        (prediction(0.5, "discernment-size", **base), 1.0),
        (prediction(0.5, "discernment-soon", **base), UNADVISED),
        (prediction(0.7, "discernment-soon", **base), 1.0),
        (prediction(None, "discernment-size"), 1.0),
    ]
    for other, scale in bought:
        draft = inference(seen(0.75, 0.05, other))
        assert draft.action is Action.BUY
        assert advisor(draft).scale == scale


def test_sold_premium_is_halved_where_a_large_move_is_expected() -> None:
    for p, scale in ((0.5, UNADVISED), (0.7, 1.0)):
        size = prediction(p, "discernment-size", base_rate=0.6)
        draft = inference(seen(0.05, 0.05, size))
        assert draft.action is Action.SELL
        assert advisor(draft).scale == scale


def test_without_a_surface_nothing_can_be_priced() -> None:
    blind = Draft(context=day(surface=None), predictions=seen(0.7, 0.1).predictions)
    said = inference(blind).veto
    assert said is not None
    assert said.code is Reason.NO_SURFACE
