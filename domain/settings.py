"""Settings: the environment (`OMEGA_*`) over `omega.toml` over defaults, validated once."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from domain.book import Costs, Limits
from domain.errors import SettingsError
from domain.values import Value

# To the last @ of the word: a password may hold one, and too much masked is better than too little.
_PASSWORD = re.compile(r"(://[^\s:/@]*:)\S*@")
_QUERY = re.compile(r"([?&]password=)[^&\s'\"]+")


def without_passwords(text: str) -> str:
    """Return a text with the passwords of the URLs in it masked, as a person may see it.

    Examples
    --------
    >>> without_passwords("postgresql://desk:s3cr@t@host/omega does not answer")
    'postgresql://desk:***@host/omega does not answer'
    >>> without_passwords("redis://host:6379/0?password=x&db=1")
    'redis://host:6379/0?password=***&db=1'
    """
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))


class Settings(Value):
    """Everything that can be set. Defaults need no server and never trade real money."""

    home: Path = Path("var")
    """The one folder that everything a run writes lies in."""
    database_url: str = ""
    """SQLAlchemy URL; empty for SQLite in `home`."""
    broker_url: str = "memory://"
    feed: str = "packaged"
    """``packaged``, ``playback`` (which `omega up` takes if none is set), or ``files``."""
    pace: float = Field(5.0, ge=1, le=600)
    """Seconds per session where history is played back."""
    data: Path | None = None
    seed: int = Field(7, ge=0)
    sla_ms: float = Field(120.0, gt=0)
    """Milliseconds from being sent to being sealed that 99 of 100 decisions must keep to. While
    they do not, the desk is in degraded mode."""
    training_seconds: int = Field(2700, ge=1, le=6000)
    """How long a training may take; a tenth more, and its process is ended."""
    limits: Limits = Limits()
    costs: Costs = Costs()
    log_level: str = Field("WARNING", pattern="(?i)^(debug|info|warning|error|critical)$")
    metrics_port: int | None = Field(None, ge=1, le=65_533)
    """Where the first worker of a machine answers `/metrics`, the others on the ports after it."""

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


def _content(name: str, file: Path) -> str:
    """Return the secret in a file. An empty one is an error: it would quietly be the default."""
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: {error}") from error
    if not text:
        raise SettingsError(f"{name}: {file} is empty")
    return text


def _spoken(environ: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment says, by setting."""
    found: dict[str, str] = {}
    for name, text in environ.items():
        upper = name.upper()
        if not upper.startswith("OMEGA_"):
            continue
        plain = upper if upper in names else upper.removesuffix("_FILE")
        if plain not in names:
            hint = _suggest(upper, sorted(names))
            raise SettingsError(f"unknown setting in the environment {name!r}; {hint}")
        if names[plain] in found:
            raise SettingsError(f"{plain} is set twice: of it and {plain}_FILE, set one")
        found[names[plain]] = text if plain == upper else _content(name, Path(text))
    return found


def load(file: Path = Path("omega.toml"), environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: of each, what the environment says, else the file, else the default.

    A nested one has two underscores in the environment: ``OMEGA_LIMITS__LOSS_STREAK=2``. Of any, a
    file can hold the value: ``OMEGA_DATABASE_URL_FILE=/run/secrets/database_url``.

    Parameters
    ----------
    environ
        The environment; this process's if None.

    Raises
    ------
    SettingsError
        A key that is misspelt (the message names the right one), a value out of range, a file that
        is no TOML, or one that should hold a value and cannot be read.
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
    for path, text in _spoken(environ, names).items():
        *outer, last = path.split(".")
        inner = table
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = text
    try:
        return Settings(**table)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(lines) from error
