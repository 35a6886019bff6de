"""Backups, and bringing one back without hiding what was lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from domain.clock import VirtualClock
from domain.errors import IntegrityError, Refused
from domain.settings import Settings
from domain.values import Env
from storage import audit, backup, decisions, engine
from storage.engine import Store
from tasks import upkeep
from tests.storage.made import AT, DAY, anything, hold, want
from workers.lifecycle import bound, open_desk


def lose(store: Store) -> Settings:
    """Back up one decision of two, checkpoint both, and ruin the file."""
    decisions.seal(store, [want(1)], anything, AT)
    backup.backup(store)
    decisions.seal(store, [hold(2), hold(3, bot="anchor")], anything, AT)
    audit.checkpoint(store, AT + DAY)
    store.close()
    (store.home / "omega.db").write_bytes(b"\0" * 5000)
    return Settings(home=store.home)


def test_a_lost_database_is_brought_back_with_the_verb_that_the_error_names(
    lite: Store, opened: Callable[..., Store]
) -> None:
    settings = lose(lite)
    with pytest.raises(IntegrityError, match="omega db restore"):
        engine.open_store(settings)
    restored = backup.restore(settings, AT + 2 * DAY)
    assert restored.lost == {"fortress": 1, "anchor": 1}
    assert restored.aside == lite.home / "omega.db.corrupt-20170305T210000Z"
    assert restored.aside.read_bytes() == b"\0" * 5000
    store = opened(settings)
    assert [line.bot for line in decisions.listing(store)] == ["fortress"]
    assert audit.verify(store).ok
    [told] = audit.records(store, "desk")
    assert (told.kind, told.body["lost"]) == ("restored", {"fortress": 1, "anchor": 1})


def test_after_a_restore_the_chains_go_on_and_are_watched_again(
    lite: Store, opened: Callable[..., Store]
) -> None:
    settings = lose(lite)
    backup.restore(settings, AT + 2 * DAY)
    store = opened(settings)
    decisions.seal(store, [hold(3, bot="anchor"), hold(4)], anything, AT)
    audit.checkpoint(store, AT + 3 * DAY)
    assert audit.verify(store).ok
    store.close()
    backup.restore(settings, AT + 4 * DAY)
    assert audit.verify(opened(settings)).ok


def test_a_backup_put_in_place_by_hand_is_not_mistaken_for_the_record(
    lite: Store, opened: Callable[..., Store]
) -> None:
    settings = lose(lite)
    backup.place(settings).replace(lite.home / "omega.db")
    fault = audit.verify(opened(settings)).fault
    assert str(fault).startswith("anchor 1: records 1 to 1 are gone; the checkpoint of")


def test_a_database_that_is_gone_altogether_is_brought_back(lite: Store) -> None:
    settings = lose(lite)
    (lite.home / "omega.db").unlink()
    assert backup.restore(settings, AT).aside is None


def test_a_backup_is_taken_while_the_database_is_in_use(lite: Store) -> None:
    decisions.seal(lite, [want(1)], anything, AT)
    with engine.writing(lite):
        file = backup.backup(lite)
    assert file == backup.place(Settings(home=lite.home))
    assert [path.name for path in file.parent.iterdir()] == ["omega.db"]
    again = backup.backup(lite)
    assert again == file


def test_a_damaged_database_never_replaces_a_good_backup(lite: Store) -> None:
    decisions.seal(lite, [hold(n) for n in range(200)], anything, AT)
    good = backup.backup(lite).read_bytes()
    lite.close()
    file = lite.home / "omega.db"
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2 // 4096 * 4096)
        stream.write(b"\xff" * 4096 * 20)
    damaged = engine.connect(Settings(home=lite.home))
    with pytest.raises(IntegrityError, match="is not sound"):
        backup.backup(damaged)
    damaged.close()
    assert backup.place(Settings(home=lite.home)).read_bytes() == good


def test_without_a_sound_backup_nothing_is_moved(lite: Store) -> None:
    settings = Settings(home=lite.home)
    with pytest.raises(Refused, match="there is no backup"):
        backup.restore(settings, AT)
    lite.close()
    backup.place(settings).parent.mkdir()
    good = (lite.home / "omega.db").read_bytes()
    for content in (b"no database" * 500, good[:-1], good[:100] + b"\xff" * 2000 + good[2100:]):
        backup.place(settings).write_bytes(content)
        with pytest.raises(IntegrityError):
            backup.restore(settings, AT)
    names = {path.name for path in lite.home.iterdir() if "corrupt" in path.name}
    assert names == set()
    engine.open_store(settings).close()


@pytest.mark.postgres
def test_postgresql_has_tools_of_its_own(store: Store, settings: Settings, tmp_path: Path) -> None:
    if store.file is not None:
        assert backup.backup(store).exists()
        return
    with pytest.raises(Refused, match="pg_dump"):
        backup.backup(store)
    with pytest.raises(Refused, match="tools of PostgreSQL"):
        backup.restore(settings, AT)


def test_every_night_a_copy_is_kept_of_what_we_back_up_and_postgresql_is_left_alone(
    settings: Settings,
) -> None:
    with bound(open_desk(settings, VirtualClock(AT), Env.REPLAY)) as desk:
        upkeep.backup()
        assert backup.place(settings).exists() is (desk.store.file is not None)
