from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.book import Limits
from domain.decision import Effect, Reason
from domain.examples import exposure
from risk import caps
from risk.correlation import shared

LIMITS = Limits()
RISKS = st.lists(st.tuples(st.sampled_from(("SPX", "AAPL")), st.floats(0, 1e6)), max_size=6)


def test_an_empty_desk_has_all_its_room() -> None:
    left = caps.room(LIMITS, 600_000.0, [], "SPX", shared=0.0)
    assert (left.left, left.cap) == (90_000.0, Reason.SYMBOL_CAP)
    assert left.by_cap == {
        Reason.SYMBOL_CAP: 90_000.0,
        Reason.TOTAL_CAP: 180_000.0,
        Reason.SHARED_RISK: 120_000.0,
    }


@pytest.mark.parametrize(
    ("held", "shared", "cap", "left"),
    [
        ([exposure(risk=80_000.0)], None, Reason.SYMBOL_CAP, 10_000.0),
        ([exposure(symbol="AAPL", risk=170_000.0)], None, Reason.TOTAL_CAP, 10_000.0),
        ([exposure(symbol="AAPL", risk=1.0)], 110_000.0, Reason.SHARED_RISK, 10_000.0),
        ([exposure(risk=1e9)], None, Reason.SYMBOL_CAP, 0.0),
    ],
)
def test_the_tightest_cap_is_named(
    held: list, shared: float | None, cap: Reason, left: float
) -> None:
    found = caps.room(LIMITS, 600_000.0, held, "SPX", shared)
    assert (found.cap, found.left) == (cap, left)


@pytest.mark.parametrize("equity", [0.0, -5.0])
def test_a_desk_without_equity_has_no_room(equity: float) -> None:
    assert caps.room(LIMITS, equity, [], "SPX").left == 0.0


def test_what_fits_to_the_cent_passes_and_more_is_refused() -> None:
    held = [exposure(risk=80_000.0)]
    assert caps.check(LIMITS, 600_000.0, held, "SPX", 10_000.0) is None
    verdict = caps.check(LIMITS, 600_000.0, held, "SPX", 10_000.02, layer="seal")
    assert (verdict.layer, verdict.effect, verdict.code) == (
        "seal",
        Effect.VETO,
        Reason.SYMBOL_CAP,
    )
    assert verdict.reason == "10,000 dollars at risk in SPX, 10,000 left under SYMBOL_CAP"
    assert verdict.evidence == {
        "risk": 10_000.02,
        "left_symbol_cap": 10_000.0,
        "left_total_cap": 100_000.0,
    }


@given(RISKS, st.floats(-1e6, 1e7), st.none() | st.floats(0, 1e6))
def test_room_is_never_negative_and_taking_all_of_it_passes(
    held: list[tuple[str, float]], equity: float, shared: float | None
) -> None:
    exposures = [exposure(symbol=symbol, risk=risk) for symbol, risk in held]
    left = caps.room(LIMITS, equity, exposures, "SPX", shared)
    assert left.left == min(left.by_cap.values()) >= 0.0
    assert caps.check(LIMITS, equity, exposures, "SPX", left.left, shared) is None
    assert caps.check(LIMITS, equity, exposures, "SPX", left.left + 1.0, shared) is not None


@given(RISKS, st.floats(0, 1e7))
def test_filling_the_room_never_overruns_a_cap(
    held: list[tuple[str, float]], equity: float
) -> None:
    exposures = []
    for symbol, wanted in held:
        risk = min(wanted, caps.room(LIMITS, equity, exposures, symbol).left)
        exposures.append(exposure(symbol=symbol, risk=risk))
    assert sum(e.risk for e in exposures) <= LIMITS.total_risk * equity + caps.CENT


def test_room_does_not_depend_on_the_order_of_what_is_held() -> None:
    held = [exposure(risk=risk) for risk in (0.1, 0.2, 0.3, 0.7)]
    orders = list(permutations(held))
    assert len({caps.room(LIMITS, 10.0, order, "SPX").left for order in orders}) == 1
    assert len({shared(-1, 0.0, {}, order).held for order in orders}) == 1
