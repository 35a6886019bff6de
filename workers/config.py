"""Celery's settings, each with its reason. Figures: two cores, Celery 5.7, medians."""

from typing import Any

from kombu.entity import Exchange, Queue

from domain.settings import Settings

QUEUES = ("decision", "training", "upkeep")
ROUTES = {
    "market.*": "decision",
    "decision.*": "decision",
    "trading.*": "decision",
    "learning.*": "training",
    "safety.*": "upkeep",
    "upkeep.*": "upkeep",
}


def configuration(settings: Settings) -> dict[str, Any]:
    """Return what `app.conf` is updated with."""
    embedded = settings.broker_url.startswith("memory://")
    return {
        "broker_url": settings.broker_url,
        "result_backend": "cache+memory://" if embedded else settings.broker_url,
        # The memory transport asks once a second by default; a chain of four then takes seconds.
        "broker_transport_options": {"polling_interval": 0.001} if embedded else {},
        # Values only, and never a pickle: a message must not be able to run code.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "timezone": "America/Chicago",
        "enable_utc": True,
        # Queues are the priority. A misspelt queue is an error, not a black hole.
        "task_queues": [Queue(n, Exchange(n), n) for n in QUEUES],  # type: ignore[no-untyped-call]
        "task_default_queue": "upkeep",
        "task_create_missing_queues": False,
        "task_routes": {pattern: {"queue": queue} for pattern, queue in ROUTES.items()},
        # One message at a time: prefetching costs nothing to leave out and hoards when left in.
        "worker_prefetch_multiplier": 1,
        # A lost decision must not run late: the database publishes it again while it is in time.
        "task_acks_late": False,
        "task_publish_retry_policy": {
            "max_retries": 5,
            "interval_start": 0,
            "interval_step": 0.05,
            "interval_max": 0.5,
        },
        "broker_connection_retry_on_startup": True,
        "result_expires": 3600,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 10,
        # Ours: one task for all layers, where the hops themselves are not what is tried.
        "omega_fused": False,
    }
