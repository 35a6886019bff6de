from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.book import Book, KillCode, Limits, Mode, Scope, Switches
from domain.decision import Context, Effect, Reason, Verdict
from domain.examples import CLOSE, book, bot, context, switch
from risk import guardrails

ROLL = CLOSE + timedelta(hours=17)
MINUTE = timedelta(minutes=1)

VETOES = {
    "killed": (context(switches=Switches(latches=(switch(),))), Reason.KILLED),
    "unreadable": (context(switches=Switches(readable=False)), Reason.SWITCHES_UNREADABLE),
    "no session": (context(due=None), Reason.CLOSED),
    "issues": (context(issues=("jump of 40 %",)), Reason.DATA),
    "no price": (context(price=None), Reason.DATA),
    "price of nothing": (context(price=0.0), Reason.DATA),
    "future bar": (context(bar=CLOSE + MINUTE), Reason.DATA),
    "stale": (
        context(asof=CLOSE + 31 * MINUTE, bar=CLOSE - timedelta(days=1)),
        Reason.STALE,
    ),
    "streak": (context(book=book(losses_in_row=3)), Reason.LOSS_STREAK),
    "hard loss": (context(book=book(equity=95_000.0, day_pnl=-5_000.0)), Reason.DAILY_LOSS),
    "nothing left": (context(book=book(equity=0.0, day_pnl=0.0)), Reason.DAILY_LOSS),
    "drawdown": (context(book=book(equity=80_000.0)), Reason.DRAWDOWN),
    "no peak": (context(book=book(peak=0.0)), Reason.DRAWDOWN),
    "repeats": (context(book=book(orders_today=3)), Reason.REPEAT_ORDERS),
    "max open": (context(book=book(open_positions=3)), Reason.MAX_OPEN),
    "max daily": (context(book=book(trades_today=3)), Reason.MAX_DAILY),
}

NEARLY = {
    "late but in time": context(asof=CLOSE + 30 * MINUTE, bar=CLOSE - timedelta(days=1)),
    "streak": context(book=book(losses_in_row=2)),
    "soft loss": context(book=book(equity=97_100.0, day_pnl=-2_900.0)),
    "drawdown": context(book=book(equity=80_001.0)),
    "repeats": context(book=book(orders_today=2)),
    "max open": context(book=book(open_positions=2)),
    "max daily": context(book=book(trades_today=2)),
    "expired latch": context(switches=Switches(latches=(switch(expires_at=CLOSE),))),
}


@pytest.mark.parametrize("case", VETOES)
def test_each_cause_is_refused_with_its_own_code(case: str) -> None:
    given_context, code = VETOES[case]
    verdict = guardrails.safety(given_context)
    assert (verdict.layer, verdict.effect, verdict.code) == ("safety", Effect.VETO, code)
    assert verdict.reason


@pytest.mark.parametrize("case", NEARLY)
def test_just_short_of_a_limit_passes(case: str) -> None:
    verdict = guardrails.safety(NEARLY[case])
    assert (verdict.effect, verdict.code, verdict.scale) == (Effect.PASS, Reason.OK, 1.0)


def test_a_pass_shows_how_near_the_limits_are() -> None:
    near = context(book=book(equity=98_000.0, day_pnl=-2_000.0, losses_in_row=1))
    assert guardrails.safety(near).evidence == {
        "lost_today": 0.02,
        "drawdown": 0.02,
        "losses_in_row": 1.0,
    }


def test_the_first_veto_wins() -> None:
    both = context(switches=Switches(latches=(switch(),)), book=book(losses_in_row=9), price=None)
    assert guardrails.safety(both).code is Reason.KILLED


def test_the_soft_daily_loss_halves_the_size() -> None:
    verdict = guardrails.safety(context(book=book(equity=97_000.0, day_pnl=-3_000.0)))
    assert (verdict.effect, verdict.code, verdict.scale) == (
        Effect.ADJUST,
        Reason.DAILY_LOSS,
        0.5,
    )
    assert "3.00% today" in verdict.reason


def reduce(scale: float) -> Callable[[Context], Verdict]:
    verdict = Verdict(layer="safety", effect=Effect.ADJUST, reason=f"x{scale}", scale=scale)
    return lambda _: verdict


def test_reductions_multiply() -> None:
    verdict = guardrails.safety(context(), {"one": reduce(0.5), "two": reduce(0.4)})
    assert (verdict.effect, verdict.scale, verdict.reason) == (Effect.ADJUST, 0.2, "x0.5; x0.4")


def test_a_veto_beats_a_reduction_before_it() -> None:
    rules = {"one": reduce(0.5), "session": guardrails.session}
    assert guardrails.safety(context(due=None), rules).effect is Effect.VETO


def test_without_a_session_freshness_cannot_be_judged_and_is_refused() -> None:
    assert guardrails.stale(context(due=None)).code is Reason.STALE


def test_a_stale_veto_says_how_late_the_bar_is() -> None:
    verdict = guardrails.safety(VETOES["stale"][0])
    assert verdict.evidence == {"minutes_late": 31.0, "limit": 30.0}


@given(
    equity=st.floats(-1e6, 1e6),
    peak=st.floats(-1e3, 1e6),
    day_pnl=st.floats(-1e6, 1e6),
    counts=st.tuples(*[st.integers(0, 5)] * 4),
)
def test_safety_never_enlarges_and_always_answers(
    equity: float, peak: float, day_pnl: float, counts: tuple[int, int, int, int]
) -> None:
    losses, held, traded, orders = counts
    state = book(
        equity=equity,
        peak=peak,
        day_pnl=day_pnl,
        losses_in_row=losses,
        open_positions=held,
        trades_today=traded,
        orders_today=orders,
    )
    verdict = guardrails.safety(context(book=state))
    assert 0.0 <= verdict.scale <= 1.0
    if max(counts) >= 3:
        assert verdict.effect is Effect.VETO


def thrown(state: Book, **arguments: object) -> dict[KillCode, tuple[Scope, str, Mode]]:
    latches = guardrails.trips(state, Limits(), bot(), CLOSE, ROLL, **arguments)
    assert all(not latch.human and latch.expires_at == ROLL for latch in latches)
    assert all(latch.evidence["measured"] >= latch.evidence["limit"] for latch in latches)
    return {latch.code: (latch.scope, latch.target, latch.mode) for latch in latches}


def test_a_quiet_book_trips_nothing() -> None:
    assert thrown(book()) == {}
    assert thrown(book(equity=97_000.0, day_pnl=-3_000.0)) == {}


@pytest.mark.parametrize(
    ("state", "code", "latch"),
    [
        (
            book(losses_in_row=3),
            KillCode.LOSS_STREAK,
            (Scope.BOT, "fortress", Mode.HALTED),
        ),
        (
            book(equity=95_000.0, day_pnl=-5_000.0),
            KillCode.DAILY_LOSS,
            (Scope.BOT, "fortress", Mode.HALTED),
        ),
        (
            book(equity=80_000.0),
            KillCode.DRAWDOWN,
            (Scope.BOT, "fortress", Mode.REDUCING),
        ),
        (
            book(orders_today=3),
            KillCode.REPEAT_ORDERS,
            (Scope.SYMBOL, "SPX", Mode.HALTED),
        ),
    ],
)
def test_each_limit_throws_its_latch(
    state: Book, code: KillCode, latch: tuple[Scope, str, Mode]
) -> None:
    assert thrown(state, symbol="SPX") == {code: latch}


def test_repeated_orders_without_a_symbol_halt_the_bot() -> None:
    assert thrown(book(orders_today=3)) == {
        KillCode.REPEAT_ORDERS: (Scope.BOT, "fortress", Mode.HALTED)
    }


def test_a_latch_in_force_is_not_thrown_again_and_one_that_expired_is() -> None:
    state = book(losses_in_row=3, equity=80_000.0)
    latches = guardrails.trips(state, Limits(), bot(), CLOSE, ROLL)
    assert thrown(state, switches=Switches(latches=latches)) == {}
    assert thrown(state, switches=Switches(latches=latches[:1])).keys() == {KillCode.DRAWDOWN}
    over = tuple(latch.model_copy(update={"expires_at": CLOSE}) for latch in latches)
    assert len(thrown(state, switches=Switches(latches=over))) == 2


def test_what_trips_is_also_what_refuses() -> None:
    for state in (book(losses_in_row=3), book(equity=80_000.0), book(orders_today=3)):
        [latch] = guardrails.trips(state, Limits(), bot(), CLOSE, ROLL)
        assert guardrails.safety(context(book=state)).code == latch.code
        halted = context(switches=Switches(latches=(latch,)))
        assert guardrails.safety(halted).code is Reason.KILLED


def test_decisions_that_come_too_late_are_for_half_the_size() -> None:
    verdict = guardrails.safety(context(degraded=True))
    assert (verdict.effect, verdict.code, verdict.scale) == (Effect.ADJUST, Reason.DEGRADED, 0.5)
    losing = book(equity=97_000.0, day_pnl=-3_000.0)
    assert guardrails.safety(context(degraded=True, book=losing)).scale == 0.25
    assert guardrails.safety(context()).scale == 1.0


@pytest.mark.parametrize("case", VETOES)
def test_no_limit_is_laid_aside_while_decisions_come_too_late(case: str) -> None:
    stopped, code = VETOES[case]
    verdict = guardrails.safety(stopped.model_copy(update={"degraded": True}))
    assert (verdict.effect, verdict.code) == (Effect.VETO, code)
