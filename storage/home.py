"""A home as a whole: everything one run writes, and putting it aside for the next."""

from pathlib import Path

from sqlalchemy import func, select

from domain.book import Switch
from domain.errors import Refused
from domain.settings import Settings
from storage import engine, switches, tables

BESIDE = ("checkpoints.jsonl", "artifacts", "backup", "reports")
"""What belongs to a record beside its database. The audit key stays: it proves the old one too."""


def archive(settings: Settings) -> tuple[Path | None, tuple[Switch, ...]]:
    """Move the record of this home aside, whole, and return where it went.

    Returns
    -------
    path
        Folder under ``archive/``; None when there was no record.
    latches
        Switches that a person had set in it. A replay plays with its own, but a person's latch
        needs a person: the caller sets them again when the replay is over.

    Raises
    ------
    Refused
        The database is PostgreSQL and holds decisions: a replay never mixes with another record.
        Or its switches cannot be read: a latch that nobody could see would be lost.
    """
    file = engine.file_of(engine.location(settings))
    if file is None:
        _refuse_full(settings)
        return None, ()
    if not file.exists():
        return None, ()
    store = engine.connect(settings)
    seen = switches.read(store)
    store.close()
    if not seen.readable:
        raise Refused(
            f"the switches in {file} cannot be read, and a person may have set one: bring the "
            "database back with `omega db restore`, or choose another OMEGA_HOME"
        )
    latches = tuple(latch for latch in seen.latches if latch.human)
    shelf = settings.home / "archive"
    number = 1 + max((int(p.name) for p in shelf.glob("[0-9]*") if p.name.isdigit()), default=0)
    aside = shelf / f"{number:04d}"
    aside.mkdir(parents=True)
    journals = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm")]
    for path in (*journals, *(settings.home / name for name in BESIDE)):
        if path.exists():
            path.rename(aside / path.name)
    return aside, latches


def _refuse_full(settings: Settings) -> None:
    store = engine.open_store(settings)
    with engine.reading(store) as conn:
        held = conn.scalar(select(func.count()).select_from(tables.decisions)) or 0
    store.close()
    if held:
        raise Refused(
            f"the database holds {held} decisions, and a replay wants one of its own: set "
            "OMEGA_DATABASE_URL to an empty one, or leave it out to use SQLite in OMEGA_HOME"
        )
