"""Learning on the slow queue. Training libraries are imported when a task runs, not before."""

from contextlib import nullcontext
from typing import Any

from celery import Task, group, shared_task

from domain.errors import InsufficientData, Transient, Unavailable
from orchestrator import books
from orchestrator.desk import desk
from storage import jobs, registry, rounds
from tasks.sending import published

SLOW: dict[str, Any] = {
    "acks_late": True,
    # A lost worker counts as an attempt: put back without counting, a poison task never ends.
    "retry_on_worker_lost": True,
    "autoretry_for": (Transient,),
    "max_retries": 2,
    "default_retry_delay": 30,
}
"""How long they may take is a setting: `workers.config`."""
UNAVAILABLE = "UNAVAILABLE"
"""What comes of a training for which the feed has nothing: no failure, and nothing to try again."""
TOO_LITTLE = "TOO_LITTLE"
"""What comes of one for which too little is known yet: the same."""
UNASKED = "UNASKED"
"""What comes of one that is due and that no bot of the desk asks: it is trained by hand."""
TIMETABLE = "schedule"
"""Who asks when nobody does."""
JOB = SLOW | {"retry_on_worker_lost": False, "ignore_result": True}
"""Of what is a job: the record knows how often it was begun, and has it published again."""


@shared_task(name="learning.train", bind=True, **JOB)
def train(self: Task, model: str, who: str = TIMETABLE, together: bool = False) -> dict[str, Any]:
    """Train a challenger on everything known by now and let the gate judge it."""
    here, asked = desk(), {"model": model, "who": who, "together": together}
    if who == TIMETABLE and model not in here.asked:
        return {"model": model, "ruling": UNASKED, "reason": f"no bot asks {model}"}
    job = jobs.working(here.store, jobs.training(model), self.request.id, asked, here.wall)
    try:
        with nullcontext() if self.request.is_eager else job:
            ruling = _trained(model, who)
    except (Unavailable, InsufficientData) as lacking:
        over(model, str(lacking), together)
        what = UNAVAILABLE if isinstance(lacking, Unavailable) else TOO_LITTLE
        return {"model": model, "ruling": what, "reason": str(lacking)}
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
    from models.availability import bars

    here = desk()
    asof, settings = here.clock.now(), here.settings
    ruling = loop.retrain(
        model, here.store, bars(model, here.feed), asof, settings.seed, settings.costs, who
    )
    return ruling.model_dump(mode="json")


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
    asked = desk().asked
    return _accept(self, [m for m in models if m in asked], "learning.together", together=True)


@shared_task(name="learning.missing", bind=True, ignore_result=True, live=True, **SLOW)
def missing(self: Task) -> list[str]:
    """Have every model trained that never was; return which. A replay trains by itself.

    One that the gate refused has its next try on Sunday. One whose data is not in the feed is not
    asked for, until it is.
    """
    from models.availability import lacking
    from models.catalog import CATALOG

    here = desk()
    asked = here.asked
    wanting = [n for n in CATALOG if n in asked and not registry.tried(here.store, n)]
    now = here.clock.now()
    possible = [name for name in wanting if not lacking(name, here.feed, now)]
    return _accept(self, possible, "learning.missing", together=False)


def _accept(task: Task, models: list[str], who: str, together: bool) -> list[str]:
    """Accept and publish the trainings that are not under way; return of which models."""
    here = desk()
    asked = {m: {"model": m, "who": who, "together": together} for m in models}
    if not task.request.is_eager:
        now, store = here.wall.now(), here.store
        asked = {m: kw for m, kw in asked.items() if jobs.accept(store, jobs.training(m), kw, now)}
    if together:
        rounds.begin(here.store, asked, here.wall.now())
    published(group(train.si(**kwargs) for kwargs in asked.values()).apply_async)
    return list(asked)


@shared_task(name="learning.feedback", ignore_result=True, **SLOW)
def feedback() -> int:
    """Join what came true to predictions and setups, and trades to the capital; return how many."""
    from learning import loop, tally

    here = desk()
    asof, settings = here.clock.now(), here.settings
    books.reward(here)
    tally.follow(here.store, here.feed, asof, here.bots, settings.costs, settings.seed)
    return loop.follow(here.store, here.feed, asof, here.asked)


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
