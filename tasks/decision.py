"""The layers as Celery tasks: unpack the batch, map the layer, return the batch."""

from typing import Any

from celery import shared_task

from domain.decision import Draft
from orchestrator import canvas, pipeline
from orchestrator.canvas import Batch
from orchestrator.desk import desk
from orchestrator.layers.advisor import advisor as advisor_layer
from orchestrator.layers.base import Layer
from orchestrator.layers.correlation import correlation as correlation_layer
from orchestrator.layers.inference import inference as inference_layer
from orchestrator.layers.safety import safety as safety_layer
from orchestrator.layers.sizing import sizing as sizing_layer

QUICK: dict[str, Any] = {"max_retries": 0, "soft_time_limit": 5, "time_limit": 10}


def unpack(batch: Batch) -> list[Draft]:
    """Return the drafts of a batch that are still pending; what is sealed is decided."""
    return canvas.unpack(batch, desk().pending(canvas.ids(batch)))


def through(layer: Layer, batch: Batch) -> Batch:
    """Return the batch with a layer applied to every draft."""
    return canvas.pack([layer(draft) for draft in unpack(batch)])


@shared_task(name="decision.safety", **QUICK)
def safety(batch: Batch) -> Batch:
    """Stop what is halted."""
    return through(safety_layer, batch)


@shared_task(name="decision.inference", **QUICK)
def inference(batch: Batch) -> Batch:
    """Ask the champions, then vote."""
    answer = desk().answers()
    return through(lambda draft: inference_layer(pipeline.ask(draft, answer)), batch)


@shared_task(name="decision.advisor", **QUICK)
def advisor(batch: Batch) -> Batch:
    """Adapt to the bot; shrink or choose, never veto."""
    return through(advisor_layer, batch)


@shared_task(name="decision.limits", **QUICK)
def limits(batch: Batch) -> list[str]:
    """Refuse shared risk, size what is left, seal and record; return the ids of the decisions."""
    drafts = [sizing_layer(correlation_layer(draft)) for draft in unpack(batch)]
    return [decision.id for decision in desk().seal(drafts)]


@shared_task(name="decision.fused", **QUICK)
def fused(batch: Batch) -> list[str]:
    """Run every layer in one task, then seal and record."""
    answer = desk().answers()
    drafts = [pipeline.run(draft.context, answer) for draft in unpack(batch)]
    return [decision.id for decision in desk().seal(drafts)]
