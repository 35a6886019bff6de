"""What Flower is told: all of it, soon, and in few messages."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery.events.receiver import EventReceiver
from kombu import Consumer

from tests.workers.live import Place, eventually, place
from workers import roles

OF_ONE = {"task-received", "task-started", "task-succeeded"}
SENT = 5


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("gathering") / "home") as made:
        made.start("decision", roles.worker("decision", 1))
        assert eventually(lambda: bool(made.app.control.ping(timeout=1)))
        yield made


def test_what_is_told_of_a_few_tasks_comes_soon_and_together(here: Place) -> None:
    messages: list[list[dict[str, Any]]] = []

    def keep(body: Any, _: Any) -> None:
        events = body if isinstance(body, list) else [body]
        if any(event["type"] in OF_ONE for event in events):
            messages.append(events)

    with here.app.connection_for_read() as connection:
        queue = EventReceiver(connection, app=here.app).queue
        with Consumer(connection, [queue], callbacks=[keep], no_ack=True, accept=["json"]):
            # Redis keeps nothing for who has not subscribed, and that is done by the first look.
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.5)
            ids = {here.pulse("decision") for _ in range(SENT)}

            def told() -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.5)
                found = {(e.get("uuid"), e["type"]) for events in messages for e in events}
                return {(one, kind) for one in ids for kind in OF_ONE} <= found

            assert eventually(told)
    assert len(messages) < SENT * len(OF_ONE) / 2
