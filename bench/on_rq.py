"""The four hops on rq: each job enqueues the next. ``rq worker -w bench.on_rq.Opened``.

In JSON and without results, as ours. What rq takes for a job's description would be the whole batch
written out, so it is given one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from rq import Queue, get_current_job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker

from bench import hops
from orchestrator.canvas import STEPS, Batch

QUEUE = "decision"


class Opened(SimpleWorker):
    """Opens its desk before it takes a job, and runs them all in its own process.

    Its `Worker` forks for each job, and a connection must not cross a fork: every hop would open a
    desk and load the models anew.
    """

    def work(self, *args: Any, **kwargs: Any) -> bool:
        hops.prepare()
        return super().work(*args, **kwargs)


def hop(step: str, batch: Batch) -> None:
    found = hops.run(step, batch)
    job = get_current_job()
    if step in hops.AFTER and job is not None:
        _enqueue(job.connection, hops.AFTER[step], found)


def _enqueue(connection: Redis, step: str, batch: Any) -> None:
    queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)
    queue.enqueue_call(hop, (step, batch), description=step, result_ttl=0)


@contextmanager
def sending(url: str) -> Iterator[hops.Send]:
    with Redis.from_url(url) as connection:
        yield lambda batch: _enqueue(connection, STEPS[0], batch)
