"""Learning on the slow queue. Training libraries are imported when a task runs, not before."""

from typing import Any

from celery import shared_task

from domain.errors import Transient
from orchestrator import books
from orchestrator.desk import desk
from storage import registry

SLOW: dict[str, Any] = {
    "acks_late": True,
    # A lost worker counts as an attempt: put back without counting, a poison task never ends.
    "retry_on_worker_lost": True,
    "autoretry_for": (Transient,),
    "max_retries": 2,
    "default_retry_delay": 30,
    "soft_time_limit": 2700,
    "time_limit": 3000,
}


@shared_task(name="learning.train", **SLOW)
def train(model: str, who: str = "schedule") -> dict[str, Any]:
    """Train a challenger on everything known by now and let the gate judge it."""
    from learning import loop

    here = desk()
    asof, settings = here.clock.now(), here.settings
    ruling = loop.retrain(
        model, here.store, here.feed.panel(), asof, settings.seed, settings.costs, who
    )
    return ruling.model_dump(mode="json")


@shared_task(name="learning.missing", ignore_result=True, live=True, **SLOW)
def missing() -> list[str]:
    """Have every model trained that never was; return which. A replay trains by itself.

    Each is a message of its own: one that cannot be trained keeps no other one waiting. One that
    the gate refused has its next try on Sunday.
    """
    from models.catalog import CATALOG

    here = desk()
    wanting = [name for name in CATALOG if not registry.tried(here.store, name)]
    for name in wanting:
        train.apply_async(kwargs={"model": name, "who": "learning.missing"})
    return wanting


@shared_task(name="learning.feedback", ignore_result=True, **SLOW)
def feedback() -> int:
    """Join what came true to what was predicted, and trades to the capital; return how many."""
    from learning import loop

    here = desk()
    books.reward(here)
    return loop.follow(here.store, here.feed.panel(), here.clock.now())


@shared_task(name="learning.validate", **SLOW)
def validate() -> dict[str, Any]:
    """Measure every champion on the outcomes it has had; one that did harm goes back."""
    from learning import loop

    here = desk()
    found = loop.review(here.store, here.clock.now(), here.settings.seed)
    return {name: judged.model_dump(mode="json") for name, judged in found.items()}
