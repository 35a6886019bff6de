from datetime import timedelta
from itertools import permutations

import pytest

from domain.book import KillCode, Mode, Scope, Switch, Switches
from domain.decision import Effect, Reason
from domain.errors import Refused
from domain.examples import CLOSE, context, switch
from domain.trade import Intent
from risk import killswitch

ROLL = CLOSE + timedelta(hours=17)
SCOPES = [
    (Scope.ALL, "*"),
    (Scope.BOT, "fortress"),
    (Scope.STRATEGY, "condor"),
    (Scope.SYMBOL, "SPX"),
]


def auto(code: KillCode = KillCode.LOSS_STREAK, **evidence: float) -> Switch:
    return killswitch.automatic(
        Scope.BOT, "fortress", code, "three in a row", CLOSE, ROLL, evidence
    )


def reading(*latches: Switch) -> Switches:
    return Switches(revision=4, latches=latches)


def where(switches: Switches) -> tuple[Mode, Switch | None]:
    return killswitch.mode(switches, "fortress", "condor", "SPX", CLOSE)


def test_without_a_latch_the_desk_is_active() -> None:
    assert where(reading()) == (Mode.ACTIVE, None)
    assert killswitch.refuse_entry(context()) is None


def test_switches_that_cannot_be_read_count_as_halted() -> None:
    unreadable = Switches(readable=False)
    assert where(unreadable) == (Mode.HALTED, None)
    verdict = killswitch.refuse_entry(context(switches=unreadable))
    assert (verdict.effect, verdict.code) == (Effect.VETO, Reason.SWITCHES_UNREADABLE)


def test_the_strictest_latch_wins_in_any_order() -> None:
    latches = [
        switch(mode=Mode.REDUCING, id=1),
        switch(scope=Scope.BOT, target="fortress", id=2),
        switch(scope=Scope.SYMBOL, target="AAPL", id=3),
        auto(KillCode.DRAWDOWN),
    ]
    for order in permutations(latches):
        assert where(reading(*order)) == (Mode.HALTED, latches[1])


def test_among_equals_a_person_speaks_first_then_the_oldest() -> None:
    early = auto().model_copy(update={"set_at": CLOSE - timedelta(days=1)})
    late, person = auto(), switch(set_at=CLOSE + timedelta(minutes=1))
    assert where(reading(late, early, person))[1] == person
    assert where(reading(late, early))[1] == early


@pytest.mark.parametrize(("scope", "target"), SCOPES)
@pytest.mark.parametrize("mode", [Mode.REDUCING, Mode.HALTED])
def test_every_scope_and_mode_refuses_entries(scope: Scope, target: str, mode: Mode) -> None:
    latch = switch(scope=scope, target=target, mode=mode)
    verdict = killswitch.refuse_entry(context(switches=reading(latch)))
    assert (verdict.layer, verdict.effect, verdict.code) == ("safety", Effect.VETO, Reason.KILLED)


@pytest.mark.parametrize("scope", [Scope.BOT, Scope.STRATEGY, Scope.SYMBOL])
def test_a_latch_on_something_else_does_not_stop_this(scope: Scope) -> None:
    assert where(reading(switch(scope=scope, target="another"))) == (Mode.ACTIVE, None)


def test_a_veto_says_who_stopped_it_and_why() -> None:
    latch = auto(losses=3.0).model_copy(update={"id": 9})
    verdict = killswitch.refuse_entry(context(switches=reading(latch)))
    assert verdict.reason == (
        "halted (bot fortress) by LOSS_STREAK: three in a row -- omega, 2017-03-03 21:00Z"
    )
    assert verdict.evidence == {"losses": 3.0, "switch": 9.0, "revision": 4.0}


def test_an_automatic_latch_ends_when_it_expires() -> None:
    at = lambda asof: killswitch.mode(reading(auto()), "fortress", "condor", "SPX", asof)[0]  # noqa: E731
    assert at(ROLL - timedelta(seconds=1)) is Mode.HALTED
    assert at(ROLL) is Mode.ACTIVE


@pytest.mark.parametrize("mode", Mode)
def test_an_order_that_reduces_always_passes(mode: Mode) -> None:
    assert killswitch.allows(mode, Intent.CLOSE)
    assert killswitch.allows(mode, Intent.OPEN) is (mode is Mode.ACTIVE)


def test_a_persons_latch_does_not_expire() -> None:
    latch = killswitch.human(Scope.BOT, "fortress", " a drill ", " Ann ", CLOSE, Mode.REDUCING)
    assert (latch.human, latch.expires_at, latch.code) == (True, None, KillCode.HUMAN)
    assert (latch.reason, latch.who, latch.mode) == ("a drill", "Ann", Mode.REDUCING)


@pytest.mark.parametrize(
    ("scope", "target", "reason", "who", "mode", "complaint"),
    [
        (Scope.ALL, "*", "  ", "Ann", Mode.HALTED, "reason"),
        (Scope.ALL, "*", "drill", "", Mode.HALTED, "name"),
        (Scope.ALL, "fortress", "drill", "Ann", Mode.HALTED, r"'\*'"),
        (Scope.BOT, "*", "drill", "Ann", Mode.HALTED, "the name of a bot"),
        (Scope.SYMBOL, " ", "drill", "Ann", Mode.HALTED, "the name of a symbol"),
        (Scope.ALL, "*", "drill", "Ann", Mode.ACTIVE, "release"),
    ],
)
def test_a_person_must_say_what_and_why(
    scope: Scope, target: str, reason: str, who: str, mode: Mode, complaint: str
) -> None:
    with pytest.raises(Refused, match=complaint):
        killswitch.human(scope, target, reason, who, CLOSE, mode)


@pytest.mark.parametrize("expires_at", [None, CLOSE, CLOSE - timedelta(seconds=1)])
def test_an_automatic_latch_must_expire(expires_at: object) -> None:
    with pytest.raises(Refused, match="must expire"):
        killswitch.automatic(
            Scope.BOT, "fortress", KillCode.DAILY_LOSS, "lost 6 %", CLOSE, expires_at
        )


def test_an_automatic_latch_cannot_pass_for_a_person() -> None:
    with pytest.raises(Refused, match="HUMAN"):
        auto(KillCode.HUMAN)


@pytest.mark.parametrize("code", [code for code in KillCode if code is not KillCode.HUMAN])
def test_every_automatic_latch_halts_but_a_drawdown_leaves_positions_to_be_reduced(
    code: KillCode,
) -> None:
    expected = Mode.REDUCING if code is KillCode.DRAWDOWN else Mode.HALTED
    assert auto(code).mode is expected
