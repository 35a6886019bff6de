"""Drills: what must stop trading is tried, on a bot that never trades, and the result is kept.

A kill switch that nobody has tried is a hope. This one is tried where it counts, in the transaction
that would write the order, and beside it stands a control: without the switch the same wish would
have been let through. Without that, a seal that refuses everything would pass.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

from pydantic import AwareDatetime

from domain.book import KillCode, Scope, Switch
from domain.bot import Factor
from domain.decision import Context, Draft, Effect, OmegaDecision, Proposal, Reason, Verdict
from domain.errors import Refused
from domain.values import Action, Value
from orchestrator import pipeline
from orchestrator.desk import Desk
from risk import killswitch
from risk.admission import admit
from storage import audit, exposure, orders, state, switches
from storage.engine import Store
from trading.bots.canary import CANARY

KEY = "drill/"
"""Prefix of the keys under which the last drill of each name is kept."""
KILL_SWITCH = "kill-switch"
STALE = timedelta(days=8)
"""Real time after which a drill says nothing any more. The timetable has one every Monday."""
LASTS = timedelta(days=30)
"""Time of the desk in which a drill's questions may be answered. History that is played back, a
session every five seconds, leaps by 17 days in a minute; what then expires has shown nothing."""
HELD = timedelta(minutes=1)
"""When the switch of a drill expires, should the drill itself end before it releases it."""

WISH = Proposal(
    structure="drill",
    action=Action.SELL,
    factor=Factor.VOLATILITY,
    side=-1,
    entry=1.0,
    max_loss=1.0,
    costs=0.0,
    multiplier=1.0,
    horizon=1,
    simulated="a drill",
)
"""One dollar of risk: what it would cost if the switch did not work."""


class Check(Value):
    """One thing that was looked at."""

    what: str
    ok: bool
    seconds: float | None = None
    aim: float | None = None
    """Seconds it should take at most."""
    told: str = ""


class Drilled(Value):
    """What came of a drill."""

    name: str
    at: AwareDatetime
    """In real time."""
    passed: bool
    checks: tuple[Check, ...]


def keep(desk: Desk, name: str, checks: tuple[Check, ...]) -> Drilled:
    """Record what a drill has shown, and return it. It has passed if every check did.

    Where the kill switch does not stop the canary the whole desk is halted, by the other way there
    is: a latch that every bot reads before anything else.
    """
    passed = all(check.ok for check in checks)
    drilled = Drilled(name=name, at=desk.wall.now(), passed=passed, checks=checks)
    body = drilled.model_dump(mode="json")
    state.put(desk.store, KEY + name, body)
    audit.append(desk.store, audit.DESK, "drill", body, desk.clock.now())
    if name == KILL_SWITCH and not passed:
        _halt(desk, drilled)
    return drilled


def last(store: Store) -> dict[str, Drilled]:
    """Return the last drill of each name."""
    kept = state.listing(store, KEY).values()
    found = [Drilled.model_validate(one.body) for one in kept]
    return {drilled.name: drilled for drilled in found}


Through = Callable[[Context], OmegaDecision]
"""Has a pending context decided, and returns what was sealed."""


def kill_switch(desk: Desk) -> Drilled:
    """Try the kill switch in this process, record what came of it, and return it."""
    return keep(desk, KILL_SWITCH, tried(desk))


def tried(desk: Desk, through: Through | None = None) -> tuple[Check, ...]:
    """Throw a switch for the canary, see it refused twice, release it; return what was seen.

    Parameters
    ----------
    through
        How the second question is decided: by a fleet's workers; in this process if left out.

    Raises
    ------
    Refused
        The canary is stopped already, so that nothing could be shown.
    """
    here = replace(desk, bots={CANARY.name: CANARY}, _pending={})
    before = here.ask(CANARY, CANARY.symbols[0], LASTS)
    wish = wishing(before)
    _control(here, wish)
    began = perf_counter()
    latch = _throw(here)
    try:
        [sealed] = here.seal([wish])
        stopped = perf_counter() - began
        asked = here.ask(CANARY, CANARY.symbols[0], LASTS)
        answered = (through or _inline(here))(asked)
    finally:
        why = "the drill is over"
        switches.release(here.store, [latch.id], "omega", why, human=False, at=here.clock.now())
    return (
        *_refused("at the seal", sealed, "seal", stopped),
        *_refused("at the first layer", answered, "safety", None),
        _nothing(here, (before.id, asked.id)),
        _check("without it the same wish is let through", *_admitted(here, wish)),
    )


def wishing(context: Context) -> Draft:
    """Return a draft that every layer is made to have let through, for one dollar of risk."""
    verdict = Verdict(
        layer="drill",
        effect=Effect.ADJUST,
        code=Reason.SIZED,
        action=WISH.action,
        probability=1.0,
        proposal=WISH,
        quantity=1,
    )
    return Draft(context=context).add(verdict)


def _control(desk: Desk, wish: Draft) -> None:
    ok, told = _admitted(desk, wish)
    if not ok:
        raise Refused(f"nothing can be shown now, for the canary is stopped already: {told}")


def _admitted(desk: Desk, wish: Draft) -> tuple[bool, str]:
    """Return whether the wish would be let through as the switches stand, and why not.

    Writes nothing. What the other bots hold is left out: how much risk is left is not what is
    tried, and a desk that is fully invested must be able to try its switch.
    """
    verdict = admit(wish, switches.read(desk.store), ())
    return verdict.effect is not Effect.VETO, verdict.reason


def _throw(desk: Desk) -> Switch:
    at = desk.clock.now()
    latch = killswitch.automatic(
        Scope.BOT, CANARY.name, KillCode.DRILL, "a drill", at, at + HELD, {}
    )
    return switches.throw(desk.store, latch)


def _inline(desk: Desk) -> Through:
    def through(context: Context) -> OmegaDecision:
        [made] = desk.seal([pipeline.run(context, desk.answers())])
        return made

    return through


def _check(what: str, ok: bool, told: str = "", seconds: float | None = None) -> Check:
    return Check(what=what, ok=ok, seconds=seconds, told=told)


def _refused(where: str, made: OmegaDecision, layer: str, seconds: float | None) -> Iterator[Check]:
    veto = made.draft.veto
    ok = made.quantity == 0 and made.code is Reason.KILLED and veto is not None
    ok = ok and veto is not None and veto.layer == layer
    yield _check(f"refused {where}", ok, made.reason or f"{made.action} {made.quantity}", seconds)


def _nothing(desk: Desk, ids: Sequence[str]) -> Check:
    """Look for an order or a reservation; what there is is cancelled."""
    reserved = [held.id for held in exposure.held(desk.store) if held.id in ids]
    ordered = [key for key in ids if orders.known(desk.store, key)]
    for key in ordered:
        orders.cancel(desk.store, key, "a drill", desk.clock.now())
    told = f"{len(ordered)} orders, {len(reserved)} reservations"
    return _check("no order, no reservation", not (reserved or ordered), told)


def _halt(desk: Desk, drilled: Drilled) -> None:
    failed = ", ".join(check.what for check in drilled.checks if not check.ok)
    at = desk.clock.now()
    until = at + timedelta(days=1)
    why = f"the drill of the kill switch failed: {failed}"
    switches.throw(
        desk.store, killswitch.automatic(Scope.ALL, "*", KillCode.DRILL_FAILED, why, at, until, {})
    )
