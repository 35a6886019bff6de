"""The desk: which decisions are due, what they may look at, and what sealing lets through."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from domain import examples
from domain.book import Exposure, Limits, Scope, Switches
from domain.clock import VirtualClock
from domain.decision import Context, Draft, Effect, OmegaDecision, Reason
from domain.errors import DataError, Refused
from domain.settings import Settings
from domain.values import Action, Env
from market.features import compute
from orchestrator import desk as desks
from orchestrator import pipeline
from orchestrator.desk import ATTEMPTS, IN_TIME, LOST, Desk, View, admit, allotted, opened
from risk import killswitch
from storage import dead, decisions, exposure, jobs, outbox, record, registry, state, switches
from storage.jobs import Stands
from tests.orchestrator.made import (
    ASKED,
    CAPITAL,
    DAY,
    MINUTE,
    desk_at,
    due,
    passes,
    vetoed,
    wanting,
)
from tests.storage.made import unfilled
from trading.bots.catalog import BOTS

CLOSE = datetime(2016, 3, 7, 21, tzinfo=UTC)
ID = "fortress-SPX-20160307T2100Z"


def kill(desk: Desk, scope: Scope = Scope.ALL, target: str = "*") -> None:
    switches.throw(desk.store, killswitch.human(scope, target, "drill", "me", desk.clock.now()))


def spoil(desk: Desk, statement: str) -> None:
    """Change the database behind everybody's back."""
    assert desk.store.file is not None
    with sqlite3.connect(desk.store.file) as raw:
        raw.execute("PRAGMA ignore_check_constraints=ON")
        raw.execute(statement)
    raw.close()


UNKNOWN_MODE = (
    "INSERT INTO switches (scope, target, mode, code, reason, who, human, set_at, evidence) "
    "VALUES ('all', '*', 'sideways', 'HUMAN', 'x', 'x', 1, '2016-03-07 21:00:00.000000', '{}')"
)


def nothing_happened(desk: Desk) -> bool:
    return (
        record.opening_orders(desk.store) == {}
        and exposure.held(desk.store) == ()
        and outbox.pending(desk.store) == []
    )


# scan


def test_a_scan_pends_every_bot_and_symbol_on_the_newest_bar(flat: Desk) -> None:
    found = flat.scan()
    assert len(found) == sum(len(bot.symbols) for bot in BOTS.values()) == ASKED
    assert {context.bar for context in found} == {CLOSE}
    status = decisions.known(flat.store, [context.id for context in found])
    assert status == {context.id: "PENDING" for context in found}


def test_a_scan_that_fires_twice_finds_nothing_to_do(flat: Desk) -> None:
    first = flat.scan()
    assert flat.scan() == []
    flat.clock.turn(CLOSE + 5 * MINUTE)
    assert flat.scan() == []
    flat.seal([Draft(context=context) for context in first])
    assert flat.scan() == []


def test_a_scan_of_some_bots_leaves_the_others_to_the_next(flat: Desk) -> None:
    assert [context.id for context in flat.scan(["fortress"])] == [ID]
    rest = flat.scan()
    assert len(rest) == ASKED - 1
    assert ID not in {context.id for context in rest}


def test_a_bar_that_has_not_closed_is_not_decided_on(tmp_path: Path) -> None:
    with desk_at(tmp_path, CLOSE - MINUTE) as desk:
        [context] = desk.scan(["fortress"])
    assert context.bar == datetime(2016, 3, 4, 21, tzinfo=UTC)
    assert context.asof == CLOSE - MINUTE
    assert context.due == context.bar


def test_a_context_holds_what_is_known_and_names_what_is_not(flat: Desk) -> None:
    context = due(flat, "samson", "SPX")
    assert (context.id, context.env) == ("samson-SPX-20160307T2100Z", Env.REPLAY)
    assert (context.asof, context.due) == (CLOSE, CLOSE)
    assert context.deadline == CLOSE + IN_TIME
    assert context.price == 2001.76001
    assert set(context.features) == {"vix", "strike_distance"}
    assert context.features["strike_distance"] == 0.8
    assert context.schema_hash == compute.schema_hash(["vix"])
    assert (context.unknown, context.issues, context.champions) == ((), (), {})
    assert context.surface is not None
    assert context.surface.label.startswith("simulated")
    assert context.book.desk_equity == CAPITAL
    assert context.book.bots == len(BOTS)


def test_only_a_bot_that_prices_options_is_given_a_surface(flat: Desk) -> None:
    context = due(flat, "autotrader", "KO")
    assert context.surface is None
    assert set(BOTS["autotrader"].features) <= set(context.features)
    assert context.correlations == {}


def test_a_feature_without_a_value_is_named_and_not_filled_in(flat: Desk) -> None:
    """GEX needs a series that the packaged data do not have."""
    bot = BOTS["fortress"].model_copy(update={"features": ("vix", "gex_normalized")})
    flat.bots = {"fortress": bot}
    context = due(flat, "fortress", "SPX")
    assert context.unknown == ("gex_normalized",)
    assert "gex_normalized" not in context.features


def test_contexts_name_the_champions_that_will_answer(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    for context in desk.scan():
        live = {m: registry.champion(desk.store, m) for m in context.bot.models}
        assert context.champions == {m: v.version for m, v in live.items() if v is not None}
        lacking = ("spread", "flip", "wheel")
        assert context.champions or context.bot.strategy in lacking, "of gamma, or of years"
        needed = desk.champions.needs(context.bot.models)
        assert needed <= set(context.features) | set(context.unknown)
        said = {p.model: p.version for p in desk.answers()(context) if p.version != "none"}
        assert said == context.champions


def test_what_a_bot_sees_of_another_s_risk_is_measured(flat: Desk) -> None:
    flat.seal([wanting(due(flat, "fortress", "SPX"))])
    same = flat.ask(BOTS["anchor"], "SPX").correlations
    stock = flat.ask(BOTS["autotrader"], "KO").correlations
    assert same == {ID: pytest.approx(1.0)}
    assert stock.keys() == {ID}
    assert -0.9 < stock[ID] < 0.9, "of KO's return with the size of the index's moves"


# ask


def test_a_question_by_hand_is_numbered_and_a_first_one_is_the_decision_itself(
    flat: Desk,
) -> None:
    bot = BOTS["fortress"]
    ids = [flat.ask(bot, "SPX").id for _ in range(3)]
    assert ids == [ID, f"{ID}-2", f"{ID}-3"]
    assert ID not in {context.id for context in flat.scan()}
    assert decisions.status(flat.store, f"{ID}-3") == "PENDING"


def test_a_question_about_what_was_scanned_is_another_decision(flat: Desk) -> None:
    flat.scan()
    asked = flat.ask(BOTS["fortress"], "SPX")
    assert (asked.id, asked.bar) == (f"{ID}-2", CLOSE)


def test_what_nobody_trades_cannot_be_asked_about(flat: Desk) -> None:
    with pytest.raises(Refused, match="fortress does not trade KO; it trades SPX"):
        flat.ask(BOTS["fortress"], "KO")
    with pytest.raises(Refused, match="no bot 'fortess'; there are fortress"):
        flat.bot("fortess")
    assert decisions.listing(flat.store) == []


def test_asking_again_and_again_does_not_order_again_and_again(flat: Desk) -> None:
    bot = BOTS["fortress"].model_copy(update={"max_open": 99, "max_daily": 99})
    flat.bots["fortress"] = bot
    codes = []
    for _ in range(5):
        draft = pipeline.run(flat.ask(bot, "SPX"), lambda _: ())
        draft = draft if draft.veto and draft.veto.layer == "safety" else wanting(draft.context)
        codes.append(flat.seal([draft])[0].code)
    assert codes == [Reason.OK] * 3 + [Reason.REPEAT_ORDERS] * 2
    assert len(unfilled(flat.store)) == 3


def test_an_order_that_waits_for_its_fill_counts_as_open(flat: Desk) -> None:
    bot = BOTS["autotrader"].model_copy(update={"max_open": 2})
    flat.bots["autotrader"] = bot
    flat.seal([wanting(flat.ask(bot, symbol)) for symbol in ("KO", "JPM")])
    third = flat.ask(bot, "XOM")
    assert (third.book.open_positions, third.book.trades_today) == (2, 2)
    stopped = pipeline.run(third, lambda _: ())
    assert vetoed(stopped) == ("safety", Reason.MAX_OPEN)


# reap


def turn(desk: Desk, by: timedelta) -> None:
    desk.clock.turn(desk.clock.now() + by)


SECOND = timedelta(seconds=1)


def reaped(desk: Desk) -> list[list[Context]]:
    """Let the reaper look, and publish what it returns."""
    groups = desk.reap()
    for contexts in groups:
        desk.sent(contexts)
    return groups


def test_the_reaper_leaves_alone_what_may_still_be_on_its_way(flat: Desk) -> None:
    [due] = flat.scan(["fortress"])
    turn(flat, LOST)
    passes(flat)
    assert reaped(flat) == []
    turn(flat, SECOND)
    assert reaped(flat) == [], "only what comes through the queue says that it was lost"
    passes(flat)
    assert reaped(flat) == [[due]]
    passes(flat)
    assert reaped(flat) == [], "it has just been published again"


def test_nothing_is_lost_while_the_queue_is_long(flat: Desk) -> None:
    """Published again then, everything would wait twice, and that thrice: an avalanche."""
    [due] = flat.scan(["fortress"])
    turn(flat, 30 * SECOND)
    passes(flat, wait=10.0)
    assert reaped(flat) == [], "it may be in its third hop"
    turn(flat, 14 * SECOND)
    passes(flat, wait=10.0)
    assert reaped(flat) == [[due]], "four hops of 10 s each, and what it takes itself, are over"


def test_nothing_is_lost_while_nobody_works(flat: Desk) -> None:
    [due] = flat.scan(["fortress"])
    passes(flat)
    turn(flat, MINUTE)
    assert reaped(flat) == []
    passes(flat)
    assert reaped(flat) == [[due]]


def test_what_its_worker_took_along_is_sent_again_at_once(flat: Desk) -> None:
    first, second = flat.ask(BOTS["anchor"], "SPX"), flat.ask(BOTS["fortress"], "SPX")
    assert flat.reap(lost=[first.id, "unknown"]) == [[first]]
    flat.seal([wanting(second)])
    assert flat.reap(lost=[second.id]) == []


def test_a_try_that_the_broker_did_not_take_is_none(flat: Desk) -> None:
    [due] = flat.scan(["fortress"])
    for _ in range(2 * ATTEMPTS):
        turn(flat, LOST + SECOND)
        passes(flat)
        assert flat.reap() == [[due]]
    assert dead.count(flat.store) == 0


def test_what_nobody_ever_answers_is_a_dead_letter_after_three_attempts(flat: Desk) -> None:
    first, second = flat.ask(BOTS["anchor"], "SPX"), flat.ask(BOTS["fortress"], "SPX")
    for groups in ([[first, second]], [[first], [second]]):
        turn(flat, LOST + SECOND)
        passes(flat)
        assert reaped(flat) == groups, "the last time each goes alone"
    flat.seal([wanting(second)])
    assert dead.count(flat.store) == 0
    turn(flat, LOST + SECOND)
    passes(flat)
    assert reaped(flat) == []
    sealed = decisions.get(flat.store, first.id)
    assert (sealed.action, sealed.code) == (Action.HOLD, Reason.FAILED)
    [letter] = dead.letters(flat.store)
    assert (letter.task, letter.attempts) == ("decision", ATTEMPTS)
    assert letter.payload == {"decision": first.id, "bot": "anchor", "symbol": "SPX"}
    assert decisions.get(flat.store, second.id).quantity == 1


def test_who_dies_in_company_does_not_spend_the_last_chance_of_the_others(flat: Desk) -> None:
    """A batch that was published twice kills twice, and its decisions wait alone by then."""
    first, second = flat.ask(BOTS["anchor"], "SPX"), flat.ask(BOTS["fortress"], "SPX")
    both = [first.id, second.id]
    for groups in ([[first, second]], [[first], [second]]):
        assert flat.reap(lost=both) == groups
        flat.sent([first, second])
    assert flat.reap(lost=both) == []
    assert {decisions.status(flat.store, key) for key in both} == {"PENDING"}
    assert flat.reap(lost=[first.id]) == []
    assert decisions.get(flat.store, first.id).code is Reason.FAILED
    assert decisions.status(flat.store, second.id) == "PENDING"
    turn(flat, LOST + SECOND)
    passes(flat)
    assert flat.reap() == []
    assert decisions.get(flat.store, second.id).code is Reason.FAILED, "by time it was lost too"


def test_nothing_is_given_up_without_its_letter(flat: Desk) -> None:
    """The reaper that stops in between would never come back to what is sealed."""
    asked = flat.ask(BOTS["anchor"], "SPX")
    for _ in range(ATTEMPTS - 1):
        flat.sent([asked])
    spoil(flat, "ALTER TABLE dead RENAME TO hidden")
    with pytest.raises(OperationalError, match="no such table: dead"):
        flat.reap(lost=[asked.id])
    assert decisions.status(flat.store, asked.id) == "PENDING"
    spoil(flat, "ALTER TABLE hidden RENAME TO dead")
    assert flat.reap(lost=[asked.id]) == []
    assert decisions.get(flat.store, asked.id).code is Reason.FAILED
    assert dead.count(flat.store) == 1


def test_the_reaper_seals_what_is_late_and_returns_what_is_in_time(flat: Desk) -> None:
    [late] = flat.scan(["fortress"])
    turn(flat, late.deadline - flat.clock.now())
    passes(flat)
    assert reaped(flat) == [[late]], "at its deadline it is in time"
    waiting = flat.ask(BOTS["anchor"], "SPX")
    turn(flat, LOST + SECOND)
    passes(flat)
    assert reaped(flat) == [[waiting]]
    sealed = decisions.get(flat.store, late.id)
    assert (sealed.action, sealed.code) == (Action.HOLD, Reason.EXPIRED)
    assert sealed.draft.verdicts[-1].layer == "seal"
    assert decisions.status(flat.store, waiting.id) == "PENDING"
    assert nothing_happened(flat)


def test_a_process_knows_what_is_pending_and_reads_what_it_does_not_know(flat: Desk) -> None:
    [mine] = flat.scan(["fortress"])
    other = flat.gather(BOTS["anchor"], ["SPX"], View.read(flat, CLOSE))[0]
    decisions.pend(flat.store, [other], CLOSE)
    assert flat.pending([mine.id, "unknown", other.id]) == {mine.id: mine, other.id: other}
    assert flat.pending([other.id])[other.id] is flat.pending([other.id])[other.id], "read once"
    turn(flat, 2 * SECOND)
    flat.seal([wanting(mine), wanting(other)])
    assert flat.pending([mine.id, other.id]) == {}
    assert decisions.latency(flat.store, CLOSE, 1.9, 2.1) == (2, (2, 0))


def test_a_draft_that_comes_after_its_deadline_is_no_order(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    flat.clock.turn(CLOSE + IN_TIME + MINUTE)
    [sealed] = flat.seal([draft])
    assert (sealed.action, sealed.code) == (Action.HOLD, Reason.EXPIRED)
    assert nothing_happened(flat)


def test_what_the_reaper_sealed_stays_sealed_when_its_message_arrives(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    flat.clock.turn(CLOSE + IN_TIME + MINUTE)
    flat.reap()
    [sealed] = flat.seal([draft])
    assert sealed.code is Reason.EXPIRED
    assert nothing_happened(flat)


def test_the_reaper_leaves_what_was_decided_alone(flat: Desk) -> None:
    [decision] = flat.seal([wanting(due(flat, "fortress", "SPX"))])
    flat.clock.turn(CLOSE + DAY)
    assert flat.reap() == []
    assert decisions.get(flat.store, decision.id) == decision


# sealing


def test_what_wants_to_trade_is_sealed_ordered_and_reserved(flat: Desk) -> None:
    [decision] = flat.seal([wanting(due(flat, "fortress", "SPX"), 2)])
    assert (decision.action, decision.quantity) == (Action.SELL, 2)
    [order] = unfilled(flat.store)
    assert (order.id, order.decision_id, order.quantity) == (ID, ID, 2)
    [held] = exposure.held(flat.store)
    assert decision.proposal is not None
    assert held.risk == 2 * decision.proposal.max_loss
    assert [m.payload for m in outbox.pending(flat.store)] == [{"order": ID}]


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        (Scope.ALL, "*"),
        (Scope.BOT, "fortress"),
        (Scope.STRATEGY, "condor"),
        (Scope.SYMBOL, "SPX"),
    ],
)
def test_a_kill_between_inference_and_seal_stops_the_order(
    flat: Desk, scope: Scope, target: str
) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    kill(flat, scope, target)
    [decision] = flat.seal([draft])
    assert (decision.action, decision.quantity) == (Action.HOLD, 0)
    assert (decision.code, decision.draft.verdicts[-1].layer) == (Reason.KILLED, "seal")
    assert "drill -- me" in decision.reason
    assert nothing_happened(flat)


def test_a_kill_of_another_bot_stops_nothing(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    kill(flat, Scope.BOT, "anchor")
    assert flat.seal([draft])[0].quantity == 1


def test_switches_that_cannot_be_read_hold(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    spoil(flat, UNKNOWN_MODE)
    [decision] = flat.seal([draft])
    assert (decision.action, decision.code) == (Action.HOLD, Reason.SWITCHES_UNREADABLE)
    assert nothing_happened(flat)


@pytest.mark.parametrize(
    "statement",
    [UNKNOWN_MODE, "DROP TABLE switches", "DELETE FROM counters WHERE name = 'desk'"],
)
def test_switches_that_cannot_be_read_stop_every_bot_at_safety(flat: Desk, statement: str) -> None:
    spoil(flat, statement)
    drafts = [pipeline.run(context, lambda _: ()) for context in flat.scan()]
    assert [vetoed(draft) for draft in drafts] == [("safety", Reason.SWITCHES_UNREADABLE)] * ASKED
    assert {decision.code for decision in flat.seal(drafts)} == {Reason.SWITCHES_UNREADABLE}
    assert nothing_happened(flat)


def test_without_its_switches_the_store_seals_no_trade(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    spoil(flat, "DROP TABLE switches")
    with pytest.raises(OperationalError, match="no such table"):
        flat.seal([draft])
    assert decisions.status(flat.store, ID) == "PENDING"
    flat.clock.turn(CLOSE + DAY)
    flat.reap()
    assert decisions.get(flat.store, ID).code is Reason.EXPIRED
    assert nothing_happened(flat)


def stocks(desk: Desk, **limits: int) -> list[OmegaDecision]:
    bot = BOTS["autotrader"].model_copy(update=limits)
    desk.bots = {"autotrader": bot}
    return desk.seal([wanting(context) for context in desk.scan()])


@pytest.mark.parametrize(
    ("limits", "code", "most"),
    [
        ({"max_open": 4, "max_daily": 99}, Reason.MAX_OPEN, 4),
        ({"max_open": 99, "max_daily": 3}, Reason.MAX_DAILY, 3),
    ],
)
def test_one_batch_cannot_overrun_a_limit_of_the_bot(
    flat: Desk, limits: dict[str, int], code: Reason, most: int
) -> None:
    sealed = stocks(flat, **limits)
    assert [decision.code for decision in sealed] == [Reason.OK] * most + [code] * (20 - most)
    assert sealed[most].reason == f"{most} by now, limit {most}"
    assert len(unfilled(flat.store)) == len(exposure.held(flat.store)) == most


def test_two_batches_cannot_overrun_it_either(flat: Desk) -> None:
    flat.bots = {"autotrader": BOTS["autotrader"].model_copy(update={"max_open": 4})}
    drafts = [wanting(context) for context in flat.scan()]
    sealed = [decision for draft in drafts for decision in flat.seal([draft])]
    assert sum(decision.quantity for decision in sealed) == 4


def test_another_bot_s_orders_count_for_the_other_bot_alone(flat: Desk) -> None:
    drafts = [wanting(due(flat, name, "SPX")) for name in ("fortress", "anchor", "samson")]
    assert [decision.quantity for decision in flat.seal(drafts)] == [1, 1, 1]


def test_what_is_left_under_a_cap_is_what_is_traded(flat: Desk) -> None:
    """15 % of what the desk has may be at stake in one symbol."""
    room = 0.15 * CAPITAL
    first = wanting(due(flat, "samson", "SPX"), 500)
    second = wanting(due(flat, "anchor", "SPX"), 5)
    assert first.proposal is not None
    unit = first.proposal.max_loss
    shrunk, stopped = flat.seal([first, second])
    assert shrunk.quantity == int(room / unit)
    verdict = shrunk.draft.verdicts[-1]
    assert (verdict.layer, verdict.effect, verdict.code) == (
        "seal",
        Effect.ADJUST,
        Reason.SYMBOL_CAP,
    )
    assert verdict.evidence == {"room": pytest.approx(room)}
    assert (stopped.action, stopped.code) == (Action.HOLD, Reason.SYMBOL_CAP)
    assert sum(e.risk for e in exposure.held(flat.store)) <= room


# admit


def held(risk: float, **fields: object) -> Exposure:
    return examples.exposure(**{"id": "x", "symbol": "KO", "risk": risk} | fields)


@pytest.mark.parametrize(
    ("exposures", "correlations", "code", "left"),
    [
        ((held(170_000.0),), {"x": 0.0}, Reason.TOTAL_CAP, 10_000.0),
        ((held(100_000.0),), {"x": 1.0}, Reason.SHARED_RISK, 20_000.0),
        ((held(100_000.0),), {}, Reason.SHARED_RISK, 20_000.0),
        ((held(100_000.0),), {"x": 0.5}, Reason.SHARED_RISK, 70_000.0),
        ((held(80_000.0, symbol="SPX"),), {"x": -1.0}, Reason.SYMBOL_CAP, 10_000.0),
    ],
)
def test_admission_leaves_what_the_tightest_cap_leaves(
    exposures: tuple[Exposure, ...], correlations: dict[str, float], code: Reason, left: float
) -> None:
    """600,000 of equity: 180,000 in all, 120,000 together, 90,000 in one symbol."""
    context = examples.context(correlations=correlations)
    one = wanting(context, 100, examples.proposal(max_loss=1_000.0))
    verdict = admit(one, Switches(), exposures)
    assert (verdict.effect, verdict.code) == (Effect.ADJUST, code)
    assert verdict.quantity == int(left / 1_000)
    whole = wanting(context, 1, examples.proposal(max_loss=left + 1))
    assert admit(whole, Switches(), exposures).effect is Effect.VETO
    small = wanting(context, 1, examples.proposal(max_loss=left))
    assert admit(small, Switches(), exposures).effect is Effect.PASS


def test_admission_never_enlarges() -> None:
    verdict = admit(wanting(examples.context(), 2, examples.proposal()), Switches(), ())
    assert (verdict.effect, verdict.quantity) == (Effect.PASS, None)


def test_admission_counts_only_what_the_context_had_not_seen() -> None:
    mine = held(1.0, bot="fortress")
    seen = examples.context(book=examples.book(exposures=(mine,), open_positions=2))
    draft = wanting(seen, 1, examples.proposal())
    assert admit(draft, Switches(), (mine,)).effect is Effect.PASS
    added = mine.model_copy(update={"id": "y"})
    verdict = admit(draft, Switches(), (mine, added))
    assert (verdict.effect, verdict.code) == (Effect.VETO, Reason.MAX_OPEN)


def test_nothing_is_admitted_that_was_not_proposed() -> None:
    with pytest.raises(DataError, match="of nothing"):
        admit(Draft(context=examples.context()), Switches(), ())


# the rest of the desk


def test_features_of_an_older_bar_are_those_that_were_known_then(flat: Desk) -> None:
    older = CLOSE - 3 * DAY
    names = flat._needed()
    assert flat.features(CLOSE) == flat.sight(CLOSE).features
    assert flat.features(older) == compute.newest(flat.panel(older), names)
    assert flat.features(older)["KO"] != flat.features(CLOSE)["KO"]


def test_a_bar_is_looked_at_once(flat: Desk) -> None:
    seen = flat.sight(CLOSE)
    assert flat.sight(CLOSE + MINUTE) is seen
    assert flat.sight(CLOSE + DAY) is not seen


def test_the_books_are_read_at_one_moment(flat: Desk) -> None:
    view = View.read(flat, CLOSE)
    assert view.switches == Switches()
    assert set(view.accounts) == set(view.allotted) == set(BOTS)
    assert sum(view.allotted.values()) == pytest.approx(1)
    book = view.book(BOTS["anchor"], "SPX")
    assert (book.equity, book.peak, book.day_pnl) == (200_000.0, 200_000.0, 0.0)
    assert (book.open_positions, book.trades_today, book.orders_today) == (0, 0, 0)


def test_capital_that_was_drawn_for_the_day_is_not_drawn_again(flat: Desk) -> None:
    bots = flat.bots
    one = allotted(flat.store, bots, CLOSE, 7)
    assert allotted(flat.store, bots, CLOSE, 7) == one
    drawn = dict.fromkeys(bots, 0.25)
    state.put(flat.store, "capital", {"day": "2016-03-07", "allotted": drawn})
    assert allotted(flat.store, bots, CLOSE, 7) == drawn != one
    assert allotted(flat.store, bots, CLOSE + DAY, 7) != drawn


def test_the_session_that_counts_is_the_one_that_is_on_or_was_last() -> None:
    monday = datetime(2016, 3, 7, 14, 30, tzinfo=UTC)
    assert opened(monday) == opened(CLOSE) == opened(CLOSE + 5 * MINUTE) == monday
    assert opened(monday - MINUTE) == datetime(2016, 3, 4, 14, 30, tzinfo=UTC)
    assert opened(datetime(2016, 3, 6, 12, tzinfo=UTC)).day == 4
    with pytest.raises(DataError, match="no session had opened by 1900"):
        opened(datetime(1900, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("feed", "env", "found"),
    [
        ("packaged", None, Env.PLAYBACK),
        ("files", None, Env.PAPER),
        ("packaged", Env.REPLAY, Env.REPLAY),
    ],
)
def test_what_its_money_is_follows_from_the_feed(
    tmp_path: Path, feed: str, env: Env | None, found: Env
) -> None:
    settings = Settings(home=tmp_path / "home", feed=feed, data=tmp_path)
    desk = Desk.open(settings, VirtualClock(CLOSE), env)
    desk.close()
    assert desk.env is found
    assert desk.settings.limits == Limits()


def test_a_job_that_never_ends_is_given_up_and_kept_among_the_dead_letters(flat: Desk) -> None:
    name, asked = jobs.training("xgb"), {"model": "xgb"}
    jobs.accept(flat.store, name, asked, flat.wall.now())
    for _ in range(jobs.ATTEMPTS):
        passes(flat, queue="training", at=flat.wall.now() + timedelta(minutes=1))
        flat.clock.turn(flat.clock.now() + timedelta(minutes=2))
        [job] = flat.abandoned()
    assert (job.stands, job.why) == (Stands.FAILED, jobs.GIVEN_UP)
    assert flat.abandoned() == []
    [letter] = dead.letters(flat.store)
    assert (letter.task, letter.payload["kwargs"], letter.attempts) == ("learning.train", asked, 3)


def test_a_process_without_a_desk_says_how_to_get_one(tmp_path: Path) -> None:
    assert not desks.bound()
    with pytest.raises(Refused, match="start it with `omega`"):
        desks.desk()
    with desk_at(tmp_path, CLOSE) as desk:
        assert desks.bound()
        assert desks.desk() is desk
    assert not desks.bound()


def test_one_batch_is_decided_by_one_set_of_champions(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    before = desk.registry.epoch()
    champion = desk.registry.champion("wisdom")
    assert champion is not None
    why = registry.Why(who="me", reason="drill")
    registry.retire(desk.store, "wisdom", champion.version, why, desk.clock.now())
    assert desk.registry.epoch() == before
    desk.registry.look()
    assert desk.registry.epoch() > before
    assert desk.registry.champion("wisdom") is None
    assert len(desk.registry.artifact(champion)) > 1000
