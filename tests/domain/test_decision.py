"""Drafts collect verdicts; a sealed decision is what they come to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import examples
from domain.decision import (
    Draft,
    Effect,
    OmegaDecision,
    Reason,
    Verdict,
    decision_id,
)
from domain.values import Action

VETO = Verdict(layer="correlation", effect=Effect.VETO, code=Reason.CORRELATED, reason="0.93")
BAR = datetime(2018, 2, 5, 21, tzinfo=UTC)


def spoken(*verdicts: Verdict) -> Draft:
    draft = Draft(context=examples.context())
    for verdict in verdicts:
        draft = draft.add(verdict)
    return draft


def test_a_draft_on_which_nobody_has_spoken_holds() -> None:
    draft = spoken()
    assert (draft.action, draft.quantity, draft.scale) == (Action.HOLD, 0, 1.0)
    assert (draft.probability, draft.proposal, draft.veto) == (None, None, None)


def test_the_last_that_spoke_of_a_thing_is_heard() -> None:
    first = Verdict(layer="inference", action=Action.BUY, probability=0.9, quantity=9)
    last = Verdict(layer="advisor", action=Action.SELL, proposal=examples.proposal())
    draft = spoken(first, last, Verdict(layer="sizing", quantity=2))
    assert (draft.action, draft.probability, draft.quantity) == (Action.SELL, 0.9, 2)
    assert draft.proposal == examples.proposal()


def test_adding_a_verdict_leaves_the_draft_as_it_was() -> None:
    before = spoken()
    after = before.add(VETO)
    assert (before.verdicts, after.verdicts) == ((), (VETO,))


def test_a_veto_ends_it_whatever_was_said_before_and_after() -> None:
    draft = examples.draft(quantity=5).add(VETO)
    draft = draft.add(Verdict(layer="seal", action=Action.SELL, quantity=3, scale=1.0))
    assert draft.vetoed
    assert draft.veto == VETO
    assert (draft.action, draft.quantity, draft.scale) == (Action.HOLD, 0, 0.0)
    assert draft.probability == 0.9, "what was known stays known"


@given(st.lists(st.floats(0, 1), max_size=6))
def test_scales_multiply_and_never_enlarge(scales: list[float]) -> None:
    draft = spoken(*(Verdict(layer="x", scale=scale) for scale in scales))
    assert 0 <= draft.scale <= min(scales, default=1.0)


def test_a_scale_above_one_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1"):
        Verdict(layer="advisor", scale=1.2)


def test_an_answer_that_abstains_is_no_prediction() -> None:
    answers = (examples.prediction(None, "prophet"), examples.prediction(0.8))
    draft = Draft(context=examples.context(), predictions=answers)
    assert draft.prediction("prophet") is None
    assert draft.prediction("xgb") is None
    assert draft.prediction("wisdom") == answers[1]


def test_a_sealed_draft_with_a_quantity_is_a_trade() -> None:
    decision = OmegaDecision.seal(examples.draft(quantity=3))
    assert (decision.action, decision.quantity, decision.code) == (Action.SELL, 3, Reason.OK)
    assert (decision.probability, decision.reason) == (0.9, "")
    assert decision.id == decision.context.id == "fortress-SPX-20170303T2100Z"
    assert (decision.bot, decision.symbol) == ("fortress", "SPX")
    assert decision.proposal == examples.proposal()


def test_a_sealed_draft_without_a_quantity_holds() -> None:
    decision = OmegaDecision.seal(examples.draft())
    assert (decision.action, decision.quantity, decision.code) == (Action.HOLD, 0, Reason.OK)


def test_a_sealed_veto_holds_and_says_why() -> None:
    decision = OmegaDecision.seal(examples.draft(quantity=3).add(VETO))
    assert (decision.action, decision.quantity) == (Action.HOLD, 0)
    assert (decision.code, decision.reason) == (Reason.CORRELATED, "0.93")


def test_equal_decisions_have_one_hash_and_any_difference_another() -> None:
    one, same = (OmegaDecision.seal(examples.draft(quantity=3)) for _ in range(2))
    other = OmegaDecision.seal(examples.draft(quantity=3, price=2383.01))
    assert one.hash == same.hash != other.hash


def test_a_decision_is_named_by_bot_symbol_and_bar_and_a_second_question_is_numbered() -> None:
    assert decision_id("anchor", "SPX", BAR) == "anchor-SPX-20180205T2100Z"
    assert decision_id("anchor", "SPX", BAR, 1) == decision_id("anchor", "SPX", BAR)
    assert decision_id("anchor", "SPX", BAR, 2) == "anchor-SPX-20180205T2100Z-2"
    ids = {
        decision_id(bot, symbol, BAR + timedelta(minutes=minute), ask)
        for bot in ("anchor", "samson")
        for symbol in ("SPX", "AAPL")
        for minute in (0, 5)
        for ask in (1, 2)
    }
    assert len(ids) == 16
