"""Defects of the seed's orchestrator and its four layers, each with the rule that replaced it."""

import pytest

from domain import examples
from domain.decision import Effect, OmegaDecision, Reason, Verdict
from domain.values import Action
from orchestrator import pipeline
from orchestrator.layers.advisor import advisor
from orchestrator.layers.base import layer
from orchestrator.layers.correlation import correlation
from orchestrator.layers.sizing import sizing
from tests.orchestrator.made import answered, premium, stock, vetoed, wanting

RICH = examples.book(equity=400_000.0, peak=400_000.0, bots=4)
GOOD = answered(
    premium(), examples.prediction(0.9, gain=0.3, loss=0.4), prophet_condor=0.9
).predictions
"""What makes `premium` a trade; each test below takes one thing away."""


def test_the_trade_that_these_tests_take_something_away_from() -> None:
    decision = pipeline.decide(premium(book=RICH), lambda _: GOOD)
    assert (decision.action, decision.code) == (Action.SELL, Reason.OK)
    assert decision.quantity >= 1


@pytest.mark.parametrize("context", [premium(book=RICH), stock(book=RICH)])
def test_a_layer_of_constants_stood_in_for_the_ensemble(context) -> None:  # type: ignore[no-untyped-def]
    """It said NEUTRAL at 50 whoever asked; now nobody's answer is no answer."""
    decision = pipeline.decide(context, lambda _: ())
    assert (decision.action, decision.quantity) == (Action.HOLD, 0)
    assert (decision.code, decision.probability) == (Reason.UNTRAINED, None)


def test_a_payoff_of_the_manual_stood_in_for_a_measured_one() -> None:
    bare = tuple(
        p.model_copy(update={"facts": {n: v for n, v in p.facts.items() if n != "loss"}})
        for p in GOOD
    )
    decision = pipeline.decide(premium(book=RICH), lambda _: bare)
    assert (decision.quantity, decision.code) == (0, Reason.FAILED)


@pytest.mark.parametrize("name", pipeline.LAYERS)
def test_on_every_error_the_mixin_allowed(name: str) -> None:
    broken = layer(_renamed(name))
    told = broken(wanting(premium()))
    assert vetoed(told) == (name, Reason.FAILED)
    assert OmegaDecision.seal(told).action is Action.HOLD


def _renamed(name: str):  # type: ignore[no-untyped-def]
    def rule(draft):  # type: ignore[no-untyped-def]
        raise ArithmeticError("out of range")

    rule.__name__ = name
    return rule


def test_the_kill_switch_answered_false_whatever_was_set() -> None:
    halted = premium(book=RICH, switches={"latches": (examples.switch(),)})
    assert pipeline.decide(halted, lambda _: GOOD).code is Reason.KILLED


def test_three_losses_in_a_row_were_informational() -> None:
    losing = examples.book(equity=400_000.0, peak=400_000.0, losses_in_row=3)
    assert pipeline.decide(premium(book=losing), lambda _: GOOD).code is Reason.LOSS_STREAK


def test_a_rejected_correlation_left_the_decision_a_full_trade() -> None:
    held = examples.exposure(id="a", symbol="AAPL", risk=1_000.0)
    book = examples.book(equity=400_000.0, peak=400_000.0, exposures=(held,))
    context = premium(book=book, correlations={"a": 0.95})
    decision = pipeline.decide(context, lambda _: GOOD)
    assert (decision.action, decision.quantity) == (Action.HOLD, 0)
    assert (decision.code, decision.draft.scale) == (Reason.CORRELATED, 0.0)
    assert [v.layer for v in decision.draft.verdicts][-1] == "correlation", "nobody sized it"


def test_every_bot_looked_co_directional() -> None:
    """Of two positions that correlate, the one that hedges passes and the other does not."""
    held = examples.exposure(id="a", symbol="AAPL", side=-1)
    book = examples.book(exposures=(held,))
    for side, stopped in ((-1, True), (1, False)):
        draft = wanting(
            premium(book=book, correlations={"a": 0.95}), proposal=examples.proposal(side=side)
        )
        assert correlation(draft).vetoed is stopped


def test_a_share_of_a_share_times_a_hundred_was_187_per_cent_of_the_equity() -> None:
    """With nothing held the caps are empty, and the stake is what Kelly and the bot say."""
    draft = pipeline.run(premium(book=RICH), lambda _: GOOD)
    evidence = draft.verdicts[-1].evidence
    stake = min(evidence["stake"], 0.15)
    assert evidence["budget"] == pytest.approx(stake * 400_000.0)
    assert evidence["room"] == 0.15 * 600_000.0
    assert draft.quantity == int(evidence["budget"] / evidence["unit_risk"])


@pytest.mark.parametrize("name", ["vix"])
def test_a_missing_feature_was_silently_zero(name: str) -> None:
    whole = premium(book=RICH)
    blind = whole.model_copy(update={"features": {}, "unknown": (name,)})
    decision = pipeline.decide(blind, lambda _: GOOD)
    assert decision.code is Reason.FEATURE_UNKNOWN
    assert name in decision.reason
    unlisted = whole.model_copy(update={"features": {}})
    assert pipeline.decide(unlisted, lambda _: GOOD).code is Reason.FEATURE_UNKNOWN


def test_a_feature_of_another_name_was_taken_for_none_at_all() -> None:
    """The API passed `vix_percentile` where `vix_percentile_30d` was meant."""
    context = premium(book=RICH).model_copy(update={"features": {"vix_level": 17.0}})
    assert pipeline.decide(context, lambda _: GOOD).code is Reason.FEATURE_UNKNOWN


def test_the_fourth_layer_never_called_prophet() -> None:
    near, far = (
        advisor(wanting(premium()).model_copy(update={"predictions": (said,)}))
        for said in (
            examples.prediction(0.9, "prophet-condor"),
            examples.prediction(0.5, "prophet-condor"),
        )
    )
    assert near.proposal is not None
    assert far.proposal is not None
    assert far.proposal.distance > near.proposal.distance  # type: ignore[operator]


def test_the_adviser_multiplied_the_risk_by_one_point_two() -> None:
    sure = tuple(p.model_copy(update={"probability": 1.0}) for p in GOOD)
    for vix in (10.0, 17.0, 25.0, 30.0, 50.0):
        told = advisor(answered(premium(vix=vix), *sure))
        assert not told.vetoed
        assert 0 < told.verdicts[-1].scale <= 1


@pytest.mark.parametrize(("p", "gain", "loss"), [(0.5, 1.0, 1.0), (0.8, 0.1, 0.9), (0.0, 9, 1)])
def test_without_an_edge_there_was_still_a_size(p: float, gain: float, loss: float) -> None:
    answer = examples.prediction(p, gain=gain, loss=loss)
    draft = wanting(premium(book=RICH)).add(Verdict(layer="inference", probability=p))
    told = sizing(draft.model_copy(update={"predictions": (answer,)}))
    assert vetoed(told) == ("sizing", Reason.NO_EDGE)


def test_what_was_decided_could_not_be_told_from_what_was_simulated() -> None:
    """Deciding is pure: asked a hundred times, nothing anywhere has changed."""
    context = premium(book=RICH)
    first = pipeline.decide(context, lambda _: GOOD)
    before = context.model_dump_json()
    assert {pipeline.decide(context, lambda _: GOOD).hash for _ in range(5)} == {first.hash}
    assert context.model_dump_json() == before


def test_a_decision_kept_one_line_of_text_for_all_its_layers() -> None:
    decision = pipeline.decide(premium(book=RICH), lambda _: GOOD)
    assert [v.layer for v in decision.draft.verdicts] == list(pipeline.LAYERS)
    for verdict in decision.draft.verdicts:
        assert verdict.evidence, verdict.layer
        assert verdict.effect in Effect
