"""A thousand worlds hold what must hold, and a planted bug does not get through them.

Every world is drawn by its seed alone: what a failure prints is all there is to know about it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from domain.book import Exposure, Switches
from domain.decision import Context, Draft, Verdict
from orchestrator import desk as desks
from orchestrator import reaper
from orchestrator.desk import DECISION, Desk
from orchestrator.reaper import ATTEMPTS
from storage import audit, dead, decisions
from tests.simulation.world import Made, World

SEEDS, AT_ONCE, STEPS = 1000, 250, 30
OFTEN = {
    "deliver": 30,
    "reap": 8,
    "scan": 8,
    "ask": 5,
    "pulse": 5,
    "wait": 5,
    "duplicate": 4,
    "kill": 4,
    "resume": 4,
    "drop": 3,
    "execute": 3,
    "give_up": 2,
    "spoil": 2,
    "poison": 2,
    "next_session": 1,
    "mark": 1,
    "sweep": 1,
    "roll": 1,
}
"""How often each thing happens, beside the others."""
CAPS = ("SYMBOL_CAP", "TOTAL_CAP", "SHARED_RISK")
NAMES, SHARES = list(OFTEN), np.array(list(OFTEN.values())) / sum(OFTEN.values())


@contextmanager
def world(made: Made, fused: bool = False) -> Iterator[World]:
    made_up = World(made, fused)
    try:
        yield made_up
    finally:
        made_up.close()


def play(made: Made, seed: int) -> Counter[str]:
    """Play the world of a seed to its end; return how often what became of decisions."""
    rng = np.random.default_rng(seed)
    with world(made, fused=seed % 4 == 0) as one:
        try:
            for name in rng.choice(NAMES, size=STEPS, p=SHARES):
                one.step(str(name), lambda n: int(rng.integers(n)))
            one.settle()
        except Exception as error:
            error.add_note(f"in the world of seed {seed}")
            raise
        rows = one.record.rows
        found = Counter({f"{code} by {layer}": n for code, layer, n in rows(_CODES)})
        found |= Counter({f"order {status}": n for status, n in rows(_ORDERS)})
        [(found["letters"],)] = rows("SELECT count(*) FROM dead")
        found["cap by seal"] = sum(found[f"{code} by seal"] for code in CAPS)
    return found


_CODES = "SELECT code, layer, count(*) FROM decisions GROUP BY 1, 2"
_ORDERS = "SELECT status, count(*) FROM orders GROUP BY 1"


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whatever_breaks_nothing_is_lost_doubled_overrun_or_ordered_while_halted(
    made: Made, first: int
) -> None:
    found: Counter[str] = sum((play(made, first + n) for n in range(AT_ONCE)), Counter())
    for what in (
        "OK by None",
        "order filled",
        "order cancelled",
        "KILLED by safety",
        "KILLED by seal",
        "SWITCHES_UNREADABLE by seal",
        "cap by seal",
        "EXPIRED by seal",
        "FAILED by seal",
        "letters",
    ):
        assert found[what] > 0, f"so many worlds without {what} show nothing about it"


def test_a_seed_is_all_there_is_to_a_world(made: Made) -> None:
    def story(seed: int) -> tuple[list[str], list[Any]]:
        rng = np.random.default_rng(seed)
        with world(made) as one:
            for name in rng.choice(NAMES, size=STEPS, p=SHARES):
                one.step(str(name), lambda n: int(rng.integers(n)))
            one.settle()
            return one.told, one.record.rows("SELECT bot, seq, hash FROM audit ORDER BY 1, 2")

    assert story(7) == story(7) != story(8)


# planted bugs

Plant = Callable[[pytest.MonkeyPatch], None]
_ADMIT, _RECORDED = desks.admit, decisions._recorded


def no_second_kill_check(patch: pytest.MonkeyPatch) -> None:
    """The seal goes by the switches that the context was gathered with."""

    def admit(draft: Draft, _: Switches, held: tuple[Exposure, ...]) -> Verdict:
        return _ADMIT(draft, draft.context.switches, held)

    patch.setattr(desks, "admit", admit)


def no_second_look_at_limits(patch: pytest.MonkeyPatch) -> None:
    """The seal goes by the exposures that the context was gathered with."""

    def admit(draft: Draft, now: Switches, _: tuple[Exposure, ...]) -> Verdict:
        return _ADMIT(draft, now, draft.context.book.exposures)

    patch.setattr(desks, "admit", admit)


def what_cannot_be_read_is_not_set(patch: pytest.MonkeyPatch) -> None:
    """The seal takes switches that it cannot read for none."""

    class Bold(decisions._Desk):
        def __init__(self, conn: Any) -> None:
            super().__init__(conn)
            self.switches = self.switches.model_copy(update={"readable": True})

    patch.setattr(decisions, "_Desk", Bold)


def no_deadline(patch: pytest.MonkeyPatch) -> None:
    """The seal forgets to look at the time."""
    close = decisions._close
    patch.setattr(
        decisions, "_close", lambda draft, at, ask=None: close(draft, draft.context.asof, ask)
    )


def sealed_twice(patch: pytest.MonkeyPatch) -> None:
    """The seal does not see that it was sealed before."""

    def recorded(conn: Any, ids: Any) -> Any:
        return {} if conn.get_execution_options().get("omega_writes") else _RECORDED(conn, ids)

    patch.setattr(decisions, "_recorded", recorded)


def published_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    """A decision is only in the broker until a hop has to know it."""
    patch.setattr(Desk, "_pend", lambda self, due: list(due))


def given_up_in_two_transactions(patch: pytest.MonkeyPatch) -> None:
    """The letter of what was given up comes after it."""

    def bury(desk: Desk, context: Context, now: Any) -> None:
        why = f"{ATTEMPTS} attempts, and none came to an end"
        decisions.fail(desk.store, context, why, now)
        dead.bury(desk.store, "decision", DECISION, {"decision": context.id}, why, ATTEMPTS, now)

    patch.setattr(reaper, "_bury", bury)


def no_reaper(patch: pytest.MonkeyPatch) -> None:
    """What was lost stays lost."""
    patch.setattr(reaper, "reap", lambda desk, lost=(): [])


def audited_in_another_transaction(patch: pytest.MonkeyPatch) -> None:
    """The chain is told of a decision when it is sealed, and not in the same moment."""
    seal, extend = decisions.seal, audit.extend
    told: list[Any] = []

    def sealed(store: Any, drafts: Any, admit: Any, at: Any, took: Any = None) -> Any:
        patch.setattr(
            decisions.audit, "extend", lambda conn, store, entries, at: told.extend(entries)
        )
        try:
            made = seal(store, drafts, admit, at, took)
        finally:
            patch.setattr(decisions.audit, "extend", extend)
        entries = told[:]
        told.clear()
        with decisions.writing(store) as conn:
            extend(conn, store, entries, at)
        return made

    patch.setattr(decisions, "seal", sealed)


PLANTED: dict[Plant, int] = {
    no_second_kill_check: 100,
    no_second_look_at_limits: 100,
    what_cannot_be_read_is_not_set: 100,
    no_deadline: 100,
    sealed_twice: 100,
    published_before_it_is_written: 100,
    given_up_in_two_transactions: 100,
    no_reaper: 100,
    audited_in_another_transaction: 100,
}
"""Within how many seeds each is found."""


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(made: Made, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(fails(made, seed) for seed in range(PLANTED[plant]))


def fails(made: Made, seed: int) -> bool:
    try:
        play(made, seed)
    except AssertionError:
        return True
    return False


# and as a state machine, which shrinks what it finds


class Machine(RuleBasedStateMachine):
    """The same world, with its steps drawn by Hypothesis."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self.world = World(made)

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def step(self, name: str, data: st.DataObject) -> None:
        self.world.step(name, lambda n: data.draw(st.integers(0, n - 1)))

    def teardown(self) -> None:
        try:
            self.world.settle()
        finally:
            self.world.close()


MODERATE = settings(
    max_examples=60,
    stateful_step_count=STEPS,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_no_sequence_of_steps_breaks_it(made: Made) -> None:
    run_state_machine_as_test(lambda: Machine(made), settings=MODERATE)


def test_the_machine_finds_a_planted_bug_too(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not shrunk here: that takes two minutes, and ends at a single scan."""
    no_second_look_at_limits(monkeypatch)
    found = settings(MODERATE, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError, match="at risk"):
        run_state_machine_as_test(lambda: Machine(made), settings=found)
