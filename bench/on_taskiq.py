"""The four hops on taskiq: each task sends the next. ``taskiq worker bench.on_taskiq:broker``."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskiq import TaskiqEvents, TaskiqState
from taskiq.kicker import AsyncKicker
from taskiq_redis import ListQueueBroker

from bench import hops
from domain.settings import load
from orchestrator.canvas import STEPS, Batch


def broker(url: str = "") -> ListQueueBroker:
    """Return the broker with a task for each hop."""
    # It waits for a message without end. redis-py gives an answer 5 s by default, so a worker that
    # had nothing to do for that long would die, and be three seconds away.
    made = ListQueueBroker(url or load().broker_url, socket_timeout=None)

    @made.on_event(TaskiqEvents.WORKER_STARTUP)
    async def prepare(_: TaskiqState) -> None:
        hops.prepare()

    for step in STEPS:
        made.register_task(_task(made, step), step)
    return made


def _task(made: ListQueueBroker, step: str) -> Any:
    # Not in a thread: one at a time is what is measured, and a change of thread only costs.
    async def hop(batch: Any) -> None:
        found = hops.run(step, batch)
        if step in hops.AFTER:
            await AsyncKicker(hops.AFTER[step], made, {}).kiq(found)

    return hop


@contextmanager
def sending(url: str) -> Iterator[hops.Send]:
    made = broker(url)
    with asyncio.Runner() as runner:
        runner.run(made.startup())

        def send(batch: Batch) -> None:
            runner.run(AsyncKicker(STEPS[0], made, {}).kiq(batch))

        yield send
        runner.run(made.shutdown())
