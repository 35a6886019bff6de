"""The advisor: which structure, how far out, and how much less."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import examples
from domain.decision import Context, Effect, Reason, Verdict
from domain.values import Action
from orchestrator.layers import advisor as prophet
from orchestrator.layers.advisor import UNADVISED, Band, advisor, band
from tests.orchestrator.made import chosen, premium, stock, vetoed
from trading.strategies import catalog as strategies


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
