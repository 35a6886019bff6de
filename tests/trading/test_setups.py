"""When the strategies enter, and with what."""

from typing import Any

import pytest

from domain import examples
from domain.book import Costs
from domain.decision import Context
from domain.errors import DataError, FeatureMismatch, Refused, SettingsError
from domain.values import Action
from trading.bots.catalog import BOTS
from trading.strategies import catalog, score
from trading.strategies.score import FEATURES

STRONG = {
    "close_range_14": 0.01,
    "sma_ratio_5": 0.005,
    "sma_ratio_10": 0.01,
    "sma_ratio_20": 0.02,
    "sma_ratio_50": 0.04,
    "rsi_14": 60.0,
    "macd_histogram": 0.001,
    "vix": 12.0,
}


def stock(price: float | None = 100.0, **features: Any) -> Context:
    return examples.context(
        bot=BOTS["autotrader"], symbol="KO", price=price, features=STRONG | features
    )


def index(name: str = "fortress", **fields: Any) -> Context:
    return examples.context(**({"bot": BOTS[name], "features": {"vix": 11.0}} | fields))


# score


def test_four_of_four_buys() -> None:
    setup = catalog.setup(stock())
    assert (setup.action, setup.score, setup.reason) == (Action.BUY, 4, "4 of 4")
    assert setup.evidence["above_fast_mean"] == 1.0
    assert setup.evidence["rsi_14"] == 60.0


def test_three_of_four_buys_and_two_do_not() -> None:
    three = catalog.setup(stock(macd_histogram=-0.001))
    assert (three.action, three.score) == (Action.BUY, 3)
    assert three.reason == "3 of 4, not macd_rising"
    two = catalog.setup(stock(macd_histogram=-0.001, rsi_14=75.0))
    assert (two.action, two.score) == (Action.HOLD, 2)
    assert two.reason == "2 of 4, not rsi_strong, macd_rising"


@pytest.mark.parametrize(
    ("moves", "fast", "slow"),
    [
        (0.0240, "sma_ratio_5", "sma_ratio_20"),
        (0.0200, "sma_ratio_5", "sma_ratio_20"),
        (0.0150, "sma_ratio_10", "sma_ratio_20"),
        (0.0060, "sma_ratio_20", "sma_ratio_50"),
    ],
)
def test_what_moves_more_is_held_against_shorter_means(moves: float, fast: str, slow: str) -> None:
    below = dict.fromkeys(("sma_ratio_5", "sma_ratio_10", "sma_ratio_20", "sma_ratio_50"), -0.1)
    read = below | {fast: 0.01, slow: 0.02, "close_range_14": moves}
    evidence = catalog.setup(stock(**read)).evidence
    assert evidence["above_fast_mean"] == evidence["fast_above_slow"] == 1.0


@pytest.mark.parametrize("missing", FEATURES)
def test_a_missing_feature_is_named(missing: str) -> None:
    known = {name: value for name, value in STRONG.items() if name != missing}
    blind = stock().model_copy(update={"features": known})
    with pytest.raises(FeatureMismatch, match=missing):
        catalog.setup(blind)
    if missing == "close_range_14":
        with pytest.raises(FeatureMismatch, match=missing):
            catalog.propose(blind)


def test_a_share_is_stopped_two_and_a_half_moves_away() -> None:
    proposal = catalog.propose(stock())
    assert (proposal.action, proposal.side, proposal.entry) == (Action.BUY, 1, -100.0)
    assert proposal.stop == pytest.approx(2.5)
    assert proposal.costs == pytest.approx(0.30)
    assert proposal.max_loss == pytest.approx(2.80)
    assert (proposal.multiplier, proposal.horizon, proposal.legs) == (1.0, 5, ())
    assert proposal.simulated == ""


def test_no_stop_is_nearer_than_a_days_noise() -> None:
    assert catalog.propose(stock(close_range_14=0.003)).stop == pytest.approx(1.5)


def test_a_share_without_a_price_is_not_proposed() -> None:
    with pytest.raises(DataError, match="KO has no price"):
        catalog.propose(stock(price=None))


def test_a_bot_without_a_score_or_a_stop_is_told_so() -> None:
    bare = BOTS["autotrader"].model_copy(update={"min_score": None, "stop_ranges": None})
    with pytest.raises(DataError, match="min_score"):
        score.setup(stock().model_copy(update={"bot": bare}))
    with pytest.raises(DataError, match="stop_ranges"):
        score.propose(stock().model_copy(update={"bot": bare}), None, None)


def test_six_positions_at_their_nearest_stops_never_borrow() -> None:
    bot = BOTS["autotrader"]
    assert bot.max_open * bot.risk_per_trade / score.MIN_STOP <= 1.0


# condor


def test_premium_is_for_sale_on_any_day() -> None:
    setup = catalog.setup(index())
    assert (setup.action, setup.score) == (Action.SELL, None)


def test_a_condor_lies_the_bots_distance_away() -> None:
    near, far = catalog.propose(index()), catalog.propose(index(), "iron_condor", 1.4)
    assert near.structure == "iron_condor"
    assert (near.distance, far.distance) == (1.2, 1.4)
    move = 2383.0 * 0.11 * (5 / 252) ** 0.5
    assert near.legs[1].strike == 5 * ((2383.0 - 1.2 * move) // 5)
    assert far.legs[1].strike < near.legs[1].strike
    assert near.legs[1].strike - near.legs[0].strike == 50.0
    assert 0 < far.entry < near.entry
    assert near.horizon == 5
    assert near.simulated.startswith("simulated")


def test_a_distance_of_zero_is_a_distance() -> None:
    at_the_money = catalog.propose(index(), "iron_condor", 0.0)
    assert at_the_money.distance == 0.0
    assert at_the_money.legs[1].strike == 2380.0


def test_costs_are_those_of_the_context() -> None:
    free = Costs(option_leg=0.0, share_slippage=0.0, share_commission=0.0)
    assert catalog.propose(index(costs=free)).costs == 0.0
    assert catalog.propose(index()).costs == pytest.approx(2 * 4 * 0.15 * 2383 / 4500 * 100)


def test_samson_may_choose_a_side() -> None:
    assert len(catalog.propose(index("samson"), "bull_put").legs) == 2
    assert catalog.propose(index("samson"), "bear_call").side == -1


def test_a_structure_that_the_bot_does_not_trade_is_refused() -> None:
    with pytest.raises(SettingsError, match="fortress does not trade 'bull_put'; its own: iron"):
        catalog.propose(index(), "bull_put")


def test_without_vix_or_surface_there_is_no_condor() -> None:
    with pytest.raises(FeatureMismatch, match="vix"):
        catalog.propose(index(features={}))
    with pytest.raises(DataError, match="no volatility surface"):
        catalog.propose(index(surface=None))


def test_a_strategy_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="there are condor, score"):
        catalog.find("scalping")
