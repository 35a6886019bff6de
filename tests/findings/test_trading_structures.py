"""Defects of DISCERNMENT's builders of structures, kept out."""

import pytest

from domain.book import Costs
from domain.errors import DataError
from domain.examples import surface
from domain.market import Right
from market import quotes
from market.quotes import Simulated
from tests.market.chains import changed, contracts, made
from trading.structures.catalog import NINE
from trading.structures.offer import build, contract
from trading.structures.scanner import View, scan

LISTED = quotes.nearest(made(contracts()), 5)


def test_a_straddle_has_a_put_and_a_call() -> None:
    """It was built of one leg, so half of it was neither paid for nor owned."""
    straddle = build("long_straddle", LISTED, Costs())
    assert [leg.right for leg in straddle.bare] == [Right.PUT, Right.CALL]
    call, put = (build(name, LISTED, Costs()) for name in ("long_call", "long_put"))
    assert straddle.entry.amount == pytest.approx(call.entry.amount + put.entry.amount)


@pytest.mark.parametrize("name", NINE)
def test_no_structure_is_strikes_without_prices(name: str) -> None:
    """Six of nine builders knew strikes only, and two estimated: one in nine was really priced."""
    for board in (LISTED, Simulated(surface(), 5, 5.0)):
        found = build(name, board, Costs())
        assert all(priced.quote.mid > 0 and priced.quote.vol > 0 for priced in found.legs)
        mids = sum(priced.leg.quantity * priced.quote.mid for priced in found.legs)
        assert found.entry.amount == pytest.approx(-mids)
        assert found.max_loss.amount > 0


def test_a_leg_that_nobody_quotes_is_not_estimated() -> None:
    """A condor and a bear put were priced by estimate, and nothing said that nobody quoted them."""
    board = quotes.nearest(changed(Right.PUT, 2345.0, bid=0.0, ask=0.0), 5)
    with pytest.raises(DataError, match="the 2345 put has no ask"):
        build("bull_put", board, Costs())


@pytest.mark.parametrize("name", NINE)
def test_the_most_that_is_lost_is_in_one_unit(name: str) -> None:
    """Amounts per share and per contract were mixed, so the loss was out by up to a hundred."""
    found = build(name, LISTED, Costs())
    dollars = contract(found.max_loss).amount
    width = max(leg.strike for leg in found.bare) - min(leg.strike for leg in found.bare)
    credit = found.entry.amount
    per_share = (width if name == "iron_butterfly" else 0.0) / 2
    if name == "iron_condor" or (credit > 0 and width and not per_share):
        per_share = 25.0
    assert dollars == pytest.approx(100 * (per_share - credit + found.costs.amount))
    with pytest.raises(TypeError, match="do not mix"):
        contract(found.max_gain or found.max_loss) + found.max_loss  # type: ignore[operator]


@pytest.mark.parametrize("vix", [21.0, 26.0, 45.0])
def test_premium_is_not_bought_because_it_is_dear(vix: float) -> None:
    """Calls and puts were bought only above a VIX of 20, straddles only above 25."""
    for up, down in ((0.7, 0.1), (0.1, 0.7), (0.45, 0.45)):
        expects = View(bullish=up, neutral=1 - up - down, bearish=down, vix=vix)
        found = scan(LISTED, expects, Costs())
        bought = [one for one in found.candidates if one.found.structure.startswith("long_")]
        assert bought
        assert [one.stake for one in bought] == [0.0] * len(bought)


def test_a_candidate_without_an_edge_has_no_size() -> None:
    """Candidates were ranked by a confidence, .6 model and .4 rule; their worth was not asked."""
    found = scan(LISTED, View(bullish=0.6, neutral=0.2, bearish=0.2), Costs())
    losing = [one for one in found.candidates if one.edge <= 0]
    assert losing
    assert {one.stake for one in losing} == {0.0}
