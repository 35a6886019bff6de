"""What many tests need: a desk with two months of history behind it, played once."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from domain.clock import VirtualClock
from domain.settings import Settings, load
from domain.values import Env
from orchestrator.desk import Desk
from workers.history import Run, replay
from workers.lifecycle import bound, open_desk

START, END = date(2016, 1, 4), date(2016, 3, 4)
NEXT = datetime(2016, 3, 7, 21, tzinfo=UTC)
"""The close after the last one that was played."""


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Run]:
    """Play two months with every bot, training and all, into a home of its own."""
    home = tmp_path_factory.mktemp("played")
    settings = load(environ={}).model_copy(update={"home": home})
    return settings, replay(settings, START, END)


@pytest.fixture
def copied(played: tuple[Settings, Run], tmp_path: Path) -> Callable[[str], Settings]:
    """Return a function that gives a copy of the played home under a name."""

    def copy(name: str) -> Settings:
        shutil.copytree(played[0].home, tmp_path / name)
        return played[0].model_copy(update={"home": tmp_path / name})

    return copy


@pytest.fixture
def at_next_close(copied: Callable[[str], Settings]) -> Iterator[Callable[[str], Desk]]:
    """Return a function that opens and binds a copy of the played desk at the next close."""
    with ExitStack() as stack:

        def open_copy(name: str = "home") -> Desk:
            clock = VirtualClock(NEXT)
            return stack.enter_context(bound(open_desk(copied(name), clock, Env.REPLAY)))

        yield open_copy
