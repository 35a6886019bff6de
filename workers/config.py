"""Celery's settings, each with its reason. Figures: two cores, Celery 5.7, medians."""

import os
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
VISIBLE = 7200
"""Seconds after which Redis gives an unacknowledged message to another worker. Longer than any hard
time limit (a training's is at most 6,600 s), or a second copy of it runs beside the first."""
LEARNING = ("train", "together", "missing", "feedback", "validate")
"""What may take as long as a training."""

CORES = os.cpu_count() or 1
POOLS: dict[str, dict[str, Any]] = {
    # Forked: models and history are shared memory. A restart costs cold models, so it is rare.
    "decision": {"worker_concurrency": CORES, "worker_max_tasks_per_child": 5000},
    # Spawned: who forks after its parent has trained hangs in libgomp. Recycled: trainings leak.
    "training": {
        "worker_concurrency": 1,
        "worker_pool_start_method": "spawn",
        "worker_max_tasks_per_child": 100,
        "worker_max_memory_per_child": 2_000_000,  # KiB
    },
    "upkeep": {"worker_concurrency": 1},
}
"""What differs between the workers, by the queue that they consume."""


def configuration(settings: Settings) -> dict[str, Any]:
    """Return what `app.conf` is updated with."""
    url = settings.broker_url
    embedded = url.startswith("memory://")
    conf = {
        "broker_url": url,
        "result_backend": _results(url),
        # Values only, and never a pickle: a message must not be able to run code.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "timezone": "America/Chicago",
        "enable_utc": True,
        # Queues are the priority. A misspelt queue is an error, not a black hole.
        "task_queues": [_queue(name, rabbit(url)) for name in QUEUES],
        "task_default_queue": "upkeep",
        "task_create_missing_queues": False,
        "task_routes": {pattern: {"queue": queue} for pattern, queue in ROUTES.items()},
        # One message at a time: prefetching costs nothing to leave out and hoards when left in.
        "worker_prefetch_multiplier": 1,
        # A lost decision must not run late: the database publishes it again while it is in time.
        "task_acks_late": False,
        # What is not sent is pending in the record: better soon to the reaper than long at this.
        "task_annotations": {
            f"learning.{name}": {
                "soft_time_limit": settings.training_seconds,
                "time_limit": settings.training_seconds * 11 // 10 + 1,
            }
            for name in LEARNING
        },
        "task_publish_retry_policy": {
            "max_retries": 2,
            "interval_start": 0,
            "interval_step": 0.05,
            "interval_max": 0.5,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "result_expires": 3600,
        # A child is up once its desk is open. While both cores were busy that took a spawned one
        # 8 s and a forked one 5; the four seconds there are by default ended one after another.
        "worker_proc_alive_timeout": 60,
        # A child that died has put its last result into the pipe by then; what it had not done is
        # published again at once, not after the ten seconds that are the default.
        "worker_lost_wait": 0.5,
        "worker_hijack_root_logger": False,
        # Redis does not requeue when a connection is lost: who cancels then loses the run.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 10,
        # Ours: slots are claimed in the database, so that two beats never send one twice.
        "beat_scheduler": "workers.beat:Scheduler",
        # Ours: one task for all layers, where the hops themselves are not what is tried.
        "omega_fused": False,
    }
    if embedded:
        # The memory transport asks once a second by default; a chain of four then takes seconds.
        return conf | {"broker_transport_options": {"polling_interval": 0.001}}
    # Flower shows what events tell it; `workers.gathering` sends them together.
    conf |= {"worker_send_task_events": True, "task_send_sent_event": True}
    return conf | (_rabbit(url) if rabbit(url) else _redis() if redis(url) else {})


def redis(url: str) -> bool:
    """Return whether a broker is spoken to as Redis is."""
    return url.startswith(("redis", "unix"))


def rabbit(url: str) -> bool:
    """Return whether a broker is spoken to as RabbitMQ is, in AMQP 0-9-1."""
    return url.startswith(("amqp:", "amqps:", "pyamqp:"))


def _results(url: str) -> str:
    if url.startswith("memory://"):
        return "cache+memory://"
    # RabbitMQ keeps nothing under a key: an answer goes to whoever asked, and only while it lives.
    # Who asks is `omega doctor`; what a task came to is in the record, whoever sent it.
    return "rpc://" if rabbit(url) else url


def _queue(name: str, replicated: bool) -> Queue:
    if not replicated:
        return Queue(name, Exchange(name), name)  # type: ignore[no-untyped-call]
    arguments = {
        # On disk and on most of a cluster's nodes before it counts as sent. A classic queue goes
        # with its node.
        "x-queue-type": "quorum",
        # Given back so often, a message is dropped: RabbitMQ 4 does so anyway, 3 would go on for
        # ever. What is still due is then published again by the record, which counts by itself.
        "x-delivery-limit": 20,
        # Acknowledged late, a training is on its way for as long as it takes, and after half an
        # hour RabbitMQ closes the channel. Heeded from 3.12 on; before, `rabbitmq.conf` says it.
        "x-consumer-timeout": 1000 * VISIBLE,
    }
    # A message that is to come later goes round by queues that hold it for 1, 2, 4 ... seconds, and
    # finds its way back by the end of its routing key: that takes a topic.
    exchange = Exchange(name, type="topic")  # type: ignore[no-untyped-call]
    return Queue(name, exchange, name, queue_arguments=arguments)  # type: ignore[no-untyped-call]


def _redis() -> dict[str, Any]:
    # A server that hangs is given up after 5 s; a worker waits for a message one second at a time.
    waits = {"socket_timeout": 5, "socket_connect_timeout": 3, "socket_keepalive": True}
    # Looking for what a dead worker left takes 8 s with these two, over a minute without.
    restore = {"unacked_restore_interval": 5, "unacked_restore_throttle": 1}
    return {
        "broker_transport": "workers.transport:Transport",
        "broker_transport_options": {"visibility_timeout": VISIBLE} | restore | waits,
        "result_backend_transport_options": {
            "visibility_timeout": VISIBLE,
            "retry_policy": {"timeout": 5.0},
        },
        "visibility_timeout": VISIBLE,
        # The record is in the database; a result that cannot be kept must not fail a task.
        "result_backend_always_retry": True,
        "result_backend_max_retries": 10,
    }


def _rabbit(url: str) -> dict[str, Any]:
    # What is not confirmed was not sent: without, a message to a node that dies is lost in silence.
    # A node that hangs, or takes no messages since its disk or memory is full, confirms none and is
    # given up after 5 s.
    sending = {"confirm_publish": True, "read_timeout": 5, "write_timeout": 5}
    # The certificate has to be good by default, but for whom is asked only where a name is given;
    # None stands for the host of the URL.
    tls = {"broker_use_ssl": {"server_hostname": None}} if "amqps" in url.split(":")[0] else {}
    return tls | {
        "broker_transport": "workers.transport:Rabbit",
        "broker_transport_options": sending,
        "broker_connection_timeout": 3,
        # A worker that waits hears from a node that hangs by its silence: after two of these.
        "broker_heartbeat": 10,
        # Retries that come later are held by the broker, replicated as everything else: held by a
        # worker, each takes the place of a message it could work on, for there is one at a time.
        "broker_native_delayed_delivery_queue_type": "quorum",
        # Quorum queues know no limit for a channel, only one for each consumer.
        "worker_detect_quorum_queues": True,
    }
