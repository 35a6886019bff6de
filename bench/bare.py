"""The bare chain that the canvas is measured against: as many hops, no work.

Loaded into a worker of ours beside its own tasks, whose processes say here that they are there.
"""

from typing import Any

from celery import shared_task
from celery.signals import worker_process_init

from bench import hops


@shared_task(name="bare.hop")
def hop(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return batch


@shared_task(name="bare.last")
def last(batch: list[dict[str, Any]]) -> list[str]:
    return [draft["id"] if "id" in draft else draft["context"]["id"] for draft in batch]


@worker_process_init.connect
def tell(**_: Any) -> None:
    hops.ready()
