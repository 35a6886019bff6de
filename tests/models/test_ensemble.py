"""Votes, weights, quorum and consensus."""

from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import examples
from domain.decision import Prediction, Reason
from domain.errors import ModelError
from domain.examples import prediction
from domain.market import Vol
from domain.values import Action
from models import ensemble
from models.ensemble import CONSENSUS, WEIGHTS, Strength, vote

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


# how much agreement there is


@pytest.mark.parametrize(
    ("answers", "strength", "scale"),
    [
        ({"xgb": BUY, "lgbm": BUY, "nhits": BUY, "patchtst": BUY}, Strength.UNANIMOUS, 1.0),
        ({"xgb": SELL, "lgbm": SELL, "nhits": SELL, "patchtst": SELL}, Strength.UNANIMOUS, 1.0),
        ({"xgb": BUY, "lgbm": BUY, "nhits": BUY, "patchtst": SELL}, Strength.STRONG, 1.1 / 1.2),
        ({"xgb": BUY, "lgbm": BUY, "nhits": BUY, "patchtst": None}, Strength.STRONG, 1.1 / 1.2),
        ({"xgb": BUY, "lgbm": BUY, "nhits": HOLD, "patchtst": None}, Strength.SPLIT, 0.8 / 1.2),
        ({"xgb": BUY, "lgbm": BUY, "nhits": None, "patchtst": None}, Strength.SPLIT, 0.8 / 1.2),
        ({"xgb": BUY, "lgbm": SELL, "nhits": BUY, "patchtst": SELL}, None, 0.0),
        ({"xgb": HOLD, "lgbm": HOLD, "nhits": HOLD, "patchtst": HOLD}, None, 0.0),
        ({"xgb": BUY, "lgbm": None, "nhits": None, "patchtst": None}, None, 0.0),
    ],
)
def test_how_many_stand_behind_a_vote_scales_the_size(
    answers: dict[str, float | None], strength: Strength | None, scale: float
) -> None:
    ballot = vote(said(**answers), GATE)
    assert (ballot.strength, ballot.scale) == (strength, pytest.approx(scale))


@given(st.fixed_dictionaries(dict.fromkeys(WEIGHTS, CHANCE)), st.sampled_from(list(WEIGHTS)))
def test_a_member_that_stops_answering_never_makes_an_agreed_vote_larger(
    answers: dict[str, float | None], silent: str
) -> None:
    before, after = (vote(said(**one), GATE) for one in (answers, answers | {silent: None}))
    if before.strength is not None and after.action is before.action:
        assert after.scale <= before.scale


def test_in_high_volatility_three_must_agree_and_in_a_calm_two() -> None:
    assert ensemble.needed(examples.regime(vol=Vol.CALM)) == 2
    assert ensemble.needed(examples.regime(vol=Vol.HIGH)) == 3
    two = said(xgb=BUY, lgbm=BUY, patchtst=HOLD)
    assert vote(two, GATE, agreeing=2).action is Action.BUY
    held = vote(two, GATE, agreeing=3)
    assert (held.action, held.code, held.scale) == (Action.HOLD, Reason.NO_CONSENSUS, 0.0)
    assert held.reason == "71% say buy, but that is 2 of them, and 3 must in this regime"
    assert vote(said(xgb=BUY, lgbm=BUY, nhits=BUY), GATE, agreeing=3).action is Action.BUY


def test_one_member_with_most_of_the_weight_does_not_decide() -> None:
    ballot = vote(said(a=BUY, b=HOLD, c=HOLD), GATE, {"a": 0.8, "b": 0.1, "c": 0.1})
    assert (ballot.action, ballot.code) == (Action.HOLD, Reason.NO_CONSENSUS)
    assert ballot.reason == "80% say buy, but that is 1 of them, and 2 must in this regime"


# how much each member counts


def measured(
    model: str, probability: float, skill: float, low: float, high: float, sessions: float = 250.0
) -> Prediction:
    return prediction(
        probability, model, skill=skill, skill_low=low, skill_high=high, sessions=sessions
    )


@pytest.mark.parametrize(
    ("skill", "sessions", "factor"),
    [
        (0.0, 250.0, 1.0),
        (0.01, 250.0, 1.125),
        (0.02, 250.0, 1.25),
        (0.5, 250.0, 1.25),
        (-0.01, 250.0, 0.875),
        (-0.5, 250.0, 0.75),
        (0.02, 0.0, 1.0),
        (0.02, 750.0, 1.375),
        (0.02, 1e12, 1.5),
    ],
)
def test_skill_moves_a_weight_within_bounds_and_the_more_sessions_the_further(
    skill: float, sessions: float, factor: float
) -> None:
    known = {"skill": skill, "skill_low": -1.0, "skill_high": 1.0, "sessions": sessions}
    assert ensemble.weighed(known, 0.3) == pytest.approx(0.3 * factor)


def test_a_member_that_is_known_to_be_worse_than_no_model_has_no_vote_and_is_named() -> None:
    worse = measured("patchtst", 0.99, -0.036, -0.048, -0.023)
    ballot = vote([*said(xgb=BUY, lgbm=BUY, nhits=BUY), worse], GATE)
    assert ballot.absent == {
        "patchtst": "no vote: worse than the base rate, skill in [-0.048, -0.023]"
    }
    assert ballot.weights == pytest.approx({"xgb": 0.3125, "lgbm": 0.3125, "nhits": 0.375})
    assert ballot.probability == pytest.approx(BUY)
    assert ballot.strength is Strength.STRONG
    bad = [measured(model, BUY, -0.1, -0.2, -0.001) for model in ("lgbm", "nhits", "patchtst")]
    alone = vote([*bad, *said(xgb=BUY)], GATE)
    assert (alone.code, alone.probability) == (Reason.NO_QUORUM, None)


def test_an_interval_that_covers_zero_leaves_a_vote() -> None:
    ballot = vote([measured("patchtst", BUY, -0.02, -0.05, 0.0), *said(xgb=BUY)], GATE)
    assert ballot.weights == pytest.approx({"xgb": 0.25 / 0.4, "patchtst": 0.15 / 0.4})


def test_of_a_skill_without_its_interval_nothing_is_believed() -> None:
    for facts in ({"skill": 0.5}, {"skill": -0.5, "skill_high": -0.1}, {"sessions": 250.0}):
        assert ensemble.weighed(facts, 0.2) == 0.2


SKILL = st.floats(-0.2, 0.2)
ANSWER = st.none() | st.tuples(
    st.floats(0.0, 1.0), SKILL, st.floats(0.0, 0.1), st.floats(0.0, 2000.0)
)
ANSWERS = st.fixed_dictionaries(dict.fromkeys(WEIGHTS, ANSWER))
Answers = dict[str, tuple[float, float, float, float] | None]


def told(answers: Answers) -> list[Prediction]:
    return [
        prediction(None, model)
        if one is None
        else measured(model, one[0], one[1], one[1] - one[2], one[1] + one[2], one[3])
        for model, one in answers.items()
    ]


@given(ANSWERS, st.sampled_from([2, 3]))
def test_whatever_the_skills_weights_add_up_and_nothing_is_enlarged(
    answers: Answers, agreeing: int
) -> None:
    ballot = vote(told(answers), GATE, agreeing=agreeing)
    assert 0.0 <= ballot.scale <= 1.0
    assert (ballot.scale > 0) == (ballot.action is not Action.HOLD)
    assert set(ballot.absent) | set(ballot.weights) == set(WEIGHTS) or not ballot.weights
    if ballot.probability is None:
        return
    assert fsum(ballot.weights.values()) == pytest.approx(1.0)
    voting = [one[0] for name, one in answers.items() if one and name in ballot.weights]
    assert min(voting) - 1e-12 <= ballot.probability <= max(voting) + 1e-12
    if ballot.action is not Action.HOLD:
        behind = sum(said is ballot.action for said in ballot.votes.values())
        assert behind >= agreeing


@given(ANSWERS, st.permutations(list(WEIGHTS)))
def test_whatever_the_skills_the_order_does_not_matter(answers: Answers, order: list[str]) -> None:
    assert vote(told({name: answers[name] for name in order}), GATE) == vote(told(answers), GATE)


@given(SKILL, SKILL, st.floats(0.0, 5000.0), st.floats(0.01, 1.0))
def test_a_weight_never_falls_with_skill_and_stays_near_its_prior(
    one: float, other: float, sessions: float, prior: float
) -> None:
    low, high = (
        ensemble.weighed(
            {"skill": skill, "skill_low": -1.0, "skill_high": 1.0, "sessions": sessions}, prior
        )
        for skill in sorted([one, other])
    )
    assert low <= high
    assert 0.5 * prior <= low
    assert high <= 1.5 * prior
