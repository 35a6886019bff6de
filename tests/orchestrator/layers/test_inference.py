"""Inference: which answers are enough, for which size, and what is said where they are not."""

import pytest

from domain import examples
from domain.decision import Effect, Prediction, Reason
from domain.market import Vol
from domain.values import Action
from orchestrator.layers.inference import REDUCED, inference
from tests.orchestrator.made import MEMBERS, STRONG, answered, premium, stock, vetoed

# a bot that sells volatility


@pytest.mark.parametrize(
    ("p", "effect", "scale"),
    [(0.78, Effect.PASS, 1.0), (0.95, Effect.PASS, 1.0), (0.68, Effect.ADJUST, REDUCED)],
)
def test_wisdom_passes_in_full_or_in_part(p: float, effect: Effect, scale: float) -> None:
    told = inference(answered(premium(), wisdom=p))
    [verdict] = told.verdicts
    assert (verdict.effect, verdict.scale, told.probability) == (effect, scale, p)
    assert told.action is Action.SELL
    assert verdict.evidence == {"p": p, "base_rate": 0.83, "low": 0.68, "high": 0.78}


def test_wisdom_below_its_threshold_holds() -> None:
    told = inference(answered(premium(), wisdom=0.6799))
    assert vetoed(told) == ("inference", Reason.LOW_PROBABILITY)
    assert told.veto is not None
    assert told.veto.evidence["p"] == 0.6799


def test_the_bot_s_own_least_probability_holds_where_it_is_higher() -> None:
    low = examples.prediction(0.41, low=0.1, high=0.9)
    assert vetoed(inference(answered(premium(), low))) == ("inference", Reason.LOW_PROBABILITY)
    assert not inference(answered(premium(), low.model_copy(update={"probability": 0.42}))).vetoed


def test_untrained_says_which_model_to_train() -> None:
    told = inference(answered(premium()))
    assert vetoed(told) == ("inference", Reason.UNTRAINED)
    assert told.veto is not None
    assert "omega train wisdom" in told.veto.reason


def test_a_refused_artifact_is_told_by_its_own_reason() -> None:
    refused = examples.prediction(None).model_copy(update={"reason": "abc: the hash differs"})
    told = inference(answered(premium(), refused))
    assert vetoed(told) == ("inference", Reason.UNTRAINED)
    assert told.veto is not None
    assert told.veto.reason == "wisdom: abc: the hash differs"


def test_a_model_that_lacks_a_feature_is_told_apart_from_one_that_is_untrained() -> None:
    blind = examples.prediction(None).model_copy(update={"reason": "unknown: iv_rank_252"})
    told = inference(answered(premium(), blind))
    assert vetoed(told) == ("inference", Reason.FEATURE_UNKNOWN)
    assert told.veto is not None
    assert "iv_rank_252" in told.veto.reason


def novel(model: str) -> Prediction:
    """Return the abstention of a model that never saw the like."""
    told = {"novelty": 8.2, "novelty_limit": 4.1}
    reason = "out of distribution: vix 37.3 is 8.1 deviations from what it learned"
    return examples.prediction(None, model).model_copy(update={"facts": told, "reason": reason})


def test_what_is_like_nothing_it_learned_from_holds_and_says_what_is_odd() -> None:
    told = inference(answered(premium(), novel("wisdom")))
    assert vetoed(told) == ("inference", Reason.NOVEL)
    assert told.veto is not None
    assert told.veto.reason.startswith("wisdom: out of distribution: vix 37.3 is 8.1 deviations")
    nobody = inference(answered(stock(), novel("xgb"), novel("lgbm")))
    assert vetoed(nobody) == ("inference", Reason.NOVEL)


def test_one_member_to_which_it_is_new_is_absent_and_says_why() -> None:
    alone = inference(answered(stock(), novel("xgb"), lgbm=0.6))
    assert vetoed(alone) == ("inference", Reason.NO_QUORUM)
    assert alone.veto is not None
    assert "xgb: out of distribution" in alone.veto.reason


def test_an_adviser_to_whom_it_is_new_does_not_stop_wisdom() -> None:
    assert not inference(answered(premium(), novel("prophet-condor"), wisdom=0.9)).vetoed


def test_the_interval_of_the_win_probability_is_evidence() -> None:
    sure = examples.prediction().model_copy(update={"low": 0.85, "high": 0.95})
    [said] = inference(answered(premium(), sure)).verdicts
    assert (said.evidence["p_low"], said.evidence["p"], said.evidence["p_high"]) == (
        0.85,
        0.9,
        0.95,
    )
    [said] = inference(answered(premium(), wisdom=0.9)).verdicts
    assert not {"p_low", "p_high"} & said.evidence.keys()


def test_a_feature_that_the_strategy_needs_and_nobody_knows_holds() -> None:
    told = inference(answered(premium(unknown=("rsi_14", "vix")), wisdom=0.9))
    assert vetoed(told) == ("inference", Reason.FEATURE_UNKNOWN)
    assert told.veto is not None
    assert told.veto.reason == "no value for rsi_14, vix"


def test_without_a_surface_nothing_that_is_priced_on_one_is_sold() -> None:
    told = inference(answered(premium(surface=None), wisdom=0.9))
    assert vetoed(told) == ("inference", Reason.NO_SURFACE)


def test_an_answer_without_its_thresholds_is_no_answer() -> None:
    bare = examples.prediction().model_copy(update={"facts": {"base_rate": 0.8}})
    told = inference(answered(premium(), bare))
    assert vetoed(told) == ("inference", Reason.FAILED)
    assert told.veto is not None
    assert told.veto.reason == "KeyError: 'low'"


# a bot that bets on a direction


def test_members_that_agree_with_the_setup_pass() -> None:
    told = inference(answered(stock(), xgb=0.6, lgbm=0.56))
    [verdict] = told.verdicts
    assert (verdict.effect, told.action) == (Effect.ADJUST, Action.BUY)
    assert told.probability == pytest.approx(0.58)
    assert (verdict.evidence["gate"], verdict.evidence["members"]) == (0.54, 2.0)
    assert verdict.reason == ("2 members say buy at 0.580, a split vote; absent: nhits, patchtst")


@pytest.mark.parametrize(
    ("said", "strength", "scale"),
    [
        ({"nhits": 0.6, "patchtst": 0.6}, "unanimous", 1.0),
        ({"nhits": 0.6, "patchtst": 0.5}, "strong", 1.1 / 1.2),
        ({"nhits": 0.6}, "strong", 1.1 / 1.2),
        ({"nhits": 0.5}, "split", 0.8 / 1.2),
        ({}, "split", 0.8 / 1.2),
    ],
)
def test_the_fewer_members_agree_the_smaller_the_size_and_the_probability_stays(
    said: dict[str, float], strength: str, scale: float
) -> None:
    told = inference(answered(stock(), xgb=0.6, lgbm=0.6, **said))
    [verdict] = told.verdicts
    assert (told.action, told.scale) == (Action.BUY, pytest.approx(scale))
    assert verdict.effect is (Effect.PASS if scale == 1 else Effect.ADJUST)
    assert f"a {strength} vote" in verdict.reason
    assert told.probability is not None
    assert min([0.6, *said.values()]) <= told.probability <= 0.6 + 1e-12


def test_in_high_volatility_two_members_are_not_enough_and_three_are() -> None:
    rough = stock(regime=examples.regime(vol=Vol.HIGH))
    held = inference(answered(rough, **MEMBERS))
    assert vetoed(held) == ("inference", Reason.NO_CONSENSUS)
    assert held.veto is not None
    assert held.veto.reason == (
        "the setup says buy, the ensemble hold: "
        "100% say buy, but that is 2 of them, and 3 must in this regime"
    )
    assert inference(answered(rough, **MEMBERS, nhits=0.6)).action is Action.BUY


def test_the_weights_of_the_members_are_in_the_evidence() -> None:
    bad = examples.prediction(
        0.9, "patchtst", skill=-0.04, skill_low=-0.05, skill_high=-0.02, sessions=250.0
    )
    good = examples.prediction(
        0.6, "nhits", skill=0.02, skill_low=-0.01, skill_high=0.05, sessions=250.0
    )
    [verdict] = inference(answered(stock(), bad, good, **MEMBERS)).verdicts
    told = {k: v for k, v in verdict.evidence.items() if k.startswith("weight_")}
    assert told == pytest.approx(
        {"weight_xgb": 0.25 / 0.875, "weight_lgbm": 0.25 / 0.875, "weight_nhits": 0.375 / 0.875}
    )
    assert verdict.reason.endswith("a strong vote; absent: patchtst")
    assert verdict.probability is not None
    assert verdict.probability <= 0.6


def test_no_setup_and_no_model_is_heard() -> None:
    told = inference(answered(stock(features={"rsi_14": 75.0, "macd_histogram": -1.0}), **MEMBERS))
    assert vetoed(told) == ("inference", Reason.NO_SETUP)
    assert told.veto is not None
    assert told.veto.evidence["rsi_14"] == 75.0


@pytest.mark.parametrize(
    "said",
    [
        {"xgb": 0.40, "lgbm": 0.42},  # both say it falls
        {"xgb": 0.52, "lgbm": 0.51},  # both say nothing
        {"xgb": 0.60, "lgbm": 0.40},  # one against one
    ],
)
def test_members_that_do_not_agree_with_the_setup_hold(said: dict[str, float]) -> None:
    told = inference(answered(stock(), **said))
    assert vetoed(told) == ("inference", Reason.NO_CONSENSUS)


def test_the_gate_is_the_regime_s_or_the_bot_s_whichever_is_higher() -> None:
    hard = examples.regime(gate=0.6)
    assert vetoed(inference(answered(stock(regime=hard), xgb=0.59, lgbm=0.59))) == (
        "inference",
        Reason.NO_CONSENSUS,
    )
    bot = stock().bot.model_copy(update={"p_min": 0.7})
    told = inference(answered(stock(bot=bot, regime=hard), xgb=0.69, lgbm=0.69))
    assert vetoed(told) == ("inference", Reason.NO_CONSENSUS)


def test_a_regime_that_is_unknown_has_no_gate_to_pass() -> None:
    told = inference(answered(stock(regime=None), **MEMBERS))
    assert vetoed(told) == ("inference", Reason.FEATURE_UNKNOWN)
    assert told.veto is not None
    assert "regime" in told.veto.reason


def test_one_member_alone_is_no_ensemble_and_the_absent_ones_say_why() -> None:
    silent = examples.prediction(None, "lgbm").model_copy(update={"reason": "unknown: beta_60"})
    told = inference(answered(stock(), silent, xgb=0.9))
    assert vetoed(told) == ("inference", Reason.NO_QUORUM)
    assert told.veto is not None
    assert told.veto.reason == (
        "1 of 4 members answered, 2 are needed; "
        "lgbm: unknown: beta_60; nhits: not asked; patchtst: not asked"
    )


def test_members_that_were_never_trained_are_named() -> None:
    told = inference(answered(stock()))
    assert vetoed(told) == ("inference", Reason.UNTRAINED)
    assert told.veto is not None
    assert told.veto.reason == (
        "no champion of xgb, lgbm, nhits, patchtst; "
        "train with `omega train xgb lgbm nhits patchtst`"
    )


def test_members_that_lack_a_feature_are_told_apart() -> None:
    blind = [
        examples.prediction(None, model).model_copy(update={"reason": "unknown: beta_60"})
        for model in ("xgb", "lgbm")
    ]
    told = inference(answered(stock(), *blind))
    assert vetoed(told) == ("inference", Reason.FEATURE_UNKNOWN)


def test_a_missing_feature_of_the_score_is_named() -> None:
    known = {name: value for name, value in STRONG.items() if name != "rsi_14"}
    blind = stock().model_copy(update={"features": known})
    told = inference(answered(blind, **MEMBERS))
    assert vetoed(told) == ("inference", Reason.FEATURE_UNKNOWN)
