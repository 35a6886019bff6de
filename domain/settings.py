"""Settings: the environment (`OMEGA_*`) over `omega.toml` over defaults, validated once."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from domain.book import Costs, Limits
from domain.errors import SettingsError
from domain.values import Value


class Settings(Value):
    """Everything that can be set. Defaults need no server and never trade real money."""

    home: Path = Path("var")
    """The one folder that everything a run writes lies in."""
    database_url: str = ""
    """SQLAlchemy URL; empty for SQLite in `home`."""
    broker_url: str = "memory://"
    feed: str = "packaged"
    """``packaged``, or ``files`` with `data`."""
    data: Path | None = None
    seed: int = Field(7, ge=0)
    limits: Limits = Limits()
    costs: Costs = Costs()
    log_level: str = "WARNING"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'omega.db'}"


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _paths(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _suggest(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def load(file: Path = Path("omega.toml"), environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: of each, what the environment says, else the file, else the default.

    A nested one has two underscores in the environment: ``OMEGA_LIMITS__LOSS_STREAK=2``.

    Parameters
    ----------
    environ
        The environment; this process's if None.

    Raises
    ------
    SettingsError
        A key that is misspelt (the message names the right one), a value out of range, or a file
        that is no TOML.
    """
    environ = os.environ if environ is None else environ
    known = list(_paths(Settings))
    table: dict[str, Any] = {}
    if file.exists():
        try:
            table = tomllib.loads(file.read_text())
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{file}: {error}") from error
        for key in _flat(table):
            if key not in known:
                raise SettingsError(f"{file}: unknown setting {key!r}; {_suggest(key, known)}")
    names = {f"OMEGA_{path.replace('.', '__').upper()}": path for path in known}
    for name, text in environ.items():
        if not name.upper().startswith("OMEGA_"):
            continue
        if name.upper() not in names:
            hint = _suggest(name.upper(), sorted(names))
            raise SettingsError(f"unknown setting in the environment {name!r}; {hint}")
        *outer, last = names[name.upper()].split(".")
        inner = table
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = text
    try:
        return Settings(**table)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(lines) from error
