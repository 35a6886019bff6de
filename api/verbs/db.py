"""The database: its schema, its copy, its health."""

import sys
from typing import Annotated

import typer

from api import opening, render
from api.verbs.common import DryRun, Json
from domain.errors import Refused

app = typer.Typer(help="The database: upgrade, backup, restore, check.", no_args_is_help=True)


@app.command()
def upgrade(ctx: typer.Context, json: Json = False, dry_run: DryRun = False) -> None:
    """Bring the schema to the revision that this build needs."""
    from storage import engine

    store = engine.connect(opening.settings(ctx))
    try:
        before = engine.state(store)
        after = before if dry_run else engine.upgrade(store)
    finally:
        store.close()
    if json:
        told = {"before": before.current, "now": after.current, "head": after.head}
        render.emit(told | {"dry_run": dry_run})
    elif before.current == before.head:
        render.show(f"the schema is at {before.head}, the newest")
    else:
        verb = "would go" if dry_run else "went"
        render.show(f"the schema {verb} from {before.current or 'nothing'} to {before.head}")


@app.command()
def backup(ctx: typer.Context, json: Json = False) -> None:
    """Copy the SQLite database while it is in use; only a sound copy replaces the last one."""
    from storage import backup as backups

    with opening.store(ctx) as store:
        file = backups.backup(store)
    size = file.stat().st_size
    if json:
        render.emit({"file": str(file), "bytes": size})
    else:
        render.show(f"{file}, {size / 1e6:,.1f} MB, checked")


@app.command()
def restore(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Bring back the last backup. The file in its place is kept beside it."""
    from storage import backup as backups
    from workers import supervise

    chosen = opening.settings(ctx)
    source = backups.place(chosen)
    if dry_run:
        there = source.exists()
        if json:
            render.emit({"source": str(source), "there": there, "dry_run": True})
        else:
            render.show(f"{source} {'would come back' if there else 'does not exist'}")
        return
    if not yes:
        if json or not sys.stdin.isatty():
            raise Refused("restoring replaces the database: say --yes")
        typer.confirm(f"Replace the database by {source}?", abort=True, err=True)
    with supervise.alone(chosen.home):
        done = backups.restore(chosen, opening.now())
    if json:
        render.emit({"source": str(source), "aside": done.aside, "lost": done.lost})
        return
    lost = ", ".join(f"{n:,} of {bot}" for bot, n in done.lost.items())
    render.show(
        f"{source} is the database again",
        f"lost since the backup: {lost or 'no record that a checkpoint had seen'}",
        f"what was there lies at {done.aside or 'nowhere: there was no file'}",
    )


@app.command()
def check(ctx: typer.Context, json: Json = False) -> None:
    """Read the whole database and check its structure; `omega trail verify` proves the content."""
    from storage import engine

    with opening.store(ctx) as store:
        engine.integrity(store)
        at = engine.state(store).current
        file = store.file
    if json:
        render.emit({"ok": True, "revision": at, "file": file})
    else:
        render.show(f"sound, revision {at}: {file or 'PostgreSQL'}")
