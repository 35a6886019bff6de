"""Keeping a copy of the SQLite database, and bringing it back. PostgreSQL has tools of its own."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import select

from domain.errors import IntegrityError, Refused
from domain.settings import Settings
from storage import audit, tables
from storage.engine import Store, check_file, connect, file_of, location, writing


class Restored(NamedTuple):
    """Where the file that was replaced lies now, and how far the chains had to go back."""

    aside: Path | None
    lost: dict[str, int]
    """Records that a checkpoint had seen and the backup does not have, by chain."""


def place(settings: Settings) -> Path:
    """Return where the backup is kept."""
    return settings.home / "backup" / "omega.db"


def backup(store: Store) -> Path:
    """Copy the database while it is in use; the last good copy is replaced by a good one only.

    Raises
    ------
    IntegrityError
        The copy is not sound, so the database is not either; the last backup stays.
    Refused
        The database is PostgreSQL.
    """
    if store.file is None:
        raise Refused("omega backs up SQLite; use pg_dump or the server's own backups")
    target = store.home / "backup" / "omega.db"
    target.parent.mkdir(exist_ok=True)
    fresh = target.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(store.file)) as live, closing(sqlite3.connect(fresh)) as copy:
        live.backup(copy)
    _sound(fresh)
    fresh.replace(target)
    return target


def _sound(file: Path) -> None:
    """Check every page of a backup; leave no journal beside it."""
    check_file(file)
    try:
        with closing(sqlite3.connect(file)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")
            [answer] = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer != "ok":
        raise IntegrityError(f"{file} is not sound: {answer}")


def restore(settings: Settings, at: AwareDatetime) -> Restored:
    """Bring back the last backup. The file in its place is moved aside; nothing is deleted.

    The loss is recorded, signed, in the checkpoint file and in the desk's chain, so that
    verification afterwards neither cries over it nor hides it.

    Raises
    ------
    Refused
        There is no backup, or the database is PostgreSQL. Nothing was moved.
    IntegrityError
        The backup is not sound. Nothing was moved.
    """
    file, source = file_of(location(settings)), place(settings)
    if file is None:
        raise Refused("omega restores SQLite; use the tools of PostgreSQL")
    if not source.exists():
        raise Refused(f"there is no backup at {source}; {file} stays where it is")
    fresh = file.with_name(f"{file.name}.new")
    shutil.copyfile(source, fresh)
    _sound(fresh)
    aside = _move_aside(file, at)
    fresh.replace(file)
    store = connect(settings)
    try:
        return Restored(aside, _record(store, aside, at))
    finally:
        store.close()


def _move_aside(file: Path, at: AwareDatetime) -> Path | None:
    """Rename a database and its journals, the journals first: they must never meet the backup."""
    aside = file.with_name(f"{file.name}.corrupt-{at:%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside if aside.exists() else None


def _record(store: Store, aside: Path | None, at: AwareDatetime) -> dict[str, int]:
    seen: dict[str, int] = {}
    for line in audit.binding(audit.kept_lines(store)):
        seen[line.bot] = max(line.seq, seen.get(line.bot, 0))
    with writing(store) as conn:
        bots = set(conn.scalars(select(tables.audit.c.bot).distinct())) | set(seen)
        heads = {bot: audit.head(conn, bot) for bot in sorted(bots)}
        lost = {bot: n - heads[bot][0] for bot, n in seen.items() if n > heads[bot][0]}
        audit.keep(
            store,
            [
                audit.signed(store, bot, seq, end, at, "restored")
                for bot, (seq, end) in heads.items()
            ],
        )
        body = {"moved": aside.name if aside else None, "lost": lost}
        audit.extend(conn, store, [audit.Entry(audit.DESK, "restored", body)], at)
    return lost
