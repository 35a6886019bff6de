"""The same pipeline as a Celery canvas: four hops, a batch of drafts per message.

Tasks are named, not imported, so the orchestrator knows nothing about workers.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from celery import chain
from celery.canvas import Signature, signature

from domain.decision import Context, Draft, Prediction, Verdict
from domain.values import Value

STEPS = ("safety", "inference", "advisor", "limits")
BATCH = 25
"""Drafts per chain: fifty symbols in one chain take 54 ms, in a chain each 341."""

Batch = list[dict[str, str]]
"""What travels: of each draft its id, and what was said of it as JSON.

Its context does not, for that is in the record: who can write into the broker cannot make one up.
And a message is written and read six times on its way through a hop, where an object is taken apart
and a text is copied. 25 drafts take 59 ms in four hops; with their contexts, as objects, 168.
"""


class Said(Value):
    """All there is of a draft beside its context."""

    predictions: tuple[Prediction, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def pack(drafts: Sequence[Draft]) -> Batch:
    """Return what travels."""
    return [
        {"id": draft.context.id, "said": draft.model_dump_json(exclude={"context"})}
        for draft in drafts
    ]


def ids(batch: Batch) -> list[str]:
    """Return which decisions a batch is about."""
    return [one["id"] for one in batch]


def unpack(batch: Batch, contexts: Mapping[str, Context]) -> list[Draft]:
    """Return the drafts of a batch, without those that have no context.

    Raises `pydantic.ValidationError` if something else was said.
    """
    told = {one["id"]: Said.model_validate_json(one["said"]) for one in batch}
    return [
        Draft(context=contexts[key], predictions=said.predictions, verdicts=said.verdicts)
        for key, said in told.items()
        if key in contexts
    ]


def decisions(contexts: Sequence[Context], *, awaited: bool = False) -> list[Signature]:
    """Return the chains that decide on the contexts, at most `BATCH` to a chain.

    A vetoed draft travels on as data; nothing in here raises. What a hop returns goes on with the
    next message and is kept nowhere else; what the last one returns, the ids, only if somebody
    waits for it.
    """
    first, *middle, last = (f"decision.{step}" for step in STEPS)
    return [
        chain(
            signature(first, args=(batch,), ignore_result=True),
            *(signature(step, ignore_result=True) for step in middle),
            signature(last, ignore_result=not awaited),
        )
        for batch in _batches(contexts)
    ]


def fused(contexts: Sequence[Context]) -> list[Signature]:
    """Return one task per batch that runs all layers: for degraded mode and for history."""
    return [signature("decision.fused", args=(batch,)) for batch in _batches(contexts)]


def _batches(contexts: Sequence[Context]) -> list[Batch]:
    drafts = [Draft(context=context) for context in contexts]
    return [pack(drafts[i : i + BATCH]) for i in range(0, len(drafts), BATCH)]


def publish(contexts: Sequence[Context], *, in_one: bool = False) -> None:
    """Send the contexts on their way; a message expires with the last deadline in it.

    What was due while decisions came too late goes in one task, whatever `in_one` says.

    As a number of seconds, since the clock of the desk need not be that of the broker. Nobody waits
    for its result, which is in the record: whoever did would hang as long as the broker does.
    """
    left = max((c.deadline - c.asof for c in contexts), default=timedelta(0))
    at_once = [context for context in contexts if in_one or context.degraded]
    by_hops = [context for context in contexts if not (in_one or context.degraded)]
    for message in fused(at_once) + decisions(by_hops):
        message.apply_async(expires=left.total_seconds(), ignore_result=True)
