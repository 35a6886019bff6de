"""Correlation: what moves along with a position that is held."""

from typing import Any

import pytest

from domain import examples
from domain.decision import Context, Draft, Effect, Reason
from orchestrator.layers.correlation import correlation
from tests.orchestrator.made import chosen, premium, vetoed, wanting


def held_by(context: Context, *exposures: Any, **correlations: float) -> Draft:
    book = examples.book(exposures=exposures)
    return wanting(
        context.model_copy(update={"book": book, "correlations": correlations}),
        proposal=examples.proposal(max_loss=4_560.0),
    )


AAPL = examples.exposure(id="a", symbol="AAPL", bot="autotrader")
SAME = examples.exposure(id="s", symbol="SPX")


def test_an_empty_book_correlates_with_nothing() -> None:
    verdict = correlation(held_by(premium())).verdicts[-1]
    assert (verdict.effect, verdict.evidence) == (Effect.PASS, {"held": 0.0})


@pytest.mark.parametrize(("rho", "stopped"), [(0.70, False), (0.7001, True)])
def test_moving_with_a_position_elsewhere_is_stopped(rho: float, stopped: bool) -> None:
    told = correlation(held_by(premium(), AAPL, a=rho))
    assert told.vetoed is stopped
    if stopped:
        assert vetoed(told) == ("correlation", Reason.CORRELATED)
        assert told.veto is not None
        assert told.veto.evidence["worst"] == rho


def test_a_correlation_that_nobody_knows_counts_as_the_same_bet() -> None:
    assert vetoed(correlation(held_by(premium(), AAPL))) == ("correlation", Reason.CORRELATED)


def test_a_hedge_passes_however_strong() -> None:
    hedge = AAPL.model_copy(update={"side": 1, "risk": 500_000.0})
    verdict = correlation(held_by(premium(), hedge, a=0.99)).verdicts[-1]
    assert (verdict.effect, verdict.evidence["held"]) == (Effect.PASS, 0.0)


def test_positions_in_the_same_symbol_are_for_the_cap_and_not_for_the_correlation() -> None:
    assert not correlation(held_by(premium(), SAME, s=1.0)).vetoed


def test_what_would_be_lost_together_has_a_limit() -> None:
    """A fifth of 600,000 is 120,000; the proposal itself risks 4,560."""
    room = SAME.model_copy(update={"risk": 115_440.0})
    assert not correlation(held_by(premium(), room, s=1.0)).vetoed
    full = SAME.model_copy(update={"risk": 115_440.1})
    assert vetoed(correlation(held_by(premium(), full, s=1.0))) == (
        "correlation",
        Reason.SHARED_RISK,
    )


def test_there_is_nothing_to_compare_without_a_proposal() -> None:
    assert vetoed(correlation(chosen(premium()))) == ("correlation", Reason.FAILED)
