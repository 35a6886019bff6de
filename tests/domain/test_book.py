"""Which latch covers whom, and for how long."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.book import Book, Limits, Scope, Switches
from domain.examples import CLOSE, book, exposure, switch

HOUR = timedelta(hours=1)


def covers(*, asof: Any = CLOSE, **fields: Any) -> bool:
    found = Switches(latches=(switch(**fields),)).covering("anchor", "condor", "SPX", asof)
    return bool(found)


@pytest.mark.parametrize(
    ("scope", "target", "covered"),
    [
        (Scope.ALL, "*", True),
        (Scope.BOT, "anchor", True),
        (Scope.BOT, "fortress", False),
        (Scope.STRATEGY, "condor", True),
        (Scope.STRATEGY, "score", False),
        (Scope.SYMBOL, "SPX", True),
        (Scope.SYMBOL, "AAPL", False),
        (Scope.BOT, "SPX", False),
        (Scope.SYMBOL, "anchor", False),
        (Scope.BOT, "*", False),
    ],
)
def test_a_latch_covers_its_target_in_its_scope_only(
    scope: Scope, target: str, covered: bool
) -> None:
    assert covers(scope=scope, target=target) is covered


@pytest.mark.parametrize(
    ("expires_at", "covered"),
    [(None, True), (CLOSE + HOUR, True), (CLOSE, False), (CLOSE - HOUR, False)],
)
def test_a_latch_is_in_force_until_the_moment_it_expires(expires_at: Any, covered: bool) -> None:
    assert covers(expires_at=expires_at) is covered


def test_all_latches_that_cover_are_told_in_their_order() -> None:
    latches = (
        switch(id=1),
        switch(id=2, scope=Scope.BOT, target="fortress"),
        switch(id=3, scope=Scope.SYMBOL, target="SPX"),
    )
    found = Switches(latches=latches).covering("anchor", "condor", "SPX", CLOSE)
    assert [latch.id for latch in found] == [1, 3]
    assert Switches().covering("anchor", "condor", "SPX", CLOSE) == ()


@pytest.mark.parametrize("share", [-0.01, 1.01, 15.0])
def test_limits_are_shares_and_not_percentages(share: float) -> None:
    for name in ("max_correlation", "total_risk", "daily_loss_hard", "max_drawdown"):
        with pytest.raises(ValidationError, match=name):
            Limits(**{name: share})  # type: ignore[arg-type]


def test_a_book_needs_every_number_that_has_no_natural_zero() -> None:
    with pytest.raises(ValidationError) as caught:
        Book()  # type: ignore[call-arg]
    missing = {error["loc"][0] for error in caught.value.errors()}
    assert missing == {"equity", "peak", "day_pnl", "desk_equity", "allocation"}
    assert book(exposures=(exposure(),)).exposures[0].risk == 20_000.0
