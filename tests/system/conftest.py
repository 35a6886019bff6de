"""Homes with trained models, and a desk that looks at what a fleet does."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from domain.errors import InsufficientData
from domain.settings import Settings
from learning import loop
from market import calendar
from market.feeds.playback import Playback
from models.availability import unavailable
from orchestrator.desk import Desk
from storage import engine
from tests.system.fleet import SESSION, SLOW, TRADING, at_close, now
from tests.system.record import Tell
from trading.bots.catalog import BOTS
from workers.lifecycle import open_desk


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train what the bots ask, and can be had, on what was known before the session of the tests.

    All of it, or a fleet would begin by training what is missing.
    """
    home = tmp_path_factory.mktemp("trained")
    settings = Settings(home=home, feed="playback")
    store, panel = engine.open_store(settings), Playback().panel()
    asof = calendar.opens(SESSION) - timedelta(hours=1)
    for name in {model: None for bot in BOTS.values() for model in bot.models}:
        if unavailable(name, panel, asof):
            continue
        with suppress(InsufficientData):  # the wheel, which looks a month ahead
            loop.retrain(name, store, panel, asof, settings.seed, settings.costs, "test")
    store.close()
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Settings:
    """Return a home of its own, trained, whose playback stands at a close."""
    shutil.copytree(trained, tmp_path / "home")
    settings = Settings(home=tmp_path / "home", feed="playback", pace=SLOW)
    store = engine.open_store(settings)
    at_close(store, now())
    store.close()
    return settings


@pytest.fixture
def trading(home: Settings) -> Settings:
    """Return such a home, at a close at which some bots trade."""
    store = engine.open_store(home)
    at_close(store, now(), TRADING)
    store.close()
    return home


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Return a function that says how long something took, beside what is aimed at.

    The aim is for a machine of its own. A test fails later, or it would fail for its neighbours.
    """

    def say(what: str, began: float, aim: float) -> None:
        took = round(monotonic() - began, 1)
        record_property(what, took)
        sys.stdout.write(f"{what}: {took} s, aim {aim:g} s\n")

    return say


@pytest.fixture
def looking() -> Iterator[Callable[[Settings], Desk]]:
    """Return a function that opens a desk of this process on a fleet's home."""
    with ExitStack() as stack:

        def open_one(settings: Settings) -> Desk:
            desk = open_desk(settings)
            stack.callback(desk.close)
            return desk

        yield open_one
