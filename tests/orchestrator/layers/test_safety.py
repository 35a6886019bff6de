"""Safety: what stops a decision before anybody is asked."""

from typing import Any

import pytest

from domain import examples
from domain.decision import Draft, Effect, Reason
from orchestrator.layers.safety import safety
from tests.orchestrator.made import premium, vetoed


def test_safety_passes_a_quiet_day_with_its_numbers() -> None:
    [verdict] = safety(Draft(context=premium())).verdicts
    assert (verdict.effect, verdict.code, verdict.scale) == (Effect.PASS, Reason.OK, 1.0)
    assert verdict.evidence == {"lost_today": 0.0, "drawdown": 0.0, "losses_in_row": 0.0}


def test_safety_halves_after_the_soft_daily_loss() -> None:
    book = examples.book(equity=97_000.0, day_pnl=-3_000.0)
    [verdict] = safety(Draft(context=premium(book=book))).verdicts
    assert (verdict.effect, verdict.code) == (Effect.ADJUST, Reason.DAILY_LOSS)
    assert verdict.scale == 0.5


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"switches": {"latches": (examples.switch(),)}}, Reason.KILLED),
        ({"switches": {"readable": False}}, Reason.SWITCHES_UNREADABLE),
        ({"due": None}, Reason.CLOSED),
        ({"issues": ("jump",)}, Reason.DATA),
        ({"price": None}, Reason.DATA),
        ({"bar": examples.CLOSE.replace(hour=23)}, Reason.DATA),
        (
            {"bar": examples.CLOSE.replace(day=2), "asof": examples.CLOSE.replace(hour=22)},
            Reason.STALE,
        ),
        ({"book": examples.book(losses_in_row=3)}, Reason.LOSS_STREAK),
        ({"book": examples.book(equity=95_000.0, day_pnl=-5_000.0)}, Reason.DAILY_LOSS),
        ({"book": examples.book(equity=80_000.0)}, Reason.DRAWDOWN),
        ({"book": examples.book(orders_today=3)}, Reason.REPEAT_ORDERS),
        ({"book": examples.book(open_positions=3)}, Reason.MAX_OPEN),
        ({"book": examples.book(trades_today=3)}, Reason.MAX_DAILY),
    ],
)
def test_safety_stops(fields: dict[str, Any], code: Reason) -> None:
    assert vetoed(safety(Draft(context=premium(**fields)))) == ("safety", code)
