"""The same pipeline as a Celery canvas: four hops, a batch of drafts per message.

Tasks are named, not imported, so the orchestrator knows nothing about workers.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery import chain
from celery.canvas import Signature, signature

from domain.decision import Context, Draft

STEPS = ("safety", "inference", "advisor", "limits")
BATCH = 25
"""Drafts per chain: fifty symbols in one chain take 54 ms, in a chain each 341."""

Batch = list[dict[str, Any]]


def pack(contexts: Sequence[Context]) -> Batch:
    """Return what travels: one JSON object per draft."""
    return [Draft(context=context).model_dump(mode="json") for context in contexts]


def decisions(contexts: Sequence[Context]) -> list[Signature]:
    """Return the chains that decide on the contexts, at most `BATCH` to a chain.

    A vetoed draft travels on as data; nothing in here raises.
    """
    first, *rest = (f"decision.{step}" for step in STEPS)
    return [
        chain(signature(first, args=(pack(batch),)), *(signature(step) for step in rest))
        for batch in _batches(contexts)
    ]


def fused(contexts: Sequence[Context]) -> list[Signature]:
    """Return one task per batch that runs all layers: for degraded mode and for history."""
    return [signature("decision.fused", args=(pack(batch),)) for batch in _batches(contexts)]


def _batches(contexts: Sequence[Context]) -> list[Sequence[Context]]:
    return [contexts[i : i + BATCH] for i in range(0, len(contexts), BATCH)]


def publish(contexts: Sequence[Context], *, in_one: bool = False) -> None:
    """Send the contexts on their way; a message expires with the last deadline in it.

    As a number of seconds, since the clock of the desk need not be that of the broker. Nobody waits
    for its result, which is in the record: whoever did would hang as long as the broker does.
    """
    left = max((c.deadline - c.asof for c in contexts), default=timedelta(0))
    for message in fused(contexts) if in_one else decisions(contexts):
        message.apply_async(expires=left.total_seconds(), ignore_result=True)
