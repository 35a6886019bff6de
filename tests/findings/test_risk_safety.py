"""Defects of the seed systems' safety, each with the rule that replaced it."""

from datetime import timedelta

import pytest

from domain.book import KillCode, Limits, Mode, Scope, Switches
from domain.decision import Effect, Reason
from domain.errors import Refused
from domain.examples import CLOSE, book, bot, context, exposure
from domain.trade import Intent
from risk import caps, correlation, guardrails, killswitch

ROLL = CLOSE + timedelta(hours=17)


def test_safety_that_cannot_read_its_switches_used_to_allow() -> None:
    verdict = guardrails.safety(context(switches=Switches(readable=False)))
    assert (verdict.effect, verdict.code) == (Effect.VETO, Reason.SWITCHES_UNREADABLE)


def test_what_could_not_be_judged_used_to_pass() -> None:
    # no session, no price, nothing to take a share of: each was "allow" or a division by zero
    assert guardrails.safety(context(due=None)).effect is Effect.VETO
    assert guardrails.safety(context(price=None)).effect is Effect.VETO
    assert guardrails.safety(context(book=book(peak=0.0))).effect is Effect.VETO
    assert guardrails.safety(context(book=book(equity=-1.0, peak=1.0))).effect is Effect.VETO


def test_a_correlation_that_was_never_computed_used_to_count_as_none() -> None:
    held = exposure(symbol="AAPL", risk=118_000.0)
    assert correlation.shared(1, 1.0, {}, [held]).held == 118_000.0
    assert correlation.shared(-1, 1.0, {}, [held]).held == 118_000.0


def test_a_latch_without_an_expiry_stopped_the_desk_until_its_owner_removed_the_guard() -> None:
    with pytest.raises(Refused):
        killswitch.automatic(
            Scope.BOT, "fortress", KillCode.LOSS_STREAK, "three losses", CLOSE, None
        )
    [latch] = guardrails.trips(book(losses_in_row=3), Limits(), bot(), CLOSE, ROLL)
    tripped = Switches(latches=(latch,))
    assert killswitch.mode(tripped, "fortress", "condor", "SPX", CLOSE)[0] is Mode.HALTED
    assert killswitch.mode(tripped, "fortress", "condor", "SPX", ROLL)[0] is Mode.ACTIVE


def test_three_losses_were_reported_and_killed_nothing() -> None:
    assert guardrails.safety(context(book=book(losses_in_row=3))).effect is Effect.VETO
    assert guardrails.trips(book(losses_in_row=3), Limits(), bot(), CLOSE, ROLL)


@pytest.mark.parametrize("mode", Mode)
def test_guardrails_used_to_block_exits(mode: Mode) -> None:
    assert killswitch.allows(mode, Intent.CLOSE)


def test_the_kill_limit_behind_the_soft_limit_could_never_be_reached() -> None:
    # the seed returned at the soft loss, so the hard one was dead code
    worse = context(book=book(equity=94_000.0, day_pnl=-6_000.0))
    assert guardrails.safety(worse).effect is Effect.VETO
    milder = context(book=book(equity=96_000.0, day_pnl=-4_000.0))
    assert guardrails.safety(milder).effect is Effect.ADJUST


def test_two_sets_of_limits_disagreed() -> None:
    # sizing and sealing ask the same caps: what is left is exactly what passes
    held = (exposure(risk=61_234.56),)
    left = caps.room(Limits(), 600_000.0, held, "SPX").left
    assert caps.check(Limits(), 600_000.0, held, "SPX", left, layer="seal") is None
    assert caps.check(Limits(), 600_000.0, held, "SPX", left + 1, layer="seal") is not None


def test_all_bots_looked_alike_because_nobody_computed_a_correlation() -> None:
    held = exposure(symbol="AAPL", side=-1)
    unrelated = correlation.shared(-1, 1.0, {held.id: 0.0}, [held])
    hedge = correlation.shared(1, 1.0, {held.id: 0.9}, [held])
    assert unrelated.held == hedge.held == 0.0
    assert correlation.shared(-1, 1.0, {held.id: 0.9}, [held]).held == pytest.approx(18_000.0)
