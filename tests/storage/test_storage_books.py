"""Orders, fills, positions, trades: one transaction each, and nothing counted twice."""

from dataclasses import dataclass

import pytest

from domain.decision import OmegaDecision
from domain.errors import IntegrityError, Refused
from domain.trade import Exit, Order, Position
from storage import audit, decisions, exposure, orders, outbox, trades
from storage.engine import Store
from tests.storage.made import (
    AT,
    DAY,
    MINUTE,
    anything,
    fill,
    hold,
    outcome,
    position,
    trade,
    unfilled,
    want,
)


@dataclass
class Held:
    """A decision, its opening order filled, and the position."""

    decision: OmegaDecision
    position: Position

    def closing(self, quantity: int = 2, why: Exit = Exit.PROFIT_TARGET) -> Order:
        return Order.closing(self.position, quantity, why, AT + 2 * DAY)


@pytest.fixture
def held(store: Store) -> Held:
    [decision] = decisions.seal(store, [want()], anything, AT + DAY)
    opened = position(decision)
    assert orders.record_fill(store, fill(decision.id), opened)
    return Held(decision, opened)


def test_an_order_waits_until_it_is_filled(store: Store) -> None:
    [decision] = decisions.seal(store, [want()], anything, AT + DAY)
    [order] = unfilled(store)
    assert orders.get(store, order.id) == (order, "open")
    assert orders.record_fill(store, fill(decision.id), position(decision))
    assert unfilled(store) == []
    assert orders.get(store, order.id) == (order, "filled")
    with pytest.raises(Refused, match="no order"):
        orders.get(store, "unheard-of")


def test_a_fill_opens_the_position_and_sets_the_risk_that_is_left(store: Store, held: Held) -> None:
    assert trades.positions(store) == [held.position]
    assert trades.positions(store, "anchor") == []
    assert [e.risk for e in exposure.held(store)] == [8_000.0]


def test_a_fill_that_is_delivered_twice_counts_once(store: Store, held: Held) -> None:
    again = position(held.decision, quantity=1)
    assert not orders.record_fill(store, fill(held.decision.id), again)
    assert trades.positions(store) == [held.position]
    assert len(audit.records(store, "fortress", "fill")) == 1


def test_partial_fills_add_up(store: Store) -> None:
    [decision] = decisions.seal(store, [want()], anything, AT + DAY)
    assert orders.record_fill(store, fill(decision.id, 1, 1))
    assert (orders.get(store, decision.id)[1], trades.positions(store)) == ("open", [])
    assert orders.record_fill(store, fill(decision.id, 2, 1), position(decision, 2))
    assert orders.get(store, decision.id)[1] == "filled"
    assert trades.positions(store)[0].quantity == 2


def test_more_than_was_ordered_is_a_break_in_the_books(store: Store, held: Held) -> None:
    with pytest.raises(IntegrityError, match="3 of 2 ordered"):
        orders.record_fill(store, fill(held.decision.id, 2, 1))
    assert len(audit.records(store, "fortress", "fill")) == 1


@pytest.mark.parametrize("fields", [{"order_id": "unheard-of"}, {"decision_id": "unheard-of"}])
def test_a_fill_of_no_order_of_ours_is_a_break_in_the_books(
    store: Store, held: Held, fields: dict[str, str]
) -> None:
    with pytest.raises(IntegrityError, match="there is no order"):
        orders.record_fill(store, fill(held.decision.id, 2, 1, **fields))


def test_only_a_sealed_decision_places_an_opening_order(store: Store) -> None:
    order = Order.of(decisions.seal(store, [want()], anything, AT)[0])
    with pytest.raises(Refused, match="only a sealed decision"):
        orders.place(store, order.model_copy(update={"id": "other"}), AT)
    assert unfilled(store) == [order]


def test_a_closing_order_is_placed_once_and_published(store: Store, held: Held) -> None:
    order = held.closing()
    assert orders.place(store, order, AT + 2 * DAY)
    assert not orders.place(store, order, AT + 2 * DAY)
    assert [m.payload["order"] for m in outbox.pending(store)] == [held.decision.id, order.id]


def test_opening_orders_are_counted_since_a_moment(store: Store, held: Held) -> None:
    orders.place(store, held.closing(), AT + 2 * DAY)
    assert orders.placed(store, AT + MINUTE) == {("fortress", "SPX"): 1}
    assert orders.placed(store, AT + 2 * MINUTE) == {}


def test_entries_are_known_by_decision_since_a_moment(store: Store, held: Held) -> None:
    [other] = decisions.seal(store, [want(2, "anchor")], anything, AT + DAY)
    orders.record_fill(store, fill(other.id, 1, 1, at=AT + 2 * DAY))
    orders.record_fill(store, fill(other.id, 2, 1, at=AT + 2 * DAY), position(other))
    closing = held.closing()
    orders.place(store, closing, AT + 2 * DAY)
    trades.close(store, fill(closing.id, at=AT + 2 * DAY), trade(held.decision))
    today, all_of_them = {"anchor": {other.id}}, {"fortress": {held.decision.id}}
    assert orders.entered(store, AT + 2 * DAY) == today
    assert orders.entered(store, AT + DAY) == today | all_of_them
    assert orders.entered(store, AT + 2 * DAY + MINUTE) == {}


def test_a_cancelled_opening_order_gives_its_reservation_back(store: Store) -> None:
    [decision] = decisions.seal(store, [want()], anything, AT)
    assert orders.cancel(store, decision.id, "the session ended", AT + DAY)
    assert not orders.cancel(store, decision.id, "again", AT + DAY)
    assert not orders.cancel(store, "unheard-of", "what", AT + DAY)
    assert exposure.held(store) == ()
    assert orders.get(store, decision.id)[1] == "cancelled"
    assert audit.records(store, "fortress", "cancel")[0].body["why"] == "the session ended"
    with pytest.raises(IntegrityError, match="cancelled"):
        orders.record_fill(store, fill(decision.id))


def test_a_cancelled_closing_order_leaves_the_risk_where_it_is(store: Store, held: Held) -> None:
    order = held.closing()
    orders.place(store, order, AT + 2 * DAY)
    assert orders.cancel(store, order.id, "replaced", AT + 2 * DAY)
    assert len(exposure.held(store)) == 1


def test_what_is_partly_filled_is_not_cancelled(store: Store) -> None:
    [decision] = decisions.seal(store, [want()], anything, AT)
    orders.record_fill(store, fill(decision.id, 1, 1), position(decision, 1))
    assert not orders.cancel(store, decision.id, "late", AT + DAY)
    assert len(exposure.held(store)) == 1


def test_closing_makes_a_trade_and_gives_the_risk_back(store: Store, held: Held) -> None:
    order, made = held.closing(), trade(held.decision)
    orders.place(store, order, AT + 2 * DAY)
    assert trades.close(store, fill(order.id), made)
    assert trades.trades(store) == [made]
    assert trades.positions(store) == []
    assert exposure.held(store) == ()
    assert [r.kind for r in audit.records(store, "fortress")] == [
        "decision",
        "fill",
        "fill",
        "trade",
    ]
    assert audit.records(store, "fortress", "trade")[0].body == made.model_dump(mode="json")


def test_closing_twice_makes_one_trade(store: Store, held: Held) -> None:
    order = held.closing()
    orders.place(store, order, AT + 2 * DAY)
    assert trades.close(store, fill(order.id), trade(held.decision))
    assert not trades.close(store, fill(order.id), trade(held.decision, 2))
    assert len(trades.trades(store)) == 1


def test_a_part_is_closed_and_the_rest_stays(store: Store, held: Held) -> None:
    order = held.closing(1, Exit.PARTIAL)
    orders.place(store, order, AT + 2 * DAY)
    left = position(held.decision, quantity=1)
    part = trade(held.decision, quantity=1, why=Exit.PARTIAL)
    assert trades.close(store, fill(order.id, quantity=1), part, left)
    assert trades.positions(store) == [left]
    assert [e.risk for e in exposure.held(store)] == [4_000.0]


@pytest.mark.parametrize(("closed", "left"), [(1, None), (2, 1)])
def test_units_that_do_not_add_up_are_refused_and_nothing_is_written(
    store: Store, held: Held, closed: int, left: int | None
) -> None:
    order = held.closing(closed)
    orders.place(store, order, AT + 2 * DAY)
    rest = None if left is None else position(held.decision, quantity=left)
    made = trade(held.decision, quantity=closed)
    with pytest.raises(Refused, match="read the position again"):
        trades.close(store, fill(order.id, quantity=closed), made, rest)
    assert trades.trades(store) == []
    assert trades.positions(store) == [held.position]
    assert orders.get(store, order.id)[1] == "open"
    assert audit.verify(store).ok


def test_what_is_not_held_cannot_be_closed(store: Store, held: Held) -> None:
    first, second = held.closing(), held.closing(why=Exit.STOP)
    for order in (first, second):
        orders.place(store, order, AT + 2 * DAY)
    trades.close(store, fill(first.id), trade(held.decision))
    with pytest.raises(Refused, match="0 units are held"):
        trades.close(store, fill(second.id), trade(held.decision, 2))


def test_marks_are_stored_with_the_risk_that_is_left(store: Store, held: Held) -> None:
    marked = position(held.decision, mark=-2.5, risk=5_000.0, bars=1)
    assert trades.mark(store, [marked]) == 1
    assert trades.positions(store) == [marked]
    assert [e.risk for e in exposure.held(store)] == [5_000.0]
    assert trades.mark(store, []) == 0


def test_a_late_mark_never_brings_back_what_was_closed(store: Store, held: Held) -> None:
    late = position(held.decision, mark=-2.5)
    order = held.closing(1, Exit.PARTIAL)
    orders.place(store, order, AT + 2 * DAY)
    left = position(held.decision, quantity=1)
    trades.close(store, fill(order.id, quantity=1), trade(held.decision, quantity=1), left)
    assert trades.mark(store, [late]) == 0
    assert trades.positions(store) == [left]
    assert [e.risk for e in exposure.held(store)] == [4_000.0]


def test_trades_are_listed_oldest_first_and_filtered(store: Store) -> None:
    made = []
    drafts = [want(1, "fortress"), want(2, "anchor"), want(3, "fortress")]
    for day, decision in enumerate(decisions.seal(store, drafts, anything, AT), 2):
        orders.record_fill(store, fill(decision.id), position(decision))
        order = Order.closing(position(decision), 2, Exit.TIME, AT + DAY)
        orders.place(store, order, AT + DAY)
        made.append(trade(decision, closed_at=AT + day * DAY))
        trades.close(store, fill(order.id), made[-1])
    assert trades.trades(store) == made
    assert trades.trades(store, bot="anchor") == [made[1]]
    assert trades.trades(store, symbol="AAPL") == []
    assert trades.trades(store, since=AT + 3 * DAY) == made[1:]
    assert trades.trades(store, until=AT + 3 * DAY) == made[:1]
    assert trades.trades(store, limit=1) == made[2:]


def test_outcomes_are_recorded_once_per_decision_and_model(store: Store) -> None:
    first, second = decisions.seal(store, [hold(1), hold(2)], anything, AT)
    early, late = outcome(first.id), outcome(second.id, at=AT + 8 * DAY)
    assert trades.record_outcomes(store, [early, late]) == 2
    assert trades.record_outcomes(store, [outcome(first.id, happened=False)]) == 0
    assert trades.record_outcomes(store, [outcome(first.id, model="prophet")]) == 1
    assert trades.record_outcomes(store, []) == 0
    assert trades.outcomes(store, "wisdom") == [early, late]
    assert trades.outcomes(store, "wisdom", since=AT + 8 * DAY) == [late]
    assert trades.outcomes(store, "wisdom", limit=1) == [late]


def test_an_outcome_of_no_decision_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityError, match="the database refuses it"):
        trades.record_outcomes(store, [outcome("unheard-of")])
