"""Trainings that hang, are killed, or lose their worker: the champion stays, decisions go on."""

import json
import os
import signal
from time import monotonic

import pytest

from domain.settings import Settings
from orchestrator.desk import Desk
from storage import audit, dead, jobs, registry
from storage.jobs import Job, Stands
from tests.system.fleet import Fleet, ask, children, lives, omega, publish, until, up
from tests.system.record import Looking, Tell, sealed, whole

pytestmark = pytest.mark.system

SOON = 12
"""Seconds that a training may take here; one takes two on a machine of its own."""


def job(desk: Desk, model: str) -> Job | None:
    return jobs.get(desk.store, jobs.training(model))


def stands(desk: Desk, model: str, *wanted: Stands) -> bool:
    found = job(desk, model)
    return found is not None and found.stands in wanted


def champion(desk: Desk, model: str) -> str:
    found = registry.champion(desk.store, model)
    assert found is not None
    return found.version


def order(fleet: Fleet, desk: Desk, model: str) -> None:
    """Have a model trained, as whoever accepts a training does, and do not wait for it."""
    from workers.app import create

    asked = {"model": model, "who": "test"}
    assert jobs.accept(desk.store, jobs.training(model), asked, desk.wall.now())
    with create(fleet.client()) as client:
        client.send_task("learning.train", kwargs=asked)


def test_a_training_that_kills_its_process_ends_after_three_and_decisions_go_on(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    """A process that runs out of memory ends like this: by SIGKILL, from the kernel."""
    desk = looking(trading)
    with up(trading) as fleet:
        before, worker = champion(desk, "xgb"), fleet.pid("training")
        fleet.sabotage("learning.train@xgb", "begun", "child", "always")
        order(fleet, desk, "xgb")
        began, contexts = monotonic(), ask(desk, 50)
        publish(fleet.client(), contexts)
        until(lambda: len(sealed(desk, contexts)) == 50, 30, "decisions go on")
        until(lambda: stands(desk, "xgb", Stands.FAILED), 60, "it is given up")
        tell("training killed three times, given up", began, 20)
        assert fleet.sabotaged() == jobs.ATTEMPTS
        failed = job(desk, "xgb")
        assert failed is not None
        assert failed.why == jobs.GIVEN_UP
        [letter] = until(lambda: dead.letters(desk.store), 20, "a dead letter")
        assert (letter.task, letter.payload["kwargs"]["model"]) == ("learning.train", "xgb")
        assert champion(desk, "xgb") == before
        assert fleet.pid("training") == worker, "only children died"
        fleet.wish.unlink()
        trained = omega(trading.home, "train", "xgb", "--json")
        assert trained.returncode == 0, trained.stderr
        assert json.loads(trained.stdout)["trained"][0]["model"] == "xgb"
        whole(desk, contexts)


def test_a_training_that_hangs_is_ended_and_the_next_one_has_its_place(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    settings = trading.model_copy(update={"training_seconds": SOON})
    with up(settings) as fleet:
        before = champion(desk, "lgbm")
        fleet.sabotage("learning.train@lgbm", "begun", "hang")
        order(fleet, desk, "lgbm")
        until(lambda: fleet.sabotaged() == 1, 30, "it hangs")
        hung, contexts = monotonic(), ask(desk, 25)
        publish(fleet.client(), contexts)
        whole(desk, contexts)
        until(lambda: stands(desk, "lgbm", Stands.DONE, Stands.FAILED), 90, "it was tried again")
        tell("training hangs, tried again and ended", hung, SOON + 20)
        again = job(desk, "lgbm")
        assert again is not None
        assert (again.stands, again.attempts) == (Stands.DONE, 2), again.why
        assert champion(desk, "lgbm") == before or registry.tried(desk.store, "lgbm") > {before}
        assert dead.letters(desk.store) == []


def test_a_worker_killed_in_a_training_costs_half_a_minute_and_not_the_training(
    trading: Settings, looking: Looking, tell: Tell
) -> None:
    desk = looking(trading)
    with up(trading) as fleet:
        order(fleet, desk, "wisdom")
        until(lambda: stands(desk, "wisdom", Stands.RUNNING), 30, "it has begun")
        began = job(desk, "wisdom")
        assert began is not None
        pool = children(fleet.pid("training"))
        for pid in (fleet.pid("training"), *pool):
            if lives(pid):
                os.kill(pid, signal.SIGKILL)
        killed = monotonic()
        until(lambda: stands(desk, "wisdom", Stands.DONE), 120, "it was done after all")
        tell("training worker killed, trained after all", killed, 50)
        done = job(desk, "wisdom")
        assert done is not None
        assert (done.attempts, done.token) == (2, began.token + 1)
        assert audit.verify(desk.store).ok
