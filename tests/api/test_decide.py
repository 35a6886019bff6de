"""What became of a question that nobody seemed to answer."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError

from api.verbs import decide
from domain.decision import Context, OmegaDecision, Reason
from domain.errors import TimedOut
from orchestrator import canvas
from orchestrator.desk import Desk
from storage import decisions
from storage.engine import Store
from tests.orchestrator.conftest import CLOSE
from tests.orchestrator.made import desk_at, wanting
from trading.bots.catalog import BOTS

OVER = -1.0
"""Seconds to wait, of a deadline that has passed at the first look."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path / "home", CLOSE) as opened:
        yield opened


def test_what_a_worker_seals_as_the_time_runs_out_is_the_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = desk.ask(BOTS["fortress"], "SPX")
    look = decisions.many

    def looked_too_early(store: Store, ids: Sequence[str]) -> list[OmegaDecision]:
        found = look(store, ids)
        desk.seal([wanting(asked)])
        return found

    monkeypatch.setattr(decisions, "many", looked_too_early)
    made = decide._sealed(desk, asked, OVER)
    assert (made.quantity, made.code) == (1, Reason.OK)


def test_what_nobody_sealed_is_closed(desk: Desk) -> None:
    asked = desk.ask(BOTS["fortress"], "SPX")
    with pytest.raises(TimedOut, match="closed as a HOLD"):
        decide._sealed(desk, asked, OVER)
    assert decisions.get(desk.store, asked.id).code is Reason.FAILED


@pytest.mark.parametrize("taken", [True, False])
def test_where_only_the_answer_of_the_broker_was_lost_what_was_decided_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    def cut_off(contexts: Sequence[Context]) -> None:
        if taken:
            desk.seal([wanting(context) for context in contexts])
        raise OperationalError("the connection was cut")

    monkeypatch.setattr(canvas, "publish", cut_off)
    if taken:
        assert decide._queued(desk, BOTS["fortress"], "SPX", OVER).quantity == 1
    else:
        with pytest.raises(OperationalError):
            decide._queued(desk, BOTS["fortress"], "SPX", OVER)
        [line] = decisions.listing(desk.store)
        assert line.code == Reason.FAILED
