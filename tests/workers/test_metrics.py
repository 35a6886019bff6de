"""What a worker is measured by: counted in its children, added up in its main process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.decision import Draft
from domain.errors import Transient
from domain.settings import Settings, load
from storage import decisions, engine
from tests.orchestrator.made import ASKED, BATCHES, premium
from tests.workers.live import Place, eventually, place
from workers import metrics, roles, servers

PULSES = 'omega_tasks_total{state="SUCCESS",task="upkeep.pulse"}'


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A decision worker, both of whose children have counted pulses."""
    with place(tmp_path_factory.mktemp("metrics") / "home") as made:
        made.start("decision", roles.worker("decision", 2))
        assert eventually(lambda: bool(made.metrics("decision")))
        burst(made, lambda: len(children(made)) == 2)
        yield made


def children(here: Place) -> set[int]:
    """Return the processes that have counted the run time of a task."""
    files = (here.home / "metrics" / "decision").glob("histogram_*.db")
    return {int(file.stem.partition("_")[2]) for file in files}


def burst(here: Place, until: Callable[[], bool]) -> None:
    """Send more pulses than one child can take at once, until it holds; a free one takes a few."""

    def more() -> bool:
        for _ in range(10):
            here.pulse("decision")
        return until()

    assert eventually(more)


def all_counted(here: Place) -> bool:
    return here.metrics("decision").get(PULSES) == here.pulses["decision"]


def test_what_two_children_have_counted_is_added_up(here: Place) -> None:
    burst(here, lambda: True)
    assert eventually(lambda: all_counted(here))
    seen, sent = here.metrics("decision"), here.pulses["decision"]
    assert seen['omega_task_seconds_count{layer="",task="upkeep.pulse"}'] == sent
    assert seen['omega_task_wait_seconds_count{queue="decision"}'] >= sent
    assert here.processes["decision"].pid not in children(here)


def test_a_scan_shows_each_layer_and_what_was_decided(here: Place) -> None:
    here.app.send_task("market.scan", queue="decision")
    assert eventually(
        lambda: 'omega_decisions_total{action="hold",code="UNTRAINED"}' in here.metrics("decision")
    )
    for layer in ("safety", "inference", "advisor", "limits"):
        name = f'omega_task_seconds_count{{layer="{layer}",task="decision.{layer}"}}'
        assert eventually(lambda name=name: here.metrics("decision").get(name) == BATCHES)
    seen = here.metrics("decision")
    sealed = [n for name, n in seen.items() if name.startswith("omega_decisions_total")]
    assert sum(sealed) == ASKED
    assert seen["omega_decisions_pending"] == 0


def test_queues_and_pulses_are_seen_when_somebody_asks(here: Place) -> None:
    for _ in range(3):
        here.pulse("training")
    here.pulse("decision")
    assert eventually(
        lambda: 'omega_pulse_age_seconds{queue="decision"}' in here.metrics("decision")
    )
    seen = here.metrics("decision")
    assert seen['omega_queue_messages{queue="training"}'] == 3
    assert seen['omega_reachable{what="broker"}'] == seen['omega_reachable{what="store"}'] == 1
    assert 0 <= seen['omega_pulse_age_seconds{queue="decision"}'] < 60
    assert 'omega_pulse_age_seconds{queue="training"}' not in seen
    here.app.control.purge()


def test_failures_retries_expired_messages_and_dead_letters_are_counted(here: Place) -> None:
    here.app.send_task("upkeep.pulse", queue="decision")
    here.app.send_task("market.scan", queue="decision", expires=-5)
    failed = 'omega_tasks_total{state="FAILURE",task="upkeep.pulse"}'
    expired = 'omega_tasks_total{state="EXPIRED",task="market.scan"}'
    assert eventually(lambda: {failed, expired} <= here.metrics("decision").keys())
    seen = here.metrics("decision")
    assert (seen[failed], seen[expired], seen["omega_dead_letters"]) == (1, 1, 1)


def test_a_child_that_was_killed_is_still_counted_and_the_next_one_counts_on(here: Place) -> None:
    assert eventually(lambda: all_counted(here))
    old = children(here)
    os.kill(min(old), signal.SIGKILL)
    burst(here, lambda: bool(children(here) - old))
    assert eventually(lambda: all_counted(here))


def test_a_taken_port_keeps_no_worker_from_its_work(here: Place) -> None:
    assert eventually(lambda: all_counted(here))
    here.start("second", [*roles.worker("decision", 1), "-n", "decision@second"])
    assert eventually(lambda: "decision@second ready" in here.said("second").read_text())
    assert '"no metrics"' in here.said("second").read_text()
    assert (here.home / "metrics" / "decision-2" / "owner.lock").exists()
    assert all_counted(here), "the files of the first were left alone"
    assert here.stop("second") == 0


def test_spawned_children_leave_their_counts_and_no_files(tmp_path: Path) -> None:
    with place(tmp_path / "home") as here:
        command = [*roles.worker("training"), "--max-tasks-per-child=5"]
        here.start("training", command)
        for _ in range(7):
            here.pulse("training")
        assert eventually(lambda: here.metrics("training").get(PULSES) == 7)
        folder = here.home / "metrics" / "training"
        names = sorted(file.name.partition("_")[0] for file in folder.glob("*.db"))
        assert names == ["counter", "counter", "histogram", "histogram"]
        assert (folder / "counter_0.db").exists(), "five tasks of a child that has gone"
        assert here.stop("training") == 0


def test_what_was_sealed_long_ago_is_counted_once(tmp_path: Path) -> None:
    store = engine.open_store(Settings(home=tmp_path))
    tally, start = metrics.Tally(), datetime(2026, 1, 5, 21, tzinfo=UTC)
    assert not tally.read(store)
    for day in range(5):
        asof = start + timedelta(days=day)
        context = premium(id=f"c{day}", asof=asof, bar=asof, deadline=asof + timedelta(minutes=4))
        decisions.pend(store, [context], asof)
        if day != 1:
            decisions.fail(store, context, "tried", asof)
        tally.read(store)
    assert tally.read(store) == {("hold", "FAILED"): 4}
    assert decisions.waiting(store) == (1, start + timedelta(days=1))
    late = premium(id="c1", asof=start + timedelta(days=1), bar=start, deadline=start)
    decisions.seal(store, [Draft(context=late)], lambda *_: pytest.fail("asked"), start)
    decisions.fail(store, late, "tried", start)
    assert sum(tally.read(store).values()) == 5
    assert sum(tally.read(store).values()) == 5
    store.close()


def test_nothing_of_it_is_imported_where_nobody_measures() -> None:
    look = (
        "import sys, workers.history, workers.embedded;"
        "print([m for m in ('prometheus_client', 'structlog', 'workers.metrics', 'workers.logs')"
        " if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_each_worker_of_a_machine_has_a_port_of_its_own() -> None:
    settings = load(environ={"OMEGA_METRICS_PORT": "9800"})
    assert settings.metrics_port == 9800
    addresses = [roles.metrics(9800, queue) for queue in ("decision", "training", "upkeep")]
    assert addresses == [f"http://127.0.0.1:{port}/metrics" for port in (9800, 9801, 9802)]


def test_no_port_is_told_twice_nor_one_that_a_kernel_lends() -> None:
    """A kernel names a port again until somebody listens there: a broker and a worker once met."""
    rows = [range(first, first + 3) for first in (servers.free_port(3) for _ in range(400))]
    told = {port for row in rows for port in row} | {servers.free_port() for _ in range(400)}
    assert len(told) == 1600
    assert told <= set(range(10_000, 32_768))


def test_a_row_of_ports_is_free_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    first = servers.free_port(3)
    monkeypatch.setattr(servers, "_told", set())
    monkeypatch.setattr(servers, "UNLENT", [first, first + 1])
    with socket.create_server(("127.0.0.1", first + 2)):
        assert servers.free_port(2) == first, "the other row ends at one that is taken"
        with pytest.raises(Transient, match="no 2 ports in a row"):
            servers.free_port(2)
