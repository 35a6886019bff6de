"""The bare chain that the canvas is measured against: as many hops, as large a message, no work."""

from typing import Any

from celery import shared_task


@shared_task(name="bare.hop")
def hop(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return batch


@shared_task(name="bare.last")
def last(batch: list[dict[str, Any]]) -> list[str]:
    return [draft["context"]["id"] for draft in batch]
