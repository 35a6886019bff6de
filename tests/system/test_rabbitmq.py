"""RabbitMQ as the broker, by its URL alone: a real node, real workers, and both of them killed."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from celery import Celery
from kombu.transport.native_delayed_delivery import MAX_LEVEL, level_name

from domain.settings import Settings, without_passwords
from storage import dead, engine
from tests.system import rabbit
from tests.system.fleet import Fleet, ask, children, omega, publish, until, up
from tests.system.rabbit import Node
from tests.system.record import Looking, Tell, whole
from tests.system.test_chaos import MANY, QUEUED, in_a_layer, stopped
from workers.app import create
from workers.config import QUEUES

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not rabbit.program("rabbitmq-server"), reason="there is no RabbitMQ here"),
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with rabbit.running(tmp_path / "rabbit") as made:
        yield made


@pytest.fixture
def desked(trading: Settings, node: Node) -> Settings:
    """Return a home at a close at which some trade, whose broker is the node."""
    return trading.model_copy(update={"broker_url": node.url})


def queues(settings: Settings) -> dict[str, Any]:
    """Return what `omega queues` tells of a home."""
    told = omega(settings.home, "queues", "--json")
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def held(client: Celery) -> int:
    """Count what the broker keeps until it is due."""
    with client.connection_for_read() as connection:
        channel = connection.default_channel
        names = [level_name(level) for level in range(MAX_LEVEL + 1)]
        return sum(channel.queue_declare(queue=n, passive=True).message_count for n in names)


def heard(fleet: Fleet, role: str, task: str, event: str) -> list[datetime]:
    """Return when a worker has told something of a task."""
    lines = [line for line in fleet.log(role).splitlines() if f'"{task}"' in line and event in line]
    return [datetime.fromisoformat(json.loads(line)["time"]) for line in lines]


def test_decisions_outlive_the_worker_and_the_node_and_a_drill_leaves_the_node_alone(
    desked: Settings, node: Node, looking: Looking, tell: Tell
) -> None:
    desk = looking(desked)
    with up(desked) as fleet:
        assert (fleet.client().broker_url, fleet.told["broker_named"]) == (
            node.url,
            "as configured",
        )
        assert fleet.told["broker"] == without_passwords(node.url)
        assert "broker" not in fleet.told["pids"]
        lines = node.ask("list_queues", "name", "type").splitlines()
        kinds = dict(line.split("\t") for line in lines[1:])
        assert {kinds[name] for name in QUEUES} == {"quorum"}

        contexts, before = ask(desk, MANY), fleet.pid("decision")
        killed = in_a_layer(fleet, desk, contexts, before)
        until(lambda: fleet.pid("decision") != before, 30, "the worker was started again")
        whole(desk, contexts)
        tell("RabbitMQ: worker killed, all sealed", killed, 15)

        queued, handed = ask(desk, QUEUED), fleet.handed("decision.safety")
        with stopped(children(fleet.pid("decision"))):
            publish(fleet.client(), queued)
            until(lambda: fleet.handed("decision.safety") > handed, 20, "the worker has taken some")
            told = queues(desked)
            assert told["queues"]["decision"]["waiting"] > 0
            assert told["unacknowledged"] is None, "by AMQP nobody can say"
            node.kill()
            killed = monotonic()
        away = omega(desked.home, "queues")
        assert away.returncode == 5, away.stdout + away.stderr
        assert "does not answer" in away.stderr
        node.start()
        tell("RabbitMQ: node killed, up again on its data", killed, 10)
        whole(desk, contexts + queued)
        tell("RabbitMQ: node killed, all sealed", killed, 30)
        after = ask(desk, MANY)
        publish(fleet.client(), after)
        whole(desk, contexts + queued + after)
        until(lambda: queues(desked)["queues"]["decision"]["waiting"] == 0, 20, "it is empty")

        drilled = omega(desked.home, "drill", "broker", "--yes")
        assert drilled.returncode == 2, drilled.stdout + drilled.stderr
        assert "did not start the broker" in drilled.stderr
        assert node.process.poll() is None
        assert dead.count(desk.store) == 0
        assert [told for told in fleet.said if told.get("role") not in (None, "decision")] == []


def test_what_is_tried_again_later_waits_in_the_broker_and_outlives_it(
    desked: Settings, node: Node, looking: Looking, tell: Tell
) -> None:
    desk, roll = looking(desked), "safety.roll"
    with up(desked) as fleet, create(fleet.client()) as client:
        with engine.writing(desk.store):  # a roll waits for it for five seconds, and gives up
            client.send_task(roll, queue="upkeep", ignore_result=True)
            until(lambda: len(heard(fleet, "upkeep", roll, "retry: Retry")) == 2, 60, "two tries")
        until(lambda: held(client) == 1, 5, "the broker has it")
        node.kill()
        node.start()
        began = monotonic()
        until(lambda: heard(fleet, "upkeep", roll, "task succeeded"), 60, "the third")
        tell("RabbitMQ: tried again after the node was killed", began, 20)
        taken = heard(fleet, "upkeep", roll, "task received")
        again = heard(fleet, "upkeep", roll, "retry: Retry")
        # Held by the worker, each would have been taken at once, to be done when it is due. What
        # is told of a retry is told after it was sent.
        waits = [(t - r).total_seconds() for r, t in zip(again, taken[1:], strict=True)]
        assert all(wait > due - 1 for wait, due in zip(waits, (5, 10), strict=True)), waits
        assert '"critical"' not in fleet.log("upkeep")
        assert held(client) == 0
        assert roll not in [letter.task for letter in dead.letters(desk.store)]
