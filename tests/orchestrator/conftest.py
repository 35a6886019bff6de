"""A desk of its own for every test: a real store, the packaged feed, nobody trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.desk import Desk
from tests.orchestrator.made import CLOSE, desk_at


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Desk]:
    """Open a desk at the close of a Monday: every bot flat, no champion."""
    with desk_at(tmp_path / "flat", CLOSE) as desk:
        yield desk
