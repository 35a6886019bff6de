"""Opening a database, and what its failures become."""

import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import timedelta
from multiprocessing import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.config import main as alembic
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, delete, event, insert, select, text
from sqlalchemy import exc as sql

from domain import examples
from domain.clock import WallClock
from domain.errors import IntegrityError, OmegaError, SettingsError, Transient
from domain.settings import Settings
from domain.trade import Exit, Order
from storage import (
    artifacts,
    audit,
    decisions,
    engine,
    keys,
    orders,
    registry,
    state,
    switches,
    tables,
    trades,
)
from storage.engine import Store, reading, writing
from tests.storage.made import (
    AT,
    DAY,
    anything,
    fill,
    hold,
    outcome,
    position,
    trade,
    version,
    want,
)
from trading.accounting import Account

ROOT = Path(__file__).parents[2]


def test_a_new_home_has_a_database_and_a_key_of_its_own(
    tmp_path: Path, opened: Callable[..., Store]
) -> None:
    store = opened(Settings(home=tmp_path / "a" / "home"))
    key = store.home / keys.NAME
    assert (len(store.key), key.stat().st_mode & 0o777) == (32, 0o600)
    assert engine.state(store) == ("0003", "0003")
    assert {path.name for path in store.home.iterdir()} >= {"omega.db", "audit.key"}
    again = opened(Settings(home=store.home))
    assert again.key == store.key
    assert opened(Settings(home=tmp_path / "b")).key != store.key
    assert str(store.key) not in repr(store)


def test_the_schema_is_the_one_the_migrations_make(store: Store) -> None:
    with reading(store) as conn:
        changes = compare_metadata(MigrationContext.configure(conn), tables.metadata)
        assert changes == []


def test_the_newest_revision_is_the_one_this_build_needs() -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == tables.HEAD


def test_upgrading_twice_changes_nothing(store: Store) -> None:
    assert engine.upgrade(store) == engine.state(store) == (tables.HEAD, tables.HEAD)


Rows = dict[str, list[tuple[object, ...]]]


def everything(store: Store, columns: dict[str, list[str]]) -> Rows:
    found: Rows = {}
    with reading(store) as conn:
        for name, named in columns.items():
            table = tables.metadata.tables[name]
            query = select(*(table.c[column] for column in named)).order_by(*table.primary_key)
            found[name] = [tuple(row) for row in conn.execute(query)]
    return found


def live(store: Store) -> None:
    """Leave a row in every table that the first revision had."""
    batch = [want(1), want(2), hold(3, "anchor")]
    first, second, _ = decisions.seal(store, batch, anything, AT + DAY)
    for one in (first, second):
        orders.record_fill(store, fill(one.id), position(one))
    closing = Order.closing(position(first), 2, Exit.PROFIT_TARGET, AT + 2 * DAY)
    orders.place(store, closing, AT + 2 * DAY)
    trades.close(store, fill(closing.id), trade(first))
    trades.record_outcomes(store, [outcome(first.id)])
    artifacts.put(store, b"a model")
    made = version(b"a model")
    registry.register(store, made)
    why = registry.Why(who="gate", reason="the first")
    registry.promote(store, made.model, made.version, None, why, AT)
    switches.throw(store, examples.switch())
    account = Account.of(examples.bot()).model_dump(mode="json")
    state.put_many(store, {"account/fortress": account | {"trades_today": 3}, "accounts": {}})
    audit.checkpoint(store, AT + 3 * DAY)


def at_revision(settings: Settings, revision: str) -> tuple[Store, dict[str, list[str]]]:
    """Make a schema of an older build; return it with the columns of its tables."""
    store, config = engine.connect(settings), Config()
    config.set_main_option("script_location", "storage:migrations")
    with writing(store) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
        made = MetaData()
        made.reflect(conn)
    named = {table.name: list(table.c.keys()) for table in made.sorted_tables}
    del named["alembic_version"]
    return store, named


def test_a_database_of_the_first_revision_is_refused_and_upgraded_with_nothing_lost(
    lite: Store, bare: Settings, opened: Callable[..., Store]
) -> None:
    live(lite)
    shutil.copytree(lite.home, bare.home, ignore=shutil.ignore_patterns("omega.db*"))
    store, columns = at_revision(bare, "0001")
    before = everything(lite, columns)
    assert all(before.values())
    with writing(store) as conn:
        conn.execute(delete(tables.counters))  # the revision writes the first two itself
        for name, rows in before.items():
            named = [dict(zip(columns[name], row, strict=True)) for row in rows]
            conn.execute(insert(tables.metadata.tables[name]), named)
    with pytest.raises(
        SettingsError, match=r"revision 0001, .* needs 0003: run `omega db upgrade`"
    ):
        engine.open_store(bare)
    assert everything(store, columns) == before

    assert engine.upgrade(store) == ("0003", "0003")
    store.close()
    after = opened(bare)
    with reading(after) as conn:
        assert compare_metadata(MigrationContext.configure(conn), tables.metadata) == []
    kept = state.get(after, "account/fortress")
    assert Account.model_validate(kept.body) == Account.of(examples.bot())
    found = everything(after, columns)
    assert found | {"state": before["state"]} == before
    assert [row[:2] for row in found["state"]] == [row[:2] for row in before["state"]]
    assert audit.verify(after).ok


def test_two_dozen_sealed_decisions_are_found_by_their_ids(lite: Store) -> None:
    """With an index of `status`, SQLite read every sealed row to find them."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    def note(_: object, __: object, statement: str, values: tuple[str, ...], *___: object) -> None:
        asked.append((statement, values))

    event.listen(lite.engine, "before_cursor_execute", note)
    assert decisions.many(lite, [str(n) for n in range(25)]) == []
    [(statement, values)] = [one for one in asked if one[0].startswith("SELECT")]
    with reading(lite) as conn:
        plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        steps = [row.detail for row in plan]
    assert steps == ["SEARCH decisions USING INDEX sqlite_autoindex_decisions_1 (id=?)"]


@pytest.mark.postgres
def test_an_empty_postgresql_is_given_the_schema(
    postgres: str, tmp_path: Path, opened: Callable[..., Store]
) -> None:
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE fresh")
    url = postgres.replace("/postgres?", "/fresh?")
    store = opened(Settings(home=tmp_path, database_url=url))
    assert engine.state(store).current == tables.HEAD
    engine.integrity(store)


def test_the_alembic_command_can_run_the_migrations_too(tmp_path: Path) -> None:
    ini = tmp_path / "alembic.ini"
    ini.write_text("[alembic]\nscript_location = storage:migrations\n")
    url = f"sqlite:///{tmp_path / 'made.db'}"
    alembic(["-c", str(ini), "-x", f"url={url}", "upgrade", "head"])
    made = create_engine(url)
    with made.connect() as conn:
        assert conn.scalar(text("SELECT version_num FROM alembic_version")) == tables.HEAD
    made.dispose()


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_the_schema_of_another_build_is_refused(
    store: Store, settings: Settings, revision: str
) -> None:
    with writing(store) as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    with pytest.raises(SettingsError, match=f"revision {revision}.*omega db upgrade"):
        engine.open_store(settings)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("mysql://localhost/omega", "use sqlite:/// or postgresql://"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("no url", "database_url"),
    ],
)
def test_a_database_we_do_not_know_is_refused(tmp_path: Path, url: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        engine.open_store(Settings(home=tmp_path, database_url=url))


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="home or database_url: "):
        engine.open_store(Settings(home=tmp_path / "file"))


def test_a_database_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        engine.open_store(
            Settings(home=tmp_path / "h", database_url=f"sqlite:///{tmp_path}/folder.db")
        )


def test_a_database_in_a_folder_that_vanished_is_refused(lite: Store) -> None:
    lite.close()
    shutil.rmtree(lite.home)
    with pytest.raises(SettingsError, match="the folder must exist and be writable"):
        state.get(lite, "a")


@pytest.mark.parametrize("content", ["", "not hex", "ab" * 31])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / keys.NAME).write_text(content)
    with pytest.raises(IntegrityError, match="holds no audit key"):
        engine.open_store(Settings(home=tmp_path))


def test_a_key_that_another_process_made_first_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keys.load(tmp_path)
    seen = iter([False])
    exists = Path.exists
    # As if the file had come just after the look at it.
    monkeypatch.setattr(Path, "exists", lambda self: next(seen, exists(self)))
    assert keys.load(tmp_path) == first
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [keys.NAME]


def fill_with_decisions(store: Store, count: int = 40) -> Path:
    decisions.seal(store, [hold(n) for n in range(count)], anything, AT)
    store.close()  # the last connection to close writes everything into the file itself
    assert store.file is not None
    return store.file


def test_a_file_that_is_no_database_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "omega.db").write_bytes(b"no database" * 100)
    with pytest.raises(IntegrityError, match=r"is corrupt .*omega db restore$"):
        engine.open_store(Settings(home=tmp_path))
    assert (tmp_path / "omega.db").read_bytes() == b"no database" * 100


def test_a_database_that_was_cut_short_is_refused(lite: Store) -> None:
    file = fill_with_decisions(lite)
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size - 1)
    with pytest.raises(IntegrityError, match=r"cut short.*omega db restore"):
        engine.open_store(Settings(home=lite.home))


def test_who_was_killed_while_the_log_went_into_the_file_finds_everything(lite: Store) -> None:
    """The header is written first: the file is then shorter than it says, and the log has it."""
    assert lite.file is not None
    decisions.seal(lite, [hold(n) for n in range(40)], anything, AT)
    log, before = lite.file.with_name("omega.db-wal"), lite.file.stat().st_size
    logged = log.read_bytes()
    lite.close()  # the last connection to close writes everything into the file itself
    whole = lite.file.read_bytes()
    assert len(whole) > before
    lite.file.write_bytes(whole[:before])
    log.write_bytes(logged)
    again = engine.open_store(Settings(home=lite.home))
    engine.integrity(again)
    assert len(decisions.sample(again, 100, seed=1)) == 40
    again.close()
    assert lite.file.stat().st_size == len(whole)


def test_a_schema_that_cannot_be_read_is_refused(lite: Store) -> None:
    file = fill_with_decisions(lite)
    with file.open("r+b") as stream:
        stream.seek(100)  # the first page after the header: the schema
        stream.write(b"\xff" * 3000)
    with pytest.raises(IntegrityError, match=r"malformed.*omega db restore"):
        engine.open_store(Settings(home=lite.home))


def test_damage_inside_is_found_when_it_is_opened_checked_or_read(
    lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = fill_with_decisions(lite, 200)
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(size // 4096 // 2 * 4096)
        stream.write(b"\xff" * 4096 * 20)
    with pytest.raises(IntegrityError, match=r"is corrupt.*omega db restore"):
        engine.open_store(Settings(home=lite.home))
    monkeypatch.setattr(engine, "SMALL", 0)
    damaged = engine.open_store(Settings(home=lite.home))
    with pytest.raises(IntegrityError, match=r"is corrupt.*omega db restore"):
        engine.integrity(damaged)
    with pytest.raises(IntegrityError, match=r"is corrupt.*omega db restore"):
        decisions.sample(damaged, 200, seed=1)
    damaged.close()


def test_a_sound_database_passes_the_full_check(store: Store) -> None:
    decisions.seal(store, [want(1), hold(2)], anything, AT)
    engine.integrity(store)


def test_a_row_that_refers_to_nothing_fails_the_full_check(lite: Store) -> None:
    with lite.engine.connect() as conn:
        conn.exec_driver_sql("COMMIT")
        conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
        conn.exec_driver_sql(
            "INSERT INTO outcomes VALUES ('x', 'm', 'v', 't', 0.5, 0.5, 1, '2018-01-01')"
        )
        conn.exec_driver_sql("PRAGMA foreign_keys = ON")
    with pytest.raises(IntegrityError, match="1 rows refer to nothing"):
        engine.integrity(lite)


def test_a_writer_that_waits_too_long_is_told_to_come_back(
    settings: Settings, opened: Callable[..., Store]
) -> None:
    first, second = opened(settings), opened(settings, 0.05)
    with writing(first) as conn:
        conn.execute(text("UPDATE counters SET value = value"))
        with pytest.raises(Transient, match=r"locked|busy"):
            decisions.seal(second, [want()], anything, AT)
    assert decisions.listing(second) == []
    assert decisions.seal(second, [want()], anything, AT)[0].quantity == 2


def test_readers_never_wait_for_a_writer(settings: Settings, opened: Callable[..., Store]) -> None:
    first, second = opened(settings), opened(settings, 0.05)
    state.put(first, "a", 1)
    with writing(first) as conn:
        conn.execute(text("UPDATE state SET body = '2'"))
        assert state.get(second, "a") == (1, 1)


def test_a_server_that_is_away_is_transient(tmp_path: Path) -> None:
    url = f"postgresql://postgres@/omega?host={tmp_path}"
    with pytest.raises(Transient, match="busy or away"):
        engine.open_store(Settings(home=tmp_path, database_url=url))


def test_every_connection_in_use_is_transient(lite: Store) -> None:
    lite.engine.pool._timeout = 0.01
    taken = [lite.engine.connect() for _ in range(15)]
    with pytest.raises(Transient, match="every connection"):
        state.get(lite, "a")
    for conn in taken:
        conn.close()


@pytest.mark.parametrize("batch", [1, 9])
def test_a_full_disk_leaves_nothing_half_written(lite: Store, batch: int) -> None:
    """SQLite's own limit on pages says what a full disk says, and as suddenly."""
    decisions.seal(lite, [want(1)], anything, AT)

    def small(connection: object, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 80").close()

    event.listen(lite.engine, "connect", small)
    lite.engine.dispose()

    def fill_it() -> None:
        for start in range(10, 10_000, batch):
            numbers = range(start, start + batch)
            decisions.seal(lite, [want(number) for number in numbers], anything, AT)

    with pytest.raises(Transient, match=r"cannot grow.*nothing was written"):
        fill_it()
    engine.integrity(lite)
    proven = audit.verify(lite)
    assert proven.ok
    with reading(lite) as conn:
        sealed = conn.scalar(text("SELECT count(*) FROM decisions"))
        assert conn.scalar(text("SELECT count(*) FROM orders")) == sealed
        assert conn.scalar(text("SELECT count(*) FROM exposures")) == sealed
    assert proven.decisions == sealed


def test_a_mistake_of_the_program_stays_what_it_is(store: Store) -> None:
    def mistaken() -> None:
        with reading(store) as conn:
            conn.execute(text("SELECT nonsense FROM nowhere"))

    with pytest.raises(sql.DBAPIError, match="nowhere"):
        mistaken()


def test_what_fails_inside_a_transaction_takes_it_back(store: Store) -> None:
    def failing() -> None:
        with writing(store) as conn:
            conn.execute(insert(tables.state), {"key": "a", "revision": 1, "body": "1"})
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert state.get(store, "a") is None


def test_reading_writes_nothing(store: Store) -> None:
    def write() -> None:
        with reading(store) as conn:
            conn.execute(insert(tables.state), {"key": "a", "revision": 1, "body": "1"})

    with nullcontext() if store.file else pytest.raises(sql.DBAPIError, match="read-only"):
        write()
    assert state.get(store, "a") is None


def test_a_reader_sees_one_state_of_the_database(store: Store) -> None:
    query = select(tables.state.c.body).where(tables.state.c.key == "a")
    state.put(store, "a", 1)
    with reading(store) as conn:
        before = conn.scalar(query)
        state.put(store, "a", 2)
        assert conn.scalar(query) == before == "1"


@pytest.mark.postgres
def test_damage_on_the_server_is_no_reason_to_retry(store: Store) -> None:
    def damaged() -> None:
        with writing(store) as conn:
            raised = "RAISE EXCEPTION 'invalid page' USING ERRCODE = 'XX001'"
            conn.execute(text(f"DO $$ BEGIN {raised}; END $$"))

    if store.file is None:
        with pytest.raises(IntegrityError, match="the database is corrupt"):
            damaged()


AT_ONCE = 4
"""Processes that open one new home after another, each at the same moment."""


def open_each(homes: list[Path], together: Barrier, told: "Queue[object]") -> None:
    for home in homes:
        together.wait(timeout=60)
        try:
            store = engine.open_store(Settings(home=home))
            told.put((home.name, engine.state(store).current, store.key))
            store.close()
        except OmegaError as error:
            told.put((home.name, repr(error)))


def test_processes_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    homes = [tmp_path / str(n) for n in range(40)]
    context = multiprocessing.get_context("spawn")
    together, told = context.Barrier(AT_ONCE), context.Queue()
    started = [
        context.Process(target=open_each, args=(homes, together, told)) for _ in range(AT_ONCE)
    ]
    for process in started:
        process.start()
    found = Counter(told.get(timeout=60) for _ in range(AT_ONCE * len(homes)))
    for process in started:
        process.join(timeout=60)
    assert [process.exitcode for process in started] == [0] * AT_ONCE
    assert found == {(home.name, tables.HEAD, keys.load(home)): AT_ONCE for home in homes}


def test_a_new_file_that_another_process_does_not_let_go_of_is_busy_and_then_opened(
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(tmp_path / "omega.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Transient, match="locked by another process"):
            engine.open_store(Settings(home=tmp_path), wait=0.1)
        other.execute("ROLLBACK")
    store = engine.open_store(Settings(home=tmp_path))
    assert engine.state(store).current == tables.HEAD
    store.close()


def test_opening_a_database_twice_leaves_the_locks_of_the_first_in_place(tmp_path: Path) -> None:
    """Another process that ends must not take our journal for its own and delete it."""
    settings = Settings(home=tmp_path)
    store = engine.open_store(settings)
    state.put(store, "a", 1)
    journal = tmp_path / "omega.db-wal"
    before = journal.stat().st_ino
    engine.open_store(settings).close()
    other = (
        "import sys; from pathlib import Path; from domain.settings import Settings;"
        "from storage import engine, state;"
        "store = engine.open_store(Settings(home=Path(sys.argv[1])));"
        "state.put(store, 'b', 2); store.close()"
    )
    subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True, cwd=ROOT)
    assert journal.exists(), "the other process believed that nobody else was there"
    assert journal.stat().st_ino == before
    state.put(store, "c", 3)
    assert set(state.listing(store, "")) >= {"a", "b", "c"}
    store.close()
    again = engine.open_store(settings)
    engine.integrity(again)
    again.close()


def test_the_clock_of_the_database_is_that_of_this_machine(store: Store) -> None:
    before = WallClock().now()
    told = engine.now(store)
    assert abs(told - before) < timedelta(seconds=5)
