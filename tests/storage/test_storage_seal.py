"""Sealing: the one gate between a draft and an order."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from domain import examples
from domain.book import Exposure, Switches
from domain.decision import Draft, OmegaDecision, Reason, Verdict
from domain.errors import DataError, IntegrityError, Refused
from domain.settings import Settings
from domain.trade import Order
from domain.values import Action, Env
from storage import audit, dead, decisions, exposure, outbox, switches, tables
from storage.engine import Store, reading, writing
from tests.storage.made import AT, DAY, MINUTE, anything, hold, tamper, unfilled, veto, want, within

SEALED_AT = AT + 10 * MINUTE


def rows(store: Store, table: str) -> int:
    with reading(store) as conn:
        return conn.execute(
            select(func.count()).select_from(tables.metadata.tables[table])
        ).scalar_one()


def nobody(*_: object) -> Verdict:
    raise AssertionError("nothing may be admitted here")


def test_only_new_contexts_are_pended(store: Store) -> None:
    first, second = hold(1).context, hold(2).context
    assert decisions.pend(store, [second, first], AT) == [second.id, first.id]
    third = hold(3).context
    assert decisions.pend(store, [first, third, second], AT) == [third.id]
    assert decisions.pend(store, [], AT) == []
    assert decisions.known(store, [first.id, "unheard-of"]) == {first.id: "PENDING"}


def test_a_pending_decision_is_no_decision_yet(store: Store) -> None:
    [key] = decisions.pend(store, [hold().context], AT)
    assert decisions.status(store, key) == "PENDING"
    assert decisions.status(store, "unheard-of") is None
    with pytest.raises(Refused, match="no sealed decision"):
        decisions.get(store, key)


def test_a_hold_is_recorded_and_reserves_nothing(store: Store) -> None:
    draft = hold().add(veto(Reason.STALE))
    decisions.pend(store, [draft.context], AT)
    [sealed] = decisions.seal(store, [draft], nobody, SEALED_AT)
    assert sealed == OmegaDecision.seal(draft)
    assert decisions.get(store, sealed.id) == sealed
    assert decisions.status(store, sealed.id) == "SEALED"
    assert (rows(store, "orders"), rows(store, "exposures"), rows(store, "outbox")) == (0, 0, 0)
    [record] = audit.records(store, "fortress")
    assert (record.kind, record.ref, record.at) == ("decision", sealed.id, SEALED_AT)
    assert record.body["sha256"] == sealed.hash


def test_an_admitted_decision_comes_with_its_order_reservation_and_message(store: Store) -> None:
    draft = want()
    [sealed] = decisions.seal(store, [draft], anything, SEALED_AT)
    assert (sealed.action, sealed.quantity, sealed.code) == (Action.SELL, 2, Reason.OK)
    assert sealed.draft.verdicts[-1].layer == "seal"
    assert unfilled(store) == [Order.of(sealed)]
    [held] = exposure.held(store)
    assert held == examples.exposure(id=sealed.id, bot="fortress", risk=9_120.0)
    [message] = outbox.pending(store)
    assert (message.topic, message.payload) == ("trading.execute", {"order": sealed.id})


def test_sealing_twice_gives_the_recorded_decision_and_changes_nothing(store: Store) -> None:
    draft = want()
    [first] = decisions.seal(store, [draft], anything, SEALED_AT)
    [again] = decisions.seal(store, [want(quantity=7)], nobody, SEALED_AT + MINUTE)
    assert again == first
    assert (rows(store, "orders"), rows(store, "outbox"), rows(store, "audit")) == (1, 1, 1)
    assert decisions.pend(store, [draft.context], AT) == []


def test_the_same_decision_twice_in_a_batch_is_sealed_once(store: Store) -> None:
    first, second = decisions.seal(store, [want(quantity=2), want(quantity=3)], anything, SEALED_AT)
    assert first == second
    assert first.quantity == 2
    assert rows(store, "orders") == 1


def test_a_batch_keeps_its_order_and_its_drafts_share_one_limit(store: Store) -> None:
    batch = [want(3), want(1), hold(4), want(2)]
    sealed = decisions.seal(store, batch, within(20_000.0), SEALED_AT)
    assert [d.id for d in sealed] == [d.context.id for d in batch]
    assert [d.quantity for d in sealed] == [2, 2, 0, 0]
    assert sealed[3].code is Reason.TOTAL_CAP
    assert sum(e.risk for e in exposure.held(store)) == 18_240.0


def test_reservations_of_earlier_batches_count(store: Store) -> None:
    decisions.seal(store, [want(1), want(2)], within(20_000.0), SEALED_AT)
    [late] = decisions.seal(store, [want(3, bot="anchor")], within(20_000.0), SEALED_AT)
    assert (late.action, late.code) == (Action.HOLD, Reason.TOTAL_CAP)


def test_past_its_deadline_a_draft_is_an_expired_hold_and_is_not_admitted(store: Store) -> None:
    draft = want(deadline=SEALED_AT - MINUTE)
    [sealed] = decisions.seal(store, [draft], nobody, SEALED_AT)
    assert (sealed.action, sealed.code, sealed.quantity) == (Action.HOLD, Reason.EXPIRED, 0)
    assert sealed.draft.verdicts[-1].layer == "seal"
    assert rows(store, "orders") == 0
    [still] = decisions.seal(store, [want(2, deadline=SEALED_AT)], anything, SEALED_AT)
    assert still.quantity == 2


def test_a_veto_keeps_its_own_reason_past_the_deadline(store: Store) -> None:
    draft = hold(deadline=AT).add(veto(Reason.STALE))
    assert decisions.seal(store, [draft], nobody, SEALED_AT)[0].code is Reason.STALE


def test_admission_may_shrink(store: Store) -> None:
    def smaller(*_: object) -> Verdict:
        return Verdict(layer="seal", quantity=1)

    [sealed] = decisions.seal(store, [want(quantity=5)], smaller, SEALED_AT)
    assert sealed.quantity == 1
    assert exposure.held(store)[0].risk == 4_560.0


def test_admission_may_not_enlarge(store: Store) -> None:
    def larger(*_: object) -> Verdict:
        return Verdict(layer="seal", quantity=6)

    [sealed] = decisions.seal(store, [want(quantity=5)], larger, SEALED_AT)
    assert (sealed.quantity, sealed.code) == (0, Reason.FAILED)
    assert rows(store, "exposures") == 0


def test_admission_down_to_nothing_is_a_hold(store: Store) -> None:
    def none(*_: object) -> Verdict:
        return Verdict(layer="seal", quantity=0)

    [sealed] = decisions.seal(store, [want()], none, SEALED_AT)
    assert (sealed.action, sealed.quantity, rows(store, "orders")) == (Action.HOLD, 0, 0)


def test_an_admission_that_fails_is_a_hold(store: Store) -> None:
    def broken(*_: object) -> Verdict:
        raise DataError("no correlation")

    [sealed] = decisions.seal(store, [want()], broken, SEALED_AT)
    assert (sealed.code, sealed.reason) == (Reason.FAILED, "DataError: no correlation")


def test_an_admission_with_a_mistake_in_it_writes_nothing(store: Store) -> None:
    def mistaken(*_: object) -> Verdict:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decisions.seal(store, [hold(1), want(2)], mistaken, SEALED_AT)
    assert (rows(store, "decisions"), rows(store, "audit")) == (0, 0)


@pytest.mark.parametrize("field", [{"proposal": None}, {"action": Action.HOLD}])
def test_a_quantity_of_nothing_is_a_hold(store: Store, field: dict[str, object]) -> None:
    spoken = {"action": Action.SELL, "proposal": examples.proposal(), "quantity": 2} | field
    draft = Draft(context=hold().context).add(Verdict(layer="sizing", **spoken))
    [sealed] = decisions.seal(store, [draft], nobody, SEALED_AT)
    assert (sealed.code, rows(store, "orders")) == (Reason.FAILED, 0)


def test_admission_sees_the_switches_of_now_not_those_of_the_context(store: Store) -> None:
    seen: list[Switches] = []

    def look(draft: Draft, now: Switches, _: tuple[Exposure, ...]) -> Verdict:
        seen.append(now)
        return anything(draft, now, ())

    draft = want()
    latch = switches.throw(store, examples.switch())
    [sealed] = decisions.seal(store, [draft], look, SEALED_AT)
    assert draft.context.switches.latches == ()
    assert (seen[0].revision, seen[0].latches) == (1, (latch,))
    assert (sealed.code, rows(store, "orders")) == (Reason.KILLED, 0)


@pytest.mark.parametrize("change", ["mode = 'paused'", "set_at = 'yesterday'"])
def test_a_switch_that_cannot_be_read_halts_every_entry(store: Store, change: str) -> None:
    switches.throw(store, examples.switch())
    with writing(store) as conn:
        conn.execute(text(f"UPDATE switches SET {change}"))
    [sealed] = decisions.seal(store, [want()], nobody, SEALED_AT)
    assert (sealed.code, rows(store, "orders")) == (Reason.SWITCHES_UNREADABLE, 0)


def test_a_failed_decision_is_a_recorded_hold(store: Store) -> None:
    context = hold().context
    decisions.pend(store, [context], AT)
    failed, now = decisions.fail(store, context, "the worker was lost", SEALED_AT)
    assert now
    assert (failed.action, failed.code, failed.reason) == (
        Action.HOLD,
        Reason.FAILED,
        "the worker was lost",
    )
    assert decisions.get(store, context.id) == failed
    assert dead.count(store) == 0


GIVEN_UP = dead.Work("decision", "decision", {"decision": "fortress"}, 3)


def test_what_is_given_up_has_one_letter_whoever_gives_it_up(store: Store) -> None:
    context = hold().context
    decisions.pend(store, [context], AT)
    ended = [decisions.fail(store, context, "lost", SEALED_AT, GIVEN_UP) for _ in range(2)]
    assert [one.failed for one in ended] == [True, False]
    assert ended[0].decision == ended[1].decision
    assert [letter.error for letter in dead.letters(store)] == ["lost"]
    assert audit.verify(store).fault is None


def test_what_was_taken_after_all_is_not_given_up(store: Store) -> None:
    [sealed] = decisions.seal(store, [want()], anything, SEALED_AT)
    told = decisions.fail(store, sealed.context, "lost", SEALED_AT, GIVEN_UP)
    assert told == (sealed, False)
    assert (dead.count(store), rows(store, "orders")) == (0, 1)


def test_a_letter_that_cannot_be_written_leaves_the_decision_pending(store: Store) -> None:
    """Closed without its letter, nobody would ever hear of it."""
    context = hold().context
    decisions.pend(store, [context], AT)
    with writing(store) as conn:
        conn.execute(text("ALTER TABLE dead RENAME TO hidden"))
    with pytest.raises(DBAPIError, match="dead"):
        decisions.fail(store, context, "lost", SEALED_AT, GIVEN_UP)
    assert decisions.status(store, context.id) == "PENDING"
    assert audit.records(store, context.bot.name) == []


def test_what_is_pending_comes_in_the_order_of_its_deadlines(store: Store) -> None:
    late, soon = hold(1, deadline=AT + MINUTE), hold(2, deadline=AT + 5 * MINUTE)
    decisions.pend(store, [soon.context, late.context], AT)
    decisions.seal(store, [hold(3)], nobody, AT)
    assert decisions.unsealed(store) == [(late.context, 0, AT), (soon.context, 0, AT)]
    assert decisions.pending(store, [hold(3).context.id, late.context.id]) == [
        (late.context, 0, AT)
    ]


def test_an_attempt_is_counted_of_what_is_pending_alone(store: Store) -> None:
    waiting, done = hold(1), hold(2)
    decisions.pend(store, [waiting.context], AT)
    decisions.seal(store, [done], nobody, AT)
    asked = [done.context.id, waiting.context.id]
    decisions.again(store, asked, AT + MINUTE)
    decisions.again(store, asked, AT + 2 * MINUTE)
    decisions.again(store, [], AT)
    assert decisions.unsealed(store) == [(waiting.context, 2, AT + 2 * MINUTE)]
    decisions.seal(store, [waiting], nobody, AT)
    decisions.again(store, asked, AT)
    assert audit.verify(store).fault is None


def test_what_took_too_long_is_counted_of_what_was_sent_since(store: Store) -> None:
    drafts = [hold(n) for n in range(4)]
    for minute, draft in enumerate(drafts):
        decisions.pend(store, [draft.context], AT + minute * MINUTE)
    took = {draft.context.id: 0.05 * n for n, draft in enumerate(drafts)}
    decisions.seal(store, drafts[:3], nobody, AT, took)
    assert decisions.latency(store, AT, 0.07, 0.0) == (3, (1, 2))
    assert decisions.latency(store, AT + MINUTE, 0.07) == (2, (1,))
    assert decisions.latency(store, AT + 3 * MINUTE, 0.07) == (0, (0,)), "pending is not counted"


def test_a_changed_body_is_not_handed_out(store: Store) -> None:
    [sealed] = decisions.seal(store, [want()], anything, SEALED_AT)
    change = "UPDATE decisions SET body = replace(body, :old, :new)"
    tamper(store, change, old='"quantity":2', new='"quantity":9')
    with pytest.raises(IntegrityError, match=r"changed after it was sealed.*omega trail verify"):
        decisions.get(store, sealed.id)


def test_decisions_are_listed_newest_first_and_filtered(store: Store) -> None:
    drafts = [want(1), hold(2).add(veto(Reason.STALE)), hold(3, bot="anchor", env=Env.REPLAY)]
    decisions.seal(store, drafts, anything, SEALED_AT)
    decisions.pend(store, [hold(4).context], AT)
    every = decisions.listing(store)
    assert [line.asof for line in every] == [AT + n * MINUTE for n in (4, 3, 2, 1)]
    assert (every[0].status, every[0].action, every[0].sealed_at) == ("PENDING", None, None)
    assert every[1].env == "replay"
    assert (every[3].quantity, every[3].probability, every[3].layer) == (2, 0.9, None)
    assert [line.layer for line in decisions.listing(store, code="STALE")] == ["seal"]
    assert len(decisions.listing(store, bot="anchor", symbol="SPX", action="hold")) == 1
    assert len(decisions.listing(store, since=AT + 3 * MINUTE)) == 2
    assert len(decisions.listing(store, limit=1)) == 1


def test_decisions_are_counted_by_what_stopped_them(store: Store) -> None:
    stale = [hold(n).add(veto(Reason.STALE)) for n in (1, 2)]
    decisions.seal(store, [*stale, want(3, bot="anchor")], anything, SEALED_AT)
    assert decisions.count_by(store, "bot", "layer", "code") == {
        ("fortress", "seal", "STALE"): 2,
        ("anchor", None, "OK"): 1,
    }
    assert decisions.count_by(store, "action", since=AT + 2 * MINUTE) == {
        ("hold",): 1,
        ("sell",): 1,
    }
    with pytest.raises(Refused, match="cannot count by"):
        decisions.count_by(store, "body")


def test_a_sample_is_the_same_for_the_same_seed(store: Store) -> None:
    decisions.seal(store, [hold(n) for n in range(30)], nobody, SEALED_AT)
    drawn = decisions.sample(store, 5, seed=7)
    assert len({d.id for d in drawn}) == 5
    assert drawn == decisions.sample(store, 5, seed=7)
    assert drawn != decisions.sample(store, 5, seed=8)
    assert len(decisions.sample(store, 99, seed=7)) == 30


def test_questions_about_one_bar_are_counted(store: Store) -> None:
    context = hold().context
    assert decisions.asked(store, "fortress", "SPX", context.bar) == 0
    decisions.pend(store, [context, context.model_copy(update={"id": f"{context.id}-2"})], AT)
    assert decisions.asked(store, "fortress", "SPX", context.bar) == 2


def test_a_batch_is_wholly_sealed_or_not_at_all(store: Store) -> None:
    """The second order of a decision is refused by the database; the first half goes with it."""
    draft = want(2)
    with writing(store) as conn:
        conn.execute(text("DROP INDEX uq_orders_opening"))
        conn.execute(text("CREATE UNIQUE INDEX uq_orders_symbol ON orders (symbol)"))
    decisions.seal(store, [want(1)], anything, SEALED_AT)
    with pytest.raises(IntegrityError, match="the database refuses it"):
        decisions.seal(store, [hold(3), draft], anything, SEALED_AT)
    assert (rows(store, "decisions"), rows(store, "exposures"), rows(store, "audit")) == (1, 1, 1)
    assert decisions.status(store, draft.context.id) is None


def test_another_process_sees_what_was_sealed(
    settings: Settings, opened: Callable[..., Store], store: Store
) -> None:
    [sealed] = decisions.seal(store, [want()], anything, SEALED_AT)
    assert decisions.get(opened(settings), sealed.id) == sealed


def test_decisions_are_taken_one_bar_after_another(store: Store) -> None:
    sealed = decisions.seal(store, [hold(n) for n in (2, 1, 3)], nobody, SEALED_AT)
    decisions.pend(store, [hold(4).context], AT)
    second, first, third = sealed
    assert decisions.taken(store, None, AT + DAY) == [first, second, third]
    assert decisions.taken(store, first.context.bar, second.context.bar) == [second]
