"""The simulation of a slot, where what must come out is known in closed form."""

from math import ceil

import numpy as np
import pytest

from bench.simulation import Fleet, Times, simulate

HOP = 0.020


def constant(*cpu: float, seal: float = 0.0, **others: float) -> Times:
    """Return times without any spread: so much of a processor in each hop."""
    hops = tuple(np.array([[one, 0.0]]) for one in cpu)
    return Times(hops=hops, seal=np.array([seal]), **others)


def last(times: Times, fleet: Fleet, batches: int) -> float:
    return float(simulate(times, fleet, batches, np.random.default_rng(7)).sealed[-1])


@pytest.mark.parametrize(("batches", "children"), [(1, 1), (7, 3), (9, 3), (40, 8), (3, 8)])
def test_children_work_side_by_side(batches: int, children: int) -> None:
    ended = last(constant(HOP), Fleet(1, children, cores=children), batches)
    assert ended == pytest.approx(ceil(batches / children) * HOP)


def test_workers_and_their_children_are_worth_the_same() -> None:
    wide, tall = Fleet(workers=6, processes=1, cores=1), Fleet(workers=1, processes=6, cores=6)
    assert last(constant(HOP), wide, 50) == pytest.approx(last(constant(HOP), tall, 50))


def test_a_batch_waits_in_the_queue_again_before_every_hop() -> None:
    slot = simulate(constant(HOP, HOP, HOP, HOP), Fleet(1, 1, 1), 5, np.random.default_rng(7))
    assert slot.sealed == pytest.approx((15 + np.arange(1, 6)) * HOP)


def test_children_without_a_processor_each_are_no_faster() -> None:
    assert last(constant(HOP), Fleet(1, 4, cores=1), 12) == pytest.approx(12 * HOP)


def test_what_is_done_under_the_lock_is_done_one_after_the_other() -> None:
    times = constant(HOP, seal=0.005)
    slot = simulate(times, Fleet(20, 1, 1), 20, np.random.default_rng(7))
    assert slot.sealed[-1] == pytest.approx(HOP - 0.005 + 20 * 0.005)
    assert slot.busy["lock"] == pytest.approx(20 * 0.005 / slot.sealed[-1])


def test_the_broker_takes_one_message_at_a_time() -> None:
    ended = last(constant(0.0, broker=0.001), Fleet(50, 1, 1), 50)
    assert ended == pytest.approx(50 * 0.001)


def test_a_main_process_serves_its_own_children_only() -> None:
    times = constant(0.0, dispatch=HOP)
    assert last(times, Fleet(1, 8, cores=8), 16) == pytest.approx(16 * HOP)
    assert last(times, Fleet(8, 1, cores=8), 16) == pytest.approx(2 * HOP)


def test_nothing_is_published_before_all_was_gathered() -> None:
    times = constant(HOP, scan=0.1, publish=0.001)
    assert last(times, Fleet(10, 1, 1), 10) == pytest.approx(10 * 0.1 + 10 * 0.001 + HOP)


def test_on_one_machine_all_share_its_processors() -> None:
    times = constant(HOP, seal=0.01, dispatch=0.003, broker=0.002, database=0.004, publish=0.001)
    alone = Fleet(1, 1, cores=1, alone=True)
    each = 0.001 + 0.002 + 0.003 + HOP
    slot = simulate(times, alone, 30, np.random.default_rng(7))
    assert slot.sealed[-1] == pytest.approx(30 * each)
    assert slot.busy["processors"] == pytest.approx(1.0)


def test_a_database_with_processors_of_its_own_spares_those_of_the_worker() -> None:
    times = constant(HOP, seal=0.01, database=0.01)
    apart = simulate(times, Fleet(1, 1, 1), 10, np.random.default_rng(7))
    assert apart.busy["processors"] == pytest.approx(0.5)
    assert apart.busy["database"] == pytest.approx(0.5)


def test_drawn_times_have_the_mean_of_those_measured_and_repeat_with_the_seed() -> None:
    measured = np.random.default_rng(1).exponential(HOP, size=(400, 1))
    times = Times(hops=(np.hstack([measured, 0 * measured]),), seal=np.zeros(1))
    one, same, other = (
        simulate(times, Fleet(1, 1, 1), 4000, np.random.default_rng(seed)).sealed
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one[-1] / 4000 == pytest.approx(measured.mean(), rel=0.06)


def test_a_slot_without_batches_or_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        last(constant(HOP), Fleet(1, 1, 1), 0)
    with pytest.raises(ValueError, match="at least one"):
        last(constant(HOP), Fleet(0, 1, 1), 1)
