from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincinv

from domain.decision import Reason
from domain.errors import DataError
from domain.examples import book, bot, context, exposure, proposal
from domain.values import Action
from risk import caps, kelly, sizing


def size(
    probability: float = 0.9,
    scale: float = 1.0,
    unit: Any = None,
    error: float | None = None,
    **fields: Any,
) -> sizing.Sizing:
    """Return the size of a condor that gains 0.2 or loses 0.5 of its risk, on a desk of four."""
    asked = context(**({"book": book()} | fields))
    state = asked.book.model_copy(update={"bots": 4})
    asked = asked.model_copy(update={"book": state})
    return sizing.size(asked, unit or proposal(), probability, 0.2, 0.5, scale, error)


def shares(**fields: Any) -> Any:
    plain = {
        "structure": "shares",
        "action": Action.BUY,
        "factor": "price",
        "side": 1,
        "legs": (),
        "entry": -100.0,
        "max_loss": 5.0,
        "multiplier": 1.0,
        "stop": 4.0,
        "costs": 0.3,
    }
    return proposal(**(plain | fields))


def test_a_good_condor_is_sized_by_the_risk_per_trade() -> None:
    sized = size(bot=bot(risk_per_trade=0.15))
    # 15 % of 100,000 over 4,560
    assert (sized.quantity, sized.dollars) == (3, 13_680.0)
    assert (sized.code, sized.binding) == (Reason.SIZED, "risk_per_trade")
    assert sized.reason == "3 units, 13,680.00 dollars at risk; risk_per_trade binds"


def test_a_small_edge_is_sized_by_kelly() -> None:
    probability = 0.73
    sized = size(probability, bot=bot(risk_per_trade=0.5))
    stake = kelly.stake(probability, 0.2, 0.5, 0.5)
    assert sized.binding == "kelly"
    assert sized.quantity == floor(stake * 100_000.0 / 4_560.0) == 1


@pytest.mark.parametrize("probability", [0.0, 0.5, 5 / 7 - 1e-9])
def test_without_an_edge_nothing_is_traded_whatever_else_allows_it(probability: float) -> None:
    sized = size(probability, unit=shares(max_loss=0.01, stop=0.0), price=None)
    assert (sized.quantity, sized.dollars, sized.code) == (0, 0.0, Reason.NO_EDGE)
    assert "edge of -" in sized.reason


@pytest.mark.parametrize(
    ("fields", "scale", "binding"),
    [
        ({}, 0.3, "scale"),
        ({}, 0.0, "scale"),
        ({"book": book(equity=29_000.0, peak=40_000.0)}, 1.0, "risk_per_trade"),
        ({"book": book(equity=50_000.0, peak=70_000.0)}, 1.0, "equity_scaler"),
        ({"book": book(allocation=0.05)}, 1.0, "thompson"),
        ({"book": book(equity=0.0)}, 1.0, "kelly"),
        ({"bot": bot(max_quantity=0)}, 1.0, "max_quantity"),
        ({"book": book(exposures=(exposure(risk=88_000.0),))}, 1.0, "symbol_cap"),
        (
            {
                "book": book(exposures=(exposure(symbol="A", risk=178_000.0),)),
                "correlations": {"anchor-SPX-20170302T2100Z": 0.0},
            },
            1.0,
            "total_cap",
        ),
        ({"book": book(exposures=(exposure(symbol="A", risk=118_000.0),))}, 1.0, "shared_risk"),
    ],
)
def test_what_is_too_small_names_the_factor_that_binds(
    fields: dict[str, Any], scale: float, binding: str
) -> None:
    sized = size(scale=scale, **fields)
    assert (sized.quantity, sized.code, sized.binding) == (0, Reason.TOO_SMALL, binding)
    assert sized.reason.endswith(f"{binding} binds")


def test_caps_shrink_instead_of_refusing() -> None:
    sized = size(book=book(exposures=(exposure(risk=80_000.0),)))
    assert (sized.quantity, sized.binding) == (2, "symbol_cap")


def test_a_hedge_is_not_cut_by_the_risk_it_offsets() -> None:
    held = exposure(symbol="A", side=1, risk=118_000.0)
    hedge = size(book=book(exposures=(held,)), correlations={held.id: 0.95})
    assert hedge.quantity == 3
    assert hedge.evidence["shared"] == 0.0


def test_kelly_counts_what_the_bot_has_at_stake_on_the_same_outcome() -> None:
    # half Kelly of this edge is 0.055 of 200,000, and another condor is the same bet
    desk = {"bot": bot(risk_per_trade=0.5)}
    rich = {"equity": 200_000.0, "peak": 200_000.0}
    held = exposure(id="own", bot="fortress", risk=5_000.0)
    alone = size(0.73, book=book(**rich), **desk)
    again = size(0.73, book=book(exposures=(held,), **rich), correlations={"own": 1.0}, **desk)
    unknown = size(0.73, book=book(exposures=(held,), **rich), **desk)
    assert (alone.quantity, again.quantity, unknown.quantity) == (2, 1, 1)
    assert (again.binding, again.evidence["own"]) == ("kelly", 5_000.0)


@pytest.mark.parametrize(
    ("fields", "rho"), [({"bot": "anchor"}, 1.0), ({"side": 1}, 1.0), ({"symbol": "A"}, 0.0)]
)
def test_another_bot_a_hedge_and_an_unrelated_bet_leave_the_stake_alone(
    fields: dict[str, Any], rho: float
) -> None:
    held = exposure(**({"id": "own", "bot": "fortress", "risk": 11_000.0} | fields))
    state = book(equity=200_000.0, peak=200_000.0, exposures=(held,))
    sized = size(0.73, book=state, correlations={"own": rho}, bot=bot(risk_per_trade=0.5))
    assert (sized.quantity, sized.evidence["own"]) == (2, 0.0)


def test_allotment_counts_against_an_equal_share_and_never_enlarges() -> None:
    assert size(book=book(allocation=0.5)).quantity == size(book=book(allocation=0.25)).quantity
    assert size(book=book(allocation=0.125)).quantity == 1


def test_every_factor_is_evidence() -> None:
    sized = size(scale=0.5, book=book(equity=94_000.0, allocation=0.2))
    evidence = sized.evidence
    assert evidence["scale"] == 0.5
    assert evidence["equity_scaler"] == 0.75
    assert evidence["thompson"] == pytest.approx(0.8)
    assert evidence["budget"] == pytest.approx(0.15 * 94_000 * 0.5 * 0.75 * 0.8)
    assert evidence["unit_risk"] == 4_560.0
    assert evidence["units_max_quantity"] == 75.0


def test_shares_cost_no_more_than_an_equal_part_of_the_equity() -> None:
    sized = size(unit=shares(), price=100.0, bot=bot(max_quantity=10_000, max_open=5))
    assert (sized.quantity, sized.binding) == (200, "notional")
    assert sized.dollars == 1_000.0


def test_shares_risk_at_least_the_way_to_their_stop() -> None:
    assert sizing.unit_risk(shares(max_loss=5.0, stop=4.0)) == 5.0
    assert sizing.unit_risk(shares(max_loss=1.0, stop=4.0, multiplier=10.0)) == 40.0
    assert sizing.unit_risk(proposal()) == 4_560.0


@pytest.mark.parametrize("price", [None, 0.0, -3.0])
def test_shares_without_a_price_are_not_sized(price: float | None) -> None:
    with pytest.raises(DataError, match="price"):
        size(unit=shares(), price=price)


@given(
    probability=st.floats(0, 1),
    scale=st.floats(0, 1),
    equity=st.floats(-1e5, 1e6),
    allocation=st.floats(0, 1),
    held=st.lists(st.floats(0, 1e5), max_size=4),
    stock=st.booleans(),
)
def test_no_size_breaks_a_limit(
    probability: float,
    scale: float,
    equity: float,
    allocation: float,
    held: list[float],
    stock: bool,
) -> None:
    exposures = tuple(exposure(id=str(i), risk=risk) for i, risk in enumerate(held))
    state = book(
        equity=equity, peak=max(equity, 1.0), allocation=allocation, exposures=exposures, bots=4
    )
    asked = context(book=state, price=100.0)
    unit = shares() if stock else proposal()
    sized = sizing.size(asked, unit, probability, 0.2, 0.5, scale)
    assert 0 <= sized.quantity <= asked.bot.max_quantity
    assert sized.dollars <= asked.bot.risk_per_trade * max(0.0, equity) * scale + caps.CENT
    assert (sized.quantity > 0) == (sized.code is Reason.SIZED)
    if sized.quantity:
        assert caps.check(asked.limits, state.desk_equity, exposures, "SPX", sized.dollars) is None
        assert kelly.edge(probability, 0.2, 0.5) > 0


chance = st.floats(0.0, 1.0)
payoffs = st.floats(0.01, 5.0)


@given(chance, payoffs, payoffs, st.floats(0.0, 0.5) | st.none())
def test_no_error_enlarges_a_stake_and_none_gives_one_without_an_edge(
    p: float, gain: float, loss: float, error: float | None
) -> None:
    worth = sizing.shrink(p, gain, loss, error)
    assert 0.0 <= worth <= 1.0
    assert (worth > 0.0) == (kelly.edge(p, gain, loss) > 0) or worth < 1e-9
    for fraction in (0.25, 0.5, 1.0):
        plain = kelly.stake(p, gain, loss, fraction)
        assert kelly.stake(p, gain, loss, min(fraction, worth)) <= plain


@given(chance, payoffs, payoffs, st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_the_worse_a_chance_is_known_the_less_it_is_worth(
    p: float, gain: float, loss: float, one: float, other: float
) -> None:
    little, much = sorted((one, other))
    assert sizing.shrink(p, gain, loss, much) <= sizing.shrink(p, gain, loss, little)


@given(chance, payoffs, payoffs)
def test_a_chance_without_width_or_interval_is_sized_as_it_is(
    p: float, gain: float, loss: float
) -> None:
    known = sizing.shrink(p, gain, loss, sizing.standard_error(p, p))
    assert known == sizing.shrink(p, gain, loss) == float(kelly.edge(p, gain, loss) > 0)


def test_an_edge_of_one_standard_error_is_worth_half_the_stake_and_of_three_nine_tenths() -> None:
    # even money at 0.55: the edge is 0.1, and an error of 0.05 makes one of 0.1
    assert sizing.shrink(0.55, 1.0, 1.0, 0.05) == pytest.approx(0.5)
    assert sizing.shrink(0.55, 1.0, 1.0, 0.05 / 3) == pytest.approx(0.9)


def test_the_interval_of_a_normal_estimate_gives_back_its_error() -> None:
    assert sizing.standard_error(0.6 - 1.6449 * 0.02, 0.6 + 1.6449 * 0.02) == pytest.approx(0.02)


def test_a_chance_that_is_hardly_known_is_sized_by_that() -> None:
    plain = size(0.8, bot=bot(risk_per_trade=1.0, max_quantity=99))
    unsure = size(0.8, error=0.1, bot=bot(risk_per_trade=1.0, max_quantity=99))
    worth = 0.06**2 / (0.06**2 + 0.07**2)  # an edge of 0.06, and 0.7 units between the two ends
    assert unsure.evidence["shrink"] == pytest.approx(worth)
    assert unsure.evidence["stake"] == pytest.approx(worth * kelly.full(0.8, 0.2, 0.5))
    assert unsure.evidence["error"] == 0.1
    assert (unsure.binding, unsure.quantity) == ("shrink", 5)
    assert (plain.binding, plain.quantity) == ("kelly", 6)
    assert "shrink" not in plain.evidence


def test_a_fraction_of_kelly_is_an_allowance_for_the_same_error_and_is_not_cut_twice() -> None:
    sure = size(0.8, error=0.05, bot=bot(risk_per_trade=1.0, max_quantity=99))
    plain = size(0.8, bot=bot(risk_per_trade=1.0, max_quantity=99))
    assert 0.5 < sure.evidence["shrink"] < 1.0
    assert sure.quantity == plain.quantity
    assert sure.evidence["stake"] == plain.evidence["stake"]


@pytest.mark.parametrize("outcomes", [40, 150, 600])
@pytest.mark.parametrize(
    ("gain", "loss", "middle", "spread"), [(0.2, 0.5, 0.75, 0.06), (1.0, 0.9, 0.5, 0.05)]
)
def test_of_three_ways_to_heed_an_interval_the_cap_costs_least_growth(
    gain: float, loss: float, middle: float, spread: float, outcomes: int
) -> None:
    """Trades whose true chance is drawn, and estimated on as many outcomes: condors and shares."""
    rng = np.random.default_rng(7)
    a = middle * (middle * (1 - middle) / spread**2 - 1)
    true = rng.beta(a, a * (1 - middle) / middle, 4000)
    won = rng.binomial(outcomes, true)
    low = np.where(won > 0, betaincinv(np.maximum(won, 1), outcomes - won + 1, 0.05), 0.0)
    left = np.maximum(outcomes - won, 1)
    high = np.where(won < outcomes, betaincinv(won + 1, left, 0.95), 1.0)
    grown = dict.fromkeys(("plain", "cap", "product", "low end"), 0.0)
    for p, k, ends in zip(true, won, zip(low, high, strict=True), strict=True):
        worth = sizing.shrink(k / outcomes, gain, loss, sizing.standard_error(*ends))
        full = kelly.full(k / outcomes, gain, loss)
        for name, stake in {
            "plain": 0.5 * full,
            "cap": min(0.5, worth) * full,
            "product": 0.5 * worth * full,
            "low end": 0.5 * kelly.full(ends[0], gain, loss),
        }.items():
            grown[name] += p * np.log1p(stake * gain) + (1 - p) * np.log1p(-stake * loss)
    assert 0.9 * grown["plain"] < grown["cap"] <= 1.02 * grown["plain"]
    assert grown["cap"] > grown["product"] > grown["low end"] > 0.0
