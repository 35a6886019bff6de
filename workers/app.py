"""The Celery application."""

from celery import Celery
from celery.signals import before_task_publish

from beat_schedule import SCHEDULE
from domain.settings import Settings, load
from workers.config import configuration
from workers.lifecycle import stamp

TASKS = (
    "tasks.market",
    "tasks.decision",
    "tasks.trading",
    "tasks.safety",
    "tasks.learning",
    "tasks.upkeep",
)


def create(settings: Settings) -> Celery:
    """Return a new application; each in-process worker needs one of its own.

    Which queues a worker consumes is kept on the application, so two workers that shared one
    would starve the queue that the second did not name.
    """
    application = Celery("omega", include=(*TASKS, "workers.lifecycle"), set_as_current=False)
    application.conf.update(configuration(settings), beat_schedule=SCHEDULE)
    application.steps["consumer"].add("workers.gathering:Gathering")
    application.loader.import_default_modules()
    application.finalize()
    if not settings.broker_url.startswith("memory://"):
        before_task_publish.connect(stamp)
    return application


app = create(load())
"""What ``celery -A workers.app`` finds."""
