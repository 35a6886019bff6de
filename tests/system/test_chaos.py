"""What dies or hangs while decisions are under way: none is lost, none is doubled."""

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic

import numpy as np
import pytest
from kombu.exceptions import OperationalError
from redis import Redis

from domain.decision import Context, Reason
from domain.settings import Settings
from orchestrator import canvas, reaper
from orchestrator.desk import Desk
from storage import dead, decisions, engine
from tests.system import record
from tests.system.fleet import Fleet, ask, children, lives, omega, publish, until, up
from tests.system.record import Looking, Tell, whole

pytestmark = pytest.mark.system

MANY = 60
"""Decisions under way when something breaks: three chains."""
KILLS = 6 * ["child"] + 2 * ["decision"] + 2 * ["broker"]
"""Who dies while a thousand decisions are taken, some five seconds apart."""
QUEUED = 200
"""So many that some still wait in the broker: eight chains."""


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Let processes stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            if lives(pid):
                os.kill(pid, signal.SIGCONT)


def in_a_layer(fleet: Fleet, desk: Desk, contexts: Sequence[Context], *pids: int) -> float:
    """Publish, kill while the last layer waits for the database, and return when that was."""
    before = fleet.handed("decision.limits")
    with engine.writing(desk.store):
        publish(fleet.client(), contexts)
        until(lambda: fleet.handed("decision.limits") > before, 20, "a layer is at work")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    return monotonic()


def redis(fleet: Fleet) -> Redis:
    return Redis.from_url(fleet.told["broker"])


def test_children_killed_in_the_middle_of_a_layer_cost_no_decision(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        before, contexts = set(children(fleet.pid("decision"))), ask(desk, MANY)
        killed = in_a_layer(fleet, desk, contexts, *before)
        until(lambda: len(set(children(fleet.pid("decision"))) - before) > 1, 30, "new children")
        tell("children killed, new ones", killed, 2)
        whole(desk, contexts)
        tell("children killed, all sealed", killed, 15)
        assert [told for told in fleet.said if "event" in told] == [], "the worker lives on"


def test_a_worker_killed_in_the_middle_of_a_layer_costs_no_decision(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        before, contexts = fleet.pid("decision"), ask(desk, MANY)
        killed = in_a_layer(fleet, desk, contexts, before)
        until(lambda: fleet.pid("decision") != before, 30, "the worker was started again")
        tell("worker killed, started again", killed, 2)
        whole(desk, contexts)
        tell("worker killed, all sealed", killed, 15)


@pytest.mark.parametrize("kept", [True, False], ids=["its_data_kept", "its_data_gone"])
def test_a_broker_killed_with_decisions_in_it_costs_none(
    trading: Settings, looking: Looking, tell: Tell, kept: bool
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts, before = ask(desk, QUEUED), fleet.pid("broker")
        with stopped(children(fleet.pid("decision"))):
            publish(fleet.client(), contexts)
            until(lambda: fleet.handed("decision.safety"), 10, "the worker has taken some")
            assert redis(fleet).llen("decision") > 0
            if not kept:
                shutil.rmtree(trading.home / "broker" / "appendonlydir")
            fleet.kill("broker")
            killed = monotonic()
        until(lambda: fleet.pid("broker") != before, 30, "the broker was started again")
        how = "data kept" if kept else "data gone"
        tell(f"broker killed, {how}, started again", killed, 2)
        whole(desk, contexts)
        tell(f"broker killed, {how}, all sealed", killed, 15)
        after = ask(desk, MANY)
        publish(fleet.client(), after)
        whole(desk, contexts + after)
        tell(f"broker killed, {how}, the next are sealed too", killed, 20)


def test_garbage_in_the_queue_costs_no_decision_and_the_queue_is_worked_off(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts, queue = ask(desk, QUEUED), redis(fleet)
        with stopped(children(fleet.pid("decision"))):
            publish(fleet.client(), contexts)
            until(lambda: fleet.handed("decision.safety"), 10, "the worker has taken some")
            queue.lpush("decision", "xxx")
            queue.rpush("decision", "xxx")
            thrown = monotonic()
        whole(desk, contexts)
        until(lambda: queue.llen("decision") == 0, 30, "the queue is empty")
        tell("garbage in the queue, all sealed", thrown, 15)


def test_a_broker_that_hangs_is_told_to_whoever_asks_and_costs_no_decision(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts = ask(desk, MANY)
        publish(fleet.client(), contexts)
        with stopped([fleet.pid("broker")]):
            halted = monotonic()
            asked = omega(trading.home, "decide", "samson", "--json", "--timeout", "3")
            tell("broker hangs, whoever asks is told", halted, 4)  # a healthy answer takes three
            assert asked.returncode == 5, asked.stderr
            assert "does not answer" in asked.stderr
            assert "Traceback" not in asked.stderr
        freed = monotonic()
        whole(desk, contexts)
        assert decisions.count_by(desk.store, "code")["FAILED",] == 1, "what was asked is a HOLD"
        tell("broker hung and went on, all sealed", freed, 15)
        assert redis(fleet).keys("celery-task-meta-*") == [], "no verdict lies in the broker"


def test_a_broker_that_is_full_is_told_to_whoever_asks_and_costs_no_decision(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts, server = ask(desk, QUEUED), redis(fleet)
        with stopped(children(fleet.pid("decision"))):
            publish(fleet.client(), contexts[: QUEUED // 2])
            until(lambda: fleet.handed("decision.safety"), 10, "the worker has taken some")
            server.config_set("maxmemory", 1)  # whatever would need room is refused, by noeviction
            filled = monotonic()
        with pytest.raises(OperationalError, match="maxmemory"):
            publish(fleet.client(), contexts[QUEUED // 2 :])
        asked = omega(trading.home, "decide", "samson", "--json")
        assert asked.returncode == 5, asked.stdout + asked.stderr
        assert "maxmemory" in asked.stderr
        assert "Traceback" not in asked.stderr
        until(lambda: "maxmemory" in fleet.log("beat"), 20, "beat waits for room")
        until(lambda: monotonic() > filled + 15, 30, "it has been full for a while")
        assert fleet.process.poll() is None, fleet.complained
        server.config_set("maxmemory", 0)
        freed = monotonic()
        whole(desk, contexts)
        tell("broker full and free again, all sealed", freed, 15)


def test_a_decision_that_kills_whoever_takes_it_takes_no_other_with_it(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        contexts = ask(desk, 40)
        poison = contexts[7]
        fleet.sabotage(f"decision.inference@{poison.id}", "begun", "child", "always")
        began = monotonic()
        publish(fleet.client(), contexts)
        until(lambda: len(record.sealed(desk, contexts)) == 40, 60, "all is sealed")
        tell("one of 40 kills whoever takes it, all sealed", began, 20)
        assert fleet.sabotaged() == reaper.ATTEMPTS
        codes = {
            made.id: made.code for made in decisions.many(desk.store, [c.id for c in contexts])
        }
        assert [key for key, code in codes.items() if code is Reason.FAILED] == [poison.id]
        [letter] = dead.letters(desk.store)
        assert letter.payload["decision"] == poison.id
        fleet.wish.unlink()
        whole(desk, contexts)


def test_a_thousand_decisions_outlive_processes_that_are_killed_at_random(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    """Repeat one with the number it prints: CHAOS_SEED=7."""
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(2**32))
    sys.stdout.write(f"CHAOS_SEED={seed}\n")
    rng, portions = np.random.default_rng(seed), 1000 // canvas.BATCH
    victims = rng.permutation(KILLS + (portions - len(KILLS)) * [""])
    desk, contexts, began = looking(trading), list[Context](), monotonic()
    with up(trading) as fleet:
        for victim in victims:
            # As fast as they come out, but for what a dead process has lost: the reaper finds that.
            under_way = len(contexts) - 8 * canvas.BATCH
            until(lambda: len(record.sealed(desk, contexts)) >= under_way, 60, "it goes on")  # noqa: B023
            portion = ask(desk, canvas.BATCH)
            contexts += portion
            with suppress(OperationalError):  # no broker at this moment: the reaper sends them
                publish(fleet.client(), portion)
            if victim:
                slay(fleet, str(victim), rng)
        killed = monotonic()
        whole(desk, contexts, 90)
        tell("a thousand, all sealed after the last of them was published", killed, 30)
        tell("a thousand, in all", began, 90)
        failed = decisions.count_by(desk.store, "code").get((Reason.FAILED.value,), 0)
        sys.stdout.write(f"{failed} of them failed: three attempts, and none came to an end\n")
        letters = [letter.task for letter in dead.letters(desk.store, limit=1000)]
        assert letters.count("decision") == failed


def slay(fleet: Fleet, victim: str, rng: np.random.Generator) -> None:
    """Kill a role, or one child of the decision worker's pool, as soon as it lives."""
    role = "decision" if victim == "child" else victim
    until(lambda: lives(fleet.pid(role)), 20, f"{role} lives")
    pids = [fleet.pid(role)]
    if victim == "child":
        pids = until(lambda: children(fleet.pid(role)), 30, "the worker has a pool")
    with suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(int(rng.choice(pids)), signal.SIGKILL)
