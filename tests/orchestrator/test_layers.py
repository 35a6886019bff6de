"""Every layer: what it lets through, what it shrinks, what it stops, and with which reason."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import examples
from domain.bot import Factor
from domain.decision import Context, Draft, Effect, Prediction, Reason, Verdict
from domain.errors import DataError, FeatureMismatch, OmegaError, Transient
from domain.market import Vol
from domain.values import Action
from orchestrator import pipeline
from orchestrator.layers import advisor as prophet
from orchestrator.layers.advisor import FURTHER, UNADVISED, Band, advisor, band
from orchestrator.layers.base import Layer, layer, veto
from orchestrator.layers.correlation import correlation
from orchestrator.layers.inference import REDUCED, inference
from orchestrator.layers.safety import safety
from orchestrator.layers.sizing import payoff, sizing
from tests.orchestrator.made import STRONG, answered, codes, premium, stock, vetoed, wanting
from trading.strategies import catalog as strategies

LAYERS = pytest.mark.parametrize("name", pipeline.LAYERS)
MEMBERS = {"xgb": 0.6, "lgbm": 0.58}


def chosen(context: Context, *predictions: Prediction, action: Action = Action.SELL) -> Draft:
    """Return a draft that inference let through in full."""
    said = Verdict(layer="inference", action=action, probability=0.9)
    return Draft(context=context, predictions=predictions).add(said)


# what every layer does


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


# safety


def test_safety_passes_a_quiet_day_with_its_numbers() -> None:
    [verdict] = safety(Draft(context=premium())).verdicts
    assert (verdict.effect, verdict.code, verdict.scale) == (Effect.PASS, Reason.OK, 1.0)
    assert verdict.evidence == {"lost_today": 0.0, "drawdown": 0.0, "losses_in_row": 0.0}


def test_safety_halves_after_the_soft_daily_loss() -> None:
    book = examples.book(equity=97_000.0, day_pnl=-3_000.0)
    [verdict] = safety(Draft(context=premium(book=book))).verdicts
    assert (verdict.effect, verdict.code) == (Effect.ADJUST, Reason.DAILY_LOSS)
    assert verdict.scale == 0.5


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"switches": {"latches": (examples.switch(),)}}, Reason.KILLED),
        ({"switches": {"readable": False}}, Reason.SWITCHES_UNREADABLE),
        ({"due": None}, Reason.CLOSED),
        ({"issues": ("jump",)}, Reason.DATA),
        ({"price": None}, Reason.DATA),
        ({"bar": examples.CLOSE.replace(hour=23)}, Reason.DATA),
        (
            {"bar": examples.CLOSE.replace(day=2), "asof": examples.CLOSE.replace(hour=22)},
            Reason.STALE,
        ),
        ({"book": examples.book(losses_in_row=3)}, Reason.LOSS_STREAK),
        ({"book": examples.book(equity=95_000.0, day_pnl=-5_000.0)}, Reason.DAILY_LOSS),
        ({"book": examples.book(equity=80_000.0)}, Reason.DRAWDOWN),
        ({"book": examples.book(orders_today=3)}, Reason.REPEAT_ORDERS),
        ({"book": examples.book(open_positions=3)}, Reason.MAX_OPEN),
        ({"book": examples.book(trades_today=3)}, Reason.MAX_DAILY),
    ],
)
def test_safety_stops(fields: dict[str, Any], code: Reason) -> None:
    assert vetoed(safety(Draft(context=premium(**fields)))) == ("safety", code)


# inference of a bot that sells volatility


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


# inference of a bot that bets on a direction


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


# advisor


@pytest.mark.parametrize(
    ("vix", "level", "size"),
    [
        (9.0, Band.LOW, 1.0),
        (14.99, Band.LOW, 1.0),
        (15.0, Band.NORMAL, 1.0),
        (21.99, Band.NORMAL, 1.0),
        (22.0, Band.ELEVATED, 0.75),
        (27.99, Band.ELEVATED, 0.75),
        (28.0, Band.HIGH, 0.5),
        (34.99, Band.HIGH, 0.5),
        (35.0, Band.EXTREME, 0.25),
        (82.69, Band.EXTREME, 0.25),
    ],
)
def test_the_vix_has_five_bands_and_each_its_size(vix: float, level: Band, size: float) -> None:
    assert band(vix) is level
    told = advisor(chosen(stock(vix=vix), action=Action.BUY))
    assert told.scale == size
    verdict = told.verdicts[-1]
    shrunk = size < 1
    assert verdict.effect is (Effect.ADJUST if shrunk else Effect.PASS)
    assert verdict.code is (Reason.ADVISED if shrunk else Reason.OK)
    assert told.proposal == strategies.propose(stock(vix=vix))


def test_every_band_has_a_line_in_every_table() -> None:
    for table in (prophet.CONDOR, prophet.DIRECTIONAL, prophet.SIZE):
        assert set(table) == set(Band)


def test_prophet_that_sees_the_index_falling_halves_a_purchase_and_nothing_more() -> None:
    bought = partial(chosen, stock(), action=Action.BUY)
    falling = advisor(bought(examples.prediction(0.4, "prophet-directional")))
    assert falling.scale == UNADVISED
    assert not falling.vetoed
    rising = advisor(bought(examples.prediction(0.6, "prophet-directional")))
    assert (rising.scale, rising.verdicts[-1].evidence) == (1.0, {"p": 0.6})


OUTWARD = [(0.95, 1.0), (0.70, 1.0), (0.69, 1.3 / 1.2), (0.60, 1.3 / 1.2), (0.1, 1.4 / 1.2)]


@pytest.mark.parametrize(("p", "further"), OUTWARD)
def test_the_less_probable_the_further_out(p: float, further: float) -> None:
    told = advisor(chosen(premium(), examples.prediction(p, "prophet-condor")))
    assert told.proposal is not None
    assert told.proposal.structure == "iron_condor"
    assert told.proposal.distance == pytest.approx(1.2 * further)
    assert told.verdicts[-1].evidence["p"] == p
    assert told.scale == 1.0


def test_the_combined_prophet_answers_where_its_sub_model_is_silent() -> None:
    silent = examples.prediction(None, "prophet-condor")
    told = advisor(chosen(premium(), silent, examples.prediction(0.65, "prophet")))
    assert told.verdicts[-1].evidence["p"] == 0.65


def test_without_prophet_the_size_is_halved_and_the_strikes_stay() -> None:
    told = advisor(chosen(premium()))
    assert told.scale == UNADVISED
    assert told.proposal == strategies.propose(premium(), "iron_condor", 1.2)
    assert "p" not in told.verdicts[-1].evidence


VERTICALS = [
    ("bull_put", 0.6, 0.6),
    ("bear_call", 0.4, 0.6),
    ("iron_condor", 0.5, 0.9),
]


@pytest.mark.parametrize(("structure", "up", "p"), VERTICALS)
def test_a_vertical_is_chosen_when_the_day_has_a_direction_and_prophet_sees_it(
    structure: str, up: float, p: float
) -> None:
    answers = (examples.prediction(up, "prophet-directional"), examples.prediction(0.9, "prophet"))
    told = advisor(chosen(premium("samson", vix=25.0), *answers))
    assert told.proposal is not None
    assert (told.proposal.structure, told.probability) == (structure, pytest.approx(p))
    assert told.scale == 0.75 * (UNADVISED if structure == "iron_condor" else 1.0)


@pytest.mark.parametrize("up", [0.4, 0.6])
def test_a_vertical_is_not_chosen_by_a_bot_that_does_not_trade_one(up: float) -> None:
    answers = (examples.prediction(up, "prophet-directional"), examples.prediction(0.9, "prophet"))
    told = advisor(chosen(premium("anchor", vix=25.0), *answers))
    assert told.proposal is not None
    assert told.proposal.structure == "iron_condor"
    assert told.scale == 0.75 * UNADVISED


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"vix": 17.0}, {"prophet": 0.9, "prophet-directional": 0.9}),  # the day suits a condor
        ({"vix": 25.0}, {"prophet": 0.9}),  # nobody says which way
        ({"vix": 25.0, "regime": None}, {"prophet": 0.9, "prophet-directional": 0.9}),  # no gate
    ],
)
def test_a_vertical_is_not_chosen_on_half_a_reason(
    fields: dict[str, Any], answers: dict[str, float]
) -> None:
    said = (examples.prediction(p, model) for model, p in answers.items())
    told = advisor(chosen(premium("samson", **fields), *said))
    assert told.proposal is not None
    assert told.proposal.structure == "iron_condor"
    assert told.probability == 0.9


@pytest.mark.parametrize(
    ("features", "condor", "directional"),
    [
        ({}, 0.65, 0.5),
        ({"gex_regime_positive": 1.0}, 0.90, 0.40),
        ({"gex_regime_positive": 0.0}, 0.35, 0.80),
        ({"gex_distance_to_flip_pct": 2.5}, 0.70, 0.5),
        ({"gex_distance_to_flip_pct": -2.5}, 0.65, 0.55),
        ({"gex_distance_to_flip_pct": 0.0}, 0.65, 0.5),
    ],
)
def test_what_suits_the_day_is_the_seed_s_table(
    features: dict[str, float], condor: float, directional: float
) -> None:
    """The fixture's bar is a Friday, which costs the condor 0.05."""
    found = prophet.suitability(premium(features=features), Band.NORMAL)
    assert found == pytest.approx((condor, directional))


def test_without_the_vix_the_advisor_is_closed() -> None:
    blind = premium().model_copy(update={"features": {}})
    assert vetoed(advisor(chosen(blind))) == ("advisor", Reason.FEATURE_UNKNOWN)


PROBABILITIES = st.none() | st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(
    vix=st.floats(5, 90),
    said=st.tuples(PROBABILITIES, PROBABILITIES, PROBABILITIES),
    bot=st.sampled_from(["fortress", "anchor", "samson", "autotrader"]),
    flip=st.none() | st.floats(-10, 10),
    positive=st.none() | st.sampled_from([0.0, 1.0]),
    known=st.booleans(),
)
def test_the_advisor_never_vetoes_and_never_enlarges(
    vix: float,
    said: tuple[float | None, ...],
    bot: str,
    flip: float | None,
    positive: float | None,
    known: bool,
) -> None:
    names = ("prophet", "prophet-condor", "prophet-directional")
    answers = [examples.prediction(p, name) for name, p in zip(names, said, strict=True)]
    gex = {"gex_distance_to_flip_pct": flip, "gex_regime_positive": positive}
    features = {name: value for name, value in gex.items() if value is not None}
    regime = examples.regime() if known else None
    made: Callable[..., Context] = stock if bot == "autotrader" else premium
    context = made(vix=vix, features=features, regime=regime)
    if bot != "autotrader":
        context = context.model_copy(update={"bot": premium(bot).bot})
    before = chosen(context, *answers).add(Verdict(layer="safety", scale=0.5))
    told = advisor(before)
    assert not told.vetoed, told.veto
    assert told.scale <= before.scale
    assert told.quantity == 0
    assert told.proposal is not None
    assert told.proposal.structure in (*context.bot.structures, "shares")
    if context.bot.distance is not None and told.proposal.structure == "iron_condor":
        assert told.proposal.distance is not None
        assert told.proposal.distance >= context.bot.distance


# correlation


def held_by(context: Context, *exposures: Any, **correlations: float) -> Draft:
    book = examples.book(exposures=exposures)
    return wanting(
        context.model_copy(update={"book": book, "correlations": correlations}),
        proposal=examples.proposal(max_loss=4_560.0),
    )


AAPL = examples.exposure(id="a", symbol="AAPL", bot="autotrader")
SAME = examples.exposure(id="s", symbol="SPX")


def test_an_empty_book_correlates_with_nothing() -> None:
    verdict = correlation(held_by(premium())).verdicts[-1]
    assert (verdict.effect, verdict.evidence) == (Effect.PASS, {"held": 0.0})


@pytest.mark.parametrize(("rho", "stopped"), [(0.70, False), (0.7001, True)])
def test_moving_with_a_position_elsewhere_is_stopped(rho: float, stopped: bool) -> None:
    told = correlation(held_by(premium(), AAPL, a=rho))
    assert told.vetoed is stopped
    if stopped:
        assert vetoed(told) == ("correlation", Reason.CORRELATED)
        assert told.veto is not None
        assert told.veto.evidence["worst"] == rho


def test_a_correlation_that_nobody_knows_counts_as_the_same_bet() -> None:
    assert vetoed(correlation(held_by(premium(), AAPL))) == ("correlation", Reason.CORRELATED)


def test_a_hedge_passes_however_strong() -> None:
    hedge = AAPL.model_copy(update={"side": 1, "risk": 500_000.0})
    verdict = correlation(held_by(premium(), hedge, a=0.99)).verdicts[-1]
    assert (verdict.effect, verdict.evidence["held"]) == (Effect.PASS, 0.0)


def test_positions_in_the_same_symbol_are_for_the_cap_and_not_for_the_correlation() -> None:
    assert not correlation(held_by(premium(), SAME, s=1.0)).vetoed


def test_what_would_be_lost_together_has_a_limit() -> None:
    """A fifth of 600,000 is 120,000; the proposal itself risks 4,560."""
    room = SAME.model_copy(update={"risk": 115_440.0})
    assert not correlation(held_by(premium(), room, s=1.0)).vetoed
    full = SAME.model_copy(update={"risk": 115_440.1})
    assert vetoed(correlation(held_by(premium(), full, s=1.0))) == (
        "correlation",
        Reason.SHARED_RISK,
    )


def test_there_is_nothing_to_compare_without_a_proposal() -> None:
    assert vetoed(correlation(chosen(premium()))) == ("correlation", Reason.FAILED)


# sizing


def sized(draft: Draft, **facts: float) -> Draft:
    answer = examples.prediction(**{"gain": 0.3, "loss": 0.5} | facts)
    return sizing(draft.model_copy(update={"predictions": (answer,)}))


def proposed(context: Context, p: float = 0.9, **fields: Any) -> Draft:
    verdict = Verdict(
        layer="advisor",
        action=Action.SELL,
        probability=p,
        proposal=examples.proposal(**fields),
    )
    return Draft(context=context).add(verdict)


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


# all of them


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
