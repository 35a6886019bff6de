"""The four hops on dramatiq: a pipeline of actors. ``dramatiq bench.on_dramatiq:broker``."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench import hops
from domain.settings import load
from orchestrator.canvas import STEPS, Batch


class Opening(dramatiq.Middleware):
    """Opens a desk in each process, before its worker thread takes anything."""

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        hops.prepare()


def broker(url: str = "") -> dramatiq.Broker:
    """Return the broker with an actor for each hop, and make it dramatiq's."""
    made = RedisBroker(url=url or load().broker_url)
    made.add_middleware(Opening())
    dramatiq.set_broker(made)
    for step in STEPS:
        dramatiq.actor(partial(hops.run, step), actor_name=step, broker=made, max_retries=0)
    return made


@contextmanager
def sending(url: str) -> Iterator[hops.Send]:
    made = broker(url)
    first, *rest = (made.get_actor(step) for step in STEPS)

    def send(batch: Batch) -> None:
        messages = [first.message(batch), *(actor.message() for actor in rest)]
        dramatiq.pipeline(messages, broker=made).run()

    yield send
    made.close()
