"""Putting the record of a home aside for the next."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from domain import examples
from domain.errors import Refused
from domain.settings import Settings
from storage import artifacts, audit, backup, decisions, home, switches, tables
from storage.engine import Store, writing
from tests.storage.made import AT, DAY, anything, want


def test_an_empty_home_has_nothing_to_put_aside(settings: Settings, store: Store) -> None:
    if store.file is None:
        assert home.archive(settings) == (None, ())
        return
    store.close()
    store.file.unlink()
    assert home.archive(settings) == (None, ())


def test_a_record_is_put_aside_whole_and_the_key_stays(
    lite: Store, opened: Callable[..., Store]
) -> None:
    settings = Settings(home=lite.home)
    decisions.seal(lite, [want()], anything, AT)
    artifacts.put(lite, b"a model")
    audit.checkpoint(lite, AT)
    backup.backup(lite)
    person = switches.throw(lite, examples.switch())
    switches.throw(lite, examples.switch(human=False, expires_at=AT + DAY))
    lite.close()
    aside, latches = home.archive(settings)
    assert latches == (person,)
    assert aside == lite.home / "archive" / "0001"
    assert {path.name for path in aside.iterdir()} == {
        "omega.db",
        "checkpoints.jsonl",
        "artifacts",
        "backup",
    }
    fresh = opened(settings)
    assert fresh.key == lite.key
    assert decisions.listing(fresh) == []
    old = Settings(home=lite.home, database_url=f"sqlite:///{aside / 'omega.db'}")
    assert len(decisions.listing(opened(old))) == 1
    fresh.close()
    assert home.archive(settings)[0] == lite.home / "archive" / "0002"


def test_a_record_whose_switches_cannot_be_read_stays_where_it_is(lite: Store) -> None:
    """A person may have set one, and it would be lost with the record."""
    decisions.seal(lite, [want()], anything, AT)
    switches.throw(lite, examples.switch())
    with writing(lite) as conn:
        conn.execute(update(tables.switches).values(mode="sideways"))
    lite.close()
    there = sorted(path.name for path in lite.home.iterdir())
    with pytest.raises(Refused, match=r"omega.db cannot be read.*`omega db restore`"):
        home.archive(Settings(home=lite.home))
    assert sorted(path.name for path in lite.home.iterdir()) == there


@pytest.mark.postgres
def test_a_server_that_holds_decisions_is_not_mixed_with_another_record(
    store: Store, settings: Settings
) -> None:
    decisions.seal(store, [want()], anything, AT)
    if store.file is None:
        with pytest.raises(Refused, match="holds 1 decisions"):
            home.archive(settings)
