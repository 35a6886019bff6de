"""Taking files in: validated first, then copied into the home with a manifest."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile

from domain.errors import ForeignFile, Refused
from domain.settings import Settings
from domain.values import Value
from market.feeds import files, manifest
from market.feeds.manifest import Entry, Manifest
from market.quality import Defect, Quarantined


class Intake(Value):
    """What an import did, or would do."""

    folder: str
    taken: tuple[Entry, ...]
    replaced: tuple[str, ...] = ()
    """Names that had been imported before, with other content."""
    refused: tuple[Quarantined, ...] = ()
    """Files that are something else."""
    written: bool = True


def folder_of(settings: Settings) -> Path:
    """Return where imported data lies."""
    return settings.home / "data"


def take(
    source: Path,
    settings: Settings,
    timezone: str | None = None,
    *,
    collar: float | None = None,
    asof: datetime | None = None,
    dry_run: bool = False,
) -> Intake:
    """Validate a file or a folder, copy what is usable into the home, and write the manifest.

    Parameters
    ----------
    timezone
        Zone of timestamps that state none.
    collar
        Largest credible move from one close to the next, e.g. 2.0 for a factor of 3; None for the
        usual one.
    asof
        Moment of the import; bars that close later do not count as usable. None: not checked.
    dry_run
        Say what would happen, and write nothing.

    Raises
    ------
    ForeignFile
        Nothing usable is in it; the message says what was expected.
    Refused
        The source is the home itself, or its bars within sessions and those in the home are of
        different lengths.
    """
    folder = folder_of(settings)
    if source.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"{source} is already in {folder}; there is nothing to import")
    before = manifest.read(folder) or Manifest()
    taken: dict[Path, Entry] = {}
    refused: list[Quarantined] = []
    for file in files.found(source) if source.is_dir() else [source]:
        name = file.relative_to(source).as_posix() if source.is_dir() else file.name
        try:
            taken[file] = _entry(file, name, timezone, collar, asof)
        except ForeignFile as error:
            if not source.is_dir():
                raise
            refused.append(Quarantined(symbol=name, defect=Defect.FOREIGN, detail=str(error)))
    if not taken:
        reasons = files.summary(refused) or files.EXPECTED
        raise ForeignFile(f"{source}: nothing usable in it. {reasons}")
    after = before.put(*taken.values())
    _one_length(folder, after, {entry.name: file for file, entry in taken.items()})
    known = {entry.name: entry.sha256 for entry in before.entries}
    if not dry_run:
        for file, entry in taken.items():
            _copy(file, folder / entry.name)
        manifest.write(folder, after)
    return Intake(
        folder=str(folder),
        taken=tuple(taken.values()),
        replaced=tuple(e.name for e in taken.values() if known.get(e.name, e.sha256) != e.sha256),
        refused=tuple(refused),
        written=not dry_run,
    )


def _entry(
    file: Path, name: str, timezone: str | None, collar: float | None, asof: datetime | None
) -> Entry:
    """Return what the manifest says of one file; `ForeignFile` when no bar of it can be used."""
    parts = files.read(file, timezone, collar)
    cleaned = [part.clean(asof) for part in parts]
    bad = [entry for _, entries in cleaned for entry in entries if entry.row is not None]
    usable = sum(len(frame) for frame, _ in cleaned)
    if not usable:
        raise ForeignFile(f"{file.name}: not one usable bar. {files.summary(bad)}")
    stamps = [frame["time"].iloc[i] for frame, _ in cleaned if len(frame) for i in (0, -1)]
    return Entry(
        name=name,
        sha256=manifest.fingerprint(file),
        symbols=tuple(part.symbol for part in parts),
        frequency=parts[0].frequency,
        timezone=timezone if parts[0].frequency == "intraday" else None,
        collar=collar,
        rows=sum(len(part.frame) for part in parts),
        usable=usable,
        first=min(stamps).to_pydatetime().replace(tzinfo=UTC),
        last=max(stamps).to_pydatetime().replace(tzinfo=UTC),
        quarantined=dict(sorted(Counter(entry.defect for entry in bad).items())),
    )


def _one_length(folder: Path, merged: Manifest, taken: dict[str, Path]) -> None:
    """Refuse bars within sessions of two lengths; daily ones may stand beside those of one."""
    within = [e for e in merged.entries if e.frequency == "intraday"]
    lengths: dict[int, str] = {}
    for entry in within if len(within) > 1 else ():
        for part in files.read(taken.get(entry.name, folder / entry.name), entry.timezone):
            if part.symbol not in files.SERIES:
                lengths.setdefault(part.interval, entry.name)
    if len(lengths) > 1:
        shown = " and ".join(f"bars of {n // 60} min ({name})" for n, name in lengths.items())
        raise Refused(f"{folder} would hold {shown}; give one of them a home of its own")


def _copy(file: Path, to: Path) -> None:
    """Copy a file, whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = to.with_name(f".{to.name}.part")
    copyfile(file, draft)
    draft.replace(to)
