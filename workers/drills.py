"""Drills on a running fleet: a fault is played, and what should happen is watched and timed.

Decisions of the canary are under way meanwhile. It never trades, so nothing is at stake but the
time of the other bots' decisions, which wait as they would if the fault were real.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic

from kombu.exceptions import OperationalError
from sqlalchemy import text, update

from domain.decision import Context, OmegaDecision, Reason
from domain.errors import IntegrityError, Refused, TimedOut, Transient
from domain.version import Version
from models.base import Artifact
from orchestrator import canvas, drill
from orchestrator.desk import Desk
from orchestrator.drill import Check, Drilled
from storage import artifacts, audit, decisions, engine, lease, registry, tables
from storage.registry import Why
from trading.bots.canary import CANARY
from workers import embedded, supervise

AIM = 15.0
"""Seconds in which everything that was under way is to be decided again."""
PATIENCE = 60.0
"""Seconds after which a drill has failed."""
MANY = 50
"""Decisions under way: two chains."""
LOCKED = 6.0
"""Seconds that the database is kept busy: longer than a worker waits for it."""


@dataclass
class Stage:
    """Where a drill is played: a fleet, and a desk of this process that has the canary alone."""

    desk: Desk

    def pid(self, role: str) -> int:
        """Return the process of a role.

        Raises
        ------
        Refused
            No fleet is up in this home, or that role is run by somebody else.
        """
        told = supervise.found(self.desk.settings.home)
        if told is None:
            raise Refused("this drill breaks a running fleet: start one with `omega up`")
        pids: dict[str, int] = told["pids"]
        if role not in pids:
            raise Refused(
                f"`omega up` did not start the {role}, and a drill kills only what it can start "
                "again: break it where it runs, with `omega queues --watch` beside it"
            )
        return pids[role]

    def ask(self, n: int = MANY) -> list[Context]:
        """Ask the canary, and write down that answers are due; nothing is sent."""
        return [self.desk.ask(CANARY, CANARY.symbols[0], drill.LASTS) for _ in range(n)]

    def send(self, contexts: list[Context]) -> None:
        """Send questions on their way; what the broker does not take, the reaper will send."""
        with embedded.client(self.desk.settings, "decision"), suppress(OperationalError):
            canvas.publish(contexts)

    def sealed(self, contexts: list[Context]) -> list[OmegaDecision]:
        """Return what has been decided of these."""
        with suppress(Transient):
            return decisions.many(self.desk.store, [context.id for context in contexts])
        return []

    def through(self, context: Context) -> OmegaDecision:
        """Have one question decided by the fleet."""
        self.send([context])
        _until(lambda: bool(self.sealed([context])), f"{context.id} is decided")
        return self.sealed([context])[0]


def _until(holds: Callable[[], bool], what: str, seconds: float | None = None) -> None:
    def idle() -> None:
        return None

    try:
        supervise.until(holds, seconds or PATIENCE, what, idle)
    except Transient as error:
        raise TimedOut(f"not {error}") from error


def _timed(what: str, holds: Callable[[], bool], began: float, aim: float = AIM) -> Check:
    """Wait for something, and return how long it took since `began`."""
    try:
        _until(holds, what)
    except TimedOut as error:
        return Check(what=what, ok=False, aim=aim, told=str(error))
    took = round(monotonic() - began, 1)
    return Check(what=what, ok=took <= aim, seconds=took, aim=aim)


def _whole(stage: Stage, contexts: list[Context], began: float) -> Iterator[Check]:
    """Yield that all is decided, and that once, and that the chains hold; close what is left."""
    decided = _timed("all is decided", lambda: len(stage.sealed(contexts)) == len(contexts), began)
    codes = Counter(made.code for made in stage.sealed(contexts))
    told = ", ".join(f"{number} {code}" for code, number in codes.most_common())
    ok = decided.ok and codes.keys().isdisjoint({Reason.FAILED, Reason.EXPIRED})
    yield decided.model_copy(update={"told": decided.told or told, "ok": ok})
    waits = {one.context.id for one in decisions.unsealed(stage.desk.store)}
    left = [context for context in contexts if context.id in waits]
    yield Check(what="nothing is left", ok=not left, told=f"{len(left)} pending")
    for context in left:
        decisions.fail(stage.desk.store, context, "the drill is over", stage.desk.clock.now())
    found = audit.verify(stage.desk.store, CANARY.name)
    yield Check(what="the canary's chain holds", ok=found.ok, told=f"{found.records} records")


def kill_switch(stage: Stage) -> tuple[Check, ...]:
    """Throw a switch for the canary: it is to be refused at the seal and at the first layer."""
    up = supervise.found(stage.desk.settings.home) is not None
    return drill.tried(stage.desk, stage.through if up else None)


def worker(stage: Stage) -> tuple[Check, ...]:
    """Kill the worker that decides while decisions are under way."""
    return _killed(stage, "decision")


def broker(stage: Stage) -> tuple[Check, ...]:
    """Kill the broker with decisions in it."""
    return _killed(stage, "broker")


def _killed(stage: Stage, role: str) -> tuple[Check, ...]:
    before, contexts = stage.pid(role), stage.ask()
    stage.send(contexts)
    began = monotonic()
    os.kill(before, signal.SIGKILL)
    again = _timed("it is started again", lambda: stage.pid(role) != before, began)
    return (again, *_whole(stage, contexts, began))


def beat(stage: Stage) -> tuple[Check, ...]:
    """Kill beat while decisions are due that nobody has sent."""
    before, store = stage.pid("beat"), stage.desk.store
    began = monotonic()
    os.kill(before, signal.SIGKILL)
    contexts = stage.ask()

    def held() -> bool:
        now, holder = stage.desk.wall.now(), lease.holder(store, "beat")
        mine = holder is not None and holder.owner.endswith(f":{stage.pid('beat')}")
        return mine and holder is not None and holder.until > now and stage.pid("beat") != before

    taken = _timed("the next one holds the lease", held, began)
    return (taken, *_whole(stage, contexts, began))


def database(stage: Stage) -> tuple[Check, ...]:
    """Let the database take no writes for longer than anybody waits."""
    store, contexts = stage.desk.store, stage.ask()
    with engine.writing(store) as conn:
        if store.file is None:
            conn.execute(text("LOCK TABLE decisions IN SHARE ROW EXCLUSIVE MODE"))
        locked = monotonic()
        stage.send(contexts)
        with suppress(TimedOut):
            _until(lambda: bool(stage.sealed(contexts)), "something is decided", LOCKED)
        early, held = len(stage.sealed(contexts)), monotonic() - locked
    nothing = Check(what="nothing is decided meanwhile", ok=not early, seconds=round(held, 1))
    return (nothing, *_whole(stage, contexts, monotonic()))


def model(stage: Stage) -> tuple[Check, ...]:
    """Forge a champion: its artifact is not what its hash says, and its pointer leads to it."""
    store = stage.desk.store
    good = next((v for m in CANARY.models if (v := registry.champion(store, m))), None)
    if good is None:
        raise Refused(f"none of {', '.join(CANARY.models)} has a champion: `omega train --all`")
    warm = stage.ask(4)  # or nobody has a last good one yet
    stage.send(warm)
    _until(lambda: len(stage.sealed(warm)) == len(warm), "it is decided")
    spoilt = _spoilt(stage.desk, good)
    at, why = stage.desk.clock.now(), Why(who="omega drill", reason="a drill")
    try:
        registry.promote(store, good.model, spoilt.version, good.version, why, at)
        gate = Check(what="it cannot be promoted", ok=False, told="it was")
    except IntegrityError as error:
        gate = Check(what="it cannot be promoted", ok=True, told=str(error))
    before = len(audit.records(store, audit.DESK, "refused"))
    began = monotonic()
    with _pointed(stage.desk, good, spoilt):
        answers: list[OmegaDecision] = []

        def refused() -> bool:
            fresh = stage.ask(2)
            stage.send(fresh)
            _until(lambda: len(stage.sealed(fresh)) == len(fresh), "it is decided")
            answers.extend(stage.sealed(fresh))
            return len(audit.records(store, audit.DESK, "refused")) > before

        seen = _timed("a worker refuses it, and says so", refused, began)
    said = [p for a in answers for p in a.draft.predictions if p.model == good.model]
    used = {p.version for p in said if p.probability is not None}
    told = ", ".join(sorted(used)) or "nobody answers"
    ok = bool(said) and used <= {good.version}
    return gate, seen, Check(what="the last good one serves on, or none", ok=ok, told=told)


def _spoilt(desk: Desk, good: Version) -> Version:
    """Register a version whose artifact is then damaged."""
    artifact = Artifact.from_bytes(artifacts.get(desk.store, good.sha256))
    stamp = desk.wall.now().timestamp()
    content = artifact.model_copy(update={"facts": artifact.facts | {"drill": stamp}}).to_bytes()
    sha = artifacts.put(desk.store, content)
    at = desk.clock.now()
    forged = {"version": sha[:12], "sha256": sha, "trained_at": at, "verdict": "a drill"}
    version = good.model_copy(update=forged)
    registry.register(desk.store, version)
    file = desk.store.home / "artifacts" / sha[:2] / sha
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return version


@contextmanager
def _pointed(desk: Desk, good: Version, spoilt: Version) -> Iterator[None]:
    """Move a champion's pointer past the registry, as somebody does who can write the database."""
    _point(desk, good, spoilt)
    try:
        yield
    finally:
        _point(desk, spoilt, good)


def _point(desk: Desk, before: Version, after: Version) -> None:
    """Move a pointer, unless it was moved meanwhile: a training may promote during a drill."""
    pointers, counters = tables.pointers, tables.counters
    there = (pointers.c.model == before.model) & (pointers.c.version == before.version)
    moved = update(pointers).where(there).values(version=after.version)
    epoch = update(counters).where(counters.c.name == "registry")
    with engine.writing(desk.store) as conn:
        conn.execute(moved)
        conn.execute(epoch.values(value=counters.c.value + 1))


DRILLS: dict[str, Callable[[Stage], tuple[Check, ...]]] = {
    drill.KILL_SWITCH: kill_switch,
    "worker": worker,
    "broker": broker,
    "database": database,
    "beat": beat,
    "model": model,
}
"""Every drill there is, by name."""


def play(desk: Desk, name: str) -> Drilled:
    """Play a drill and record what came of it.

    Raises
    ------
    Refused
        There is no such drill, or it cannot be played here and now; nothing was broken.
    """
    if name not in DRILLS:
        raise Refused(f"there is no drill {name!r}; there are {', '.join(DRILLS)}")
    stage = Stage(replace(desk, bots={CANARY.name: CANARY}, _pending={}))
    return drill.keep(desk, name, DRILLS[name](stage))
