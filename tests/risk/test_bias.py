import pytest

from domain.decision import Effect, Reason
from domain.values import Action
from risk.bias import supervise


def signals(buys: int, sells: int, holds: int = 0) -> list[Action]:
    return buys * [Action.BUY] + sells * [Action.SELL] + holds * [Action.HOLD]


def test_lopsided_signals_are_halved_and_not_blocked() -> None:
    verdict = supervise(Action.BUY, signals(38, 2), base_rate=0.5)
    assert (verdict.effect, verdict.code, verdict.scale) == (Effect.ADJUST, Reason.BIASED, 0.5)
    assert verdict.reason == (
        "38 of 40 signals buy (78% to 99%), the market rose in 50%: half size"
    )
    assert verdict.evidence["n"] == 40.0


def test_the_other_way_passes() -> None:
    assert supervise(Action.SELL, signals(38, 2), base_rate=0.5) is None
    assert supervise(Action.BUY, signals(2, 38), base_rate=0.5) is None
    assert supervise(Action.SELL, signals(2, 38), base_rate=0.5).code is Reason.BIASED


def test_in_a_rising_market_buying_is_no_bias() -> None:
    assert supervise(Action.BUY, signals(30, 10), base_rate=0.5).code is Reason.BIASED
    assert supervise(Action.BUY, signals(30, 10), base_rate=0.65) is None


@pytest.mark.parametrize("recent", [[], signals(19, 0), signals(19, 0, holds=100)])
def test_few_signals_prove_nothing(recent: list[Action]) -> None:
    assert supervise(Action.BUY, recent, base_rate=0.5) is None


def test_a_hold_has_no_direction() -> None:
    assert supervise(Action.HOLD, signals(40, 0), base_rate=0.5) is None


def test_without_a_base_rate_nobody_can_say_that_there_is_no_bias() -> None:
    verdict = supervise(Action.SELL, signals(20, 20), base_rate=None)
    assert (verdict.code, verdict.scale) == (Reason.BIASED, 0.5)
    assert "base_rate" not in verdict.evidence
