"""Defects of the seed systems' sizes and measures, each with the rule that replaced it."""

from datetime import date, timedelta

import numpy as np
import pytest

from domain.decision import Reason
from domain.examples import book, bot, context, proposal
from risk import capital, kelly, measures, scaler, sizing
from risk.capital import Arm, Capital

DAY = date(2017, 3, 3)


def size(probability: float, scale: float = 1.0, **fields: object) -> sizing.Sizing:
    asked = context(**fields)
    asked = asked.model_copy(update={"book": asked.book.model_copy(update={"bots": 4})})
    return sizing.size(asked, proposal(), probability, 0.2, 0.5, scale)


@pytest.mark.parametrize("p", [0.5, 0.4])
def test_ruin_only_kelly_staked_six_per_cent_on_nothing(p: float) -> None:
    # systems.md 18: win 50 % or 40 %, 10 gained against 12 lost, still 6.6 % of the equity
    assert kelly.stake(p, 1.0, 1.2, 0.5) == 0.0
    assert kelly.ruin_safe(p, 1.0, 1.2) == 0.0


def test_a_floor_under_the_size_used_to_buy_without_an_edge() -> None:
    # systems.md 37: p 0.65 at a payoff of 0.5 is a Kelly stake of -0.05, and 2 % was bought
    assert kelly.full(0.65, 0.5, 1.0) == kelly.stake(0.65, 0.5, 1.0, 0.25) == 0.0
    sized = size(0.65)
    assert (sized.quantity, sized.code) == (0, Reason.NO_EDGE)


def test_half_of_one_contract_used_to_be_one_contract() -> None:
    one = book(equity=40_000.0, peak=40_000.0)
    assert size(0.9, book=one).quantity == 1
    assert size(0.9, scale=0.5, book=one).quantity == 0


def test_a_share_taken_for_a_percentage_cut_every_trade_to_a_sixth() -> None:
    # systems.md 2: 7.5 x 0.25 x 100 = 187.5 "per cent" against a cap of 30, with nothing held
    sized = size(0.9, bot=bot(risk_per_trade=0.075))
    assert sized.binding == "risk_per_trade"
    assert sized.quantity == int(0.075 * 100_000 / 4_560)


def test_renormalising_after_clipping_broke_the_bounds() -> None:
    shares = np.array([0.90, 0.06, 0.04])
    clipped = np.clip(shares, 0.05, 0.5)
    assert (clipped / clipped.sum()).max() > 0.5
    bounded = capital.bounded(shares)
    assert 0.05 <= bounded.min() <= bounded.max() <= 0.5
    assert bounded.sum() == pytest.approx(1.0, abs=1e-12)


def test_sizes_jittered_because_every_decision_drew_again() -> None:
    bots = ("fortress", "anchor", "solomon")
    state = capital.allot(Capital(), bots, DAY, seed=7)
    for _ in range(5):
        state = capital.update(state, "fortress", -1.0)
        again = capital.allot(state, bots, DAY, seed=7)
        assert again.allotted == state.allotted
    assert capital.allot(state, bots, DAY + timedelta(days=1), 7).allotted != state.allotted


def test_beliefs_moved_with_the_size_of_the_account() -> None:
    # a hundred dollars were a full win for any bot; one unit of risk is the same for all
    small, large = 50.0 / 100.0, 50_000.0 / 100_000.0
    assert capital.learn(Arm(), small) == capital.learn(Arm(), large)


def test_the_equity_scaler_enlarged_and_its_floor_was_unreachable() -> None:
    assert scaler.scale(200_000.0, 100_000.0) == 1.0
    assert scaler.scale(84_000.0, 100_000.0) == 0.25
    assert len({scaler.scale(equity, 100.0) for equity in (100, 94, 89, 80)}) == 4


def test_what_was_not_measured_used_to_be_a_default() -> None:
    assert measures.win_rate([]) is None
    assert measures.sharpe([0.0] * 40) is None
    assert measures.profit_factor([5.0] * 40) is None
    assert not measures.mvs([]).passed


def test_a_measure_used_to_come_without_its_sample() -> None:
    measured = measures.expectancy([1.0, -0.5] * 20, np.random.default_rng(7))
    assert measured.n == 40
    assert measured.low < measured.value < measured.high


def test_breaking_even_was_a_win_here_and_a_loss_there() -> None:
    assert measures.win_rate([0.0, 1.0]).value == 0.5
    assert capital.learn(Arm(), 0.0) == Arm(alpha=1.0, beta=2.0)
