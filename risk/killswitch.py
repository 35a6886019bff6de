"""Kill switches: what they stop, who may throw one and who may release it.

Doubt counts as halted. An exit that reduces is never stopped by any of this.
"""

from collections.abc import Mapping
from datetime import datetime

from domain.book import KillCode, Mode, Scope, Switch, Switches
from domain.decision import Context, Effect, Reason, Verdict
from domain.errors import Refused
from domain.trade import Intent

STRICTNESS = {Mode.ACTIVE: 0, Mode.REDUCING: 1, Mode.HALTED: 2}


def mode(
    switches: Switches, bot: str, strategy: str, symbol: str, asof: datetime
) -> tuple[Mode, Switch | None]:
    """Return how much is allowed, and the latch that says so.

    The strictest latch in force wins; among equals a person's before an automatic one, then the
    oldest. Switches that could not be read count as HALTED, with no latch to show for it.
    """
    if not switches.readable:
        return Mode.HALTED, None
    latches = switches.covering(bot, strategy, symbol, asof)
    if not latches:
        return Mode.ACTIVE, None
    worst = min(latches, key=lambda s: (-STRICTNESS[s.mode], not s.human, s.set_at, s.id))
    return worst.mode, worst


def allows(allowed: Mode, intent: Intent) -> bool:
    """Return whether an order may go out: one that reduces always, one that opens if ACTIVE."""
    return intent is Intent.CLOSE or allowed is Mode.ACTIVE


def refuse_entry(context: Context) -> Verdict | None:
    """Return a veto if a kill switch covers this entry, else None. REDUCING refuses entries too."""
    switches = context.switches
    allowed, latch = mode(
        switches, context.bot.name, context.bot.strategy, context.symbol, context.asof
    )
    if allows(allowed, Intent.OPEN):
        return None
    if latch is None:
        return Verdict(
            layer="safety",
            effect=Effect.VETO,
            code=Reason.SWITCHES_UNREADABLE,
            reason="the kill switches cannot be read, which counts as halted",
        )
    return Verdict(
        layer="safety",
        effect=Effect.VETO,
        code=Reason.KILLED,
        reason=(
            f"{latch.mode} ({latch.scope} {latch.target}) by {latch.code}: "
            f"{latch.reason} -- {latch.who}, {latch.set_at:%Y-%m-%d %H:%MZ}"
        ),
        evidence={**latch.evidence, "switch": latch.id, "revision": switches.revision},
    )


def _target(scope: Scope, target: str) -> str:
    if (target == "*") is not (scope is Scope.ALL) or not target.strip():
        wants = "'*'" if scope is Scope.ALL else f"the name of a {scope}"
        raise Refused(f"a switch of scope {scope} needs {wants} as its target, not {target!r}")
    return target


def human(
    scope: Scope,
    target: str,
    reason: str,
    who: str,
    at: datetime,
    allowed: Mode = Mode.HALTED,
) -> Switch:
    """Return a person's latch. It does not expire: only a person with a reason releases it.

    Raises
    ------
    Refused
        No reason, no name, a target that does not fit the scope, or a latch that stops nothing.
    """
    if not reason.strip() or not who.strip():
        raise Refused("throwing a kill switch needs a name and a reason: give --reason")
    if allowed is Mode.ACTIVE:
        raise Refused("a kill switch must reduce or halt; to resume, release the latch instead")
    return Switch(
        scope=scope,
        target=_target(scope, target),
        mode=allowed,
        code=KillCode.HUMAN,
        reason=reason.strip(),
        who=who.strip(),
        human=True,
        set_at=at,
    )


def automatic(
    scope: Scope,
    target: str,
    code: KillCode,
    reason: str,
    at: datetime,
    expires_at: datetime | None,
    evidence: Mapping[str, float] | None = None,
) -> Switch:
    """Return a latch that Omega throws itself. It must expire, at the next session roll.

    It halts, but for a drawdown, which leaves positions to be worked off (REDUCING).

    Raises
    ------
    Refused
        An expiry that is missing or has passed, a person's code, or a target that does not fit.
    """
    if code is KillCode.HUMAN:
        raise Refused("only a person throws a switch with code HUMAN: use `human`")
    if expires_at is None or expires_at <= at:
        raise Refused(f"an automatic switch must expire after {at}, not at {expires_at}")
    return Switch(
        scope=scope,
        target=_target(scope, target),
        mode=Mode.REDUCING if code is KillCode.DRAWDOWN else Mode.HALTED,
        code=code,
        reason=reason,
        who="omega",
        human=False,
        set_at=at,
        expires_at=expires_at,
        evidence=dict(evidence or {}),
    )
