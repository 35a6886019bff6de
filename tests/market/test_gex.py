"""Gamma exposure: the sums by hand, and the figures of real chains."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp, log, pi, sqrt
from pathlib import Path

import numpy as np
import pytest

from domain.errors import DataError
from market import chain, gex
from market.chain import Chain

CBOE = Path(__file__).parents[2].parent / "shared" / "data" / "options" / "cboe"
ASOF = datetime(2023, 2, 7, 21, tzinfo=UTC)


def made(rows: list[tuple[str, float, float, float, float, int]], spot: float = 4000.0) -> Chain:
    """Return a chain of rows (right, strike, days, volatility, file's gamma, open interest)."""
    rights, strike, days, iv, gamma, held = zip(*rows, strict=True)
    settles = [(ASOF + timedelta(days=d)).replace(tzinfo=None) for d in days]
    unknown = np.full(len(rows), np.nan)
    return Chain(
        symbol="SPX",
        asof=ASOF,
        spot=spot,
        call=np.array([right == "C" for right in rights]),
        strike=np.array(strike, float),
        settles=np.array(settles, "datetime64[s]"),
        bid=unknown,
        ask=unknown,
        iv=np.array(iv, float),
        delta=unknown,
        gamma=np.array(gamma, float),
        open_interest=np.array(held, float),
    )


ROWS = [
    ("C", 4050.0, 10, 0.2, 0.0021, 1000),
    ("C", 4100.0, 30, 0.18, 0.0017, 3000),
    ("P", 3950.0, 10, 0.22, 0.0020, 2000),
    ("P", 3800.0, 30, 0.25, 0.0010, 5000),
]


def bn(spot: float, strike: float, days: float, iv: float, held: float) -> float:
    deviation = iv * sqrt(days / 365)
    d1 = log(spot / strike) / deviation + deviation / 2
    gamma = exp(-d1 * d1 / 2) / sqrt(2 * pi) / (spot * deviation)
    return gamma * held * 100 * spot**2 * 0.01 / 1e9


def by_hand(spot: float) -> tuple[float, float]:
    worth = [bn(spot, k, days, iv, held) for _, k, days, iv, _, held in ROWS]
    return sum(worth[:2]), -sum(worth[2:])


def test_exposure_is_the_sum_by_hand() -> None:
    measured, (calls, puts) = gex.measure(made(ROWS)), by_hand(4000.0)
    assert (measured.calls, measured.puts) == pytest.approx((calls, puts))
    assert measured.net == pytest.approx(calls + puts)
    assert measured.net_over_gross == pytest.approx((calls + puts) / (calls - puts))
    assert measured.cboe_calls == pytest.approx((2.1 + 5.1) * 4000**2 / 1e9)
    assert measured.cboe_puts == pytest.approx(-(4.0 + 5.0) * 4000**2 / 1e9)
    assert (measured.contracts, measured.contracts_with_oi) == (4, 4)


def test_net_vanishes_at_the_flip() -> None:
    flip = gex.measure(made(ROWS)).flip
    assert flip is not None
    before, at, after = (sum(by_hand(flip + step)) for step in (-8.0, 0.0, 8.0))
    assert before < 0 < after
    assert abs(at) < 0.01 * (after - before)


def test_the_flip_is_the_root_nearest_to_spot() -> None:
    rows = [*ROWS, ("P", 4500.0, 10, 0.2, 0.001, 20_000)]
    spots = np.linspace(3200.0, 4800.0, 4001)
    net = gex.profile(made(rows), spots)
    roots = spots[1:][np.sign(net[1:]) != np.sign(net[:-1])]
    assert len(roots) == 2
    nearest = roots[np.abs(roots - 4000.0).argmin()]
    assert gex.measure(made(rows)).flip == pytest.approx(nearest, abs=2.0)


def test_walls_are_the_strikes_of_most_gamma_on_their_side_of_spot() -> None:
    rows = [
        *ROWS,
        ("C", 3900.0, 10, 0.2, 0.0020, 90_000),  # below spot: no call wall
        ("P", 4100.0, 10, 0.2, 0.0020, 90_000),  # above spot: no put wall
        ("C", 4050.0, 30, 0.2, 0.0021, 2000),  # 4050 adds up over expiries to 6.3
    ]
    measured = gex.measure(made(rows))
    assert (measured.call_wall, measured.put_wall) == (4050.0, 3800.0)


def test_a_wall_may_stand_at_spot() -> None:
    measured = gex.measure(made(ROWS, spot=4100.0))
    assert measured.call_wall == 4100.0


def test_expired_unquoted_and_unheld_contracts_count_for_nothing() -> None:
    dead = [
        ("C", 4000.0, 0, 0.2, 0.5, 10_000),
        ("C", 4000.0, -1, 0.2, 0.5, 10_000),
        ("P", 4000.0, 10, 0.2, 0.5, 0),
        ("P", 4000.0, 10, 0.2, 0.5, np.nan),
    ]
    with_dead, without = gex.measure(made(ROWS + dead)), gex.measure(made(ROWS))
    counted = {"contracts": 4, "contracts_with_oi": 4}
    assert with_dead.model_copy(update=counted) == without
    assert (with_dead.contracts, with_dead.contracts_with_oi) == (8, 6)


@pytest.mark.parametrize("iv", [0.0, 0.01, 5.0, 7.4, np.nan])
def test_a_volatility_that_is_no_quote_is_left_out_of_black_and_scholes(iv: float) -> None:
    odd = gex.measure(made([*ROWS, ("P", 3990.0, 10, iv, 0.0, 10_000)]))
    assert odd.net == gex.measure(made(ROWS)).net


def test_a_file_without_gamma_has_no_walls_and_no_cboe_figures() -> None:
    bare = gex.measure(replace(made(ROWS), gamma=np.full(4, np.nan)))
    assert (bare.cboe_net, bare.cboe_calls, bare.cboe_puts) == (None, None, None)
    assert (bare.call_wall, bare.put_wall) == (None, None)
    assert (bare.magnet_below, bare.magnet_above) == (None, None)
    assert bare.net == gex.measure(made(ROWS)).net


def test_magnets_are_the_strong_strikes_on_both_sides_of_spot() -> None:
    weak = [("C", 3995.0 + i, 10, 0.2, 0.0001, 10) for i in (0, 1, 2, 8, 9, 10)]
    strong = [("P", 3500.0 + 50 * i, 10, 0.2, 0.002, 900 + i) for i in range(9)]  # to 3900
    above = [("C", 4090.0, 10, 0.2, 0.002, 800), ("C", 4095.0, 10, 0.2, 0.002, 1000)]
    measured = gex.measure(made([*weak, *strong, *above]))
    # Eleven are strong, ten count: the least of them, 4090, is out and so are all the weak.
    assert (measured.magnet_below, measured.magnet_above) == (3900.0, 4095.0)


def test_calls_and_puts_of_a_strike_cancel_in_a_magnet() -> None:
    cancelled = [("C", 4020.0, 10, 0.2, 0.002, 5000), ("P", 4020.0, 10, 0.2, 0.002, 5000)]
    many = [("C", 4100.0 + i, 10, 0.2, 0.002, 100) for i in range(10)]
    measured = gex.measure(made([*cancelled, *many, ("P", 3990.0, 10, 0.2, 0.002, 200)]))
    assert (measured.magnet_below, measured.magnet_above) == (3990.0, 4100.0)


def test_a_magnet_may_stand_at_spot_and_one_side_may_have_none() -> None:
    measured = gex.measure(made([("C", 4000.0, 10, 0.2, 0.002, 100)]))
    assert (measured.magnet_below, measured.magnet_above) == (4000.0, None)


def test_open_interest_of_puts_over_calls_counts_the_living() -> None:
    rows = [*ROWS, ("P", 4000.0, -1, 0.2, 0.5, 10_000), ("P", 3000.0, 5, 0.0, 0.0, 1000)]
    assert gex.measure(made(rows)).put_call_oi == pytest.approx(8000 / 4000)
    assert gex.measure(made(ROWS[2:])).put_call_oi is None


def test_a_profile_does_not_depend_on_how_much_fits_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spots = np.linspace(3200.0, 4800.0, 50)
    whole = gex.profile(made(ROWS), spots)
    monkeypatch.setattr(gex, "ROOM", 12)
    np.testing.assert_allclose(gex.profile(made(ROWS), spots), whole, rtol=1e-12)
    assert gex.profile(made(ROWS), np.empty(0)).shape == (0,)


@pytest.mark.parametrize("days", [0, -3])
def test_a_chain_that_has_expired_is_an_error(days: float) -> None:
    with pytest.raises(DataError, match="open interest"):
        gex.measure(made([("C", 4000.0, days, 0.2, 0.002, 100)]))


@pytest.mark.skipif(not CBOE.exists(), reason="real chains are not here")
@pytest.mark.parametrize(
    ("name", "spot", "cboe", "net", "flip", "walls"),
    [
        ("SPX_2022-06-10", 3900.86, -41.725, -44.910, 4206.3, (4000.0, 3900.0)),
        ("SPX_2022-07-12_1155", 3856.28, -17.487, -19.011, 3964.3, (4000.0, 3800.0)),
        ("SPX_2023-02-07", 4164.00, 21.539, 20.163, 4094.9, (4200.0, 4000.0)),
        ("SPX_2023-09-14", 4505.10, 23.310, 16.079, 4494.3, (4525.0, 4500.0)),
    ],
)
def test_real_chains_give_the_reference_figures(
    name: str, spot: float, cboe: float, net: float, flip: float, walls: tuple[float, float]
) -> None:
    measured = gex.measure(chain.read(CBOE / f"{name}.csv.gz"))
    assert measured.spot == pytest.approx(spot, abs=0.005)
    assert measured.cboe_net == pytest.approx(cboe, abs=0.001)
    assert measured.net == pytest.approx(net, rel=0.001)
    assert measured.flip == pytest.approx(flip, abs=0.1)
    assert (measured.call_wall, measured.put_wall) == walls
    assert measured.net_over_gross == pytest.approx(measured.net / (measured.calls - measured.puts))


@pytest.mark.skipif(not CBOE.exists(), reason="real chains are not here")
def test_the_reference_file_s_calls_and_puts() -> None:
    measured = gex.measure(chain.read(CBOE / "SPX_2023-02-07.csv.gz"))
    assert measured.cboe_calls == pytest.approx(88.699, abs=0.001)
    assert measured.cboe_puts == pytest.approx(-67.161, abs=0.001)
    assert (measured.contracts, measured.contracts_with_oi) == (18_962, 14_322)


@pytest.mark.skipif(not CBOE.exists(), reason="real chains are not here")
def test_the_reference_file_s_magnets_are_next_to_spot() -> None:
    measured = gex.measure(chain.read(CBOE / "SPX_2023-02-07.csv.gz"))
    assert (measured.magnet_below, measured.magnet_above) == (4150.0, 4175.0)
    assert measured.put_call_oi == pytest.approx(1.815, abs=0.001)
