"""The Celery application."""

from celery import Celery

from beat_schedule import SCHEDULE
from domain.settings import Settings, load
from workers.config import configuration

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
    application.loader.import_default_modules()
    application.finalize()
    return application


app = create(load())
"""What ``celery -A workers.app`` finds."""
