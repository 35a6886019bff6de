"""A replay: the same window twice is the same record, and nothing that was there is lost."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.book import Scope
from domain.errors import OmegaError, Refused
from domain.settings import Settings
from learning import trainer
from market import calendar
from models.catalog import CATALOG
from risk import killswitch
from storage import audit, backup, decisions, engine, registry, switches
from storage.engine import Store
from tests.orchestrator.made import packaged
from trading.bots.catalog import find
from workers import ahead
from workers.app import create
from workers.history import Run, _trainings, replay

START, END = date(2016, 1, 4), date(2016, 1, 13)
BOTS = ("fortress", "autotrader")
LATER = datetime(2026, 1, 1, tzinfo=UTC)


class Twice(NamedTuple):
    """The same window played twice into one home, a person's latch set in between."""

    settings: Settings
    first: Run
    second: Run
    progress: tuple[tuple[float, str], ...]
    old: dict[str, str]
    """Hashes of the first record, by id."""


def hashes(store: Store) -> dict[str, str]:
    ids = [line.id for line in decisions.listing(store, limit=10_000)]
    return {decision.id: decision.hash for decision in decisions.many(store, ids)}


def latched(store: Store) -> None:
    latch = killswitch.human(Scope.BOT, "fortress", "looking into it", "me", LATER)
    switches.throw(store, latch)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    settings = Settings(home=tmp_path_factory.mktemp("twice"))
    told: list[tuple[float, str]] = []
    first = replay(settings, START, END, BOTS, lambda share, day: told.append((share, day)))
    store = engine.open_store(settings)
    old = hashes(store)
    latched(store)
    store.close()
    return Twice(settings, first, replay(settings, START, END, BOTS), tuple(told), old)


@pytest.fixture
def store(twice: Twice) -> Iterator[Store]:
    opened = engine.open_store(twice.settings)
    yield opened
    opened.close()


def test_the_same_window_gives_the_same_decisions_hash_for_hash(twice: Twice, store: Store) -> None:
    again = hashes(store)
    assert len(again) == 8 * 21
    assert again == twice.old


def test_a_replay_says_what_it_was(twice: Twice) -> None:
    run = twice.first
    assert (run.start, run.end, run.sessions, run.archived) == (START, END, 8, "")
    assert run.runs["scan"] == run.runs["mark"] == 15
    assert run.runs["roll"] == run.runs["feedback"] == 8
    assert run.runs["retrain-wisdom"] == run.runs["retrain-together"] == 1
    assert "backup" not in run.runs
    assert twice.second.runs == run.runs
    assert run.seconds > 0


def test_progress_rises_from_nothing_to_everything(twice: Twice) -> None:
    shares = [share for share, _ in twice.progress]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert twice.progress[0][1] == "training on what is known before 2016-01-04"
    assert twice.progress[-1][1] == "2016-01-13"


def test_the_old_record_is_kept_whole(twice: Twice) -> None:
    aside = Path(twice.second.archived)
    assert aside == twice.settings.home / "archive" / "0001"
    old = twice.settings.model_copy(update={"database_url": f"sqlite:///{aside / 'omega.db'}"})
    kept = engine.open_store(old)
    assert hashes(kept) == twice.old
    kept.close()
    assert (aside / "artifacts").is_dir()
    assert (aside / "checkpoints.jsonl").exists()


def test_a_person_s_latch_survives_and_did_not_stop_the_replay(twice: Twice, store: Store) -> None:
    [latch] = switches.read(store).latches
    assert (latch.target, latch.reason, latch.who, latch.human) == (
        "fortress",
        "looking into it",
        "me",
        True,
    )
    codes = decisions.count_by(store, "bot", "code")
    assert ("fortress", "KILLED") not in codes
    saved = twice.settings.home / "copy.db"
    shutil.copyfile(backup.place(twice.settings), saved)
    whole = engine.open_store(
        twice.settings.model_copy(update={"database_url": f"sqlite:///{saved}"})
    )
    assert [s.reason for s in switches.read(whole).latches] == ["looking into it"]
    whole.close()


def test_only_the_bots_that_were_asked_for_decided(twice: Twice, store: Store) -> None:
    counted = decisions.count_by(store, "bot", "status")
    assert counted == {("autotrader", "SEALED"): 160, ("fortress", "SEALED"): 8}


def test_nothing_was_decided_before_its_bar_had_closed_or_after_its_deadline(
    store: Store,
) -> None:
    for line in decisions.listing(store, limit=1_000):
        assert calendar.closes(line.asof.date()) == line.asof == line.sealed_at


def test_the_record_is_whole_and_its_chains_hold(twice: Twice, store: Store) -> None:
    assert audit.verify(store).ok


def test_every_model_was_trained_on_what_was_known_before_the_first_day(store: Store) -> None:
    """Of those that the bots ask, and that need no library which takes minutes to train."""
    midnight = datetime(2016, 1, 4, tzinfo=calendar.TIMETABLE).astimezone(UTC)
    asked = {model for bot in BOTS for model in find(bot).models}
    trained = {name for name in CATALOG if registry.versions(store, name)}
    assert trained == {name for name in asked if not CATALOG[name].load().extra}
    for name in trained:
        versions = registry.versions(store, name)
        assert min(v.trained_at for v in versions) == midnight
        assert all(v.trained_to < v.trained_at for v in versions)


def test_training_ahead_equals_training_in_process(store: Store) -> None:
    """In a process of its own, spawned, hours before: the same content, byte for byte."""
    for name in ("wisdom", "xgb"):
        first = min(registry.versions(store, name), key=lambda v: v.trained_at)
        here = trainer.train(
            name, packaged().panel(), first.trained_at, 7, Settings().costs
        ).version
        assert (here.version, here.sha256) == (first.version, first.sha256)
        assert here.measures == first.measures


def test_every_training_of_the_timetable_is_ordered_ahead(tmp_path: Path) -> None:
    app = create(Settings())
    month = (datetime(2016, 1, 1, 6, tzinfo=UTC), datetime(2016, 2, 1, 6, tzinfo=UTC))
    slots = _trainings(app, *month)
    app.close()
    assert slots == sorted(slots, key=lambda slot: slot[1])
    sundays = dict.fromkeys(CATALOG, 5) | {"nhits": 1, "patchtst": 1}
    assert {model: [m for m, _ in slots].count(model) for model in CATALOG} == sundays


# what is refused


def untouched(settings: Settings, before: dict[str, str]) -> bool:
    store = engine.open_store(settings)
    try:
        return hashes(store) == before and len(switches.read(store).latches) == 1
    finally:
        store.close()


@pytest.mark.parametrize(
    ("start", "end", "bots", "said"),
    [
        (date(2019, 1, 2), date(2019, 2, 1), (), "has 2014-01-03 to 2018-12-31"),
        (date(2016, 1, 2), date(2016, 1, 3), (), "no session from 2016-01-02 to 2016-01-03"),
        (date(2016, 1, 13), date(2016, 1, 4), (), "no session from"),
        (START, END, ("fortess",), "no bot 'fortess'"),
    ],
)
def test_a_window_without_a_session_is_refused_and_nothing_is_moved(
    twice: Twice, start: date, end: date, bots: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        replay(twice.settings, start, end, bots)
    assert untouched(twice.settings, twice.old)
    assert len(list((twice.settings.home / "archive").iterdir())) == 1


def test_too_little_to_train_on_is_refused_and_a_person_s_latch_is_still_set(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path / "home")
    store = engine.open_store(settings)
    latched(store)
    store.close()
    with pytest.raises(Refused, match="too little before 2014-01-08 to train wisdom"):
        replay(settings, date(2014, 1, 8), date(2014, 1, 10))
    store = engine.open_store(settings)
    assert [latch.reason for latch in switches.read(store).latches] == ["looking into it"]
    store.close()


# trainings ahead


def test_a_process_that_was_not_begun_trains_nothing() -> None:
    assert isinstance(ahead.work("wisdom", LATER), OmegaError)


def test_a_training_that_was_not_ordered_is_not_waited_for() -> None:
    with ahead.shelf(Settings(), []) as shelf:
        assert shelf.take("wisdom", LATER) is None
