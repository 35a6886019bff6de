"""Greeks against finite differences of the prices, and what holds between a call and a put."""

from math import log, nan, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from domain.examples import surface
from domain.market import Right
from domain.units import Greeks, PerShare
from market import pricing
from market.pricing import Smile

BOTH = st.sampled_from(Right)
spots = st.floats(300.0, 9000.0)
standing = st.floats(-2.5, 2.5)
"""Deviations that a strike lies from spot."""
vols = st.floats(0.05, 0.9)
horizons = st.floats(0.5, 60.0)


def worth(spot: float, right: Right, strike: float, vol: float, horizon: float) -> float:
    return pricing.price_at(Smile(spot, vol, 0.0, 0.0, sqrt(horizon / 252)), right, strike)


def placed(spot: float, z: float, vol: float, horizon: float) -> float:
    return spot * (1 + z * vol * sqrt(horizon / 252) / 2)


@given(spots, standing, vols, horizons, BOTH)
def test_greeks_are_the_slopes_of_the_price(
    spot: float, z: float, vol: float, horizon: float, right: Right
) -> None:
    strike = placed(spot, z, vol, horizon)
    found = pricing.greeks(spot, right, strike, vol, horizon)
    step = spot * vol * sqrt(horizon / 252) * 1e-3
    down, here, up = (worth(spot + side * step, right, strike, vol, horizon) for side in (-1, 0, 1))
    assert found.delta.amount == pytest.approx((up - down) / (2 * step), abs=1e-5)
    assert found.gamma.amount * step**2 == pytest.approx(up - 2 * here + down, abs=1e-9 * spot)
    later, sooner = (worth(spot, right, strike, vol, horizon * f) for f in (1.0001, 0.9999))
    decay = (sooner - later) / (2e-4 * horizon)
    assert found.theta.amount == pytest.approx(decay, rel=1e-4, abs=1e-7 * spot)
    more, less = (worth(spot, right, strike, vol + d, horizon) for d in (1e-4, -1e-4))
    assert found.vega.amount == pytest.approx((more - less) / 2e-2, rel=1e-4, abs=1e-8 * spot)


@given(spots, standing, vols, horizons)
def test_a_call_and_a_put_of_one_strike_differ_by_one_share(
    spot: float, z: float, vol: float, horizon: float
) -> None:
    strike = placed(spot, z, vol, horizon)
    call, put = (pricing.greeks(spot, right, strike, vol, horizon) for right in Right)
    assert call.delta.amount - put.delta.amount == pytest.approx(1.0)
    for name in ("gamma", "theta", "vega"):
        assert getattr(call, name).amount == pytest.approx(getattr(put, name).amount)


@given(spots, standing, vols, horizons, BOTH)
def test_what_is_bought_gains_by_volatility_and_loses_by_time(
    spot: float, z: float, vol: float, horizon: float, right: Right
) -> None:
    found = pricing.greeks(spot, right, placed(spot, z, vol, horizon), vol, horizon)
    assert found.gamma.amount > 0 > found.theta.amount
    assert found.vega.amount > 0
    # what a session takes is what the moves of one deviation give back: theta and gamma of Black
    session = (spot * vol) ** 2 / 252
    assert found.theta.amount == pytest.approx(-0.5 * found.gamma.amount * session)


def test_greeks_of_the_surface_are_at_the_volatility_of_the_strike() -> None:
    vol = float(pricing.iv(surface(), 2340.0, 5))
    found = pricing.greeks(2383.0, Right.PUT, 2340.0, vol, 5)
    assert pricing.price(surface(), Right.PUT, 2340.0, 5) == pytest.approx(
        worth(2383.0, Right.PUT, 2340.0, vol, 5)
    )
    assert isinstance(found, Greeks)
    assert isinstance(found.delta, PerShare)
    deviation = vol * sqrt(5 / 252)
    d1 = log(2383 / 2340) / deviation + deviation / 2
    assert found.delta.amount == pytest.approx(-NormalDist().cdf(-d1))


@given(spots, standing, st.floats(0.05, 0.5), st.sampled_from([1, 3, 5, 10, 21]), BOTH)
def test_a_surface_s_price_moves_by_delta_and_by_what_the_skew_does_to_the_volatility(
    spot: float, z: float, vol: float, horizon: int, right: Right
) -> None:
    strike = placed(spot, z, vol, horizon)
    step = spot * vol * sqrt(horizon / 252) * 1e-4
    cuts = [
        surface(spot=spot + side * step, sigmas=dict.fromkeys((1, 5, 10, 21), vol))
        for side in (-1, 0, 1)
    ]
    down, _, up = (pricing.price(cut, right, strike, horizon) for cut in cuts)
    low, own, high = (float(pricing.iv(cut, strike, horizon)) for cut in cuts)
    found = pricing.greeks(spot, right, strike, own, horizon)
    slope = found.delta.amount + 100 * found.vega.amount * (high - low) / (2 * step)
    assert (up - down) / (2 * step) == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [{"spot": nan}, {"spot": 0.0}, {"strike": -5.0}, {"vol": 0.0}, {"vol": nan}, {"horizon": 0.0}],
)
def test_greeks_of_what_is_unknown_or_expired_are_refused(wrong: dict[str, float]) -> None:
    plain = {"spot": 2383.0, "right": Right.PUT, "strike": 2340.0, "vol": 0.1, "horizon": 5.0}
    with pytest.raises(DataError, match=f"{next(iter(wrong))} is"):
        pricing.greeks(**(plain | wrong))
