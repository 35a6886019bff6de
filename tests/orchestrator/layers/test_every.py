"""What every layer does, and what they do one after another."""

from itertools import product

import pytest

from domain import examples
from domain.bot import Factor
from domain.decision import Context, Draft, Effect, Prediction, Reason, Verdict
from domain.errors import DataError, FeatureMismatch, OmegaError, Transient
from domain.values import Action
from orchestrator import pipeline
from orchestrator.layers.advisor import FURTHER
from orchestrator.layers.base import Layer, layer, veto
from tests.orchestrator.made import MEMBERS, answered, codes, premium, stock, vetoed, wanting

LAYERS = pytest.mark.parametrize("name", pipeline.LAYERS)


@LAYERS
def test_a_layer_is_silent_after_a_veto(name: str) -> None:
    stopped = wanting(premium()).add(veto("seal", Reason.KILLED, "drill"))
    assert pipeline.LAYERS[name](stopped) is stopped


@LAYERS
def test_a_layer_says_its_own_name_and_says_it_once(name: str) -> None:
    draft = wanting(premium()).model_copy(update={"predictions": (examples.prediction(),)})
    told = pipeline.LAYERS[name](draft)
    assert told.verdicts[:-1] == draft.verdicts
    assert told.verdicts[-1].layer == name


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (FeatureMismatch("no vix"), Reason.FEATURE_UNKNOWN, "no vix"),
        (DataError("no price"), Reason.FAILED, "DataError: no price"),
        (OmegaError("odd"), Reason.FAILED, "OmegaError: odd"),
        (KeyError("low"), Reason.FAILED, "KeyError: 'low'"),
        (ZeroDivisionError("by zero"), Reason.FAILED, "ZeroDivisionError: by zero"),
        (ValueError("bad"), Reason.FAILED, "ValueError: bad"),
    ],
)
def test_a_layer_that_fails_is_closed(error: Exception, code: Reason, reason: str) -> None:
    @layer
    def broken(draft: Draft) -> Verdict:
        raise error

    told = broken(wanting(premium()))
    assert vetoed(told) == ("broken", code)
    assert told.veto is not None
    assert told.veto.reason == reason


def test_a_bug_in_a_layer_is_seen_and_not_taken_for_an_opinion() -> None:
    @layer
    def buggy(draft: Draft) -> Verdict:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        buggy(wanting(premium()))


@LAYERS
def test_a_layer_keeps_its_docstring_and_returns_a_new_draft(name: str) -> None:
    assert pipeline.LAYERS[name].__doc__
    draft = wanting(premium())
    before = draft.model_dump_json()
    pipeline.LAYERS[name](draft)
    assert draft.model_dump_json() == before


def test_all_five_layers_speak_in_their_order() -> None:
    answers = (
        examples.prediction(0.9, gain=0.3, loss=0.4),
        examples.prediction(0.9, "prophet-condor"),
    )
    context = premium(book=examples.book(equity=400_000.0, peak=400_000.0))
    draft = pipeline.run(context, lambda _: answers)
    assert [v.layer for v in draft.verdicts] == list(pipeline.LAYERS)
    assert codes(draft)[-1] == ("sizing", Effect.ADJUST, Reason.SIZED)
    decision = pipeline.decide(context, lambda _: answers)
    assert (decision.action, decision.quantity) == (Action.SELL, draft.quantity)
    assert decision.quantity >= 1


def test_a_halted_bot_holds_and_no_model_is_asked() -> None:
    asked: list[Context] = []

    def predict(context: Context) -> tuple[Prediction, ...]:
        asked.append(context)
        return ()

    halted = premium(switches={"latches": (examples.switch(),)})
    decision = pipeline.decide(halted, predict)
    assert (decision.action, decision.code) == (Action.HOLD, Reason.KILLED)
    assert [v.layer for v in decision.draft.verdicts] == ["safety"]
    assert asked == []


def test_a_busy_store_is_not_an_answer() -> None:
    def busy(_: Context) -> tuple[Prediction, ...]:
        raise Transient("locked")

    with pytest.raises(Transient, match="locked"):
        pipeline.decide(premium(), busy)


def test_a_layer_that_fails_makes_the_decision_a_hold() -> None:
    nonsense = stock(bot=stock().bot.model_copy(update={"min_score": None}))
    draft = pipeline.run(nonsense, lambda _: answered(nonsense, **MEMBERS).predictions)
    assert draft.veto is not None
    assert draft.veto.code is Reason.FAILED
    assert draft.veto.layer == "inference"


@pytest.mark.parametrize(
    ("name", "missing"), list(product(("safety", "inference", "advisor"), (True, False)))
)
def test_the_same_draft_gets_the_same_verdict(name: str, missing: bool) -> None:
    draft = answered(premium(regime=None if missing else examples.regime()), wisdom=0.9)
    step: Layer = pipeline.LAYERS[name]
    assert step(draft) == step(draft)
    assert draft.context.bot.factor is Factor.VOLATILITY


def test_strikes_are_only_ever_put_further_out() -> None:
    assert [least for least, _ in FURTHER] == [0.70, 0.60, 0.0]
    assert all(factor >= 1 for _, factor in FURTHER)
