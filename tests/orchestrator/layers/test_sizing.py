"""Sizing: as many as the edge is worth and the caps leave, and none without an edge."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import examples
from domain.decision import Draft, Effect, Reason, Verdict
from domain.errors import OmegaError
from domain.values import Action
from orchestrator.layers.sizing import payoff, sizing
from tests.orchestrator.made import premium, proposed, sized, stock, vetoed
from trading.strategies import catalog as strategies


def test_an_edge_is_sized_and_every_number_behind_it_is_kept() -> None:
    told = sized(proposed(premium(book=examples.book(equity=200_000.0, peak=200_000.0))))
    verdict = told.verdicts[-1]
    assert (verdict.effect, verdict.code) == (Effect.ADJUST, Reason.SIZED)
    assert told.quantity == verdict.quantity == 1
    assert verdict.evidence["edge"] == pytest.approx(0.9 * 0.3 - 0.1 * 0.5)
    assert (verdict.evidence["gain"], verdict.evidence["loss"]) == (0.3, 0.5)


@pytest.mark.parametrize("p", [0.0, 0.5, 0.625])
def test_without_an_edge_there_is_no_size(p: float) -> None:
    assert vetoed(sized(proposed(premium(), p))) == ("sizing", Reason.NO_EDGE)


def test_less_than_one_unit_is_no_unit() -> None:
    told = sized(proposed(premium(), max_loss=50_000.0))
    assert vetoed(told) == ("sizing", Reason.TOO_SMALL)


def test_a_credit_below_the_bot_s_least_is_left() -> None:
    assert vetoed(sized(proposed(premium(), entry=0.49))) == ("sizing", Reason.NO_CREDIT)
    assert not sized(proposed(premium(), entry=0.5, max_loss=1_000.0)).vetoed


@pytest.mark.parametrize("fields", [{"probability": 0.9}, {"proposal": examples.proposal()}])
def test_nothing_is_sized_without_a_proposal_and_a_probability(fields: dict[str, Any]) -> None:
    draft = Draft(context=premium()).add(Verdict(layer="advisor", action=Action.SELL, **fields))
    assert vetoed(sized(draft)) == ("sizing", Reason.FAILED)


def test_nothing_is_sized_by_a_payoff_that_nobody_measured() -> None:
    bare = examples.prediction().model_copy(update={"facts": {"base_rate": 0.83}})
    draft = proposed(premium()).model_copy(update={"predictions": (bare,)})
    told = sizing(draft)
    assert vetoed(told) == ("sizing", Reason.FAILED)
    assert told.veto is not None
    assert "what a winner brings" in told.veto.reason
    assert vetoed(sizing(proposed(premium()))) == ("sizing", Reason.FAILED)


def test_a_condor_is_sized_by_what_wisdom_measured_and_by_nobody_else() -> None:
    answers = (
        examples.prediction(0.9, gain=0.2, loss=0.4),
        examples.prediction(0.9, "prophet", gain=9.0, loss=0.1),
    )
    draft = Draft(context=premium(), predictions=answers)
    assert payoff(draft, examples.proposal()) == (0.2, 0.4)


def test_a_vertical_is_sized_by_its_best_case_against_a_total_loss() -> None:
    draft = Draft(context=premium("samson"))
    vertical = examples.proposal(structure="bull_put", max_gain=250.0, max_loss=1_000.0)
    assert payoff(draft, vertical) == (0.25, 1.0)
    with pytest.raises(OmegaError, match="no known best case"):
        payoff(draft, vertical.model_copy(update={"max_gain": None}))


def test_shares_are_sized_by_the_mean_of_the_members_that_measured() -> None:
    answers = (
        examples.prediction(0.6, "xgb", gain=1.0, loss=0.8),
        examples.prediction(0.6, "lgbm", gain=2.0, loss=0.4),
        examples.prediction(None, "nhits", gain=9.0, loss=0.1),
        examples.prediction(0.6, "prophet-directional", gain=9.0, loss=0.1),
    )
    shares = strategies.propose(stock())
    found = payoff(Draft(context=stock(), predictions=answers), shares)
    assert found == pytest.approx((1.5, 0.6))


@given(st.floats(0, 1))
def test_what_the_layers_before_took_away_is_not_given_back(scale: float) -> None:
    book = examples.book(equity=1e6, peak=1e6, desk_equity=6e6)
    full = sized(proposed(premium(book=book)))
    less = sized(proposed(premium(book=book)).add(Verdict(layer="safety", scale=scale)))
    assert less.quantity <= full.quantity
    if scale == 0:
        assert less.quantity == 0
