"""Training ahead: the trainings of a replay in processes of their own, before they are due.

A training depends on the market and on nothing that the desk did, so what Sunday's will bring can
be found out while Monday's decisions are still being taken. The result is the same to the byte;
only who waits for whom is different.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from multiprocessing import get_context

from domain.book import Costs
from domain.errors import OmegaError
from domain.settings import Settings
from market.feeds import catalog as feeds
from market.feeds.base import Feed

AHEAD = 12
"""Trainings under way or waiting to be used: two weeks' worth, some 10 MB."""

Slot = tuple[str, datetime]
"""A model, and the moment its training is due."""


class Shelf:
    """Trainings that were ordered, in the order in which they will be due."""

    def __init__(self, pool: ProcessPoolExecutor, slots: Sequence[Slot]) -> None:
        self._pool = pool
        self._later = deque(slots)
        self._ordered: dict[Slot, Future[tuple[bytes, str, str] | OmegaError]] = {}
        for _ in range(AHEAD):
            self._order()

    def _order(self) -> None:
        if self._later:
            slot = self._later.popleft()
            self._ordered[slot] = self._pool.submit(work, *slot)

    def take(self, model: str, asof: datetime) -> tuple[bytes, str, str] | None:
        """Return artifact, version and report as they were written down; None if not ordered.

        Raises what the training raised.
        """
        ordered = self._ordered.pop((model, asof), None)
        if ordered is None:
            return None
        self._order()
        done = ordered.result()
        if isinstance(done, OmegaError):
            raise done
        return done


@contextmanager
def shelf(settings: Settings, slots: Sequence[Slot]) -> Iterator[Shelf]:
    """Train the slots in a process for every processor but the one that decides."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pool = ProcessPoolExecutor(
        max(1, (os.cpu_count() or 1) - 1),
        get_context("spawn"),
        initializer=begin,
        initargs=(settings,),
    )
    try:
        yield Shelf(pool, slots)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_feed: Feed | None = None
_settings: Settings | None = None


def begin(settings: Settings) -> None:
    """Open the feed once, in a process that has just been made."""
    global _feed, _settings
    _feed, _settings = feeds.create(settings), settings
    _feed.panel()


def work(model: str, asof: datetime) -> tuple[bytes, str, str] | OmegaError:
    """Train one slot and write down what came of it."""
    from learning import trainer
    from models.availability import bars

    if _feed is None or _settings is None:
        return OmegaError("this process was not begun")
    costs: Costs = _settings.costs
    try:
        trained = trainer.train(model, bars(model, _feed), asof, _settings.seed, costs)
    except OmegaError as error:
        return error
    return (
        trained.artifact.to_bytes(),
        trained.version.model_dump_json(),
        trained.report.model_dump_json(),
    )
