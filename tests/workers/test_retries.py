"""What is tried again when the outside world is busy, and what the next slot does anyway."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery

from beat_schedule import SCHEDULE
from domain.errors import DataError, OmegaError, Transient
from orchestrator import books
from storage import audit, backup
from tasks.daily import DAILY
from tests.orchestrator.made import desk_at
from workers.app import create

EVENING = datetime(2016, 3, 7, 22, tzinfo=UTC)
ONCE_A_DAY = pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("safety.roll", books, "roll"),
        ("upkeep.checkpoint", audit, "checkpoint"),
        ("upkeep.backup", backup, "backup"),
    ],
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Celery]:
    with desk_at(tmp_path, EVENING) as desk:
        made = create(desk.settings)
        made.conf.update(task_always_eager=True)
        made.set_current()
        yield made
        made.close()


def fail(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    function: str,
    error: OmegaError,
    times: int = 1,
) -> list[str]:
    """Let a function raise so many times before it does what it does; return what it did."""
    really, told = getattr(module, function), []

    def first_away(*args: Any) -> Any:
        told.append("raised" if len(told) < times else "done")
        if told[-1] == "raised":
            raise error
        return really(*args)

    monkeypatch.setattr(module, function, first_away)
    return told


@ONCE_A_DAY
def test_what_runs_once_a_day_is_tried_again_when_the_world_was_busy(
    app: Celery,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: ModuleType,
    function: str,
) -> None:
    told = fail(monkeypatch, module, function, Transient("locked"))
    assert app.tasks[name].apply().successful()
    assert told == ["raised", "done"]


@ONCE_A_DAY
def test_what_will_not_pass_is_not_tried_again(
    app: Celery,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: ModuleType,
    function: str,
) -> None:
    told = fail(monkeypatch, module, function, DataError("broken"), times=9)
    assert isinstance(app.tasks[name].apply().result, DataError)
    assert told == ["raised"]


def test_a_world_that_stays_busy_is_given_up_and_said(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fail(monkeypatch, books, "roll", Transient("locked"), times=99)
    assert isinstance(app.tasks["safety.roll"].apply().result, Transient)
    assert told == ["raised"] * (1 + DAILY["max_retries"])


def test_every_try_of_a_roll_falls_before_its_message_expires(app: Celery) -> None:
    roll = app.tasks["safety.roll"]
    waits = [
        min(roll.retry_backoff * 2**n, roll.retry_backoff_max) for n in range(roll.max_retries)
    ]
    assert waits == [5, 10, 20, 40, 80]
    assert sum(waits) < SCHEDULE["roll"]["options"]["expires"]


def test_what_falls_due_again_within_minutes_is_left_to_its_next_slot(app: Celery) -> None:
    soon = ("market.scan", "trading.execute", "trading.mark", "safety.sweep", "upkeep.reap")
    assert all(not hasattr(app.tasks[name], "autoretry_for") for name in soon)
    again = {
        name for name in app.tasks if Transient in getattr(app.tasks[name], "autoretry_for", ())
    }
    slow = {name for name in app.tasks if name.startswith("learning.")}
    assert again - slow == {
        "safety.drill",
        "safety.roll",
        "upkeep.backup",
        "upkeep.checkpoint",
    }
