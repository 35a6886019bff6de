"""What `make scaling` reads and tells."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from celery import Celery, Task

from bench import fleet, meter, rows, scaling
from bench.scaling import BATCH, Measured, Reading
from bench.simulation import Times, simulate
from domain.settings import Settings
from orchestrator import canvas


def measured(bots: int = 1000, hop: float = 0.025, seal: float = 0.010) -> Measured:
    """Return what was measured of a desk: every number of it is known."""
    took = Reading(**dict.fromkeys(Reading._fields, 0.0) | {"commands": 1000.0, "received": 2e6})
    times = Times(
        hops=tuple(np.array([[hop, 0.0]]) for _ in canvas.STEPS),
        seal=np.array([seal]),
        broker=0.001,
        scan=0.05,
    )
    return Measured(
        database="PostgreSQL",
        bots=bots,
        times=times,
        gather=0.001,
        pend=0.001,
        context=5e3,
        record=2e3,
        memory=300.0,
        wanting=0.2,
        took=took,
        decided=500,
    )


@pytest.fixture
def waits() -> Iterator[Task]:
    """Return a task of an application of its own: what is shared is every application's."""
    app = Celery("bench", set_as_current=False)

    @app.task(name="bench.waits", shared=False)
    def wait(seconds: float) -> None:
        threading.Event().wait(seconds)

    yield app.tasks["bench.waits"]
    app.close()


def test_what_a_task_waits_for_is_told_apart_from_what_it_computes(
    waits: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "metered"
    monkeypatch.setenv(meter.FILE, str(file))
    for seconds in (0.0, 0.2, 0.0):  # of the first one is all that this process did before
        waits.apply(args=(seconds,))
    _, long, short = meter.read(file)
    assert long.task == short.task == "bench.waits"
    assert long.waited > 0.15 > long.cpu
    assert short.waited < long.waited


def test_nothing_is_written_where_nobody_measures(
    waits: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(meter.FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    waits.apply(args=(0.0,))
    assert list(tmp_path.iterdir()) == []


def test_the_processor_of_another_process_is_read_while_it_lives() -> None:
    work = "sum(i * i for i in range(10**6)); print('done', flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", work], **pipes) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        taken = scaling.cpu(child.pid)
        assert child.pid in scaling.children(os.getpid())
        assert 0.01 < taken < scaling.busy()
        assert scaling.cpu(child.pid) == pytest.approx(taken, abs=0.01)
        child.communicate("\n")
    assert child.pid not in scaling.children(os.getpid())


def test_every_part_bounds_the_decisions_of_a_second_and_the_least_comes_first() -> None:
    told = "a child 250, its scan 500, the lock of its seals 2,500, a broker 6,250"
    assert scaling.bounds(measured()) == told


def test_no_more_deciders_are_planned_than_the_target_takes() -> None:
    plan = scaling.planned(measured(hop=1.0))
    assert (plan.pods, plan.late) == (2, False)
    fewer = simulate(plan.measured.times, scaling.POD, 1000 // BATCH, np.random.default_rng(7))
    assert plan.slot.sealed[-1] <= scaling.TARGET < fewer.sealed[-1]


def test_a_lock_that_takes_too_long_is_helped_by_no_number_of_deciders() -> None:
    plan = scaling.planned(measured(hop=2.0, seal=2.0))
    assert plan.late
    [line] = scaling.plans([plan]).splitlines()[2:]
    assert f"more than {scaling.MOST}" in line


def test_more_deciders_help_ever_less_down_to_the_scan_and_the_lock() -> None:
    desk = measured(hop=0.1, seal=0.05)
    numbers = re.findall(r"\d+\.\d", scaling.more(desk))
    lasts = [float(number) for number in numbers]
    assert len(lasts) == len(scaling.SOME)
    assert lasts == sorted(lasts, reverse=True)
    scanned, locked = 40 * 0.05, 40 * 0.05
    assert lasts[0] > lasts[-1] >= scanned + locked
    assert scaling.more(replace(desk, database="SQLite")) == ""


def test_the_tables_have_the_rows_and_columns_that_are_named() -> None:
    told = scaling.services([measured()]).splitlines()
    assert tuple(line.split("|")[1].strip() for line in told[2:]) == rows.SERVICES
    assert "| commands of Redis | 2.0 |" in told
    head, _, line = scaling.plans([scaling.planned(measured())]).splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == list(rows.PLANS)
    assert line.startswith("| 10 x 1,000 | 1, 10 | 2.0 |")
    assert line.endswith("| 0.16, 1.6 |")


def test_what_others_use_of_a_processor_makes_everything_slower_but_waiting() -> None:
    half = scaling.slower(measured().times, 0.5)
    assert half.hops[0].tolist() == [[0.05, 0.0]]
    assert (half.seal.tolist(), half.broker, half.scan) == ([0.02], 0.002, 0.1)


def test_a_small_desk_is_measured_and_simulated(
    copied: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("BACKED", 10), ("SEALS", 3), ("BACKLOG", 100)):
        monkeypatch.setattr(scaling, name, number)
    monkeypatch.delenv(meter.FILE, raising=False)
    monkeypatch.setenv(meter.FILE, "")
    home = copied("home").model_copy(update={"feed": "playback"})
    with fleet.broker(home) as settings:
        found = scaling.alone(settings, 30, None)
        ran = scaling.checked(settings, found, 1, None)
    assert [hop.shape for hop in found.times.hops] == [(10, 2)] * 4
    assert all((hop[:, 0] > 0).all() for hop in found.times.hops)
    assert found.times.seal.shape == (3,)
    assert min(found.gather, found.pend, found.times.dispatch, found.times.broker) > 0
    assert found.each("commands") * BATCH > len(canvas.STEPS)
    assert found.took.server == 0
    assert ran.took.shape == (100,)
    assert ran.model.shape == (4,)
    assert min(ran.took.min(), ran.model.min(), ran.cpu, ran.modelled) > 0
