"""Black-76 on the simulated surface: laws that any price obeys, and real chains."""

from datetime import UTC, date, datetime
from math import ceil, exp, floor, log, nan, sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from domain.examples import surface
from domain.market import Right, Surface
from market import calendar, chain, pricing

DATA = Path(__file__).parents[2].parent / "shared" / "data"
ASOF = datetime(2026, 6, 26, 20, tzinfo=UTC)
PHI = NormalDist().cdf

spots = st.floats(100.0, 9000.0)
strikes = st.floats(0.6, 1.5)
vols = st.floats(0.03, 1.2)
horizons = st.floats(0.05, 30.0)


def flat(spot: float, vol: float) -> Surface:
    return surface(spot=spot, sigmas=dict.fromkeys((1, 5, 10, 21), vol))


def black(spot: float, strike: float, deviation: float, right: Right) -> float:
    d1 = log(spot / strike) / deviation + deviation / 2
    if right is Right.CALL:
        return spot * PHI(d1) - strike * PHI(d1 - deviation)
    return strike * PHI(deviation - d1) - spot * PHI(-d1)


def made(**fields: float | None) -> Surface:
    plain = {"vix": 15.0, "rv5": 10.0, "rv21": 12.0, "dln_vix5": 0.05, "friday": True}
    return pricing.surface("SPX", ASOF, 7354.02, **(plain | fields))


def test_indices_that_exist_give_the_term_structure() -> None:
    built = made(vix1d=12.0, vix9d=13.0)
    assert built.sigmas[1] == pytest.approx(0.887 * 0.12)
    assert built.sigmas[5] == pytest.approx(0.869 * 0.13)
    assert built.sigmas[21] == pytest.approx(0.812 * 0.15)
    near, far = built.sigmas[5] ** 2 * 5, built.sigmas[21] ** 2 * 21
    assert built.sigmas[10] ** 2 * 10 == pytest.approx(near + (far - near) * 5 / 16)
    assert list(built.sigmas) == [1, 5, 10, 21]
    assert built.label == "simulated: Black-76, SPX+VIX+VIX9D+VIX1D term structure, skew"


def test_indices_that_do_not_exist_are_estimated_from_vix_and_the_index() -> None:
    built = made()
    nine = exp(-0.397 + 1.133 * log(15) + 0.047 * log(10 / 15) - 0.019 * log(12 / 15) + 0.00955)
    one = exp(-0.372 + 1.088 * log(15) + 0.11 * log(10 / 15) + 0.125 * log(0.8) + 0.019 - 0.013)
    assert built.sigmas[5] == pytest.approx(0.869 * nine / 100)
    assert built.sigmas[1] == pytest.approx(0.887 * one / 100)
    assert built.label == "simulated: Black-76, SPX+VIX term structure, skew"


def test_an_index_that_is_nan_counts_as_absent_and_each_stands_alone() -> None:
    assert made(vix1d=nan, vix9d=nan) == made()
    half = made(vix9d=13.0)
    assert half.sigmas[5] == pytest.approx(0.869 * 0.13)
    assert half.sigmas[1] == made().sigmas[1]
    assert "VIX9D" in half.label
    assert "VIX1D" not in half.label


def test_realised_volatility_is_not_needed_where_both_indices_exist() -> None:
    built = made(vix1d=12.0, vix9d=13.0, rv5=nan, rv21=0.0, dln_vix5=nan)
    assert built == made(vix1d=12.0, vix9d=13.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"vix": nan},
        {"vix": 0.15},
        {"vix": -1.0},
        {"rv5": 0.0},
        {"rv21": nan},
        {"dln_vix5": nan},
        {"vix1d": 0.12},
        {"vix9d": -13.0},
    ],
)
def test_an_unknown_or_impossible_input_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError):
        made(**wrong)


def test_total_variance_is_linear_between_horizons_and_volatility_flat_outside() -> None:
    quiet = surface()
    w1, w5 = 0.07**2 * 1, 0.08**2 * 5
    assert pricing.sigma(quiet, 3) == pytest.approx(sqrt((w1 + (w5 - w1) / 2) / 3))
    assert [pricing.sigma(quiet, h) for h in (0, 0.2, 1)] == [0.07] * 3
    assert [pricing.sigma(quiet, h) for h in (5, 21, 60)] == pytest.approx([0.08, 0.089, 0.089])


def test_a_surface_without_volatility_and_a_horizon_that_is_nan_are_refused() -> None:
    with pytest.raises(DataError, match="no volatility"):
        pricing.sigma(surface(sigmas={}), 5)
    with pytest.raises(DataError, match="horizon"):
        pricing.price(surface(), Right.PUT, 2340.0, nan)
    with pytest.raises(DataError, match="spot"):
        pricing.shifted(surface(), 0.0)


@pytest.mark.parametrize(
    ("horizon", "b1", "b2"),
    [
        (0.5, -0.114, 0.031),
        (1, -0.114, 0.031),
        (3, -0.136, 0.0275),
        (5, -0.158, 0.024),
        (10, -0.167, 0.034),
        (15.5, -0.174, 0.0385),
        (21, -0.181, 0.043),
        (40, -0.181, 0.043),
    ],
)
def test_the_smile_is_the_table_s(horizon: float, b1: float, b2: float) -> None:
    deviation = 0.2 * sqrt(horizon / 252)
    z = np.array([-9.0, -3.5, -1.0, 0.0, 1.0, 3.0, 9.0])
    held = np.clip(z, -3.5, 3.0)
    smile = pricing.iv(flat(2000.0, 0.2), 2000 * np.exp(z * deviation), horizon)
    np.testing.assert_allclose(smile, 0.2 * (1 + b1 * held + b2 * held**2), rtol=1e-9)


@given(spots, strikes, vols, horizons, st.sampled_from(Right))
def test_price_is_black_s_at_the_smile_s_volatility(
    spot: float, ratio: float, vol: float, horizon: float, right: Right
) -> None:
    cut, strike = flat(spot, vol), spot * ratio
    deviation = float(pricing.iv(cut, strike, horizon)) * sqrt(horizon / 252)
    expected = black(spot, strike, deviation, right)
    assert pricing.price(cut, right, strike, horizon) == pytest.approx(expected, abs=1e-9 * spot)


@given(spots, st.lists(strikes, min_size=1, max_size=9), vols, st.floats(0.0, 30.0))
def test_one_strike_and_an_array_of_them_price_alike(
    spot: float, ratios: list[float], vol: float, horizon: float
) -> None:
    cut, many = flat(spot, vol), spot * np.array(ratios)
    for right in Right:
        single = [pricing.price(cut, right, float(strike), horizon) for strike in many]
        array = pricing.price(cut, right, many, horizon)
        np.testing.assert_allclose(array, single, rtol=1e-9, atol=1e-9)


@given(spots, strikes, vols, st.floats(0.0, 30.0))
def test_a_call_less_a_put_is_the_forward(
    spot: float, ratio: float, vol: float, horizon: float
) -> None:
    cut, strike = flat(spot, vol), spot * ratio
    call = pricing.price(cut, Right.CALL, strike, horizon)
    put = pricing.price(cut, Right.PUT, strike, horizon)
    assert call - put == pytest.approx(spot - strike, abs=1e-9 * spot)


@given(spots, strikes, st.floats(0.001, 0.1), vols, horizons)
def test_a_spread_is_worth_between_nothing_and_its_width(
    spot: float, ratio: float, width: float, vol: float, horizon: float
) -> None:
    cut, low, high = flat(spot, vol), spot * ratio, spot * (ratio + width)
    for right in Right:
        least, most = (pricing.price(cut, right, strike, horizon) for strike in (low, high))
        worth = least - most if right is Right.CALL else most - least
        assert -1e-9 * spot <= worth <= high - low + 1e-9 * spot


@given(spots, strikes, vols, st.floats(1.01, 2.0), horizons, st.sampled_from(Right))
def test_more_volatility_never_cheapens_an_option_nor_makes_it_dearer_than_its_bound(
    spot: float, ratio: float, vol: float, more: float, horizon: float, right: Right
) -> None:
    strike = spot * ratio
    calm, wild = (pricing.price(flat(spot, v), right, strike, horizon) for v in (vol, vol * more))
    intrinsic = max(0.0, spot - strike if right is Right.CALL else strike - spot)
    bound = spot if right is Right.CALL else strike
    assert intrinsic - 1e-9 * spot <= calm <= wild + 1e-9 * spot
    assert wild <= bound


@given(spots, strikes, vols, st.sampled_from([0, 0.0, -2]))
def test_at_expiry_an_option_is_worth_its_intrinsic_value(
    spot: float, ratio: float, vol: float, horizon: float
) -> None:
    cut, strike = flat(spot, vol), spot * ratio
    assert pricing.price(cut, Right.CALL, strike, horizon) == max(0.0, spot - strike)
    assert pricing.price(cut, Right.PUT, strike, horizon) == max(0.0, strike - spot)


def test_a_shifted_surface_keeps_its_volatilities() -> None:
    moved = pricing.shifted(surface(), 2300.0)
    assert (moved.spot, moved.sigmas, moved.label) == (2300.0, surface().sigmas, surface().label)
    assert surface().spot == 2383.0


def test_expected_move_is_one_deviation_of_vix() -> None:
    assert pricing.expected_move(4000.0, 20.0, 252) == 800.0
    assert pricing.expected_move(4000.0, 20.0, 1) == pytest.approx(50.395, abs=1e-3)


def forward_and_atm(day: chain.Chain, horizon: int) -> tuple[float, float, dict[Right, object]]:
    """Return forward, at-the-money volatility and mids by strike of one real expiry."""
    close = np.datetime64(calendar.ahead(day.asof, horizon).replace(tzinfo=None), "s")
    mids = {
        right: dict(zip(day.strike[mine], day.mid[mine], strict=True))
        for right, mine in (
            (Right.CALL, day.call & (day.settles == close)),
            (Right.PUT, ~day.call & (day.settles == close)),
        )
    }
    calls, puts = mids[Right.CALL], mids[Right.PUT]
    atm = min(calls.keys() & puts.keys(), key=lambda strike: abs(calls[strike] - puts[strike]))
    forward, straddle = atm + calls[atm] - puts[atm], calls[atm] + puts[atm]
    low, high = 0.01, 2.0
    for _ in range(50):
        vol = (low + high) / 2
        deviation = vol * sqrt(horizon / 252)
        worth = black(forward, atm, deviation, Right.CALL) + black(
            forward, atm, deviation, Right.PUT
        )
        low, high = (vol, high) if worth < straddle else (low, vol)
    return forward, vol, mids


@pytest.mark.skipif(not DATA.exists(), reason="real chains are not here")
@pytest.mark.parametrize(("horizon", "error"), [(1, 0.20), (5, 0.25)])
def test_a_real_condor_is_priced_to_within_a_few_ticks(horizon: int, error: float) -> None:
    table = (DATA / "daily_window_2026/vix.csv").read_text().splitlines()[1:]
    vix = {day: float(close) for day, *_, close in (line.split(",") for line in table)}
    misses, flat_misses = [], []
    for day in ("2026-06-12", "2026-06-17", "2026-06-22", "2026-06-30", "2026-07-07", "2026-07-10"):
        quotes = chain.read(DATA / f"options/spx_chain_2026/{day}.csv.gz")
        assert quotes.asof.date() == date.fromisoformat(day)
        forward, atm, mids = forward_and_atm(quotes, horizon)
        move = pricing.expected_move(quotes.spot, vix[day], horizon)
        put = floor((quotes.spot - move) / 5) * 5.0
        call = ceil((quotes.spot + move) / 5) * 5.0
        legs = [(Right.PUT, put, 1), (Right.PUT, put - 25, -1)]
        legs += [(Right.CALL, call, 1), (Right.CALL, call + 25, -1)]
        real = sum(sign * mids[right][strike] for right, strike, sign in legs)

        def condor(vol: float, legs: list = legs, forward: float = forward) -> float:
            cut = flat(forward, vol)
            return sum(sign * pricing.price(cut, *leg, horizon) for *leg, sign in legs)

        misses.append(abs(condor(atm) - real))
        flat_misses.append(abs(condor(vix[day] / 100) - real))
    assert np.mean(misses) < error
    assert np.mean(flat_misses) > 2.0
