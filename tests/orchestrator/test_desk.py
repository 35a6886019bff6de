"""The desk: which decisions are due, what they may look at, and what sealing lets through."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from domain.book import Limits, Scope
from domain.clock import VirtualClock
from domain.decision import Draft, Effect, OmegaDecision, Reason
from domain.errors import Refused
from domain.settings import Settings
from domain.values import Action, Env
from market.features import compute
from orchestrator import desk as desks
from orchestrator import pipeline, reaper
from orchestrator.desk import IN_TIME, Desk
from risk import killswitch
from storage import decisions, exposure, outbox, registry, switches
from tests.orchestrator.made import (
    ASKED,
    CAPITAL,
    CLOSE,
    DAY,
    MINUTE,
    SECOND,
    desk_at,
    due,
    lapse,
    nothing_happened,
    spoil,
    vetoed,
    wanting,
)
from tests.storage.made import unfilled
from trading.bots.catalog import BOTS

ID = "fortress-SPX-20160307T2100Z"


def kill(desk: Desk, scope: Scope = Scope.ALL, target: str = "*") -> None:
    switches.throw(desk.store, killswitch.human(scope, target, "drill", "me", desk.clock.now()))


UNKNOWN_MODE = (
    "INSERT INTO switches (scope, target, mode, code, reason, who, human, set_at, evidence) "
    "VALUES ('all', '*', 'sideways', 'HUMAN', 'x', 'x', 1, '2016-03-07 21:00:00.000000', '{}')"
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


def test_a_process_knows_what_is_pending_and_reads_what_it_does_not_know(flat: Desk) -> None:
    [mine] = flat.scan(["fortress"])
    other = flat.gather(BOTS["anchor"], ["SPX"], flat.view(CLOSE))[0]
    decisions.pend(flat.store, [other], CLOSE)
    assert flat.pending([mine.id, "unknown", other.id]) == {mine.id: mine, other.id: other}
    assert flat.pending([other.id])[other.id] is flat.pending([other.id])[other.id], "read once"
    lapse(flat, 2 * SECOND)
    flat.seal([wanting(mine), wanting(other)])
    assert flat.pending([mine.id, other.id]) == {}
    assert decisions.latency(flat.store, CLOSE, 1.9, 2.1) == (2, (2, 0))


def test_a_draft_that_comes_after_its_deadline_is_no_order(flat: Desk) -> None:
    draft = wanting(due(flat, "fortress", "SPX"))
    flat.clock.turn(CLOSE + IN_TIME + MINUTE)
    [sealed] = flat.seal([draft])
    assert (sealed.action, sealed.code) == (Action.HOLD, Reason.EXPIRED)
    assert nothing_happened(flat)


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
    reaper.reap(flat)
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
