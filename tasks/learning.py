"""Learning on the slow queue. Training libraries are imported when a task runs, not before."""

import logging
from typing import Any

from celery import Task, group, shared_task

from domain.errors import Transient
from orchestrator import books
from orchestrator.desk import desk
from storage import jobs, registry, rounds
from tasks.sending import published

log = logging.getLogger("omega.tasks")

SLOW: dict[str, Any] = {
    "acks_late": True,
    # A lost worker counts as an attempt: put back without counting, a poison task never ends.
    "retry_on_worker_lost": True,
    "autoretry_for": (Transient,),
    "max_retries": 2,
    "default_retry_delay": 30,
}
"""How long they may take is a setting: `workers.config`."""
TIMETABLE = "schedule"
"""Who asks when nobody does."""
JOB = SLOW | {"retry_on_worker_lost": False, "ignore_result": True}
"""Of what is a job: the record knows how often it was begun, and has it published again."""


@shared_task(name="learning.train", bind=True, **JOB)
def train(self: Task, model: str, who: str = TIMETABLE, together: bool = False) -> dict[str, Any]:
    """Train a challenger on everything known by now and let the gate judge it.

    The timetable passes over a model that cannot be trained here; a person who asks for one is
    told that it failed.
    """
    if who == TIMETABLE and (why := _unavailable(model)):
        return {"model": model, "unavailable": why}
    if self.request.is_eager:
        ruling = _trained(model, who)
        over(model, ruling["ruling"], together)
        return ruling
    here, asked = desk(), {"model": model, "who": who, "together": together}
    try:
        with jobs.working(here.store, jobs.training(model), self.request.id, asked, here.wall):
            ruling = _trained(model, who)
    except jobs.Busy as busy:
        return {"model": model, "busy": str(busy)}
    except Transient:
        raise
    except BaseException as error:
        over(model, f"{type(error).__name__}: {error}", together)
        raise
    over(model, ruling["ruling"], together)
    return ruling


def _trained(model: str, who: str) -> dict[str, Any]:
    from learning import loop

    here = desk()
    asof, settings = here.clock.now(), here.settings
    ruling = loop.retrain(
        model, here.store, here.feed.panel(), asof, settings.seed, settings.costs, who
    )
    return ruling.model_dump(mode="json")


def _unavailable(model: str) -> str:
    from learning import trainer

    here = desk()
    if why := trainer.unavailable(model, here.feed.panel(), here.clock.now()):
        log.info("%s is not trained: %s", model, why)
    return why


def over(model: str, how: str, together: bool) -> None:
    """Have everything validated when the last of a round has ended, however it ended."""
    here = desk()
    if not (together and rounds.ended(here.store, model, how)):
        return
    eager = validate.app.conf.task_always_eager
    if eager or jobs.accept(here.store, jobs.VALIDATION, {}, here.wall.now()):
        published(validate.si().apply_async)


@shared_task(name="learning.together", bind=True, ignore_result=True, **SLOW)
def together(self: Task, models: list[str]) -> list[str]:
    """Retrain models side by side; the last to end has every champion validated.

    One that fails is no reason for the others to stop, and its failure is what it came to.
    """
    return _accept(self, models, "learning.together", together=True)


@shared_task(name="learning.missing", bind=True, ignore_result=True, live=True, **SLOW)
def missing(self: Task) -> list[str]:
    """Have every model trained that never was; return which. A replay trains by itself.

    One that the gate refused has its next try on Sunday.
    """
    from models.catalog import CATALOG

    here = desk()
    wanting = [name for name in CATALOG if not registry.tried(here.store, name)]
    return _accept(self, wanting, "learning.missing", together=False)


def _accept(task: Task, models: list[str], who: str, together: bool) -> list[str]:
    """Accept and publish the trainings that are not under way; return of which models.

    Those that cannot be trained here are passed over. In a round that is what they came to.
    """
    here = desk()
    lacking = {m: why for m in models if (why := _unavailable(m))}
    asked = {m: {"model": m, "who": who, "together": together} for m in models if m not in lacking}
    if not task.request.is_eager:
        now, store = here.wall.now(), here.store
        asked = {m: kw for m, kw in asked.items() if jobs.accept(store, jobs.training(m), kw, now)}
    if together:
        rounds.begin(here.store, [*asked, *lacking], here.wall.now())
        for model, why in lacking.items():
            over(model, f"Unavailable: {why}", together)
    published(group(train.si(**kwargs) for kwargs in asked.values()).apply_async)
    return list(asked)


@shared_task(name="learning.feedback", ignore_result=True, **SLOW)
def feedback() -> int:
    """Join what came true to what was predicted, and trades to the capital; return how many."""
    from learning import loop

    here = desk()
    books.reward(here)
    return loop.follow(here.store, here.feed.panel(), here.clock.now())


@shared_task(name="learning.validate", bind=True, **JOB)
def validate(self: Task) -> dict[str, Any]:
    """Measure every champion on the outcomes it has had; one that did harm goes back."""
    if self.request.is_eager:
        return _validated()
    here = desk()
    try:
        with jobs.working(here.store, jobs.VALIDATION, self.request.id, {}, here.wall):
            return _validated()
    except jobs.Busy as busy:
        return {"busy": str(busy)}


def _validated() -> dict[str, Any]:
    from learning import loop

    here = desk()
    found = loop.review(here.store, here.clock.now(), here.settings.seed)
    return {name: judged.model_dump(mode="json") for name, judged in found.items()}
