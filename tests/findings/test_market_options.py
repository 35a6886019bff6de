"""Defects of earlier systems around options, kept out."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from domain.book import Costs
from domain.errors import DataError
from domain.examples import bot, surface
from market import gex, pricing
from market.chain import Chain
from trading.structures.base import payoff
from trading.structures.catalog import propose

ASOF = datetime(2023, 2, 7, 21, tzinfo=UTC)


def calls_only() -> Chain:
    """Return two calls that are held: their net exposure is positive at every spot."""
    two = np.array([4100.0, 4200.0])
    return Chain(
        symbol="SPX",
        asof=ASOF,
        spot=4164.0,
        call=np.array([True, True]),
        strike=two,
        settles=np.array(["2023-02-17T21:00:00"] * 2, "datetime64[s]"),
        bid=two * np.nan,
        ask=two * np.nan,
        iv=np.array([0.2, 0.19]),
        delta=two * np.nan,
        gamma=np.array([0.002, 0.002]),
        open_interest=np.array([100.0, 200.0]),
    )


def test_a_flip_that_does_not_exist_is_not_the_spot() -> None:
    """The hybrid signal's default structure set the flip to the spot price."""
    measured = gex.measure(calls_only())
    assert measured.net > 0
    assert measured.flip is None
    assert measured.put_wall is None


def test_exposure_that_cannot_be_measured_is_not_zero() -> None:
    """Missing gamma exposure was silently taken for 0, which reads as a neutral market."""
    for unknown in (np.zeros(2), np.full(2, np.nan)):
        with pytest.raises(DataError, match="open interest"):
            gex.measure(replace(calls_only(), open_interest=unknown))
        with pytest.raises(DataError, match="implied volatility"):
            gex.measure(replace(calls_only(), iv=unknown))


def test_a_volatility_index_in_fractions_is_refused() -> None:
    """Fractions and percentages were mixed: an exposure of 187 % stood against a cap of 30 %."""
    with pytest.raises(DataError, match="fraction"):
        pricing.surface("SPX", ASOF, 4164.0, 0.187, 15.0, 16.0, 0.0, False)


def test_a_volatility_that_is_unknown_has_no_default() -> None:
    """A VIX of exactly 18 was a default that only its roundness gave away."""
    with pytest.raises(DataError, match="VIX"):
        pricing.surface("SPX", ASOF, 4164.0, np.nan, 15.0, 16.0, 0.0, False)


def test_the_worst_loss_counts_the_commission() -> None:
    """The profit of a trade left its commission out."""
    free = Costs(option_leg=0)
    cheap = propose("iron_condor", bot(), surface(), 5, 11.0, free)
    dear = propose("iron_condor", bot(), surface(), 5, 11.0, Costs())
    assert dear.max_loss == pytest.approx(cheap.max_loss + dear.costs)
    assert dear.max_loss > -(payoff(dear.legs, 1.0) + dear.entry) * 100


def test_short_options_are_not_priced_at_a_flat_vix() -> None:
    """A flat VIX overprices a one-day condor two to three times and turns a loss into a gain."""
    skewed = pricing.surface("SPX", ASOF, 4164.0, 20.0, 15.0, 16.0, 0.0, False)
    flat = skewed.model_copy(update={"sigmas": dict.fromkeys((1, 5, 10, 21), 0.2)})
    trader = bot(distance=1.0, wing=25.0)
    ours, theirs = (propose("iron_condor", trader, s, 1, 20.0, Costs()) for s in (skewed, flat))
    assert theirs.entry > 1.5 * ours.entry
