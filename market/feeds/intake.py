"""Taking files in: validated first, then copied into the home with a manifest."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from shutil import copyfile

from domain.errors import ForeignFile, Refused
from domain.settings import Settings
from domain.values import Value
from market import chain as quotes
from market.feeds import chains, files, manifest, rows
from market.feeds.manifest import Entry, Manifest
from market.quality import Defect, Quarantined

Days = tuple[chains.Day, ...]
CHAIN = frozenset({"chain", "chains", "options"})
"""Words in the name of a file or folder that say that it holds chains."""
UNSTATED = "?"


class Intake(Value):
    """What an import did, or would do."""

    folder: str
    taken: tuple[Entry, ...]
    replaced: tuple[str, ...] = ()
    """Names that had been imported before, with other content."""
    refused: tuple[Quarantined, ...] = ()
    """Files that are something else."""
    written: bool = True


class Examined(Value):
    """The option chains of a file or folder that was not imported."""

    chains: tuple[chains.Day, ...]
    refused: tuple[Quarantined, ...]
    """Files of chains that cannot be used."""
    others: int
    """Files that are no chains."""


def folder_of(settings: Settings) -> Path:
    """Return where imported data lies."""
    return settings.home / "data"


def take(
    source: Path | Sequence[Path],
    settings: Settings,
    timezone: str | None = None,
    *,
    collar: float | None = None,
    symbol: str | None = None,
    asof: datetime | None = None,
    dry_run: bool = False,
) -> Intake:
    """Validate files and folders, copy what is usable into the home, and write the manifest.

    A file keeps its name, below the folder that was named. Where a file of that name was imported
    before, it replaces that, unless the two share no day: then it goes on where the other ended (or
    began), and is kept beside it below the name of the folder that it came from. Option chains are
    named by what they are of, and measured.

    Parameters
    ----------
    source
        A file, a folder, or several of both, which are taken in all together or not at all.
    timezone
        Zone of timestamps that state none.
    collar
        Largest credible move from one close to the next, e.g. 2.0 for a factor of 3; None for the
        usual one.
    symbol
        Underlying of chains whose file does not say; None to read it off the name of the file or
        its folder, where that says ``SPX_chain`` or the like.
    asof
        Moment of the import; bars that close later do not count as usable, a later chain is
        refused. None: not checked.
    dry_run
        Say what would happen, and write nothing.

    Raises
    ------
    ForeignFile
        Nothing usable is in it; the message says what was expected.
    Refused
        The source is the home itself, or the home would hold bars within sessions of two lengths,
        one series of two makers, or two chains of one symbol and moment.
    """
    folder = folder_of(settings)
    sources = _outside(folder, [source] if isinstance(source, Path) else list(source))
    before = manifest.read(folder) or Manifest()
    taken: dict[Path, Entry] = {}
    measured: dict[Path, Days] = {}
    refused: list[Quarantined] = []
    for file, name in _named(sources):
        try:
            if quotes.recognised(file):
                entry, measured[file] = _chains(file, symbol, asof)
            else:
                entry = _entry(file, name, timezone, collar, asof)
        except ForeignFile as error:
            if [file] == sources:
                raise
            refused.append(Quarantined(symbol=name, defect=Defect.FOREIGN, detail=str(error)))
        else:
            taken[file] = _placed(entry, file, before, tuple(taken.values()))
    if not taken:
        shown = ", ".join(str(path) for path in sources)
        reasons = files.summary(refused) or rows.EXPECTED
        raise ForeignFile(f"{shown}: nothing usable in it. {reasons}")
    after = before.put(*taken.values())
    _agreed(folder, before, after, {entry.name: file for file, entry in taken.items()})
    known = {entry.name: entry.sha256 for entry in before.entries}
    if not dry_run:
        for file, entry in taken.items():
            _copy(file, folder / entry.name)
        said = {taken[file].sha256: days for file, days in measured.items()}
        manifest.write(folder, _vouched(folder, after, said))
    return Intake(
        folder=str(folder),
        taken=tuple(taken.values()),
        replaced=tuple(e.name for e in taken.values() if known.get(e.name, e.sha256) != e.sha256),
        refused=tuple(refused),
        written=not dry_run,
    )


def examine(path: Path, symbol: str | None = None) -> Examined:
    """Read the option chains of a file or folder, and say which of them cannot be used."""
    found: list[chains.Day] = []
    refused: list[Quarantined] = []
    every = files.found(path) if path.is_dir() else [path]
    own = [file for file in every if quotes.recognised(file)]
    for file in own:
        try:
            found += _chains(file, symbol, None)[1]
        except ForeignFile as error:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            refused.append(Quarantined(symbol=name, defect=Defect.FOREIGN, detail=str(error)))
    return Examined(chains=tuple(found), refused=tuple(refused), others=len(every) - len(own))


def _outside(folder: Path, sources: list[Path]) -> list[Path]:
    """Return the sources, none of which may be the home's own data."""
    for path in sources:
        if path.resolve().is_relative_to(folder.resolve()):
            raise Refused(f"{path} is already in {folder}; there is nothing to import")
    return sources


def _named(sources: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield every file once, with its path below the folder that was named."""
    seen: set[Path] = set()
    for path in sources:
        for file in files.found(path) if path.is_dir() else [path]:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file, file.relative_to(path).as_posix() if path.is_dir() else file.name


def _placed(entry: Entry, file: Path, before: Manifest, taken: tuple[Entry, ...]) -> Entry:
    """Return the entry under the name that its file gets in the home.

    Of two files of one name in one import neither replaces the other: both were asked for.
    """
    now = {one.name: one for one in taken}
    held = {one.name: one for one in before.entries} | now
    beside = entry.model_copy(update={"name": f"{file.resolve().parent.name}/{entry.name}"})
    for place in (entry, beside):
        there = held.get(place.name)
        if there is None or there.sha256 == entry.sha256:
            return place
        if there.name not in now and (entry.kind == "chain" or _meet(there, entry)):
            return place
    raise Refused(f"{file} has the name of another file, {beside.name}; rename it")


def _meet(one: Entry, other: Entry) -> bool:
    """Whether two files share a stretch of time, or one of them has none to tell by."""
    if one.first is None or one.last is None or other.first is None or other.last is None:
        return True
    return one.first <= other.last and other.first <= one.last


def whose(file: Path) -> str | None:
    """Return the underlying that the name of a file of chains, or of its folder, states.

    Examples
    --------
    >>> whose(Path("options/vix_chain_2026.csv.gz")), whose(Path("spx_chain_2026/2026-06-12.csv"))
    ('VIX', 'SPX')

    Nothing is guessed from a name that says nothing of chains:

    >>> whose(Path("downloads/2026-06-12.csv"))
    """
    for text in (file.name.split(".")[0], file.parent.name):
        words = re.split(r"[_\- ]+", text.lower())
        plain = [word for word in words if word not in CHAIN and not rows.NOISE.fullmatch(word)]
        if len(plain) == 1 and CHAIN & set(words):
            symbol = rows.symbol_of(plain[0])
            return quotes.PARENT.get(symbol, symbol)
    return None


def _chains(file: Path, symbol: str | None, asof: datetime | None) -> tuple[Entry, Days]:
    """Return what the manifest says of a file of chains, and what was measured from it."""
    stated = symbol.strip().upper() if symbol else whose(file)
    raw = file.read_bytes()
    days = chains.days(raw, file.name, stated or UNSTATED)
    first, last = days[0], days[-1]
    if first.symbol == UNSTATED:
        raise ForeignFile(
            f"{file.name}: an option chain that does not say of what; say it with --symbol SPX"
        )
    if asof is not None and last.asof > asof:
        raise ForeignFile(f"{file.name}: a chain of {last.asof}, which is later than now, {asof}")
    stem = f"{first.asof:%Y-%m-%dT%H%MZ}"
    stem += "" if len(days) == 1 else f"_{last.asof:%Y-%m-%dT%H%MZ}"
    ending = ".csv.gz" if raw.startswith(quotes.GZIP) else ".csv"
    contracts = sum(day.contracts for day in days)
    entry = Entry(
        name=f"chains/{first.symbol}/{stem}{ending}",
        sha256=sha256(raw).hexdigest(),
        symbols=(first.symbol,),
        frequency="daily",
        rows=contracts,
        usable=contracts,
        first=first.asof,
        last=last.asof,
        quarantined={},
        kind="chain",
        chains=tuple(day.asof for day in days),
    )
    return entry, days


def _vouched(folder: Path, after: Manifest, said: dict[str, Days]) -> Manifest:
    """Keep what was measured from all chains, and return the manifest that vouches for it."""
    held = chains.held(after.entries)
    if not held:
        return after
    fresh = after.model_copy(
        update={"entries": tuple(entry for entry in held if entry.sha256 not in said)}
    )
    known = chains.load(folder, fresh) | said
    kept = {entry.sha256: known[entry.sha256] for entry in held}
    return after.model_copy(update={"derived": chains.write(folder, kept)})


def _entry(
    file: Path, name: str, timezone: str | None, collar: float | None, asof: datetime | None
) -> Entry:
    """Return what the manifest says of one file; `ForeignFile` when no bar of it can be used."""
    parts = rows.read(file, timezone, collar)
    cleaned = [part.clean(asof) for part in parts]
    bad = [entry for _, entries in cleaned for entry in entries if entry.row is not None]
    usable = sum(len(frame) for frame, _ in cleaned)
    if not usable:
        raise ForeignFile(f"{file.name}: not one usable bar. {files.summary(bad)}")
    stamps = [frame["time"].iloc[i] for frame, _ in cleaned if len(frame) for i in (0, -1)]
    return Entry(
        vendor=parts[0].vendor,
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


def _agreed(folder: Path, before: Manifest, merged: Manifest, taken: dict[str, Path]) -> None:
    """Refuse what the home would hold unless it goes together."""
    _one_length(folder, merged, taken)
    _one_maker(before, merged)
    _one_chain(folder, merged)


def _one_length(folder: Path, merged: Manifest, taken: dict[str, Path]) -> None:
    """Refuse bars within sessions of two lengths; daily ones may stand beside those of one."""
    bars = (entry for entry in merged.entries if entry.kind == "bars")
    within = [entry for entry in bars if entry.frequency == "intraday"]
    lengths: dict[int, str] = {}
    for entry in within if len(within) > 1 else ():
        for part in rows.read(taken.get(entry.name, folder / entry.name), entry.timezone):
            if part.symbol not in rows.SERIES:
                lengths.setdefault(part.interval, entry.name)
    if len(lengths) > 1:
        shown = " and ".join(f"bars of {n // 60} min ({name})" for n, name in lengths.items())
        raise Refused(f"{folder} would hold {shown}; give one of them a home of its own")


def _one_maker(before: Manifest, merged: Manifest) -> None:
    """Refuse a series of two makers, and one maker in place of another; say which is there."""
    held = _makers(before)
    doubt = files.mixed([*held, *_makers(merged)])
    if not doubt:
        return
    there = [
        f"{file} of {maker or files.OWN}"
        for name, maker, file in held
        if doubt.startswith(f"{name} ")
    ]
    already = f" There already is {there[0]}." if there else ""
    raise Refused(f"{doubt}.{already} Leave one out, or give it a home of its own (OMEGA_HOME).")


def _makers(held: Manifest) -> list[tuple[str, str | None, str]]:
    """Return each series with who made it and its file, those that chains give included."""
    bars = [entry for entry in held.entries if entry.kind == "bars"]
    first = files.benchmark(symbol for entry in bars for symbol in entry.symbols)
    found = [(symbol, entry.vendor, entry.name) for entry in bars for symbol in entry.symbols]
    for entry in chains.held(held.entries):
        if entry.symbols[0] == first:
            found += [(name, chains.MEASURED, entry.name) for name in chains.LEVELS]
    return found


def _one_chain(folder: Path, merged: Manifest) -> None:
    """Refuse two chains of one symbol and moment: nobody could say which of them was true."""
    seen: dict[tuple[str, datetime], str] = {}
    for entry in chains.held(merged.entries):
        for at in entry.chains:
            other = seen.setdefault((entry.symbols[0], at), entry.name)
            if other != entry.name:
                raise Refused(
                    f"{folder} would hold two chains of {entry.symbols[0]} at "
                    f"{at:%Y-%m-%d %H:%MZ}: {other} and {entry.name}; leave one out"
                )


def _copy(file: Path, to: Path) -> None:
    """Copy a file, whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = to.with_name(f".{to.name}.part")
    copyfile(file, draft)
    draft.replace(to)
