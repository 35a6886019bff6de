"""The nine with real prices: what they pay, gain, lose and cost, out of chains and on a surface."""

import csv
from datetime import date
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.book import Costs
from domain.decision import Proposal
from domain.errors import DataError, SettingsError
from domain.examples import bot, surface
from domain.market import Right
from domain.units import Greeks, PerContract, PerShare
from market import chain, pricing, quotes
from market.pricing import Smile
from market.quotes import Board, Listed, Simulated
from tests.market.chains import ASOF, FORWARD, SPOT, STRIKES, VOL, changed, contracts, made
from trading.structures.base import payoff
from trading.structures.catalog import NINE, propose
from trading.structures.offer import Structured, build, contract, proposal

EVERY = pytest.mark.parametrize("name", NINE)
PUT, CALL = Right.PUT, Right.CALL
DATA = Path(__file__).parents[2].parent / "shared" / "data"
CBOE = sorted(DATA.glob("options/cboe/*.csv.gz"))
DAILY = sorted(DATA.glob("options/spx_chain_2026/*.csv.gz"))
real = pytest.mark.skipif(not CBOE or not DAILY, reason="real chains are not here")

LISTED = quotes.nearest(made(contracts()), 5)
MADE = Simulated(surface(), 5, 5.0)
BOARDS = pytest.mark.parametrize("board", [LISTED, MADE], ids=["listed", "simulated"])
FREE = Costs(option_leg=0.0)
UNBOUNDED = {"long_call", "long_straddle"}


def strikes(found: Structured) -> list[tuple[str, float, int]]:
    return [(leg.right.value, leg.strike, leg.quantity) for leg in found.bare]


def direct(found: Structured, spot: float) -> float:
    """Return the pay-off leg by leg, written out anew."""
    total = 0.0
    for right, strike, quantity in strikes(found):
        total += quantity * (
            max(spot - strike, 0.0) if right == "call" else max(strike - spot, 0.0)
        )
    return total


def scanned(found: Structured, spots: np.ndarray) -> np.ndarray:
    """Return the result per share at each spot, after costs."""
    paid = found.entry.amount - found.costs.amount
    return np.array([direct(found, float(spot)) for spot in spots]) + paid


@BOARDS
@EVERY
def test_the_pay_off_at_ten_prices_is_that_of_its_options(name: str, board: Board) -> None:
    found = build(name, board, Costs())
    for spot in np.linspace(0.9 * board.spot, 1.1 * board.spot, 10):
        assert payoff(found.bare, float(spot)) == pytest.approx(
            direct(found, float(spot)), abs=1e-9
        )


@BOARDS
@EVERY
def test_gain_loss_and_break_evens_are_those_of_a_fine_grid(name: str, board: Board) -> None:
    found = build(name, board, Costs())
    grid = np.arange(0.0, 3 * board.spot, 0.5)
    results = scanned(found, grid)
    assert found.max_loss.amount == pytest.approx(-results.min())
    if name in UNBOUNDED:
        assert found.max_gain is None
        assert results[-1] > 1.9 * board.spot
    else:
        assert found.max_gain is not None
        assert found.max_gain.amount == pytest.approx(results.max())
    turns = np.flatnonzero(np.sign(results[1:]) != np.sign(results[:-1]))
    assert len(found.break_evens) == len(turns)
    for even, turn in zip(found.break_evens, turns, strict=True):
        assert grid[turn] <= even <= grid[turn + 1]
        assert scanned(found, np.array([even])) == pytest.approx(0.0, abs=1e-9)


@BOARDS
@EVERY
def test_the_greeks_are_the_slopes_of_what_the_legs_are_worth(name: str, board: Board) -> None:
    found = build(name, board, Costs())

    def worth(level: float = 0.0, vol: float = 0.0, horizon: float = 5.0) -> float:
        return sum(
            priced.leg.quantity
            * pricing.price_at(
                Smile(board.forward + level, priced.quote.vol + vol, 0, 0, sqrt(horizon / 252)),
                priced.leg.right,
                priced.leg.strike,
            )
            for priced in found.legs
        )

    greeks = found.greeks
    assert worth() == pytest.approx(-found.entry.amount)
    assert greeks.delta.amount == pytest.approx((worth(0.1) - worth(-0.1)) / 0.2, abs=1e-6)
    second = (worth(0.5) - 2 * worth() + worth(-0.5)) / 0.25
    assert greeks.gamma.amount == pytest.approx(second, abs=1e-6)
    decay = (worth(horizon=4.999) - worth(horizon=5.001)) / 0.002
    assert greeks.theta.amount == pytest.approx(decay, abs=1e-5)
    vega = (worth(vol=1e-4) - worth(vol=-1e-4)) / 2e-2
    assert greeks.vega.amount == pytest.approx(vega, abs=1e-5)


@BOARDS
def test_put_call_parity_holds_for_what_is_bought(board: Board) -> None:
    call, put, both = (
        build(name, board, FREE) for name in ("long_call", "long_put", "long_straddle")
    )
    [strike] = {leg.strike for leg in both.bare}
    assert put.entry.amount - call.entry.amount == pytest.approx(board.forward - strike)
    assert both.entry.amount == pytest.approx(call.entry.amount + put.entry.amount)
    assert both.greeks == put.greeks + call.greeks
    assert call.greeks.delta.amount - put.greeks.delta.amount == pytest.approx(1.0)


def test_a_butterfly_is_its_wings_less_a_straddle() -> None:
    fly, straddle = build("iron_butterfly", LISTED, FREE), build("long_straddle", LISTED, FREE)
    low, _, _, high = fly.legs
    wings = low.quote.mid + high.quote.mid
    assert fly.entry.amount == pytest.approx(-straddle.entry.amount - wings)


def test_the_legs_of_all_nine_out_of_a_chain() -> None:
    # a move of 16 % over 5 sessions is 54.1 points: short strikes at 2345 and 2460, around 2403
    found = {name: strikes(build(name, LISTED, Costs())) for name in NINE}
    assert found == {
        "iron_condor": [("put", 2320, 1), ("put", 2345, -1), ("call", 2460, -1), ("call", 2485, 1)],
        "bull_put": [("put", 2320, 1), ("put", 2345, -1)],
        "bear_call": [("call", 2460, -1), ("call", 2485, 1)],
        "bull_call": [("call", 2410, 1), ("call", 2440, -1)],
        "bear_put": [("put", 2365, -1), ("put", 2395, 1)],
        "long_call": [("call", 2405, 1)],
        "long_put": [("put", 2405, 1)],
        "iron_butterfly": [
            ("put", 2380, 1),
            ("put", 2405, -1),
            ("call", 2405, -1),
            ("call", 2430, 1),
        ],
        "long_straddle": [("put", 2405, 1), ("call", 2405, 1)],
    }


@pytest.mark.parametrize(("name", "right"), [("bull_call", CALL), ("bear_put", PUT)])
def test_debit_spreads_buy_a_delta_of_45_and_sell_one_of_25(name: str, right: Right) -> None:
    found = build(name, LISTED, Costs())
    for priced in found.legs:
        wanted = 0.45 if priced.leg.quantity > 0 else 0.25
        # a step of 5 points is .037 of delta here
        assert abs(priced.quote.greeks.delta.amount) == pytest.approx(wanted, abs=0.037 / 2 + 1e-3)
        assert priced.leg.right is right
    assert found.distance is None
    by_distance = build(name, LISTED, Costs(), distance=1.0)
    assert by_distance.distance == 1.0
    assert by_distance.bare != found.bare


@EVERY
def test_natural_is_every_bid_and_ask_crossed(name: str) -> None:
    found = build(name, LISTED, Costs())
    crossed = -sum(
        priced.leg.quantity * (priced.quote.ask if priced.leg.quantity > 0 else priced.quote.bid)
        for priced in found.legs
        if priced.quote.ask is not None and priced.quote.bid is not None
    )
    assert found.natural == PerShare(amount=crossed)
    assert found.natural < found.entry
    assert found.label == ""


@EVERY
def test_nobody_quotes_a_simulation_and_it_says_that_it_is_one(name: str) -> None:
    found = build(name, MADE, Costs())
    assert found.natural is None
    assert found.expires is None
    assert found.label == "simulated: Black-76, SPX+VIX term structure, skew"
    assert {priced.quote.bid for priced in found.legs} == {None}


def test_costs_are_the_greater_of_the_usual_and_of_half_the_spread() -> None:
    usual = 2 * 4 * 0.15 * SPOT / 4500
    narrow, wide = (quotes.nearest(made(contracts(half=half)), 5) for half in (0.02, 0.5))
    assert build("iron_condor", narrow, Costs()).costs.amount == pytest.approx(usual)
    assert build("iron_condor", wide, Costs()).costs.amount == pytest.approx(2 * 4 * 0.5)


@EVERY
def test_on_a_surface_it_is_what_a_bot_proposes(name: str) -> None:
    trader = bot(distance=1.0, wing=25.0, strike_step=5.0)
    theirs = propose(name, trader, surface(), 5, 11.0, Costs())
    move = pricing.expected_move(2383.0, 11.0, 5)
    ours = proposal(build(name, MADE, Costs(), distance=1.0, wing=25.0, move=move))
    assert (ours.legs, ours.entry) == (theirs.legs, theirs.entry)
    plain = {
        key: pytest.approx(value)
        for key, value in theirs.model_dump().items()
        if isinstance(value, float)
    }
    assert {key: getattr(ours, key) for key in plain} == plain
    rest = set(Proposal.model_fields) - set(plain)
    assert {key: getattr(ours, key) for key in rest} == {key: getattr(theirs, key) for key in rest}


@given(
    st.sampled_from(sorted(NINE)),
    st.floats(1000.0, 8000.0),
    st.floats(10.0, 60.0),
    st.floats(0.0, 2.0),
    st.integers(1, 12),
    st.sampled_from([1, 5, 10]),
)
def test_whatever_the_market_it_is_what_a_bot_proposes(
    name: str, spot: float, vix: float, distance: float, wings: int, horizon: int
) -> None:
    cut = pricing.surface("SPX", surface().asof, spot, vix, vix, vix, 0.0, False)
    move = pricing.expected_move(spot, vix, horizon)
    assume(spot - distance * move > 5 * (wings + 2))
    trader = bot(distance=distance, wing=5.0 * wings, strike_step=5.0)
    theirs = propose(name, trader, cut, horizon, vix, Costs())
    found = build(
        name, Simulated(cut, horizon, 5.0), Costs(), distance=distance, wing=5.0 * wings, move=move
    )
    assert found.bare == theirs.legs
    assert contract(found.max_loss).amount == pytest.approx(theirs.max_loss)


def test_a_contract_is_a_hundred_shares_and_its_greeks_are_dollars() -> None:
    found = build("iron_condor", LISTED, Costs())
    assert contract(found.entry) == PerContract(amount=100 * found.entry.amount)
    assert isinstance(found.contract_greeks, Greeks)
    assert found.contract_greeks.theta == PerContract(amount=100 * found.greeks.theta.amount)
    assert proposal(found).max_loss == pytest.approx(100 * found.max_loss.amount)


@pytest.mark.parametrize(
    ("right", "strike", "fields", "why"),
    [
        (PUT, 2345.0, {"bid": 0.0}, "the 2345 put has no bid"),
        (CALL, 2485.0, {"ask": 0.0}, "the 2485 call has no ask"),
        (CALL, 2460.0, {"bid": 9.0, "ask": 8.0}, "the 2460 call has a crossed quote"),
    ],
)
def test_a_structure_with_a_leg_that_nobody_quotes_is_refused(
    right: Right, strike: float, fields: dict[str, float], why: str
) -> None:
    board = quotes.nearest(changed(right, strike, **fields), 5)
    with pytest.raises(DataError, match=f"SPX 2023-02-14: {why}"):
        build("iron_condor", board, Costs())
    other = "bear_call" if right is PUT else "bull_put"
    assert build(other, board, Costs()) == build(other, LISTED, Costs())


def test_a_wing_that_is_not_listed_is_refused_when_its_width_was_asked_for() -> None:
    rare = [k for k in STRIKES if k % 10 == 0 or k in (2345.0, 2405.0)]
    board = quotes.nearest(made(contracts(strikes=rare)), 5)
    with pytest.raises(DataError, match="SPX 2023-02-14: the 2320 put is not listed"):
        build(
            "bull_put",
            quotes.nearest(made(contracts(strikes=set(rare) - {2320.0})), 5),
            Costs(),
            wing=25.0,
        )
    with pytest.raises(DataError, match="the 2321 put is not listed"):
        build("bull_put", board, Costs(), wing=24.0)
    assert strikes(build("bull_put", board, Costs())) == [("put", 2320, 1), ("put", 2345, -1)]


def test_both_legs_of_a_straddle_are_of_one_strike_though_one_side_lists_a_nearer_one() -> None:
    rows = [r for r in contracts() if r["call"] or r["strike"] != 2405.0]
    found = build("long_straddle", quotes.nearest(made(rows), 5), Costs())
    assert strikes(found) == [("put", 2400, 1), ("call", 2400, 1)]


def test_strikes_that_no_chain_reaches_are_refused() -> None:
    with pytest.raises(DataError, match=r"SPX 2023-02-14: no strike is listed at or below 1\d\d\d"):
        build("iron_condor", LISTED, Costs(), distance=12.0)


def test_a_credit_wider_than_its_wings_is_a_mistake_and_no_gift() -> None:
    board = quotes.nearest(changed(PUT, 2345.0, bid=40.0, ask=40.2), 5)
    with pytest.raises(DataError, match="could lose nothing"):
        build("bull_put", board, Costs(), wing=25.0)


@pytest.mark.parametrize("wrong", [{"distance": -1.0}, {"wing": 0.0}, {"wing": -5.0}])
def test_an_impossible_distance_or_wing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="iron_condor with"):
        build("iron_condor", LISTED, Costs(), **wrong)


def test_the_made_chain_is_what_it_says() -> None:
    assert (LISTED.asof, LISTED.spot, LISTED.vol) == (ASOF, SPOT, pytest.approx(VOL))
    assert LISTED.forward == pytest.approx(FORWARD)


@cache
def boards_of(path: Path) -> tuple[Listed, ...]:
    return quotes.expiries(chain.read(path))


def board_of(path: Path, horizon: int) -> Listed:
    return min(boards_of(path), key=lambda board: abs(board.horizon - horizon))


@real
@pytest.mark.parametrize("horizon", [1, 5, 21])
@pytest.mark.parametrize("path", [*CBOE, *DAILY], ids=lambda path: path.name)
def test_every_structure_is_built_of_every_real_chain(path: Path, horizon: int) -> None:
    board = board_of(path, horizon)
    for name in NINE:
        found = build(name, board, Costs())
        grid = [*np.arange(0.0, 3 * board.spot, board.spot / 1000), *found.break_evens]
        results = scanned(found, np.sort([*grid, *(leg.strike for leg in found.bare)]))
        assert found.max_loss.amount == pytest.approx(-results.min())
        assert (found.max_gain is None) == (name in UNBOUNDED)
        assert found.natural is not None
        assert found.natural <= found.entry
        assert (found.entry.amount > 0) == (NINE[name].action == "sell")
        for priced in found.legs:
            assert priced.quote.ask is not None
            assert priced.quote.ask > 0
            assert priced.leg.quantity > 0 or (priced.quote.bid or 0) > 0


@real
@pytest.mark.parametrize("path", [*CBOE, *DAILY], ids=lambda path: path.name)
def test_of_real_chains_a_width_that_is_not_listed_is_refused_by_strike_and_expiry(
    path: Path,
) -> None:
    board, refused = board_of(path, 5), []
    for name in ("iron_condor", "bull_put", "bear_call", "iron_butterfly"):
        try:
            found = build(name, board, Costs(), wing=12.0)
        except DataError as error:
            refused.append(str(error))
        else:
            assert {leg.strike % 1 for leg in found.bare} == {0.0}
    if board.symbol == "SPX":  # whose strikes are multiples of 5
        assert len(refused) == 4
    assert all(f"{board.symbol} {board.expires:%Y-%m-%d}: the " in said for said in refused)
    assert all(said.endswith("is not listed") for said in refused)


@cache
def vix() -> dict[date, float]:
    rows: dict[date, float] = {}
    for name in ("daily/vix.csv", "daily_window_2026/vix.csv"):
        with (DATA / name).open() as file:
            rows |= {date.fromisoformat(r["date"]): float(r["close"]) for r in csv.DictReader(file)}
    return rows


def condors(horizon: int) -> list[tuple[float, float]]:
    """Return mid and natural of condors one VIX move from spot, 25 points wide, day by day."""
    found = []
    for path in [*(p for p in CBOE if p.name.startswith("SPX")), *DAILY]:
        board = board_of(path, horizon)
        if board.horizon != horizon:
            continue  # taken inside a session, or the day's expiry cannot be read
        move = pricing.expected_move(board.spot, vix()[board.asof.date()], horizon)
        asked = {"distance": 1.0, "wing": 25.0, "move": move, "around": board.spot}
        try:
            condor = build("iron_condor", board, Costs(), **asked)
        except DataError:
            continue  # no such wing is listed
        assert condor.natural is not None
        found.append((condor.entry.amount, condor.natural.amount))
    return found


@real
def test_real_condors_over_one_session_cost_what_was_measured_on_the_same_21_days() -> None:
    found = condors(1)
    assert len(found) == 20
    assert np.mean(found, axis=0) == pytest.approx([2.8875, 2.62])
    # 2026-06-17 is the eve of a third Friday: its file has two contracts of each strike and does
    # not say which settles on the opening prints. The dearer ones are those that live longer.
    day = chain.read(DATA / "options/spx_chain_2026/2026-06-17.csv.gz")
    expires = np.datetime64("2026-06-18T20:00:00")
    legs = [(False, 7305.0, 1), (False, 7330.0, -1), (True, 7510.0, -1), (True, 7535.0, 1)]
    mid = natural = 0.0
    for call, strike, quantity in legs:
        both = np.flatnonzero(
            (day.settles == expires) & (day.call == call) & (day.strike == strike)
        )
        assert len(both) == 2
        one = both[day.mid[both].argmax()]
        mid -= quantity * day.mid[one]
        natural -= quantity * (day.ask if quantity > 0 else day.bid)[one]
    assert np.mean([*found, (mid, natural)], axis=0) == pytest.approx([3.02, 2.73], abs=0.015)
    assert 1.0 not in {board.horizon for board in quotes.expiries(day)}


@real
def test_real_condors_over_five_sessions_cost_about_what_was_measured_on_14_such_days() -> None:
    found = condors(5)
    assert len(found) == 13
    assert np.mean(found, axis=0) == pytest.approx([4.19, 3.67], abs=0.3)
