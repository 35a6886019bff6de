"""Is everything in order: each thing looked at on its own, with what to do where it is not."""

import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from api import opening, render
from api.verbs.common import Json
from domain.errors import OmegaError

if TYPE_CHECKING:
    from domain.settings import Settings
    from orchestrator.desk import Desk
    from storage.engine import Store

FAILED = 3
SKEW = 1.0
"""Seconds between the clock and the file system's that are still one time."""
TRIP = 5.0

State = Literal["ok", "note", "fail"]
MARKS = {"ok": ("●", "green"), "note": ("◐", "yellow"), "fail": ("✕", "red")}


class Finding(NamedTuple):
    """What one check found, and what to do about it."""

    check: str
    state: State
    what: str
    remedy: str = ""


class Unwell(Exception):
    """Carries a finding that is not ok out of a check."""

    def __init__(self, what: str, remedy: str, state: State = "fail") -> None:
        super().__init__(what)
        self.what, self.remedy, self.state = what, remedy, state


@dataclass
class Patient:
    """What the checks share: each opens what the later ones need."""

    ctx: typer.Context
    stack: ExitStack
    settings: "Settings | None" = None
    store: "Store | None" = None
    desk: "Desk | None" = None
    findings: list[Finding] = field(default_factory=list)


def doctor(ctx: typer.Context, json: Json = False) -> None:
    """Look at everything Omega needs. Exit code 3 if something is not in order."""
    with ExitStack() as stack, render.progress("doctor") as told:
        patient = Patient(ctx, stack)
        for place, (name, check) in enumerate(CHECKS.items()):
            told(place / len(CHECKS), name)
            patient.findings.append(_look(name, check, patient))
        told(1.0, "")
    findings = patient.findings
    failed = [finding for finding in findings if finding.state == "fail"]
    if json:
        render.emit({"ok": not failed, "checks": [finding._asdict() for finding in findings]})
    else:
        made = Table.grid(padding=(0, 2))
        for found in findings:
            mark, colour = MARKS[found.state]
            what = Text(found.what)
            if found.remedy:
                what.append(f"\n{found.remedy}", style=colour)
            made.add_row(Text(mark, style=colour), Text(found.check, style="dim"), what)
        notes = sum(finding.state == "note" for finding in findings)
        said = f"{len(failed)} of {len(findings)} checks failed" if failed else "in order"
        said += f", {notes} to note" if notes else ""
        render.show(render.spaced(made, said))
    if failed:
        raise typer.Exit(FAILED)


def _look(name: str, check: Callable[[Patient], str], patient: Patient) -> Finding:
    try:
        return Finding(name, "ok", check(patient))
    except Unwell as found:
        return Finding(name, found.state, found.what, found.remedy)
    except OmegaError as error:
        return Finding(name, "fail", str(error))
    except OSError as error:
        return Finding(name, "fail", str(error), "see that the folder exists and is writable")


def _python(_: Patient) -> str:
    version, bits = sys.version_info, platform.architecture()[0]
    said = f"{platform.python_version()}, {bits}, {platform.machine()}"
    if not (3, 11) <= version[:2] <= (3, 13):
        raise Unwell(said, "Omega needs Python 3.11 to 3.13: make PYTHON=python3.12 install")
    return said


def _settings(patient: Patient) -> str:
    from domain.settings import without_passwords

    patient.settings = opening.settings(patient.ctx)
    chosen = patient.settings
    return f"feed {chosen.feed}, broker {without_passwords(chosen.broker_url)}, seed {chosen.seed}"


def _needs_settings(patient: Patient) -> "Settings":
    if patient.settings is None:
        raise Unwell("not looked at", "mend the settings first", "note")
    return patient.settings


def _needs_store(patient: Patient) -> "Store":
    if patient.store is None:
        raise Unwell("not looked at", "mend the database first", "note")
    return patient.store


def _home(patient: Patient) -> str:
    home = _needs_settings(patient).home
    home.mkdir(parents=True, exist_ok=True)
    probe = home / ".doctor"
    probe.write_text("probe")
    probe.unlink()
    return f"{home.resolve()} can be written"


def _database(patient: Patient) -> str:
    from storage import engine

    chosen = _needs_settings(patient)
    store = engine.connect(chosen)
    patient.stack.callback(store.close)
    standing = engine.state(store)
    if standing.current is None:
        standing = engine.upgrade(store)
    if standing.current != standing.head:
        raise Unwell(
            f"revision {standing.current}, this build needs {standing.head}",
            "omega db upgrade, or the build that wrote it",
        )
    patient.store = store
    return f"{store.file or 'PostgreSQL'}, revision {standing.current}"


def _integrity(patient: Patient) -> str:
    from storage import engine

    store = _needs_store(patient)
    engine.integrity(store)
    return "every page and every reference is sound"


def _key(patient: Patient) -> str:
    from storage import audit, engine, keys

    store = _needs_store(patient)
    engine.open_store(_needs_settings(patient)).close()
    file = store.home / keys.NAME
    shared = file.stat().st_mode & 0o077
    if shared:
        raise Unwell(f"{file} can be read by others", f"chmod 600 {file}", "note")
    heads = audit.heads(store)
    records = sum(seq for seq, _ in heads.values())
    return f"signs {len(heads)} chains of {records:,} records"


def _artifacts(patient: Patient) -> str:
    from domain.errors import IntegrityError, ModelError
    from storage import artifacts, registry

    store = _needs_store(patient)
    versions = registry.versions(store)
    for one in versions:
        try:
            artifacts.get(store, one.sha256)
        except (IntegrityError, ModelError) as error:
            raise Unwell(
                f"{one.model} {one.version}: {error}", f"omega models rollback {one.model}"
            ) from error
    return f"{len(versions)} are what their hashes say"


def _desk(patient: Patient) -> str:
    chosen = _needs_settings(patient)
    _needs_store(patient)
    patient.desk = patient.stack.enter_context(opening.desk(chosen))
    panel = patient.desk.feed.panel()
    first, last = panel.times[0].item(), panel.times[-1].item()
    aside = len(patient.desk.feed.quarantined())
    said = f"{chosen.feed}: {len(panel):,} bars of {len(panel.symbols)} symbols, "
    said += f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return said + (f", {aside:,} bars set aside" if aside else "")


def _needs_desk(patient: Patient) -> "Desk":
    if patient.desk is None:
        raise Unwell("not looked at", "mend the feed first", "note")
    return patient.desk


def _champions(patient: Patient) -> str:
    from models.availability import lacking as lacks
    from models.catalog import CATALOG

    desk = _needs_desk(patient)
    desk.registry.look()
    asked = tuple(name for name in CATALOG if name in desk.asked)
    desk.champions.needs(asked)
    serving, refused = desk.champions.versions(), desk.champions.refused
    if refused:
        told = "; ".join(f"{name} {why}" for name, why in refused.items())
        raise Unwell(told, f"omega train {' '.join(refused)}")
    missing = [name for name in asked if name not in serving]
    feed, now = desk.feed, desk.clock.now()
    lacking = {n: why for n in missing if (why := lacks(n, feed, now))}
    silent = [name for name in missing if name not in lacking]
    if silent:
        raise Unwell(
            f"{len(serving)} of {len(asked)} models answer; none for {', '.join(silent)}",
            "omega train --all: until then the bots that ask them hold",
            "note",
        )
    told = f"all {len(serving)} that can be had answer, and pass their golden rows"
    whys = "; ".join(dict.fromkeys(lacking.values()))
    return told + (f"; unavailable are {', '.join(lacking)}: {whys}" if lacking else "")


def _clock(patient: Patient) -> str:
    from datetime import UTC

    from market import calendar
    from market.calendar import TIMETABLE

    probe = _needs_settings(patient).home / ".doctor"
    probe.write_text("")
    wrote, at = datetime.fromtimestamp(probe.stat().st_mtime, UTC), opening.now()
    probe.unlink()
    apart = abs((at - wrote).total_seconds())
    if apart > SKEW:
        raise Unwell(f"{apart:.1f} s from the file system's", "synchronise the clock (NTP)")
    opens = calendar.roll(at)
    return (
        f"{render.when(at)}, {at.astimezone(TIMETABLE):%H:%M} at the exchange; "
        f"the next session opens {render.when(opens)}"
    )


def _broker(patient: Patient) -> str:
    """Send a message through a real worker on the broker and wait for it to come back."""
    from celery.exceptions import TimeoutError as Late

    from domain.settings import without_passwords
    from workers import embedded

    desk = _needs_desk(patient)
    url = without_passwords(desk.settings.broker_url)
    with embedded.running(desk.settings, ("upkeep",)) as app:
        began = perf_counter()
        sent = app.send_task("celery.accumulate", args=("ping",), queue="upkeep")
        try:
            sent.get(timeout=TRIP, interval=0.002, disable_sync_subtasks=False)
        except Late as error:
            raise Unwell(
                f"no answer through {url} within {TRIP:.0f} s",
                "see OMEGA_BROKER_URL; memory:// needs no server",
            ) from error
        took = perf_counter() - began
    return f"{url} there and back in {1000 * took:.0f} ms"


CHECKS: dict[str, Callable[[Patient], str]] = {
    "python": _python,
    "settings": _settings,
    "home": _home,
    "clock": _clock,
    "database": _database,
    "integrity": _integrity,
    "audit key": _key,
    "artifacts": _artifacts,
    "feed": _desk,
    "champions": _champions,
    "broker": _broker,
}
