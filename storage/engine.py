"""The database: opening it, and one transaction at a time."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import ceil
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple
from weakref import WeakSet

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy import exc as sql

from domain.errors import IntegrityError, OmegaError, SettingsError, Transient
from domain.settings import Settings
from storage import keys, tables

WAIT = 5.0
"""Seconds that a transaction waits for another one before it gives up."""
AGAIN = 0.01
"""Seconds between two attempts where SQLite does not wait by itself."""
RESTORE = "omega db restore"
"""The verb that `storage.backup.restore` is."""
SMALL = 64 << 20
"""Bytes up to which an SQLite file is checked whole whenever it is opened; that takes 0.1 s."""
MAGIC = b"SQLite format 3\0"
TEXT = partial(str, encoding="utf-8", errors="replace")

# https://www.sqlite.org/rescode.html, the low byte
_BUSY, _FULL, _CORRUPT, _CANNOT = {5, 6}, {10, 13}, {11, 26}, {8, 14}
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, resources, operator
# intervention; deadlock, serialisation and lock not available. None: no server answered.
_AWAY = ("08", "53", "57", "40", "55P03")


_open: WeakSet[Engine] = WeakSet()
"""Engines of this process that may hold a connection to an SQLite file."""


@dataclass(frozen=True)
class Store:
    """Where the desk remembers: a database, the key of its audit chain, and a folder."""

    engine: Engine
    key: bytes = field(repr=False)
    home: Path

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        return file_of(self.engine.url)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        _open.discard(self.engine)


class State(NamedTuple):
    """Which revision the schema has, and which one this build needs."""

    current: str | None
    head: str


def file_of(url: URL) -> Path | None:
    """Return the file behind an SQLite URL, None for PostgreSQL.

    Raises
    ------
    SettingsError
        Neither of the two, or SQLite in memory, which no second process could see.
    """
    if url.get_backend_name() == "postgresql":
        return None
    if url.get_backend_name() != "sqlite":
        raise SettingsError(f"database_url: {url.drivername!r}; use sqlite:/// or postgresql://")
    if url.database in (None, "", ":memory:"):
        raise SettingsError("database_url: SQLite needs a file, as in sqlite:///var/omega.db")
    return Path(str(url.database))


def location(settings: Settings) -> URL:
    """Return the database's URL with the driver this build has.

    Examples
    --------
    >>> location(Settings(database_url="postgres://desk@localhost/omega")).drivername
    'postgresql+psycopg'
    """
    try:
        url = make_url(settings.database)
    except sql.ArgumentError as error:
        raise SettingsError(f"database_url: {error}") from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    return url


def corrupt(file: object, what: object) -> IntegrityError:
    """Return the error of a database that cannot be trusted, with the way out of it."""
    return IntegrityError(
        f"{file} is corrupt ({what}). Nothing was changed. "
        f"Bring back the last backup, keeping this file beside it, with: {RESTORE}"
    )


def check_file(file: Path) -> None:
    """Refuse a file that is no SQLite database or has been cut short.

    Where a write-ahead log lies beside it, it may be shorter than it says: who copies the log into
    it, or was killed at that, writes the header first. The log then has the rest.

    A file that this process has open is left alone. Closing any descriptor of a file takes away
    all locks that the process holds on it, SQLite's too; another process then believes that it is
    the last one, deletes the journal that is in use, and the database is corrupt
    (https://www.sqlite.org/howtocorrupt.html, 2.2).

    Reads 100 bytes, so every opening can afford it. Bytes 16 and 28 of the header hold the page
    size and the number of pages (https://www.sqlite.org/fileformat.html).

    Raises
    ------
    IntegrityError
        With the command that restores it.
    """
    if not file.exists() or not file.stat().st_size or _is_open(file):
        return
    with file.open("rb") as stream:
        header = stream.read(100)
    if not header.startswith(MAGIC):
        raise corrupt(file, "it does not start like an SQLite database")
    size = int.from_bytes(header[16:18]) or 1
    pages = int.from_bytes(header[28:32])
    short = file.stat().st_size < (65_536 if size == 1 else size) * pages
    if short and not _has_log(file):
        raise corrupt(file, "it has been cut short")


def _has_log(file: Path) -> bool:
    log = file.with_name(f"{file.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _is_open(file: Path) -> bool:
    known = [file_of(engine.url) for engine in _open]
    return any(other is not None and other.exists() and other.samefile(file) for other in known)


def connect(settings: Settings, wait: float = WAIT) -> Store:
    """Return a store without looking at its schema: what mends and examines a database opens it so.

    Raises
    ------
    IntegrityError
        The SQLite file is corrupt, or the audit key's file holds none.
    SettingsError
        The URL is of no database we know, or the folder cannot be made.
    """
    url = location(settings)
    file = file_of(url)
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            check_file(file)
    except OSError as error:
        raise SettingsError(f"home or database_url: {error}") from error
    if file is None:
        return Store(_postgresql(url, wait), keys.load(settings.home), settings.home)
    return Store(_sqlite(url, wait), keys.load(settings.home), settings.home)


def open_store(settings: Settings, wait: float = WAIT) -> Store:
    """Open the database; make it if there is none.

    Raises
    ------
    IntegrityError
        The file is corrupt (the message has the command that restores it), or the audit key is
        not the one that signed this database.
    SettingsError
        The schema is of another build; the message says what to run.
    Transient
        The database does not answer.
    """
    store = connect(settings, wait)
    try:
        standing = state(store)
        if standing.current is None:
            standing = upgrade(store)
        _recognise(store, standing)
    except BaseException:
        store.close()
        raise
    return store


def _recognise(store: Store, standing: State) -> None:
    """Refuse damage, the schema of another build, and a chain begun with another key."""
    if standing.current != standing.head:
        raise SettingsError(
            f"the database is at revision {standing.current}, this build needs "
            f"{standing.head}: run `omega db upgrade`, or the build that wrote it"
        )
    with reading(store) as conn:
        if store.file is not None and store.file.stat().st_size <= SMALL:
            _sound(store.file, conn, "quick_check(1)")
        first = conn.execute(
            select(tables.audit).order_by(tables.audit.c.bot, tables.audit.c.seq).limit(1)
        ).first()
    if first is None:
        return
    parts = (first.bot, first.seq, first.prev, first.at, first.kind, first.body)
    if keys.sign(store.key, "v1", *parts) != first.hash:
        raise IntegrityError(
            f"{store.home / keys.NAME} did not sign record {first.seq} of {first.bot}: put the "
            "right key back, or see what was changed with: omega trail verify"
        )


def state(store: Store) -> State:
    """Return the revision of the schema; `current` is None for an empty database."""
    with reading(store) as conn:
        if not inspect(conn).has_table("alembic_version"):
            return State(None, tables.HEAD)
        return State(conn.scalar(text("SELECT version_num FROM alembic_version")), tables.HEAD)


def now(store: Store) -> datetime:
    """Return what time it is by the database's clock, which all processes of a desk share."""
    with reading(store) as conn:
        if store.file is None:
            told: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
            return told.astimezone(UTC)
        said = conn.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")).scalar_one()
    return datetime.fromisoformat(said).replace(tzinfo=UTC)


def upgrade(store: Store) -> State:
    """Bring the schema to the newest revision, in one transaction.

    Of two processes that start on an empty database, one makes the schema and the other waits.
    """
    # Here, because importing it takes 0.2 s that only a new database has to pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with writing(store) as conn:
        if conn.dialect.name == "postgresql":
            conn.execute(select(func.pg_advisory_xact_lock(func.hashtext("omega-schema"))))
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
    return state(store)


def integrity(store: Store) -> None:
    """Read the whole SQLite file and check its structure. Takes about 1 s per 200 MB.

    PostgreSQL checks its own pages as it reads them, so there it only has to answer.

    Raises
    ------
    IntegrityError
        With what is wrong and the command that restores it.
    """
    with reading(store) as conn:
        if store.file is None:
            conn.execute(text("SELECT 1"))
            return
        _sound(store.file, conn, "integrity_check(3)")
        strays = conn.execute(text("PRAGMA foreign_key_check")).all()
    if strays:
        raise corrupt(store.file, f"{len(strays)} rows refer to nothing, first {strays[0]}")


def _sound(file: Path, conn: Connection, check: str) -> None:
    answers = conn.scalars(text(f"PRAGMA {check}")).all()
    if answers != ["ok"]:
        raise corrupt(file, "; ".join(" ".join(answer.split()) for answer in answers))


@contextmanager
def writing(store: Store) -> Iterator[Connection]:
    """Give one transaction that may write; all of it is committed, or nothing.

    On SQLite it is the only writer from its first statement on (BEGIN IMMEDIATE).

    Raises
    ------
    Transient
        Another writer kept it waiting too long, the disk is full, the server is away.
    IntegrityError
        The schema refuses what was written, or the database is corrupt.
    """
    with _meaning(store), store.engine.connect() as conn:
        conn.execution_options(omega_writes=True)
        with conn.begin():
            fence = _fence.get()
            if fence is not None:
                fence(conn)
            yield conn


_fence: ContextVar[Callable[[Connection], None] | None] = ContextVar("fence", default=None)


@contextmanager
def fenced(check: Callable[[Connection], None]) -> Iterator[None]:
    """Let every transaction that may write begin with a check, which raises if it may not.

    Of this context: another thread is not fenced.
    """
    token = _fence.set(check)
    try:
        yield
    finally:
        _fence.reset(token)


_snapshot: ContextVar[tuple[Engine, Connection] | None] = ContextVar("snapshot", default=None)


@contextmanager
def reading(store: Store) -> Iterator[Connection]:
    """Give one transaction that sees a single state of the database and writes nothing.

    Within another reading of the same store it is that one: what is read together is read at the
    same moment, and opened once.
    """
    outer = _snapshot.get()
    if outer is not None and outer[0] is store.engine:
        yield outer[1]
        return
    with _meaning(store), store.engine.connect() as conn:
        if store.engine.dialect.name == "postgresql":
            conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with conn.begin() as transaction:
            token = _snapshot.set((store.engine, conn))
            try:
                yield conn
            finally:
                _snapshot.reset(token)
            transaction.rollback()


@contextmanager
def _meaning(store: Store) -> Iterator[None]:
    """Turn the database's errors into ours; what is a mistake of the program stays what it is."""
    try:
        yield
    except sql.DBAPIError as error:
        ours = _translate(store, error)
        if ours is None:
            raise
        raise ours from error
    except sql.TimeoutError as error:
        raise Transient(f"every connection to the database is in use: {error}") from error


def _translate(store: Store, error: sql.DBAPIError) -> OmegaError | None:
    what = error.orig
    if isinstance(error, sql.IntegrityError):
        return IntegrityError(f"the database refuses it: {what}")
    if isinstance(what, sqlite3.Error):
        return _sqlite_error(store.file, what)
    code = getattr(what, "sqlstate", None)
    if isinstance(error, sql.OperationalError) and (code is None or code.startswith(_AWAY)):
        return Transient(f"the database is busy or away: {what}")
    if code in ("XX001", "XX002"):
        return IntegrityError(f"the database is corrupt: {what}; restore it from its own backup")
    return None


def _sqlite_error(file: Path | None, what: sqlite3.Error) -> OmegaError | None:
    code = getattr(what, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return Transient(f"{file} is locked by another process: {what}")
    if code in _FULL:
        return Transient(f"{file} cannot grow: {what}; nothing was written. Make room on the disk")
    if code in _CORRUPT:
        return corrupt(file, what)
    if code in _CANNOT:
        return SettingsError(f"{file}: {what}; the folder must exist and be writable")
    return None


def _sqlite(url: URL, wait: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": wait})
    _open.add(engine)
    event.listen(engine, "connect", partial(_prepare, wait))
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(wait: float, connection: Any, _record: object) -> None:
    """Set up one SQLite connection: we begin transactions ourselves, and readers never wait.

    NORMAL loses the last commits, but no consistency, when the machine (not the process) dies;
    it seals seven times as many records a second as FULL.

    A text that is no UTF-8 any more was changed by somebody. It is read with a mark in its place,
    so that its hash fails and verification can name the record, instead of failing to read it.
    """
    connection.isolation_level = None
    connection.text_factory = TEXT
    _write_ahead(connection, monotonic() + wait)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection: Any, until: float) -> None:
    """Turn the write-ahead log on, and wait for others that do so.

    SQLite itself does not wait here: two that read a new file and both want to write would wait
    for each other. Of 320 processes, four at a time on a new file, 9 were told that it is locked.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or monotonic() > until:
                raise
            sleep(AGAIN)
        else:
            return


def _begin(conn: Connection) -> None:
    writes = conn.get_execution_options().get("omega_writes")
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL, wait: float) -> Engine:
    bounds = f"-c lock_timeout={ceil(wait * 1000)} -c idle_in_transaction_session_timeout=60000"
    arguments = {"connect_timeout": max(2, ceil(wait)), "options": bounds}
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_timeout=wait)
