"""Defects of the seed's bookkeeping around a decision, each with the rule that replaced it."""

import ast
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from beat_schedule import SCHEDULE
from domain.book import KillCode, Limits, Scope
from domain.decision import Reason
from domain.settings import Settings
from orchestrator import books, pipeline
from orchestrator.desk import Desk
from orchestrator.view import accounts
from risk import killswitch
from storage import decisions, engine, exposure, orders, state, switches, tables, trades
from storage.engine import reading
from tests.orchestrator.made import ASKED, CAPITAL, CLOSE, desk_at, due, ordered, wanting
from workers.app import create

ROOT = Path(__file__).parents[2]
OPEN = datetime(2016, 3, 8, 14, 30, tzinfo=UTC)
ROOMS = ("domain", "market", "risk", "storage", "models", "trading", "learning", "orchestrator")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path / "home", CLOSE) as opened:
        yield opened


def turn(desk: Desk, to: datetime) -> None:
    desk.clock.turn(to)


def test_a_switch_that_was_set_stopped_nothing_after_the_first_layer(desk: Desk) -> None:
    """It is read at safety, in the transaction that seals, and before the order is filled."""
    ordered(desk, "samson", "SPX")
    early = wanting(due(desk, "fortress", "SPX"))
    late = due(desk, "anchor", "SPX")
    switches.throw(desk.store, killswitch.human(Scope.ALL, "*", "stop", "me", CLOSE))
    [sealed] = desk.seal([early])
    assert sealed.code is Reason.KILLED
    assert pipeline.run(desk.ask(late.bot, "SPX"), lambda _: ()).veto.code is Reason.KILLED  # type: ignore[union-attr]
    turn(desk, OPEN)
    assert books.execute(desk) == 0
    assert trades.positions(desk.store) == []
    assert exposure.held(desk.store) == ()


def test_a_latch_stayed_until_its_owner_removed_the_guard(desk: Desk) -> None:
    """Every latch that Omega sets ends with the session, and takes its cause with it."""
    for bot in desk.bots.values():
        kept = accounts(desk.store, desk.bots)[bot.name]
        lost = kept.model_copy(update={"losses_in_row": 5, "cash": kept.cash * 0.94})
        state.put(desk.store, f"account/{bot.name}", lost.model_dump(mode="json"))
    assert books.sweep(desk) == 2 * len(desk.bots)
    latches = switches.read(desk.store).latches
    assert {latch.code for latch in latches} == {KillCode.LOSS_STREAK, KillCode.DAILY_LOSS}
    assert {latch.expires_at for latch in latches} == {OPEN}
    turn(desk, OPEN.replace(minute=25))
    books.roll(desk)
    assert switches.read(desk.store).latches == ()
    turn(desk, OPEN)
    assert books.sweep(desk) == 0, "neither the streak nor yesterday's loss is held against it"


def test_a_restart_forgot_losses_positions_and_switches(desk: Desk, tmp_path: Path) -> None:
    ordered(desk, "fortress", "SPX")
    turn(desk, OPEN)
    books.execute(desk)
    books.mark(desk)
    account = accounts(desk.store, desk.bots)["fortress"].model_copy(update={"losses_in_row": 3})
    state.put(desk.store, "account/fortress", account.model_dump(mode="json"))
    books.sweep(desk)
    with desk_at(tmp_path / "home", OPEN) as other:
        assert accounts(other.store, other.bots) == accounts(desk.store, desk.bots)
        assert trades.positions(other.store) == trades.positions(desk.store) != []
        assert switches.read(other.store) == switches.read(desk.store)
        assert exposure.held(other.store) == exposure.held(desk.store)


def test_positions_were_never_registered_where_the_limits_look(desk: Desk) -> None:
    """What one bot holds, or has ordered, is in the context of every other."""
    key = ordered(desk, "fortress", "SPX").id
    assert [e.id for e in due(desk, "anchor", "SPX").book.exposures] == [key]
    bot = desk.bots["anchor"]
    turn(desk, OPEN)
    books.execute(desk)
    assert [e.id for e in desk.ask(bot, "SPX").book.exposures] == [key]


def test_all_bots_shared_one_equity(desk: Desk) -> None:
    found = {context.bot.name: context.book for context in desk.scan()}
    assert {name: book.equity for name, book in found.items()} == {
        name: bot.capital for name, bot in desk.bots.items()
    }
    assert {book.desk_equity for book in found.values()} == {CAPITAL}


def test_outcomes_and_money_could_not_be_traced_to_a_decision(
    at_next_close: Callable[[str], Desk],
) -> None:
    """An exposure's own id is that of its decision; everything else names it beside its own."""
    desk = at_next_close("home")
    counted = {}
    for name in ("orders", "fills", "positions", "trades", "outcomes", "exposures"):
        rows = tables.metadata.tables[name]
        key = rows.c.id if name == "exposures" else rows.c.decision_id
        traced = rows.join(tables.decisions, key == tables.decisions.c.id)
        with reading(desk.store) as conn:
            counted[name] = conn.scalar(select(func.count()).select_from(rows))
            sealed = select(func.count()).select_from(traced)
            sealed = sealed.where(tables.decisions.c.status == "SEALED")
            assert conn.scalar(sealed) == counted[name], name
    assert min(counted[name] for name in ("orders", "fills", "trades", "outcomes")) > 0


def test_the_entry_s_features_and_answers_were_lost_when_the_outcome_came(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    closed = trades.trades(desk.store)
    assert closed
    for trade in closed:
        decision = decisions.get(desk.store, trade.decision_id)
        assert decision.context.features
        answers = [p for p in decision.draft.predictions if p.probability is not None]
        assert answers
        assert {p.model: p.version for p in answers}.items() <= decision.context.champions.items()
        assert orders.get(desk.store, trade.decision_id)[0].decision_id == decision.id


def test_two_schedules_disagreed() -> None:
    """There is one table; nobody else makes a crontab, and the application has that very one."""
    makers = {
        file.relative_to(ROOT).as_posix()
        for room in (*ROOMS, "tasks", "workers", "api")
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] == "crontab"
    }
    assert makers == set()
    app = create(Settings())
    assert app.conf.beat_schedule is SCHEDULE
    app.close()


def test_two_sets_of_limits_disagreed(tmp_path: Path) -> None:
    """What is set is what sizing asks, what is recorded, and what the seal asks again."""
    strict = Limits(symbol_risk=0.005)
    with desk_at(tmp_path, CLOSE) as desk:
        desk.settings = desk.settings.model_copy(update={"limits": strict})
        context = due(desk, "samson", "SPX")
        assert context.limits == strict
        draft = wanting(context, 50)
        [sealed] = desk.seal([draft])
        assert sealed.draft.verdicts[-1].code is Reason.SYMBOL_CAP
        assert sealed.draft.verdicts[-1].evidence["room"] == 0.005 * CAPITAL
        assert sum(e.risk for e in exposure.held(desk.store)) <= 0.005 * CAPITAL


def test_decisions_were_kept_in_memory_a_thousand_at_most(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    desk.store.close()
    again = engine.open_store(desk.settings)
    assert sum(decisions.count_by(again, "status").values()) == 43 * ASKED
    again.close()


def test_degraded_mode_decided_without_the_limits(desk: Desk) -> None:
    """All layers in one task are still all layers, and the same seal."""
    app = create(desk.settings)
    app.conf.update(task_always_eager=True, task_eager_propagates=True, omega_fused=True)
    app.set_current()
    switches.throw(desk.store, killswitch.human(Scope.BOT, "fortress", "stop", "me", CLOSE))
    app.tasks["market.scan"].apply(throw=True)
    app.close()
    codes = decisions.count_by(desk.store, "bot", "code", "layer")
    assert codes["fortress", "KILLED", "safety"] == 1
    assert codes["anchor", "UNTRAINED", "inference"] == 1
    assert sum(codes.values()) == ASKED


def test_sizes_jittered_because_capital_was_drawn_at_every_decision(desk: Desk) -> None:
    books.roll(desk)
    turn(desk, OPEN)
    shares = {desk.ask(desk.bots["fortress"], "SPX").book.allocation for _ in range(4)}
    assert len(shares) == 1
