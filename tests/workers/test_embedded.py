"""Real workers in this process, over the in-memory broker: messages, queues, and an end."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from domain.decision import Draft, OmegaDecision, Reason
from domain.errors import Transient
from domain.settings import Settings
from orchestrator import canvas
from orchestrator.desk import Desk
from orchestrator.reaper import LOST
from storage import decisions
from tests.orchestrator.made import ASKED, CLOSE, desk_at, passes, premium
from workers import embedded

pytestmark = pytest.mark.live_worker
DEADLINE = 20.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path / "home", CLOSE) as opened:
        yield opened


def eventually(holds: Callable[[], bool]) -> bool:
    until = monotonic() + DEADLINE
    while not (done := holds()) and monotonic() < until:
        pass
    return done


def omega_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("omega-")]


def sealed(desk: Desk, ids: list[str]) -> list[OmegaDecision]:
    return decisions.many(desk.store, ids)


def test_a_chain_runs_through_its_four_hops_and_the_worker_is_gone_afterwards(
    desk: Desk,
) -> None:
    due = desk.scan()
    ids = [context.id for context in due]
    with embedded.running(desk.settings, ("decision",)):
        assert omega_threads() == ["omega-decision"]
        canvas.publish(due)
        assert eventually(lambda: len(sealed(desk, ids)) == ASKED)
    assert omega_threads() == []
    codes = {d.id: d.code for d in sealed(desk, ids)}
    assert codes["fortress-SPX-20160307T2100Z"] is Reason.UNTRAINED
    assert set(codes.values()) == {Reason.UNTRAINED, Reason.NO_SETUP, Reason.FEATURE_UNKNOWN}


def test_a_task_that_fails_leaves_the_worker_alive(desk: Desk) -> None:
    [context] = desk.scan(["fortress"])
    with embedded.running(desk.settings, ("decision",)) as app:
        app.send_task("decision.limits", args=([{"no": "draft"}],))
        app.send_task("decision.nothing", queue="decision")
        app.send_task(
            "decision.safety", args=(canvas.pack([Draft(context=premium())]), "too", "many")
        )
        canvas.publish([context])
        assert eventually(lambda: len(sealed(desk, [context.id])) == 1)
        assert omega_threads() == ["omega-decision"]
    assert omega_threads() == []
    assert [line.id for line in decisions.listing(desk.store)] == [context.id]


def test_each_queue_has_a_worker_of_its_own(desk: Desk) -> None:
    with embedded.running(desk.settings) as app:
        assert sorted(omega_threads()) == ["omega-decision", "omega-upkeep"]
        desk.scan(["fortress"])
        desk.clock.turn(desk.clock.now() + 2 * LOST)
        passes(desk)
        app.send_task("upkeep.reap")  # upkeep publishes what decision then decides
        assert eventually(lambda: len(sealed(desk, ["fortress-SPX-20160307T2100Z"])) == 1)
    assert omega_threads() == []


def test_workers_can_be_started_again(desk: Desk) -> None:
    for bot in ("fortress", "anchor"):
        [context] = desk.scan([bot])
        key = context.id
        with embedded.running(desk.settings, ("decision",)) as app:
            canvas.publish([context], in_one=True)
            assert eventually(lambda key=key: len(sealed(desk, [key])) == 1)
            assert app.conf.broker_url == "memory://"
    assert omega_threads() == []


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers that are told to stop and stay until the test is over."""
    over = threading.Event()

    class Stubborn(embedded.Worker):
        def start(self) -> None:
            super().start()
            over.wait(DEADLINE)

    monkeypatch.setattr(embedded, "Worker", Stubborn)
    monkeypatch.setattr(embedded, "STOP", 1.0)
    yield
    over.set()
    assert eventually(lambda: omega_threads() == [])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), RuntimeError("in the body")])
@pytest.mark.usefixtures("stubborn")
def test_a_worker_that_does_not_stop_is_said_and_does_not_hide_why_it_ends(
    desk: Desk, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised, embedded.running(desk.settings, ("decision",)):
        raise error
    assert raised.value is error
    assert "the decision worker did not stop within 1 s" in caplog.messages


@pytest.mark.usefixtures("stubborn")
def test_a_worker_that_does_not_stop_after_its_work_is_an_error(desk: Desk) -> None:
    with (
        pytest.raises(Transient, match="decision worker did not stop within 1 s"),
        embedded.running(desk.settings, ("decision",)),
    ):
        pass


def test_a_body_that_raises_still_stops_the_workers(desk: Desk) -> None:
    with (
        pytest.raises(RuntimeError, match="in the body"),
        embedded.running(desk.settings, ("decision",)),
    ):
        raise RuntimeError("in the body")
    assert omega_threads() == []


def test_who_is_told_of_a_broker_is_not_told_its_password(tmp_path: Path) -> None:
    url = "redis://:s3cret@127.0.0.1:1/0"
    settings = Settings(home=tmp_path, broker_url=url)
    with pytest.raises(Transient) as told, embedded.client(settings, "decision") as app:
        app.send_task("upkeep.checkpoint", ignore_result=True)
    assert "redis://:***@127.0.0.1:1/0 does not answer" in str(told.value)
    assert "s3cret" not in str(told.value)
