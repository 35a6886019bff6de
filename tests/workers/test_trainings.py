"""Trainings through a real worker: each once, judged, and the last of a round has all validated."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from celery import Celery, Task
from celery.signals import task_success

from beat_schedule import SCHEDULE
from models import availability
from models.catalog import CATALOG
from models.prophet import Directional
from models.xgb import Xgb
from orchestrator.desk import Desk
from storage import dead, jobs, registry, rounds, state
from storage.jobs import LASTS, OVER, Stands
from tests.orchestrator.made import desk_at
from workers import embedded
from workers.app import create

EARLY = datetime(2014, 3, 3, 22, tzinfo=UTC)
"""Two months of history: too little for any model."""
ENOUGH = datetime(2016, 3, 7, 22, tzinfo=UTC)


def eventually(holds: Callable[[], bool]) -> bool:
    until, tick = monotonic() + 60, Event()
    while not (done := holds()) and monotonic() < until:
        tick.wait(0.02)
    return done


@pytest.fixture
def returned() -> Iterator[list[tuple[str, Any]]]:
    """List what tasks have returned, by their names."""
    found: list[tuple[str, Any]] = []

    def note(sender: Task, result: Any = None, **_: Any) -> None:
        found.append((sender.name, result))

    task_success.connect(note)
    yield found
    task_success.disconnect(note)


@pytest.fixture(params=[EARLY, ENOUGH], ids=["too_early", "with_history"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Desk, Celery]]:
    with (
        desk_at(tmp_path, request.param) as desk,
        embedded.running(desk.settings, ("training",)) as app,
    ):
        yield desk, app


def job(desk: Desk, model: str) -> tuple[Stands, str]:
    found = jobs.get(desk.store, jobs.training(model))
    assert found is not None
    return found.stands, found.why


def ended(desk: Desk) -> dict[str, str | None]:
    kept = state.get(desk.store, rounds.KEY)
    return {} if kept is None else kept.body["ended"]


def test_the_last_of_a_round_has_all_validated_whatever_became_of_the_others(
    at: tuple[Desk, Celery], returned: list[tuple[str, Any]]
) -> None:
    desk, app = at
    app.send_task("learning.together", kwargs={"models": ["xgb", "lgbm"]})
    assert eventually(lambda: "learning.validate" in dict(returned))
    assert [name for name, _ in returned].count("learning.validate") == 1
    came = ended(desk)
    assert set(came) == {"xgb", "lgbm"}
    if desk.clock.now() == EARLY:
        assert all("needed" in str(how) or "hand in" in str(how) for how in came.values()), came
        assert job(desk, "xgb") == (Stands.UNAVAILABLE, came["xgb"])
        assert dead.letters(desk.store) == [], "too little is known as yet: nothing failed"
        assert registry.champion(desk.store, "xgb") is None
    else:
        assert came == {"xgb": "PROMOTE", "lgbm": "PROMOTE"}
        assert job(desk, "xgb") == (Stands.DONE, "")
        assert registry.champion(desk.store, "lgbm") is not None


def test_what_is_under_way_is_not_trained_twice(
    at: tuple[Desk, Celery], returned: list[tuple[str, Any]]
) -> None:
    desk, app = at
    name, asked = jobs.training("wisdom"), {"model": "wisdom", "who": "test"}
    begun = jobs.begin(desk.store, name, "m1", asked, "elsewhere:1", desk.wall.now())
    app.send_task("learning.train", kwargs=asked)
    assert eventually(lambda: bool(returned))
    [(_, told)] = returned
    assert told == {"model": "wisdom", "busy": f"{name}: elsewhere:1 is at it since 22:00:00Z"}
    assert jobs.get(desk.store, name) == begun
    assert registry.tried(desk.store, "wisdom") == set()

    desk.clock.turn(desk.clock.now() + LASTS)
    app.send_task("learning.train", kwargs=asked)
    assert eventually(lambda: job(desk, "wisdom")[0] in OVER)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Desk, Celery]]:
    """Yield a desk and a worker in an environment without what trains the deep members."""
    monkeypatch.setitem(availability.LIBRARIES, "deep", "torch_that_is_not_there")
    with (
        desk_at(tmp_path, EARLY) as desk,
        embedded.running(desk.settings, ("training",)) as app,
    ):
        yield desk, app


def test_a_round_goes_on_without_what_cannot_be_trained_here_and_says_so(
    bare: tuple[Desk, Celery], returned: list[tuple[str, Any]]
) -> None:
    desk, app = bare
    app.send_task("learning.together", kwargs={"models": ["nhits", "xgb", "patchtst"]})
    assert eventually(lambda: "learning.validate" in dict(returned))
    came = ended(desk)
    for name in ("nhits", "patchtst"):
        assert came[name] == f"{name} is unavailable: it needs the extra `deep` (`make deep`)"
        assert job(desk, name) == (Stands.UNAVAILABLE, came[name])
    assert job(desk, "xgb") == (Stands.UNAVAILABLE, came["xgb"])
    assert dead.letters(desk.store) == []


def test_the_timetable_passes_over_what_cannot_be_trained_here(
    bare: tuple[Desk, Celery], returned: list[tuple[str, Any]]
) -> None:
    desk, app = bare
    app.send_task("learning.train", kwargs={"model": "nhits"})
    assert eventually(lambda: bool(returned))
    lacks = "nhits is unavailable: it needs the extra `deep` (`make deep`)"
    told = {"model": "nhits", "ruling": "UNAVAILABLE", "reason": lacks}
    assert returned == [("learning.train", told)]
    assert job(desk, "nhits") == (Stands.UNAVAILABLE, lacks)
    assert dead.count(desk.store) == 0


def test_who_asks_for_what_cannot_be_trained_here_is_told(bare: tuple[Desk, Celery]) -> None:
    desk, app = bare
    app.send_task("learning.train", kwargs={"model": "patchtst", "who": "me"})
    lacks = "patchtst is unavailable: it needs the extra `deep` (`make deep`)"

    def over() -> bool:
        found = jobs.get(desk.store, jobs.training("patchtst"))
        return found is not None and found.stands in OVER

    assert eventually(over)
    assert job(desk, "patchtst") == (Stands.UNAVAILABLE, lacks)
    assert registry.tried(desk.store, "patchtst") == set()


def test_what_was_never_trained_and_cannot_be_is_not_asked_for_every_morning(
    bare: tuple[Desk, Celery], returned: list[tuple[str, Any]]
) -> None:
    _, app = bare
    app.send_task("learning.missing")
    assert eventually(lambda: "learning.missing" in dict(returned))
    asked = dict(returned)["learning.missing"]
    assert {"xgb", "wisdom"} <= set(asked)
    assert not {"nhits", "patchtst"} & set(asked)


def test_every_model_has_its_place_in_the_timetable() -> None:
    alone = {e["kwargs"]["model"] for e in SCHEDULE.values() if e["task"] == "learning.train"}
    [together] = [e["kwargs"] for e in SCHEDULE.values() if e["task"] == "learning.together"]
    assert sorted([*alone, *together["models"]]) == sorted(CATALOG)


@pytest.fixture
def without_gamma(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make XGBoost's model about a series that the packaged feed does not have."""
    monkeypatch.setattr(Xgb, "requires", ("GEX_NET",))


LACKING = "xgb is unavailable: import a GEX history"
TOLD = {"model": "xgb", "ruling": "UNAVAILABLE", "reason": LACKING}


def test_a_round_ends_though_one_of_it_is_unavailable_and_nothing_failed(
    at: tuple[Desk, Celery], returned: list[tuple[str, Any]], without_gamma: None
) -> None:
    desk, app = at
    app.send_task("learning.together", kwargs={"models": ["lgbm", "xgb"]})
    assert eventually(lambda: "learning.validate" in dict(returned))
    assert ended(desk)["xgb"] == LACKING
    assert job(desk, "xgb") == (Stands.UNAVAILABLE, LACKING)
    assert ("learning.train", TOLD) in returned
    assert dead.letters(desk.store) == []
    assert registry.ledger(desk.store, "xgb") == []


def test_a_round_of_unavailable_models_alone_ends_too(
    at: tuple[Desk, Celery], returned: list[tuple[str, Any]], without_gamma: None
) -> None:
    desk, app = at
    app.send_task("learning.together", kwargs={"models": ["xgb"]})
    assert eventually(lambda: "learning.validate" in dict(returned))
    assert ended(desk) == {"xgb": LACKING}
    assert dead.letters(desk.store) == []


def test_what_is_unavailable_is_not_asked_for_until_its_data_is_there(
    at: tuple[Desk, Celery], returned: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, app = at
    for name in CATALOG.keys() - {"prophet-directional"}:
        monkeypatch.setattr(CATALOG[name].load(), "requires", ("GEX_NET",))
    monkeypatch.setattr(Directional, "requires", ("GEX_NET",))
    for _ in range(2):
        app.send_task("learning.missing")
    assert eventually(lambda: [name for name, _ in returned].count("learning.missing") == 2)
    assert dict(returned)["learning.missing"] == []
    assert all(jobs.get(desk.store, jobs.training(name)) is None for name in CATALOG)

    monkeypatch.setattr(Directional, "requires", ("VIX",))
    app.send_task("learning.missing")
    assert eventually(
        lambda: (
            (one := jobs.get(desk.store, jobs.training("prophet-directional"))) is not None
            and one.stands in OVER
        )
    )
    assert ("learning.missing", ["prophet-directional"]) in returned


def test_an_eager_training_of_what_is_unavailable_says_so_and_its_round_ends(
    tmp_path: Path, without_gamma: None
) -> None:
    with desk_at(tmp_path, ENOUGH) as desk:
        app = create(desk.settings)
        app.conf.update(task_always_eager=True, task_eager_propagates=True)
        app.set_current()
        rounds.begin(desk.store, ["xgb"], desk.clock.now())
        asked = {"model": "xgb", "together": True}
        told = app.tasks["learning.train"].apply(kwargs=asked, throw=True).get()
        assert told == TOLD
        assert ended(desk) == {"xgb": LACKING}
        assert jobs.get(desk.store, jobs.training("xgb")) is None
        assert registry.tried(desk.store, "xgb") == set()
