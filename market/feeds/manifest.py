"""What was imported: one entry per file, with its hash, its time zone and what was set aside."""

from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, ValidationError

from domain.errors import ForeignFile, IntegrityError
from domain.values import Value
from market.quality import Defect, Frequency

NAME = "manifest.json"


class Entry(Value):
    """One imported file."""

    name: str
    """Path inside the folder, with forward slashes."""
    sha256: str
    symbols: tuple[str, ...]
    frequency: Frequency
    timezone: str | None = None
    """Of its timestamps, where they state none themselves."""
    collar: float | None = None
    """Largest credible move, where it is not the usual one."""
    rows: int
    usable: int
    first: AwareDatetime | None
    last: AwareDatetime | None
    quarantined: dict[Defect, int]
    kind: Literal["bars", "chain"] = "bars"
    vendor: str | None = None
    """Whose figures these are, where a vendor's layout says so."""
    chains: tuple[AwareDatetime, ...] = ()
    """Of a file of option chains: when the quotes of each were alive."""


class Manifest(Value):
    """Everything in a folder of imported data, by name."""

    entries: tuple[Entry, ...] = ()
    derived: str | None = None
    """SHA-256 of what was measured from the option chains among them."""

    def entry(self, name: str) -> Entry:
        """Return the entry of a file. Raises `ForeignFile` when it was not imported."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise ForeignFile(f"{name} lies among imported files; use `omega data import`")

    def put(self, *entries: Entry) -> "Manifest":
        """Return a manifest with these entries added, each in place of one of the same name."""
        merged = {entry.name: entry for entry in (*self.entries, *entries)}
        return Manifest(entries=tuple(merged[name] for name in sorted(merged)))


def read(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, or None if nothing was ever imported into it.

    Raises `IntegrityError` when it cannot be read.
    """
    file = folder / NAME
    if not file.is_file():
        return None
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise IntegrityError(f"{file} is damaged; import the data again") from error


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all."""
    draft = folder / f".{NAME}.part"
    draft.write_text(manifest.model_dump_json(indent=1) + "\n")
    draft.replace(folder / NAME)


def fingerprint(file: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(folder: Path, manifest: Manifest) -> None:
    """Raise `IntegrityError` unless every imported file is there and is what was imported."""
    for entry in manifest.entries:
        file = folder / entry.name
        if not file.is_file():
            raise IntegrityError(f"{file} was imported and is gone; import it again")
        if fingerprint(file) != entry.sha256:
            raise changed(file)


def content(folder: Path, entry: Entry) -> bytes:
    """Return the bytes of one imported file, the very ones that were hashed.

    Raises `IntegrityError` when they are not those that were imported.
    """
    file = folder / entry.name
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{file} was imported and is gone; import it again") from error
    if sha256(raw).hexdigest() != entry.sha256:
        raise changed(file)
    return raw


def changed(file: Path) -> IntegrityError:
    """Return the error of a file that is not what it was."""
    return IntegrityError(f"{file} has changed since it was imported; import it again")
