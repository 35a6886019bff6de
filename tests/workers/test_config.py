"""The application: values only, a declared queue for every task, and no task that nobody calls."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound
from celery.utils.quorum_queues import detect_quorum_queues
from kombu.exceptions import ContentDisallowed
from kombu.serialization import dumps, loads

from beat_schedule import SCHEDULE
from domain.errors import Transient
from domain.settings import Settings
from market.panel import Panel
from orchestrator import canvas
from orchestrator.desk import IN_TIME
from tasks.learning import SLOW
from tests.orchestrator.made import Made, desk_at, packaged
from workers.app import TASKS, create
from workers.config import LEARNING, QUEUES, VISIBLE, configuration

REACHED = {
    "by beat": {entry["task"] for entry in SCHEDULE.values()},
    "by the canvas": {f"decision.{step}" for step in canvas.STEPS},
    "by degraded mode and by history": {"decision.fused"},
    "by the last training of a round": {"learning.validate"},
}


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    made = create(Settings())
    yield made
    made.close()


def ours(app: Celery) -> set[str]:
    return {name for name in app.tasks if not name.startswith("celery.")}


def queue_of(app: Celery, task: str) -> str:
    return str(app.amqp.router.route({}, task)["queue"].name)


def test_these_are_the_tasks(app: Celery) -> None:
    assert sorted(ours(app)) == [
        "decision.advisor",
        "decision.fused",
        "decision.inference",
        "decision.limits",
        "decision.safety",
        "learning.feedback",
        "learning.missing",
        "learning.together",
        "learning.train",
        "learning.validate",
        "market.scan",
        "safety.drill",
        "safety.roll",
        "safety.sla",
        "safety.sweep",
        "trading.execute",
        "trading.mark",
        "upkeep.backup",
        "upkeep.checkpoint",
        "upkeep.pulse",
        "upkeep.reap",
    ]


def test_no_task_leaves_a_result_that_nobody_reads(app: Celery) -> None:
    """Who sends one that does listens for it, which a broker that is away does not survive."""
    layers = {name for name in ours(app) if name.startswith("decision.")}
    assert [n for n in sorted(ours(app) - layers) if not app.tasks[n].ignore_result] == []


def test_every_task_is_called_by_somebody_and_everything_that_is_called_is_a_task(
    app: Celery,
) -> None:
    assert set().union(*REACHED.values()) == ours(app)


def test_a_task_is_named_after_its_file_and_its_function(app: Celery) -> None:
    for name in ours(app):
        file, function = name.split(".")
        assert app.tasks[name].run.__module__ == f"tasks.{file}"
        assert app.tasks[name].__name__ == function
        assert f"tasks.{file}" in TASKS


def test_every_task_has_a_declared_queue_and_beat_sends_it_there(app: Celery) -> None:
    assert {queue_of(app, name) for name in ours(app)} == set(QUEUES)
    assert set(app.amqp.queues) == set(QUEUES)
    for name, entry in SCHEDULE.items():
        if entry["task"] == "upkeep.pulse":  # it goes through every queue, to see who serves it
            assert entry["options"]["queue"] == entry["kwargs"]["of"]
        else:
            assert entry["options"]["queue"] == queue_of(app, entry["task"]), name
    assert {e["kwargs"].get("of") for e in SCHEDULE.values()} - {None} == set(QUEUES)


def test_training_shares_no_queue_with_a_decision(app: Celery) -> None:
    training = {name for name in ours(app) if queue_of(app, name) == "training"}
    assert training == {f"learning.{name}" for name in LEARNING}
    assert {queue_of(app, f"decision.{step}") for step in canvas.STEPS} == {"decision"}


def test_a_misspelt_queue_is_an_error(app: Celery) -> None:
    with pytest.raises(QueueNotFound, match="desicion"):
        app.send_task("market.scan", queue="desicion")


def test_nothing_but_json_is_read_or_written(app: Celery) -> None:
    conf = app.conf
    assert (conf.task_serializer, conf.result_serializer) == ("json", "json")
    assert (conf.accept_content, conf.result_accept_content) == (["json"], ["json"])
    kind, encoding, body = dumps({"x": 1}, serializer="pickle")
    with pytest.raises(ContentDisallowed, match="pickle"):
        loads(body, kind, encoding, accept=conf.accept_content)


def test_the_schedule_is_the_application_s_own(app: Celery) -> None:
    assert app.conf.beat_schedule is SCHEDULE
    assert app.conf.timezone == "America/Chicago"
    assert app.conf.enable_utc


def test_a_decision_s_layers_end_long_before_its_deadline(app: Celery) -> None:
    for step in (*canvas.STEPS, "fused"):
        task = app.tasks[f"decision.{step}"]
        assert 0 < task.soft_time_limit < task.time_limit < IN_TIME.total_seconds() / 4
        assert task.max_retries == 0, "the database publishes again, not the queue"
        assert not task.acks_late
    assert app.conf.worker_prefetch_multiplier == 1


def test_training_is_acknowledged_late_and_only_what_is_transient_is_tried_again(
    app: Celery,
) -> None:
    for name in LEARNING:
        task = app.tasks[f"learning.{name}"]
        assert task.acks_late
        assert task.soft_time_limit == Settings().training_seconds < task.time_limit < VISIBLE
        assert (task.autoretry_for, task.max_retries) == ((Transient,), 2)
    assert SLOW["autoretry_for"] == (Transient,)
    longest = configuration(Settings(training_seconds=6000))["task_annotations"]
    assert all(limits["time_limit"] < VISIBLE for limits in longest.values())


class Busy(Made):
    """A feed that is away the first time it is asked."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.asked = 0

    def panel(self) -> Panel:
        self.asked += 1
        if self.asked == 1:
            raise Transient("the feed is away")
        return super().panel()


def test_what_was_transient_is_tried_again(tmp_path: Path) -> None:
    feed = Busy(packaged().panel())
    with desk_at(tmp_path, datetime(2016, 3, 7, 22, tzinfo=UTC), feed) as desk:
        app = create(desk.settings)
        app.conf.update(task_always_eager=True)
        app.set_current()
        result = app.tasks["learning.feedback"].apply()
        app.close()
    assert feed.asked > 1
    assert result.successful()
    assert result.get() == 0


def test_without_a_server_the_broker_is_in_memory_and_is_polled_quickly() -> None:
    embedded = configuration(Settings())
    assert embedded["broker_url"] == "memory://"
    assert embedded["result_backend"] == "cache+memory://"
    assert embedded["broker_transport_options"]["polling_interval"] < 0.01
    server = configuration(Settings(broker_url="redis://localhost:1/0"))
    assert server["result_backend"] == server["broker_url"] == "redis://localhost:1/0"
    assert "polling_interval" not in server["broker_transport_options"]


def test_rabbitmq_keeps_messages_in_quorum_queues_and_confirms_what_it_was_sent() -> None:
    with create(Settings(broker_url="amqp://localhost:1//")) as app:
        found = app.amqp.queues
        assert set(found) == set(QUEUES)
        for name in QUEUES:
            assert found[name].queue_arguments["x-queue-type"] == "quorum"
            # Held back by the broker, a message finds its way back only through a topic.
            assert found[name].exchange.type == "topic"
            longest = max(one["time_limit"] for one in app.conf.task_annotations.values())
            assert found[name].queue_arguments["x-consumer-timeout"] > 1000 * longest
        assert detect_quorum_queues(app, "amqp") == (True, "decision")
        assert app.conf.broker_transport_options["confirm_publish"] is True
        assert app.conf.result_backend == "rpc://"
        assert not app.conf.broker_use_ssl
        assert set(app.conf.broker_transport_options).isdisjoint({"visibility_timeout"})


def test_over_tls_the_host_of_the_url_is_whom_the_certificate_must_name() -> None:
    with create(Settings(broker_url="amqps://broker.example:1//")) as app:
        assert app.conf.broker_use_ssl == {"server_hostname": None}
        with app.connection_for_write() as connection:
            assert connection.transport.default_ssl_port == 5671
            assert connection.ssl == {"server_hostname": None}


def test_two_applications_share_nothing_but_their_tasks() -> None:
    one, other = create(Settings()), create(Settings())
    assert one is not other
    assert set(one.tasks) == set(other.tasks)
    one.amqp.queues.select(["decision"])
    assert set(other.amqp.queues.consume_from) == set(QUEUES)
    one.close()
    other.close()
