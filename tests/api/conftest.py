"""A command line over a home of its own, in this process and in another."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from api.cli import app
from domain.settings import Settings

ROOT = Path(__file__).parents[2]


class Said(NamedTuple):
    """What a verb ended with and said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)


class Omega:
    """The command line on one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str) -> Said:
        """Run a verb in this process."""
        done = CliRunner().invoke(app, [*words, "--home", str(self.home)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    def apart(self, *words: str, **environ: str) -> Said:
        """Run a verb in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "api", *words, "--home", str(self.home)],
            cwd=ROOT,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask or change the database past everything that guards it."""
        with closing(sqlite3.connect(self.home / "omega.db")) as conn, conn:
            return conn.execute(statement, values).fetchall()


@pytest.fixture
def omega(copied: Callable[[str], Settings]) -> Omega:
    """Two months of history behind it: decisions, trades, champions, chains."""
    return Omega(copied("home").home)


@pytest.fixture
def fresh(tmp_path: Path) -> Omega:
    """A home that nothing has been written to."""
    return Omega(tmp_path / "fresh")
