"""Beat dies, and beat runs twice: what is due goes out once, and soon."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

import pytest

from domain.settings import Settings
from market.playback import stops
from orchestrator.desk import Desk
from storage import decisions, lease, state
from tests.system import record
from tests.system.fleet import SLOW, TRADING, Fleet, ask, now, until, up
from tests.system.record import Looking, Tell, whole
from workers import roles, watch

pytestmark = pytest.mark.system


def holder(desk: Desk) -> int:
    """Return the process that holds beat's lease, 0 if it has run out."""
    held = lease.holder(desk.store, "beat")
    return int(held.owner.rpartition(":")[2]) if held and held.until > now() else 0


def sent(said: str, entry: str) -> int:
    """Count how often a beat has sent an entry."""
    return sum('"sends"' in line and f'"{entry}"' in line for line in said.splitlines())


@contextmanager
def second(fleet: Fleet) -> Iterator[subprocess.Popen[bytes]]:
    """Run another beat in the same home, as somebody does by mistake."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OMEGA_")}
    environ |= {"OMEGA_HOME": str(fleet.settings.home), "OMEGA_FEED": fleet.settings.feed}
    environ |= {"OMEGA_BROKER_URL": fleet.told["broker"], "OMEGA_PACE": str(SLOW)}
    with (fleet.settings.home / "logs" / "second.log").open("w") as out:
        process = subprocess.Popen(roles.beat(), env=environ, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_beat_that_is_killed_is_replaced_and_the_reaper_goes_on(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        until(lambda: holder(desk) == fleet.pid("beat"), 20, "beat holds the lease")
        before = fleet.kill("beat")
        killed, contexts = monotonic(), ask(desk, 25)  # sent by nobody: only the reaper finds them
        until(lambda: fleet.pid("beat") != before, 20, "beat was started again")
        tell("beat killed, started again", killed, 2)
        until(lambda: holder(desk) == fleet.pid("beat"), 40, "the new one holds the lease")
        tell("beat killed, lease taken over", killed, 15)
        assert watch.roles(fleet.client(), desk.store, now())["beat"]["alive"]
        whole(desk, contexts)
        tell("beat killed, what nobody had sent is sealed", killed, 25)


def test_of_two_beats_one_sends_and_the_other_takes_over(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)

    def scan_is_due() -> None:
        """Let beat have looked last a minute before the close."""
        seen = max(moment for _, moment in stops(TRADING, SLOW)) - timedelta(minutes=1)
        body = {"seen": seen.isoformat(), "at": now().isoformat(), "unsent": []}
        state.put(desk.store, "beat", body)

    def scans() -> int:
        both = fleet.log("beat") + fleet.log("second")
        return sent(both, "scan")

    with up(trading) as fleet, second(fleet) as other:
        until(lambda: holder(desk) == fleet.pid("beat"), 20, "beat holds the lease")
        until(lambda: "beat: Starting" in fleet.log("second"), 30, "the other one is there")
        scan_is_due()
        until(lambda: scans() == 1, 20, "the scan is sent")
        pairs = sum(len(bot.symbols) for bot in desk.bots.values())
        until(
            lambda: decisions.count_by(desk.store, "status") == {("SEALED",): pairs}, 60, "sealed"
        )
        assert "holds the lease" not in fleet.log("second")

        fleet.kill("beat", signal.SIGSTOP)
        halted = monotonic()
        try:
            until(lambda: holder(desk) == other.pid, 40, "the other one has taken over")
            tell("beat hangs, lease taken over", halted, 15)
            scan_is_due()
            until(lambda: scans() == 2, 20, "the scan is sent once more")
        finally:
            os.kill(fleet.pid("beat"), signal.SIGCONT)
        contexts = ask(desk, 5)
        until(lambda: len(record.sealed(desk, contexts)) == 5, 60, "the reaper goes on")
        assert holder(desk) == other.pid
        assert scans() == 2
        assert decisions.count_by(desk.store, "status") == {("SEALED",): pairs + 5}
