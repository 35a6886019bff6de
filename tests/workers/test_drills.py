"""Drills that are failed: what does not come back is found, said and recorded."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import insert, select

from domain.decision import Context
from domain.errors import Refused
from orchestrator import drill, pipeline, reaper
from orchestrator.desk import Desk
from storage import decisions, engine, tables
from tests.orchestrator.made import CLOSE, desk_at
from tests.storage.made import version
from trading.bots.canary import CANARY
from workers import drills, supervise
from workers.drills import Stage


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path, CLOSE) as opened:
        yield opened


@pytest.fixture
def dummy() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that nobody starts again."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_worker_that_is_not_started_again_fails_its_drill(
    desk: Desk, dummy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills, "PATIENCE", 1.0)
    home = desk.settings.home
    with supervise.alone(home):
        supervise.write(home, {"broker_url": "memory://", "pids": {"decision": dummy.pid}})
        played = drills.play(desk, "worker")
        with pytest.raises(Refused, match="did not start the broker"):
            drills.play(desk, "broker")
    assert dummy.wait(10) == -9, "it was killed for real"
    assert not played.passed
    [again] = [check for check in played.checks if check.what == "it is started again"]
    assert (again.ok, again.told) == (False, "not it is started again within 1 s")
    assert drill.last(desk.store) == {"worker": played}


def test_without_a_fleet_only_the_kill_switch_can_be_drilled(desk: Desk) -> None:
    with pytest.raises(Refused, match="start one with `omega up`"):
        drills.play(desk, "beat")
    assert drill.last(desk.store) == {}
    assert drills.play(desk, "kill-switch").passed
    with pytest.raises(Refused, match="no drill 'earthquake'"):
        drills.play(desk, "earthquake")


def staged(desk: Desk) -> Stage:
    return Stage(replace(desk, bots={CANARY.name: CANARY}, _pending={}))


def whole(stage: Stage, contexts: list[Context]) -> dict[str, bool]:
    return {check.what: check.ok for check in drills._whole(stage, contexts, monotonic())}


def test_what_history_has_leapt_over_is_still_decided(desk: Desk) -> None:
    stage = staged(desk)
    contexts = stage.ask(2)
    desk.clock.turn(CLOSE + timedelta(days=17))
    reaper.reap(desk)
    assert stage.sealed(contexts) == [], "it has not expired"
    desk.seal([pipeline.run(context, lambda _: ()) for context in contexts])
    assert all(whole(stage, contexts).values())


def test_a_drill_whose_questions_expired_has_shown_nothing(desk: Desk) -> None:
    stage = staged(desk)
    contexts = stage.ask(2)
    desk.clock.turn(CLOSE + drill.LASTS + timedelta(seconds=1))
    reaper.reap(desk)
    assert [made.code.value for made in stage.sealed(contexts)] == ["EXPIRED", "EXPIRED"]
    assert not whole(stage, contexts)["all is decided"]


def test_what_a_drill_leaves_behind_is_closed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drills, "PATIENCE", 0.1)
    stage = staged(desk)
    contexts = stage.ask(2)
    assert not whole(stage, contexts)["nothing is left"]
    assert decisions.unsealed(desk.store) == []


def pointers(desk: Desk) -> list[str]:
    with engine.reading(desk.store) as conn:
        return list(conn.scalars(select(tables.pointers.c.version)))


def test_a_promotion_in_the_middle_of_a_drill_is_not_undone(desk: Desk) -> None:
    good = version(b"good")
    spoilt, newer = (good.model_copy(update={"version": v}) for v in ("spoilt", "newer"))
    with engine.writing(desk.store) as conn:
        row = {"model": good.model, "version": good.version, "revision": 1}
        conn.execute(insert(tables.pointers).values(row))
    with drills._pointed(desk, good, spoilt):
        assert pointers(desk) == [spoilt.version]
    assert pointers(desk) == [good.version]
    with drills._pointed(desk, good, spoilt):
        drills._point(desk, spoilt, newer)
    assert pointers(desk) == ["newer"]
