"""Votes, weights, quorum and consensus."""

from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import Prediction, Reason
from domain.errors import ModelError
from domain.examples import prediction
from domain.values import Action
from models.ensemble import CONSENSUS, WEIGHTS, vote

GATE = 0.54
BUY, SELL, HOLD = 0.6, 0.4, 0.5


def said(**probabilities: float | None) -> list[Prediction]:
    return [prediction(p, model) for model, p in probabilities.items()]


def test_all_four_agree() -> None:
    ballot = vote(said(xgb=0.6, lgbm=0.56, nhits=0.7, patchtst=0.54), GATE)
    assert (ballot.action, ballot.code, ballot.reason) == (Action.BUY, Reason.OK, "100% say buy")
    assert ballot.weights == pytest.approx(WEIGHTS)
    assert ballot.probability == pytest.approx(0.25 * 0.6 + 0.25 * 0.56 + 0.3 * 0.7 + 0.2 * 0.54)
    assert ballot.absent == {}


def test_a_fall_is_as_good_as_a_rise() -> None:
    ballot = vote(said(xgb=0.4, lgbm=0.44, nhits=0.3, patchtst=0.46), GATE)
    assert ballot.action is Action.SELL
    assert ballot.probability == pytest.approx(0.25 * 0.4 + 0.25 * 0.44 + 0.3 * 0.3 + 0.2 * 0.46)


def test_two_against_two_hold_whatever_their_weights() -> None:
    ballot = vote(said(xgb=BUY, lgbm=SELL, nhits=BUY, patchtst=SELL), GATE)
    assert (ballot.action, ballot.code) == (Action.HOLD, Reason.NO_CONSENSUS)
    assert ballot.reason == "two against two"
    lopsided = {"xgb": 0.45, "lgbm": 0.45, "nhits": 0.05, "patchtst": 0.05}
    assert vote(said(xgb=BUY, lgbm=BUY, nhits=SELL, patchtst=SELL), GATE, lopsided).action is (
        Action.HOLD
    )


def test_three_of_four_decide_and_two_of_four_do_not() -> None:
    assert vote(said(xgb=BUY, lgbm=BUY, nhits=BUY, patchtst=SELL), GATE).action is Action.BUY
    assert vote(said(xgb=BUY, lgbm=BUY, patchtst=BUY, nhits=HOLD), GATE).action is Action.BUY
    split = vote(said(xgb=BUY, nhits=BUY, lgbm=SELL, patchtst=HOLD), GATE)
    assert (split.action, split.code) == (Action.HOLD, Reason.NO_CONSENSUS)
    assert split.reason == "55% say buy, 60% are needed"
    assert split.shares == pytest.approx({Action.BUY: 0.55, Action.SELL: 0.25, Action.HOLD: 0.2})


def test_exactly_sixty_per_cent_is_enough() -> None:
    weights = {"a": 0.09, "b": 0.15, "c": 0.16}
    ballot = vote(said(a=BUY, b=BUY, c=SELL), GATE, weights)
    assert CONSENSUS - 1e-15 < ballot.shares[Action.BUY] < CONSENSUS, "0.24 of 0.40, as floats go"
    assert ballot.action is Action.BUY


def test_the_weights_of_absent_members_go_to_the_others() -> None:
    answers = [
        *said(xgb=BUY, lgbm=BUY),
        prediction(None, "nhits").model_copy(update={"reason": "unknown: vix"}),
    ]
    ballot = vote(answers, GATE)
    assert ballot.weights == {"xgb": 0.5, "lgbm": 0.5}
    assert ballot.absent == {"nhits": "unknown: vix", "patchtst": "not asked"}
    assert (ballot.action, ballot.probability) == (Action.BUY, pytest.approx(BUY))


def test_two_members_that_disagree_hold() -> None:
    for other in (SELL, HOLD):
        ballot = vote(said(xgb=BUY, lgbm=other), GATE)
        assert (ballot.action, ballot.code) == (Action.HOLD, Reason.NO_CONSENSUS)


@pytest.mark.parametrize("answers", [{}, {"xgb": 0.99}, {"xgb": 0.99, "lgbm": None}])
def test_fewer_than_two_answers_are_no_ensemble(answers: dict[str, float | None]) -> None:
    ballot = vote(said(**answers), GATE)
    assert (ballot.action, ballot.code) == (Action.HOLD, Reason.NO_QUORUM)
    assert ballot.probability is None
    assert ballot.votes == {}
    assert set(ballot.absent) == {name for name in WEIGHTS if answers.get(name) is None}


def test_all_say_hold_and_that_is_an_agreement() -> None:
    ballot = vote(said(xgb=0.53, lgbm=0.5), GATE)
    assert (ballot.action, ballot.code) == (Action.HOLD, Reason.OK)


def test_models_that_are_no_members_are_passed_over() -> None:
    ballot = vote(said(xgb=BUY, lgbm=BUY, wisdom=0.01, prophet=None), GATE)
    assert set(ballot.votes) == {"xgb", "lgbm"}
    assert ballot.probability == pytest.approx(BUY)


def test_a_vote_cast_twice_and_a_gate_that_says_both_are_refused() -> None:
    with pytest.raises(ModelError, match="answered twice"):
        vote(said(xgb=BUY) + said(xgb=BUY), GATE)
    for gate in (0.5, 0.4, 1.01):
        with pytest.raises(ModelError, match="cannot tell a rise from a fall"):
            vote(said(xgb=BUY, lgbm=BUY), gate)


CHANCE = st.none() | st.floats(0.0, 1.0)


@given(st.fixed_dictionaries(dict.fromkeys(WEIGHTS, CHANCE)), st.floats(0.501, 0.99))
def test_a_probability_is_never_above_that_of_any_member(
    answers: dict[str, float | None], gate: float
) -> None:
    ballot = vote(said(**answers), gate)
    present = [p for p in answers.values() if p is not None]
    if ballot.probability is None:
        assert len(present) < 2
        return
    assert min(present) - 1e-12 <= ballot.probability <= max(present) + 1e-12
    assert fsum(ballot.weights.values()) == pytest.approx(1.0)
    assert fsum(ballot.shares.values()) == pytest.approx(1.0)


@given(st.fixed_dictionaries(dict.fromkeys(WEIGHTS, CHANCE)), st.permutations(list(WEIGHTS)))
def test_the_order_of_the_answers_does_not_matter(
    answers: dict[str, float | None], order: list[str]
) -> None:
    assert vote(said(**{name: answers[name] for name in order}), GATE) == vote(
        said(**answers), GATE
    )
