"""CORNERSTONE: what its layers say, and the wheel turned by a desk, and by another after it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.book import Mode, Scope
from domain.decision import Context, Draft, Effect, OmegaDecision, Prediction, Reason
from domain.examples import book, context, exposure, prediction, surface
from domain.trade import Exit
from domain.values import Action
from market import calendar
from orchestrator import books, pipeline, replay
from orchestrator.desk import Desk
from orchestrator.layers.advisor import advisor
from orchestrator.layers.inference import REDUCED, inference
from orchestrator.layers.sizing import payoff, sizing
from risk import killswitch
from storage import decisions, switches, trades
from tests.orchestrator.made import codes, desk_at, due, ordered, vetoed, wanting
from trading.bots.catalog import BOTS
from trading.structures.base import payoff as pays

BOT = BOTS["cornerstone"]
PUT = {"base_rate": 0.83, "low": 0.68, "high": 0.78, "gain": 0.009, "loss": 0.03}
CALL = {"call_rate": 0.65, "call_gain": 0.025, "call_loss": 0.035, "call_n": 6000.0}
RICH = {"equity": 500_000.0, "peak": 500_000.0, "desk_equity": 1_400_000.0, "bots": 4}


def day(held: float = 0.0, vix: float = 17.0, **fields: Any) -> Context:
    steep = surface(sigmas={1: 0.13, 5: 0.13, 10: 0.14, 21: 0.14})
    plain = {"bot": BOT, "surface": steep, "book": book(**RICH)}
    return context(**plain | {"features": {"vix": vix, "holds_index": held}} | fields)


def said(p: float | None = 0.88, **facts: float) -> Prediction:
    return prediction(p, "wheel", **PUT | CALL | facts)


def asked(context: Context, *answers: Prediction) -> Draft:
    return Draft(context=context, predictions=answers or (said(),))


def through(context: Context, *answers: Prediction) -> Draft:
    """Return what every layer makes of it."""
    return pipeline.run(context, lambda _: answers or (said(),))


def told(draft: Draft) -> str:
    assert draft.veto is not None
    return draft.veto.reason


# the put


def test_a_put_is_sold_on_what_its_model_says_of_the_strike() -> None:
    draft = through(day())
    assert [name for name, _, _ in codes(draft)] == [*pipeline.LAYERS]
    assert draft.proposal is not None
    assert (draft.action, draft.proposal.structure) == (Action.SELL, "cash_secured_put")
    assert draft.probability == 0.88
    assert payoff(draft, draft.proposal) == (0.009, 0.03)
    # 75,000 dollars at most, of about 23,250 each
    assert draft.quantity == 3
    assert draft.quantity * draft.proposal.max_loss <= 0.15 * 500_000


@pytest.mark.parametrize(("p", "scale"), [(0.78, 1.0), (0.77, REDUCED), (0.68, REDUCED)])
def test_less_than_is_usual_is_less_of_it(p: float, scale: float) -> None:
    assert inference(asked(day(), said(p))).scale == scale


def test_a_strike_that_will_hardly_hold_is_not_sold() -> None:
    draft = inference(asked(day(), said(0.67)))
    assert vetoed(draft) == ("inference", Reason.LOW_PROBABILITY)
    assert told(draft) == "the wheel's model gives 0.670, 0.680 is the least"
    far = inference(asked(day(), said(0.54, low=0.3)))
    assert told(far) == "the wheel's model gives 0.540, 0.550 is the least"


def test_a_put_without_an_edge_has_no_size() -> None:
    draft = through(day(), said(0.88, loss=0.07))  # 0.88 x 0.009 is less than 0.12 x 0.07
    assert vetoed(draft) == ("sizing", Reason.NO_EDGE)


# the call


def test_a_call_is_judged_by_how_all_of_its_kind_came_out_and_by_no_forecast() -> None:
    for p in (0.99, 0.40):
        draft = through(day(1.0), said(p))
        assert draft.proposal is not None
        assert (draft.action, draft.proposal.structure) == (Action.BUY, "covered_call")
        assert draft.probability == 0.65
        assert payoff(draft, draft.proposal) == (0.025, 0.035)
        assert draft.quantity == 3
    reason = next(v.reason for v in draft.verdicts if v.layer == "inference")
    assert reason == (
        "the index was assigned: a call is sold against it; 0.650 of 6000 such positions in "
        "history paid, no forecast"
    )


def test_a_history_in_which_calls_lost_is_no_edge() -> None:
    draft = through(day(1.0), said(call_gain=0.018))  # 0.65 x 0.018 is less than 0.35 x 0.035
    assert vetoed(draft) == ("sizing", Reason.NO_EDGE)
    rare = through(day(1.0), said(call_rate=0.54))
    assert vetoed(rare) == ("inference", Reason.LOW_PROBABILITY)
    assert told(rare) == "0.540 of such calls paid, 0.550 is the least"


@pytest.mark.parametrize("missing", CALL)
def test_a_champion_that_measured_no_calls_is_to_be_trained_again(missing: str) -> None:
    whole = said()
    facts = {name: v for name, v in whole.facts.items() if name != missing}
    draft = inference(asked(day(1.0), whole.model_copy(update={"facts": facts})))
    assert vetoed(draft) == ("inference", Reason.UNTRAINED)
    assert told(draft) == (
        "no call 0.5 expected moves away was measured with champion 0123456789ab; train it again"
    )


# either


@pytest.mark.parametrize("held", [0.0, 1.0])
def test_without_a_champion_it_holds_and_says_what_to_train(held: float) -> None:
    why = "no champion; train one with `omega train wheel`"
    nobody = said(None).model_copy(update={"reason": why})
    for draft in (asked(day(held), nobody), Draft(context=day(held))):
        stopped = inference(draft)
        assert vetoed(stopped) == ("inference", Reason.UNTRAINED)
        assert "omega train wheel" in told(stopped)


@pytest.mark.parametrize("held", [0.0, 1.0])
def test_a_day_like_none_before_is_held(held: float) -> None:
    odd = said(None, novelty=9.0, novelty_limit=4.0).model_copy(update={"reason": "like nothing"})
    assert vetoed(inference(asked(day(held), odd))) == ("inference", Reason.NOVEL)


@pytest.mark.parametrize("held", [0.0, 1.0])
def test_an_unknown_vix_holds(held: float) -> None:
    blind = day(held, features={"holds_index": held}, unknown=("vix",))
    assert vetoed(through(blind)) == ("inference", Reason.FEATURE_UNKNOWN)
    assert told(through(blind)) == "no value for vix"
    bare = day(held, features={"holds_index": held})
    assert vetoed(through(bare)) == ("advisor", Reason.FEATURE_UNKNOWN)
    assert vetoed(through(day(held, surface=None))) == ("inference", Reason.NO_SURFACE)


def test_who_does_not_know_what_it_holds_holds() -> None:
    lost = day(features={"vix": 17.0})
    assert vetoed(through(lost)) == ("inference", Reason.FEATURE_UNKNOWN)
    assert "holds_index" in told(through(lost))


@pytest.mark.parametrize("held", [0.0, 1.0])
@pytest.mark.parametrize(
    ("vix", "scale", "effect"),
    [
        (14.0, 1.0, Effect.PASS),
        (22.0, 0.75, Effect.ADJUST),
        (28.0, 0.5, Effect.ADJUST),
        (35.0, 0.25, Effect.ADJUST),
    ],
)
def test_the_vix_shrinks_it_and_moves_no_strike(
    held: float, vix: float, scale: float, effect: Effect
) -> None:
    draft = advisor(inference(asked(day(held, vix))))
    assert draft.scale == scale
    assert draft.verdicts[-1].effect is effect
    assert draft.proposal is not None
    assert draft.proposal.distance == 0.5


def test_a_unit_that_the_money_does_not_cover_is_not_traded() -> None:
    poor = day(book=book(**RICH | {"equity": 150_000.0, "peak": 150_000.0}))
    draft = through(poor)  # 15 % of it are 22,500, and a strike of 2,330 takes 23,200
    assert vetoed(draft) == ("sizing", Reason.TOO_SMALL)
    assert "risk_per_trade binds" in told(draft)


def test_the_caps_of_the_desk_hold_for_it_too() -> None:
    taken = exposure(bot="samson", risk=200_000.0)  # of 210,000 in one symbol
    full = day(book=book(**RICH, exposures=(taken,)), correlations={taken.id: 0.0})
    draft = through(full)
    assert vetoed(draft) == ("sizing", Reason.TOO_SMALL)
    assert "symbol_cap binds" in told(draft)


@pytest.mark.parametrize("held", [0.0, 1.0])
def test_its_decision_replays_from_the_record(held: float) -> None:
    made = OmegaDecision.seal(through(day(held)))
    assert made.quantity == 3
    again = OmegaDecision.model_validate_json(made.model_dump_json())
    assert replay.check([again]) == replay.Replayed(equal=1, asked=1)
    # another phase is another decision: the record has the one that was
    turned = day(1.0 - held)
    other = made.draft.model_copy(update={"context": turned})
    changed = made.model_copy(update={"draft": other})
    assert replay.check([changed]).different == (made.id,)


def test_sizing_asks_the_wheels_model_and_nobody_else() -> None:
    draft = advisor(inference(asked(day())))
    silent = draft.model_copy(update={"predictions": (prediction(0.9, "wisdom"),)})
    assert vetoed(sizing(silent)) == ("sizing", Reason.FAILED)
    assert told(sizing(silent)) == (
        "OmegaError: no model says what a winner brings and a loser costs"
    )


# turned by a desk

ASSIGNED = datetime(2018, 10, 2, 20, tzinfo=UTC)
"""The put sold here ends in the money, and the call after it does not."""
WORTHLESS = datetime(2017, 5, 3, 20, tzinfo=UTC)
CALLED = datetime(2016, 2, 11, 21, tzinfo=UTC)
"""A call sold here is called away."""


def carried(desk: Desk, start: datetime, sessions: int = 21) -> datetime:
    """Fill and mark at every opening and close of the next sessions; return the last close."""
    close = start
    for n in range(1, sessions + 1):
        close = calendar.ahead(start, n)
        for moment in (calendar.opens(close.date()), close):
            desk.clock.turn(moment)
            books.execute(desk)
            books.mark(desk)
    return close


def phase(desk: Desk) -> float:
    return due(desk, "cornerstone", "SPX").features["holds_index"]


def test_a_put_that_expires_worthless_leaves_cash(tmp_path: Path) -> None:
    with desk_at(tmp_path, WORTHLESS) as desk:
        sealed = ordered(desk, "cornerstone", "SPX", 2)
        assert sealed.context.features["holds_index"] == 0.0
        assert carried(desk, WORTHLESS) == calendar.ahead(WORTHLESS, 21)
        [trade] = trades.trades(desk.store)
        assert (trade.why, trade.exit, trade.quantity) == (Exit.EXPIRY, 0.0, 2)
        assert trade.pnl == pytest.approx(trade.entry * 20 - trade.costs)
        assert "settled in cash" in trade.simulated
        assert phase(desk) == 0.0


def test_an_assigned_put_goes_on_as_the_index_in_a_desk_opened_anew(tmp_path: Path) -> None:
    with desk_at(tmp_path, ASSIGNED) as desk:
        put = ordered(desk, "cornerstone", "SPX")
        expiry = carried(desk, ASSIGNED)
    assert put.proposal is not None
    # another process, the same store
    with desk_at(tmp_path, expiry) as desk:
        [trade] = trades.trades(desk.store)
        close = desk.feed.bar("SPX", expiry)
        assert close is not None
        assert (trade.why, trade.exit) == (Exit.ASSIGNED, pays(put.proposal.legs, close.close))
        call = ordered(desk, "cornerstone", "SPX")
        assert call.context.features["holds_index"] == 1.0
        assert call.proposal is not None
        assert call.proposal.structure == "covered_call"
        [kept] = decisions.many(desk.store, [call.id])
        assert kept.context.features["holds_index"] == 1.0
        then = carried(desk, expiry, 20)
        [held] = trades.positions(desk.store)
        assert held.expires == calendar.ahead(expiry, 21)
        assert held.risk == pytest.approx(-held.entry * 10 + held.proposal.costs)
        last = carried(desk, then, 1)
        assert trades.positions(desk.store) == []
        assert trades.trades(desk.store)[-1].why is Exit.EXPIRY
    # the call expired worthless: the index is still held
    with desk_at(tmp_path, last) as desk:
        assert phase(desk) == 1.0


def test_a_call_that_is_called_away_leaves_cash(tmp_path: Path) -> None:
    with desk_at(tmp_path, CALLED) as desk:
        waiting = due(desk, "cornerstone", "SPX")
        index = waiting.model_copy(update={"features": waiting.features | {"holds_index": 1.0}})
        [call] = desk.seal([wanting(index)])
        assert call.proposal is not None
        assert call.proposal.structure == "covered_call"
        carried(desk, CALLED)
        [trade] = trades.trades(desk.store)
        assert (trade.why, trade.exit) == (Exit.CALLED_AWAY, call.proposal.legs[1].strike)
        assert phase(desk) == 0.0


def test_while_one_is_open_there_is_no_other(tmp_path: Path) -> None:
    with desk_at(tmp_path, WORTHLESS) as desk:
        ordered(desk, "cornerstone", "SPX")
        carried(desk, WORTHLESS, 3)
        stopped = pipeline.run(due(desk, "cornerstone", "SPX"), lambda _: (said(),))
        assert vetoed(stopped) == ("safety", Reason.MAX_OPEN)


def test_a_halt_stops_the_next_one_and_lets_this_one_expire(tmp_path: Path) -> None:
    with desk_at(tmp_path, ASSIGNED) as desk:
        ordered(desk, "cornerstone", "SPX")
        then = carried(desk, ASSIGNED, 1)
        now = desk.clock.now()
        halt = killswitch.human(Scope.BOT, "cornerstone", "drill", "me", now, Mode.HALTED)
        switches.throw(desk.store, halt)
        carried(desk, then, 20)
        assert trades.positions(desk.store) == []
        assert [trade.why for trade in trades.trades(desk.store)] == [Exit.ASSIGNED]
        stopped = pipeline.run(due(desk, "cornerstone", "SPX"), lambda _: (said(),))
        assert vetoed(stopped) == ("safety", Reason.KILLED)
        assert stopped.context.features["holds_index"] == 1.0
