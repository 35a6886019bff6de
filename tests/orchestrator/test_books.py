"""What becomes of a decision: filled, marked, closed, counted; and done twice, done once."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from domain.book import KillCode, Mode, Scope
from domain.decision import Reason
from domain.errors import Transient
from domain.trade import Exit, Fill, Intent, Order, Position
from market import calendar, pricing
from market.panel import Panel
from orchestrator import books, pipeline
from orchestrator.build import build
from orchestrator.desk import Desk
from orchestrator.pulse import ALIVE
from orchestrator.view import accounts
from risk import killswitch
from risk.capital import Capital
from storage import audit, exposure, orders, outbox, state, switches, trades
from tests.orchestrator.made import (
    CLOSE,
    DAY,
    MINUTE,
    Made,
    desk_at,
    due,
    ordered,
    packaged,
    passes,
    spoil,
    wanting,
)
from tests.storage.made import unfilled
from trading import accounting
from trading.bots.catalog import BOTS
from trading.brokers.base import Quote
from trading.strategies import catalog as strategies
from trading.structures.base import value

START = datetime(2014, 1, 2, tzinfo=UTC)
OPEN = datetime(2016, 3, 8, 14, 30, tzinfo=UTC)
NEXT = datetime(2016, 3, 8, 21, tzinfo=UTC)
ID = "fortress-SPX-20160307T2100Z"


def turn(desk: Desk, to: datetime) -> None:
    desk.clock.turn(to)


def carried(desk: Desk, sessions: int, start: datetime = CLOSE) -> None:
    """Fill and mark at every opening and close of the next sessions."""
    for n in range(1, sessions + 1):
        close = calendar.ahead(start, n)
        for moment in (calendar.opens(close.date()), close):
            turn(desk, moment)
            books.execute(desk)
            books.mark(desk)


def kill(desk: Desk, mode: Mode = Mode.HALTED) -> None:
    latch = killswitch.human(Scope.ALL, "*", "drill", "me", desk.clock.now(), mode)
    switches.throw(desk.store, latch)


def everything(desk: Desk) -> dict[str, object]:
    """Return all that the books say."""
    return {
        "positions": trades.positions(desk.store),
        "trades": trades.trades(desk.store),
        "exposure": exposure.held(desk.store),
        "state": {key: kept.body for key, kept in state.listing(desk.store, "").items()},
        "waiting": unfilled(desk.store),
        "outbox": [message.payload for message in outbox.pending(desk.store)],
    }


def without(symbol: str, first: datetime, last: datetime) -> Panel:
    """Return the packaged panel without one symbol's prices, or one series, in a window."""
    panel = packaged().panel()
    times = panel.times.astype("datetime64[s]")
    gap = (times >= np.datetime64(first.replace(tzinfo=None))) & (
        times <= np.datetime64(last.replace(tzinfo=None))
    )
    if symbol in panel.series:
        series = dict(panel.series) | {symbol: np.where(gap, np.nan, panel.series[symbol])}
        return replace(panel, series=series, memo={})
    close = panel.close.copy()
    close[gap, panel.column(symbol)] = np.nan
    return replace(panel, close=close, memo={})


# execute


def test_nothing_is_filled_at_the_close_it_was_decided_at(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX")
    assert books.execute(flat) == 0
    turn(flat, OPEN - MINUTE)
    assert books.execute(flat) == 0
    assert trades.positions(flat.store) == []
    assert len(unfilled(flat.store)) == 1


def test_an_order_is_filled_at_the_next_open_with_the_volatility_known_then(flat: Desk) -> None:
    decision = ordered(flat, "fortress", "SPX", 2)
    surface, proposal = decision.context.surface, decision.proposal
    assert surface is not None
    assert proposal is not None
    turn(flat, OPEN)
    assert books.execute(flat) == 1
    [position] = trades.positions(flat.store)
    spot = packaged().opening("SPX", OPEN)
    assert spot == 1996.880005 != surface.spot
    expected = -value(proposal.legs, pricing.shifted(surface, spot), 5)
    assert position.entry == pytest.approx(expected)
    assert position.entry != pytest.approx(proposal.entry, abs=1e-3)
    assert (position.opened_at, position.quantity, position.decision_id) == (OPEN, 2, ID)
    assert position.expires == calendar.ahead(CLOSE, 5)
    assert orders.get(flat.store, ID)[1] == "filled"
    [held] = exposure.held(flat.store)
    assert held.risk == position.risk


def test_an_order_is_filled_once(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX")
    turn(flat, OPEN)
    assert books.execute(flat) == 1
    once = everything(flat)
    assert books.execute(flat) == 0
    turn(flat, OPEN + MINUTE)
    assert books.execute(flat) == 0
    assert everything(flat) == once
    assert flat.view(OPEN).book(flat.bot("fortress"), "SPX").trades_today == 1


def test_an_entry_of_today_is_counted_whoever_wrote_the_account_last(flat: Desk) -> None:
    """As when a mark that had read the account before the fill writes it after."""
    ordered(flat, "fortress", "SPX")
    carried(flat, 1)
    early = state.listing(flat.store, "account/")
    turn(flat, NEXT + MINUTE)
    flat.bots["fortress"] = BOTS["fortress"].model_copy(update={"max_daily": 9, "max_open": 9})
    flat.seal([wanting(flat.ask(flat.bot("fortress"), "SPX"))])
    tomorrow = calendar.opens(calendar.ahead(NEXT, 1).date())
    turn(flat, tomorrow)
    assert books.execute(flat) == 1
    state.put_many(flat.store, {key: kept.body for key, kept in early.items()})
    book = flat.view(tomorrow).book(flat.bot("fortress"), "SPX")
    assert (book.trades_today, book.open_positions) == (1, 2), "yesterday's is open, not of today"


def test_an_order_counts_once_of_today_while_it_waits_and_when_it_is_filled(flat: Desk) -> None:
    bot = BOTS["autotrader"]
    counts = []
    flat.seal([wanting(flat.ask(bot, symbol)) for symbol in ("KO", "JPM")])
    for moment in (CLOSE, NEXT):
        turn(flat, moment)
        books.execute(flat)
        counts.append(flat.view(moment).book(bot, "XOM").trades_today)
    flat.seal([wanting(flat.ask(bot, "XOM"))])
    counts.append(flat.view(NEXT).book(bot, "XOM").trades_today)
    assert counts == [2, 2, 3]


def test_a_message_that_comes_again_fills_nothing_again(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX")
    turn(flat, OPEN)
    books.execute(flat)
    once = everything(flat)
    spoil(flat, "UPDATE outbox SET published_at = NULL")
    assert books.execute(flat) == 0
    assert everything(flat) == once


def test_a_symbol_with_closes_only_is_filled_at_the_next_close(flat: Desk) -> None:
    ordered(flat, "autotrader", "KO", 10)
    turn(flat, OPEN)
    assert books.execute(flat) == 0
    turn(flat, NEXT)
    assert books.execute(flat) == 1
    [position] = trades.positions(flat.store)
    bar = packaged().bar("KO", NEXT)
    assert bar is not None
    assert (position.opened_at, position.entry) == (NEXT, -bar.close)
    books.mark(flat)
    assert trades.positions(flat.store) == [position], "the bar it was filled at is not its first"


@pytest.mark.parametrize("mode", [Mode.HALTED, Mode.REDUCING])
def test_a_kill_overnight_cancels_the_order_and_gives_its_risk_back(flat: Desk, mode: Mode) -> None:
    ordered(flat, "fortress", "SPX")
    turn(flat, CLOSE + timedelta(hours=3))
    kill(flat, mode)
    turn(flat, OPEN)
    assert books.execute(flat) == 0
    assert orders.get(flat.store, ID)[1] == "cancelled"
    assert exposure.held(flat.store) == ()
    assert trades.positions(flat.store) == []
    assert outbox.pending(flat.store) == []
    [entry] = [e for e in audit.records(flat.store, "fortress") if e.kind == "cancel"]
    assert entry.body["why"] == "HUMAN: drill"


def test_a_kill_in_the_middle_of_filling_stops_the_fill(
    flat: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered(flat, "fortress", "SPX")
    turn(flat, OPEN)
    submit = flat.broker.submit

    def killed_meanwhile(order: Order, quote: Quote) -> Fill:
        kill(flat, Mode.HALTED)
        return submit(order, quote)

    monkeypatch.setattr(flat.broker, "submit", killed_meanwhile)
    assert books.execute(flat) == 0
    assert orders.get(flat.store, ID)[1] == "open", "it waits for a second look"
    assert trades.positions(flat.store) == []
    assert books.execute(flat) == 0
    assert orders.get(flat.store, ID)[1] == "cancelled"
    assert exposure.held(flat.store) == ()


def test_switches_that_cannot_be_read_overnight_cancel_too(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX")
    spoil(flat, "DELETE FROM counters WHERE name = 'desk'")
    turn(flat, OPEN)
    assert books.execute(flat) == 0
    assert orders.get(flat.store, ID)[1] == "cancelled"
    assert exposure.held(flat.store) == ()


def test_an_order_without_a_price_waits_a_session_and_is_cancelled(tmp_path: Path) -> None:
    gap = without("KO", NEXT, NEXT + 3 * DAY)
    with desk_at(tmp_path, CLOSE, Made(gap)) as desk:
        key = ordered(desk, "autotrader", "KO").id
        other = ordered(desk, "autotrader", "JPM").id
        turn(desk, NEXT)
        assert books.execute(desk) == 1
        assert orders.get(desk.store, key)[1] == "open"
        assert orders.get(desk.store, other)[1] == "filled"
        turn(desk, NEXT + MINUTE)
        assert books.execute(desk) == 0
        assert orders.get(desk.store, key)[1] == "cancelled"
        assert {e.symbol for e in exposure.held(desk.store)} == {"JPM"}
        assert outbox.pending(desk.store) == []


def test_options_that_nobody_can_price_wait_and_do_not_stop_the_others(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX")
    ordered(flat, "autotrader", "KO")
    flat.feed = Made(without("VIX", CLOSE, NEXT))
    flat._seen = None
    turn(flat, OPEN)
    assert books.execute(flat) == 0
    turn(flat, NEXT)
    assert books.execute(flat) == 1
    assert [p.symbol for p in trades.positions(flat.store)] == ["KO"]
    assert orders.get(flat.store, ID)[1] == "open"
    turn(flat, NEXT + MINUTE)
    assert books.execute(flat) == 0
    assert orders.get(flat.store, ID)[1] == "cancelled"


def test_an_order_that_closes_is_left_to_the_mark(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX", 2)
    turn(flat, OPEN)
    books.execute(flat)
    [position] = trades.positions(flat.store)
    turn(flat, NEXT)
    closing = Order.closing(position, 2, Exit.STOP, NEXT)
    orders.place(flat.store, closing, NEXT)
    turn(flat, calendar.opens(datetime(2016, 3, 9, tzinfo=UTC).date()))
    assert books.execute(flat) == 0
    assert trades.positions(flat.store) == [position]
    assert [o.intent for o in unfilled(flat.store)] == [Intent.CLOSE]


# mark


def test_marking_twice_changes_nothing(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX", 2)
    ordered(flat, "autotrader", "KO", 10)
    carried(flat, 2)
    once = everything(flat)
    assert once["positions"]
    assert books.mark(flat) == 0
    turn(flat, flat.clock.now() + MINUTE)
    assert books.mark(flat) == 0
    assert everything(flat) == once


def test_marking_late_comes_to_the_same_as_marking_every_day(tmp_path: Path) -> None:
    found = []
    for name, late in (("daily", False), ("late", True)):
        with desk_at(tmp_path / name, CLOSE) as desk:
            for bot, symbol in (("samson", "SPX"), ("anchor", "SPX"), ("autotrader", "KO")):
                ordered(desk, bot, symbol, 4)
            carried(desk, 1)
            if late:
                turn(desk, calendar.ahead(CLOSE, 6))
                books.mark(desk)
            else:
                carried(desk, 5, NEXT)
            ends = accounts(desk.store, desk.bots)
            cash = {name: (account.cash, account.trades) for name, account in ends.items()}
            found.append((trades.trades(desk.store), trades.positions(desk.store), cash))
    assert found[0][0]
    assert found[0] == found[1]


@pytest.mark.parametrize("how", ["killed", "unreadable"])
def test_exits_go_through_while_the_desk_is_halted(flat: Desk, how: str) -> None:
    ordered(flat, "fortress", "SPX", 2)
    carried(flat, 1)
    if how == "killed":
        kill(flat)
    else:
        spoil(flat, "DELETE FROM counters WHERE name = 'desk'")
    stopped = pipeline.run(due(flat, "fortress", "SPX"), lambda _: ())
    assert stopped.veto is not None
    assert stopped.veto.code in (Reason.KILLED, Reason.SWITCHES_UNREADABLE)
    carried(flat, 4, NEXT)
    assert trades.positions(flat.store) == []
    assert exposure.held(flat.store) == ()
    [trade] = trades.trades(flat.store)
    assert (trade.why, trade.decision_id, trade.quantity) == (Exit.EXPIRY, ID, 2)
    assert trade.closed_at == calendar.ahead(CLOSE, 5)


def test_a_closed_trade_is_in_the_cash_and_out_of_the_exposure(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX", 2)
    carried(flat, 5)
    [trade] = trades.trades(flat.store)
    account = accounts(flat.store, flat.bots)["fortress"]
    assert account.cash == 100_000 + trade.pnl
    assert (account.unrealised, account.trades, account.costs) == (0.0, 1, trade.costs)
    assert {o.intent for o in unfilled(flat.store)} == set()
    assert books.execute(flat) == 0
    assert outbox.pending(flat.store) == []


def test_a_trade_that_no_account_has_counted_is_counted_by_the_next_mark(flat: Desk) -> None:
    """As after a process that ended between the trade and the account."""
    ordered(flat, "fortress", "SPX", 2)
    carried(flat, 4)
    before = state.listing(flat.store, "account/")
    carried(flat, 1, calendar.ahead(CLOSE, 4))
    after = accounts(flat.store, flat.bots)["fortress"]
    state.put_many(flat.store, {key: kept.body for key, kept in before.items()})
    books.mark(flat)
    assert accounts(flat.store, flat.bots)["fortress"] == after
    books.mark(flat)
    assert accounts(flat.store, flat.bots)["fortress"] == after
    assert after.trades == 1


def test_a_second_worker_with_the_same_position_closes_nothing_again(flat: Desk) -> None:
    ordered(flat, "fortress", "SPX", 2)
    carried(flat, 4)
    [stale] = trades.positions(flat.store)
    carried(flat, 1, calendar.ahead(CLOSE, 4))
    once = everything(flat)
    bar = flat.feed.bar("SPX", flat.clock.now())
    assert bar is not None
    assert books._carry(flat, stale, bar) == (None, [])
    assert everything(flat) == once


def test_a_bar_without_a_price_leaves_the_position_where_it_was(tmp_path: Path) -> None:
    later = calendar.ahead(NEXT, 1)
    with desk_at(tmp_path, CLOSE, Made(without("KO", later, later))) as desk:
        ordered(desk, "autotrader", "KO", 10)
        carried(desk, 1)
        [before] = trades.positions(desk.store)
        carried(desk, 1, NEXT)
        assert trades.positions(desk.store) == [before]
        carried(desk, 1, later)
        [after] = trades.positions(desk.store)
    assert (after.bars, after.marked_at) == (1, calendar.ahead(later, 1))


def test_options_without_a_volatility_keep_their_mark_and_expire_all_the_same(
    tmp_path: Path,
) -> None:
    last = calendar.ahead(CLOSE, 5)
    with desk_at(tmp_path, CLOSE, Made(without("VIX", calendar.ahead(CLOSE, 2), last))) as desk:
        ordered(desk, "fortress", "SPX")
        carried(desk, 1)
        [before] = trades.positions(desk.store)
        carried(desk, 2, NEXT)
        [after] = trades.positions(desk.store)
        assert (after.mark, after.bars) == (before.mark, before.bars + 2)
        carried(desk, 2, calendar.ahead(NEXT, 2))
        [trade] = trades.trades(desk.store)
    assert trade.why is Exit.EXPIRY


# what the played window came to


def test_equity_is_capital_and_trades_and_what_is_open_for_every_bot(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    curves = books.equity(desk)
    for name, account in accounts(desk.store, desk.bots).items():
        closed = trades.trades(desk.store, bot=name)
        positions = trades.positions(desk.store, name)
        assert account.cash == pytest.approx(account.capital + sum(t.pnl for t in closed), abs=0.01)
        assert account.unrealised == pytest.approx(accounting.unrealised(positions), abs=0.01)
        assert account.trades == len(closed)
        assert account.costs == pytest.approx(sum(t.costs for t in closed), abs=0.01)
        newest = curves[name][-1]
        assert newest.equity == pytest.approx(account.equity, abs=0.01)
        assert newest.equity == newest.cash + newest.unrealised
    assert sum(len(trades.trades(desk.store, bot=name)) for name in desk.bots) > 0


def test_there_is_one_equity_for_every_bot_and_close(at_next_close: Callable[[str], Desk]) -> None:
    desk = at_next_close("home")
    for curve in books.equity(desk).values():
        at = [mark.at for mark in curve]
        assert at == sorted(set(at))
        closes = [calendar.closes(day) for day in calendar.sessions(at[0].date(), at[-1].date())]
        assert at == closes
    assert books.equity(desk).keys() == BOTS.keys()


def test_the_account_of_a_bot_that_is_gone_keeps_its_curve(flat: Desk) -> None:
    books.mark(flat)
    flat.bots = {"fortress": BOTS["fortress"]}
    assert set(books.equity(flat)) == set(BOTS)


def test_every_unit_that_was_filled_was_closed_or_is_held(
    at_next_close: Callable[[str], Desk],
) -> None:
    desk = at_next_close("home")
    units: Counter[str] = Counter()
    for trade in trades.trades(desk.store):
        units[trade.decision_id] += trade.quantity
    for position in trades.positions(desk.store):
        units[position.decision_id] += position.quantity
    filled = {key: orders.get(desk.store, key) for key in units}
    assert {key: order.quantity for key, (order, _) in filled.items()} == dict(units)
    assert {status for _, status in filled.values()} == {"filled"}
    held = {p.decision_id: p.risk for p in trades.positions(desk.store)}
    waiting = {o.id for o in unfilled(desk.store)}
    found = {e.id: e.risk for e in exposure.held(desk.store)}
    assert found.keys() == held.keys() | waiting
    assert {key: found[key] for key in held} == held


def test_half_of_the_shares_go_at_one_unit_of_risk_and_the_rest_are_carried(
    tmp_path: Path,
) -> None:
    start = datetime(2016, 2, 11, 21, tzinfo=UTC)
    with desk_at(tmp_path, start) as desk:
        context = due(desk, "autotrader", "KO")
        unit = strategies.propose(context).model_copy(update={"stop": 0.2})
        desk.seal([wanting(context, 9, unit)])
        carried(desk, 3, start)
        parts = trades.trades(desk.store)
        left: list[Position] = trades.positions(desk.store)
    assert [trade.why for trade in parts][:1] == [Exit.PARTIAL]
    assert parts[0].quantity == 4
    assert sum(t.quantity for t in parts) + sum(p.quantity for p in left) == 9


# sweep


def account_with(desk: Desk, bot: str, **fields: float) -> None:
    kept = accounts(desk.store, desk.bots)[bot].model_copy(update=fields)
    state.put(desk.store, f"account/{bot}", kept.model_dump(mode="json"))


def test_a_quiet_desk_sets_no_switch(flat: Desk) -> None:
    assert books.sweep(flat) == 0
    assert switches.read(flat.store).latches == ()
    assert state.listing(flat.store, "account/") == {}


def test_a_streak_is_forgiven_when_its_latch_is_set_and_the_latch_holds_a_session(
    flat: Desk,
) -> None:
    account_with(flat, "fortress", losses_in_row=3)
    assert books.sweep(flat) == 1
    [latch] = switches.read(flat.store).latches
    assert (latch.code, latch.scope, latch.target) == (
        KillCode.LOSS_STREAK,
        Scope.BOT,
        "fortress",
    )
    assert latch.expires_at == OPEN
    assert accounts(flat.store, flat.bots)["fortress"].losses_in_row == 0
    assert books.sweep(flat) == 0
    stopped = pipeline.run(due(flat, "fortress", "SPX"), lambda _: ())
    assert stopped.veto is not None
    assert stopped.veto.code is Reason.KILLED

    turn(flat, OPEN - 5 * MINUTE)
    books.roll(flat)
    assert switches.read(flat.store).latches == ()
    turn(flat, NEXT)
    assert books.sweep(flat) == 0
    free = pipeline.run(due(flat, "fortress", "SPX"), lambda _: ())
    assert free.veto is not None
    assert free.veto.code is Reason.UNTRAINED


def test_a_latch_is_counted_once_however_many_symbols_the_bot_trades(flat: Desk) -> None:
    for symbol in ("KO", "JPM", "XOM"):
        ordered(flat, "autotrader", symbol)
    account_with(flat, "autotrader", losses_in_row=3)
    assert books.sweep(flat) == 1
    assert len(switches.read(flat.store).latches) == 1


@pytest.mark.parametrize(
    ("fields", "code", "mode"),
    [
        ({"cash": 94_000.0}, KillCode.DAILY_LOSS, Mode.HALTED),
        ({"peak": 130_000.0}, KillCode.DRAWDOWN, Mode.REDUCING),
    ],
)
def test_losses_set_the_latch_that_they_call_for(
    flat: Desk, fields: dict[str, float], code: KillCode, mode: Mode
) -> None:
    account_with(flat, "fortress", **fields)
    assert books.sweep(flat) == 1
    [latch] = switches.read(flat.store).latches
    assert (latch.code, latch.mode, latch.target) == (code, mode, "fortress")
    assert not latch.human


def test_repeated_orders_halt_the_symbol_for_every_bot(flat: Desk) -> None:
    bot = BOTS["fortress"].model_copy(update={"max_open": 9, "max_daily": 9})
    flat.bots["fortress"] = bot
    for _ in range(3):
        flat.seal([wanting(flat.ask(bot, "SPX"))])
    assert books.sweep(flat) == 1
    [latch] = switches.read(flat.store).latches
    assert (latch.code, latch.scope, latch.target) == (
        KillCode.REPEAT_ORDERS,
        Scope.SYMBOL,
        "SPX",
    )
    turn(flat, CLOSE + MINUTE)
    stopped = pipeline.run(flat.ask(BOTS["anchor"], "SPX"), lambda _: ())
    assert stopped.veto is not None
    assert stopped.veto.code is Reason.KILLED


# roll


def test_a_person_s_latch_outlives_the_roll(flat: Desk) -> None:
    kill(flat)
    account_with(flat, "anchor", losses_in_row=3)
    books.sweep(flat)
    assert len(switches.read(flat.store).latches) == 2
    turn(flat, OPEN - 5 * MINUTE)
    books.roll(flat)
    [latch] = switches.read(flat.store).latches
    assert latch.human


def test_capital_is_drawn_once_a_day(flat: Desk) -> None:
    turn(flat, OPEN - 5 * MINUTE)
    books.roll(flat)
    drawn = state.get(flat.store, "capital")
    assert drawn is not None
    assert drawn.body["day"] == "2016-03-08"
    assert sum(drawn.body["allotted"].values()) == pytest.approx(1)
    books.roll(flat)
    again = state.get(flat.store, "capital")
    assert again is not None
    assert again.body == drawn.body
    turn(flat, OPEN + DAY - 5 * MINUTE)
    books.roll(flat)
    after = state.get(flat.store, "capital")
    assert after is not None
    assert after.body["day"] == "2016-03-09"
    assert after.body["allotted"] != drawn.body["allotted"]


def test_a_session_opens_with_its_result_from_here(flat: Desk) -> None:
    account_with(flat, "fortress", cash=98_000.0, losses_in_row=2)
    turn(flat, OPEN - 5 * MINUTE)
    books.roll(flat)
    account = accounts(flat.store, flat.bots)["fortress"]
    assert (account.day_open_equity, account.day_pnl) == (98_000.0, 0.0)
    assert account.losses_in_row == 2, "a streak goes on overnight"
    assert str(account.session) == "2016-03-08"


# reward and acknowledge


def test_every_trade_teaches_the_capital_once(at_next_close: Callable[[str], Desk]) -> None:
    desk = at_next_close("home")
    nothing = {"capital": Capital().model_dump(mode="json"), "rewarded": START.isoformat()}
    state.put_many(desk.store, nothing)
    n = len(trades.trades(desk.store))
    assert books.reward(desk) == n
    first = state.get(desk.store, "capital")
    assert first is not None
    assert set(first.body["arms"]) == {t.bot for t in trades.trades(desk.store)}
    assert books.reward(desk) == 0
    again = state.get(desk.store, "capital")
    assert again is not None
    assert again.body == first.body


def test_a_person_who_looked_begins_a_drawdown_and_a_streak_anew(flat: Desk) -> None:
    account_with(flat, "fortress", cash=75_000.0, losses_in_row=2, day_open_equity=75_000.0)
    assert books.sweep(flat) == 1
    books.acknowledge(flat.store, BOTS["fortress"], "me", "the model was wrong", CLOSE)
    account = accounts(flat.store, flat.bots)["fortress"]
    assert (account.peak, account.losses_in_row, account.equity) == (75_000.0, 0, 75_000.0)
    turn(flat, OPEN)
    assert books.sweep(flat) == 0
    entry = audit.records(flat.store, "fortress")[-1]
    assert (entry.kind, entry.body["who"], entry.body["peak"]) == ("acknowledge", "me", 100_000.0)


def test_what_a_person_says_while_the_books_are_marked_is_not_undone(
    flat: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_with(flat, "fortress", cash=75_000.0)
    really = accounting.unrealised

    def meanwhile(positions: Iterable[Position]) -> float:
        monkeypatch.setattr(accounting, "unrealised", really)
        books.acknowledge(flat.store, BOTS["fortress"], "me", "looked", CLOSE)
        return really(positions)

    monkeypatch.setattr(accounting, "unrealised", meanwhile)
    with pytest.raises(Transient, match="account/fortress changed meanwhile"):
        books.mark(flat)
    assert accounts(flat.store, flat.bots)["fortress"].peak == 75_000.0
    books.mark(flat)
    account = accounts(flat.store, flat.bots)["fortress"]
    assert (account.peak, account.equity) == (75_000.0, 75_000.0)
    assert books.equity(flat)["fortress"][-1].at == CLOSE


# builds


def test_processes_of_different_code_halt_the_desk(flat: Desk) -> None:
    passes(flat, host="decision@a")
    passes(flat, host="decision@b")
    assert books.sweep(flat) == 0
    passes(flat, host="decision@b", build="bbb")
    assert books.sweep(flat) == 1
    [latch] = switches.read(flat.store).latches
    assert (latch.scope, latch.code, latch.mode) == (
        Scope.ALL,
        KillCode.MIXED_BUILDS,
        Mode.HALTED,
    )
    assert "decision@a runs aaa, decision@b runs bbb" in latch.reason
    stopped = pipeline.run(due(flat, "fortress", "SPX"), lambda _: ())
    assert stopped.veto is not None
    assert stopped.veto.code is Reason.KILLED


def test_a_worker_that_has_gone_is_no_other_build(flat: Desk) -> None:
    passes(flat, host="decision@a", at=flat.wall.now() - ALIVE)
    passes(flat, host="decision@b", build="bbb")
    assert books.sweep(flat) == 0


@pytest.mark.parametrize(("skew", "halts"), [(0.9, 0), (-1.0, 0), (1.1, 1), (-7.0, 1)])
def test_a_worker_whose_clock_is_off_by_more_than_a_second_halts_the_desk(
    flat: Desk, skew: float, halts: int
) -> None:
    passes(flat, host="decision@a", skew=0.01)
    passes(flat, host="decision@b", skew=skew)
    assert books.sweep(flat) == halts
    latches = switches.read(flat.store).latches
    assert [(latch.code, latch.evidence["skew"]) for latch in latches] == halts * [
        (KillCode.CLOCK_SKEW, skew)
    ]
    assert all(f"decision@b is {skew:+.1f} s" in latch.reason for latch in latches)


def test_a_build_is_named_by_its_code() -> None:
    assert build() == build.__wrapped__()
    assert len(build()) == 12
