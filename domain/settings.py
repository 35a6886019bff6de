"""Settings: the environment (`OMEGA_*`) over `omega.toml` over defaults, validated once."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from domain.book import Costs, Limits
from domain.errors import SettingsError


class Settings(BaseSettings):
    """Everything that can be set. Defaults need no server and never trade real money."""

    model_config = SettingsConfigDict(
        env_prefix="OMEGA_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _paths(inner, f"{prefix}{name}.")


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
    """Read the settings.

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
    names = {f"OMEGA_{path.replace('.', '__').upper()}" for path in known}
    for name in environ:
        if name.upper().startswith("OMEGA_") and name.upper() not in names:
            hint = _suggest(name.upper(), sorted(names))
            raise SettingsError(f"unknown setting in the environment {name!r}; {hint}")
    try:
        return Settings(**table)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(lines) from error
