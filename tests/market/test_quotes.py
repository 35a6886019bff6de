"""Boards: what a chain quotes and what it does not, and the same on a simulated surface."""

from datetime import UTC, datetime
from math import nan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from domain.examples import surface
from domain.market import Right
from market import calendar, chain, pricing, quotes
from market.pricing import Smile
from market.quotes import Simulated
from tests.market.chains import ASOF, FORWARD, SPOT, STRIKES, VOL, changed, contracts, made

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "options"
FILES = sorted([*DATA.glob("cboe/*.csv.gz"), *DATA.glob("spx_chain_2026/*.csv.gz")])
real = pytest.mark.skipif(not FILES, reason="real chains are not here")

PUT, CALL = Right.PUT, Right.CALL
BOARD = quotes.nearest(made(contracts()), 5)


def test_a_board_finds_forward_volatility_step_and_time() -> None:
    assert BOARD.forward == pytest.approx(FORWARD)
    assert BOARD.vol == pytest.approx(VOL)
    assert (BOARD.symbol, BOARD.asof, BOARD.spot, BOARD.step) == ("SPX", ASOF, SPOT, 5.0)
    assert (BOARD.horizon, BOARD.label) == (5.0, "")
    assert BOARD.expires == calendar.ahead(ASOF, 5)
    assert quotes.move(BOARD) == pytest.approx(SPOT * VOL * sqrt(5 / 252))
    assert BOARD.strikes(PUT).tolist() == list(STRIKES)


def test_a_quote_is_what_the_chain_has_and_its_volatility_gives_its_mid() -> None:
    quote = BOARD.quote(PUT, 2350.0, -1)
    assert quote.mid == pytest.approx((quote.bid + quote.ask) / 2)
    assert quote.ask - quote.bid == pytest.approx(0.2)
    assert quote.vol == pytest.approx(VOL)
    assert quote.greeks == pricing.greeks(BOARD.forward, PUT, 2350.0, quote.vol, 5.0)


@pytest.mark.parametrize(
    ("fields", "quantity", "why"),
    [
        ({"bid": 0.0}, -1, "has no bid"),
        ({"bid": nan}, -1, "has no bid"),
        ({"bid": nan}, 1, "has no bid"),
        ({"ask": 0.0}, 1, "has no ask"),
        ({"ask": nan}, -1, "has no ask"),
        ({"bid": 12.0, "ask": 11.0}, 1, "has a crossed quote, bid 12 and ask 11"),
        ({"bid": 12.0, "ask": 11.0}, -1, "has a crossed quote"),
        ({"bid": -1.0}, 1, "has a crossed quote"),
        ({"bid": 2700.0, "ask": 2702.0}, 1, "has no volatility that gives its mid of 2701"),
    ],
)
def test_what_is_not_quoted_is_refused_by_strike_and_expiry(
    fields: dict[str, float], quantity: int, why: str
) -> None:
    board = quotes.nearest(changed(PUT, 2350.0, **fields), 5)
    with pytest.raises(DataError, match=f"SPX 2023-02-14: the 2350 put {why}"):
        board.quote(PUT, 2350.0, quantity)
    assert board.quote(PUT, 2345.0, quantity) == BOARD.quote(PUT, 2345.0, quantity)


def test_what_is_bought_needs_no_bid() -> None:
    board = quotes.nearest(changed(PUT, 2250.0, bid=0.0, ask=0.1), 5)
    quote = board.quote(PUT, 2250.0, 1)
    assert (quote.bid, quote.ask, quote.mid) == (0.0, 0.1, 0.05)


def test_a_strike_that_is_not_listed_is_refused() -> None:
    with pytest.raises(DataError, match="SPX 2023-02-14: the 2352 call is not listed"):
        BOARD.quote(CALL, 2352.0, 1)


def test_a_contract_listed_twice_is_refused_for_nobody_says_which_settles_when() -> None:
    rows = contracts()
    board = quotes.nearest(made([*rows, rows[3]]), 5)
    strike = rows[3]["strike"]
    with pytest.raises(DataError, match=f"the {strike:g} call is listed twice"):
        board.quote(CALL, strike, 1)


def test_the_nearest_expiry_is_taken_and_the_later_of_two_as_near() -> None:
    many = made([*contracts(3), *contracts(5), *contracts(9)])
    asked = {wanted: quotes.nearest(many, wanted).horizon for wanted in (1, 3, 4, 5, 7, 8, 60)}
    assert asked == {1: 3, 3: 3, 4: 5, 5: 5, 7: 9, 8: 9, 60: 9}
    assert [board.horizon for board in quotes.expiries(many)] == [3, 5, 9]


def test_an_expiry_without_quotes_around_the_spot_is_passed_over() -> None:
    silent = [row | {"bid": 0.0} for row in contracts(5)]
    far = contracts(5, [k for k in STRIKES if abs(k - SPOT) > 0.02 * SPOT])
    one_sided = [row for row in contracts(5) if row["call"]]
    for useless in (silent, far, one_sided):
        assert quotes.nearest(made([*useless, *contracts(9)]), 5).horizon == 9
        with pytest.raises(DataError, match="SPX at 2023-02-07 21:00Z: no expiry has calls and"):
            quotes.nearest(made(useless), 5)


def test_a_chain_that_has_expired_is_refused() -> None:
    with pytest.raises(DataError, match="every contract of the chain has expired"):
        quotes.nearest(made(contracts(5), asof=calendar.ahead(ASOF, 5)), 5)


def test_by_delta_takes_the_quoted_strike_whose_delta_is_nearest() -> None:
    for right, sign in ((CALL, 1), (PUT, -1)):
        for delta in (0.45, 0.25, 0.1):
            every = [BOARD.quote(right, k, 1) for k in STRIKES if sign * (k - FORWARD) >= 0]
            best = min(every, key=lambda q: abs(sign * q.greeks.delta.amount - delta))
            assert quotes.by_delta(BOARD, right, delta, 1) == best


def test_by_delta_passes_over_what_is_not_quoted_and_never_patches_it() -> None:
    best = quotes.by_delta(BOARD, CALL, 0.25, -1).strike
    board = quotes.nearest(changed(CALL, best, bid=0.0), 5)
    assert quotes.by_delta(board, CALL, 0.25, -1).strike in {best - 5, best + 5}
    silent = [row | {"bid": 0.0} if row["strike"] > FORWARD else row for row in contracts()]
    with pytest.raises(DataError, match="SPX 2023-02-14: no call out of the money is quoted"):
        quotes.by_delta(quotes.nearest(made(silent), 5), CALL, 0.25, -1)


@given(st.floats(500, 9000), st.floats(-3, 3), st.floats(0.03, 1.5), st.floats(0.2, 30))
def test_implied_volatility_gives_the_price_back(
    forward: float, z: float, vol: float, horizon: float
) -> None:
    root = sqrt(horizon / 252)
    strike = forward * np.exp(z * vol * root)
    right = CALL if z >= 0 else PUT
    worth = pricing.price_at(Smile(forward, vol, 0.0, 0.0, root), right, strike)
    found = quotes.implied(forward, right, strike, worth, horizon)
    assert found == pytest.approx(vol, rel=1e-5)


def test_no_volatility_gives_less_than_the_pay_off_or_more_than_the_bound() -> None:
    assert quotes.implied(2400.0, CALL, 2300.0, 99.0, 5) is None
    assert quotes.implied(2400.0, CALL, 2300.0, 2400.0, 5) is None
    assert quotes.implied(2400.0, PUT, 2300.0, 0.0, 5) is None


@pytest.mark.parametrize(
    ("stop", "n"),
    [
        (datetime(2023, 2, 8, 21, tzinfo=UTC), 1.0),
        (datetime(2023, 2, 10, 21, tzinfo=UTC), 3.0),
        (datetime(2023, 2, 13, 21, tzinfo=UTC), 4.0),
        (datetime(2023, 2, 8, 9, tzinfo=UTC), 0.5),
        (datetime(2023, 2, 12, 9, tzinfo=UTC), 3.5),
    ],
)
def test_sessions_run_from_close_to_close(stop: datetime, n: float) -> None:
    assert quotes.sessions(ASOF, stop) == pytest.approx(n)


def test_beyond_the_calendar_no_sessions_are_counted_and_no_expiry_is_read() -> None:
    with pytest.raises(DataError, match="not within the calendar"):
        quotes.sessions(ASOF, datetime(2040, 1, 2, tzinfo=UTC))
    beyond = [row | {"settles": datetime(2040, 1, 20, 21)} for row in contracts(5)]  # noqa: DTZ001
    assert [board.horizon for board in quotes.expiries(made([*contracts(5), *beyond]))] == [5]


def test_a_simulated_board_prices_every_strike_and_quotes_none() -> None:
    board = Simulated(surface(), 5, 5.0)
    quote = board.quote(PUT, 2340.0, -1)
    assert quote.mid == pricing.price(surface(), PUT, 2340.0, 5)
    assert (quote.bid, quote.ask) == (None, None)
    assert quote.vol == float(pricing.iv(surface(), 2340.0, 5))
    assert (board.spot, board.forward, board.expires) == (2383.0, 2383.0, None)
    assert (board.vol, board.label) == (0.08, surface().label)
    assert board.strikes(CALL)[[0, 1, -1]].tolist() == [5.0, 10.0, 4765.0]
    with pytest.raises(DataError, match="SPX 5 sessions: a strike of -5"):
        board.quote(PUT, -5.0, 1)


@pytest.mark.parametrize(("horizon", "step"), [(0, 5.0), (5, 0.0), (5, nan), (nan, 5.0)])
def test_no_board_without_time_or_strikes(horizon: float, step: float) -> None:
    with pytest.raises(DataError, match="no board"):
        Simulated(surface(), horizon, step)


@real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_chains_keep_put_call_parity_within_their_spreads(path: Path) -> None:
    board = quotes.nearest(chain.read(path), 5)
    assert abs(board.horizon - 5) < 1.2
    assert abs(board.forward / board.spot - 1) < 0.007
    both = np.intersect1d(board.strikes(CALL), board.strikes(PUT))
    near = both[np.abs(both / board.forward - 1) < 0.01].tolist()
    out = 0
    for strike in near:
        call, put = board.quote(CALL, strike, 1), board.quote(PUT, strike, 1)
        gap = call.mid - put.mid - (board.forward - strike)
        out += abs(gap) > (call.ask - call.bid + put.ask - put.bid) / 2 + 0.0005 * board.spot
        # parity of the Greeks: the difference of the two is a share of the underlying
        assert call.greeks.delta.amount - put.greeks.delta.amount == pytest.approx(1, abs=0.05)
    assert len(near) > 5
    assert out == 0
