"""How futures are held, and what they bring: both sides, to the cent."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.book import Costs
from domain.bot import Brackets
from domain.errors import DataError, Refused, SettingsError
from domain.market import Bar
from domain.trade import Exit, Order, Position, Trade
from trading import accounting, contracts, exits
from trading.bots.valor import BRACKETS, VALOR
from trading.brackets import Held, Hit, through
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.examples import EXPIRES, OPENED, bar, future, order

COSTS = Costs()
FREE = Costs(future_ticks=0.0, future_commission=0.0)
Side = Literal[-1, 1]
SIDES: tuple[Side, ...] = (1, -1)
BOTH = pytest.mark.parametrize("side", SIDES)
DATA = Path(__file__).parents[2].parent / "shared" / "data"
NQ = DATA / "intraday" / "NQ_5m.csv.gz"


def bought(side: Side = 1, symbol: str = "MES", price: float = 5_000.0, n: int = 2) -> Position:
    """Return contracts opened by the paper broker at a price, on either side."""
    placed = order(future(symbol, side, price), n, VALOR).model_copy(update={"symbol": symbol})
    fill = PaperBroker(COSTS).submit(placed, Quote(symbol=symbol, at=OPENED, price=price))
    return exits.open_position(placed, fill, EXPIRES, VALOR)


def mes(
    close: float, low: float | None = None, high: float | None = None, opened: float | None = None
) -> Bar:
    return bar(close, low, high, opened, symbol="MES")


def mirrored(one: Bar, about: float = 5_000.0) -> Bar:
    """Return the bar with every price as far on the other side."""

    def over(price: float | None) -> float | None:
        return None if price is None else 2 * about - price

    return one.model_copy(
        update={
            "open": over(one.open),
            "high": over(one.low),
            "low": over(one.high),
            "close": over(one.close),
        }
    )


def on(side: Side, one: Bar) -> Bar:
    """Return a bar that was written for a long position, as a short one sees it."""
    return one if side > 0 else mirrored(one)


def through_bars(
    held: Position, *bars: Bar, remaining: float = 1.0
) -> tuple[Position | None, tuple[exits.Closing, ...]]:
    left: Position | None = held
    for one in bars:
        assert left is not None
        left, closings = exits.step(left, one, VALOR, COSTS, remaining)
        if closings:
            return left, closings
    return left, ()


def trade(held: Position, closing: exits.Closing) -> Trade:
    return accounting.trade(held, closing, OPENED + timedelta(hours=1))


# money


@pytest.mark.parametrize(
    ("symbol", "price", "moved", "dollars"),
    [("MES", 5_000.0, 10.0, 50.0), ("MNQ", 24_000.0, 10.0, 20.0), ("MGC", 2_000.0, 10.0, 100.0)],
)
@BOTH
def test_a_point_is_worth_what_the_contract_says_on_both_sides(
    side: Side, symbol: str, price: float, moved: float, dollars: float
) -> None:
    held = bought(side, symbol, price, n=3)
    after = exits.mark(held, price + side * moved)
    assert after.unrealised == pytest.approx(3 * dollars)
    assert exits.mark(held, price - side * moved).unrealised == pytest.approx(-3 * dollars)
    assert held.entry == -side * price
    closing = exits.flat(after, price + side * moved, COSTS)
    made = trade(held, closing)
    tick = contracts.find(symbol)
    both_ways = 2 * (tick.tick * tick.point + 0.62)
    assert made.costs == pytest.approx(3 * both_ways)
    assert made.pnl == pytest.approx(3 * dollars - 3 * both_ways)
    assert accounting.unrealised([after]) == pytest.approx(3 * dollars - 3 * both_ways / 2)


@BOTH
def test_a_first_stop_loses_one_unit_of_risk(side: Side) -> None:
    held = bought(side)
    left, (closing,) = through_bars(
        held,
        on(side, mes(5_000.7, 4_999.5, 5_001.0, 5_000.0)),
        on(side, mes(4_996, 4_995, 5_000, 5_000)),
    )
    assert left is None
    assert (closing.why, closing.quantity) == (Exit.STOP, 2)
    assert closing.price == side * (5_000.0 - side * 2.5)
    made = trade(held, closing)
    # 2.5 points of 5 dollars, a tick and 0.62 each way
    assert made.pnl == pytest.approx(-2 * (12.5 + 3.74))
    assert made.r == pytest.approx(-1.0)
    assert held.risk == pytest.approx(2 * 16.24)


def test_points_are_shares_of_the_price() -> None:
    assert bought(1, "MNQ", 24_000.0).stop == 24_000.0 - 12.0
    assert bought(-1, "MNQ", 24_000.0).stop == 24_000.0 + 12.0
    assert bought(1).stop == 4_997.5


def test_the_stop_keeps_its_distance_from_a_fill_that_was_not_the_price_proposed() -> None:
    placed = order(future("MES", -1, 5_000.0), 1, VALOR)
    fill = PaperBroker(COSTS).submit(placed, Quote(symbol="SPX", at=OPENED, price=4_990.0))
    assert fill.price == 4_990.0
    assert fill.costs == pytest.approx(1.87)
    assert exits.open_position(placed, fill, EXPIRES, VALOR).stop == 4_992.5


def test_costs_are_a_setting() -> None:
    held = bought()
    assert exits.flat(held, 5_000.0, FREE).costs == 0.0
    assert exits.flat(held, 5_000.0, COSTS).costs == pytest.approx(2 * 1.87)


def test_the_broker_fills_what_the_exit_rule_saw() -> None:
    held, one = bought(-1), on(-1, mes(4_996, 4_995, 5_000, 5_000))
    _, (closing,) = exits.step(held, one, VALOR, COSTS, 1)
    closes = Order.closing(held, 2, closing.why, one.at)
    fill = PaperBroker(COSTS).submit(closes, Quote.of(closing, one))
    assert (fill.price, fill.costs) == (closing.price, pytest.approx(closing.costs))


# one bar


@BOTH
def test_what_is_adverse_comes_first_within_a_bar(side: Side) -> None:
    both = on(side, mes(5_010.0, 4_990.0, 5_020.0, 5_000.6))
    _, (closing,) = through_bars(bought(side), both)
    assert (closing.why, abs(closing.price)) == (Exit.STOP, 5_000.0 - side * 2.5)


@BOTH
def test_an_open_beyond_the_stop_is_filled_at_the_open(side: Side) -> None:
    for opened, why in (
        (4_997.5, Exit.GAP_STOP),
        (4_996.0, Exit.GAP_STOP),
        (4_995.0, Exit.MAX_LOSS),
        (4_985.25, Exit.MAX_LOSS),
        (4_985.0, Exit.EMERGENCY),
        (4_000.0, Exit.EMERGENCY),
    ):
        one = on(side, mes(5_010.0, min(opened, 4_990.0), 5_020.0, opened))
        _, (closing,) = through_bars(bought(side), one)
        assert (closing.why, abs(closing.price)) == (why, opened if side > 0 else 10_000 - opened)


@BOTH
def test_a_lone_close_beyond_a_level_is_filled_at_that_close(side: Side) -> None:
    for close, why in (
        (4_998.0, Exit.REVERSE),
        (4_997.0, Exit.STOP),
        (4_994.0, Exit.MAX_LOSS),
        (4_980.0, Exit.EMERGENCY),
    ):
        _, (closing,) = through_bars(bought(side), on(side, mes(close)))
        assert (closing.why, abs(closing.price)) == (why, close if side > 0 else 10_000 - close)


@BOTH
def test_the_greatest_loss_holds_where_the_stop_was_moved_beyond_it(side: Side) -> None:
    moved = {"stop": 5_000.0 - side * 40.0, "best": side * 5_000.0 + 1.0}
    loose = bought(side).model_copy(update=moved)
    _, (closing,) = through_bars(loose, on(side, mes(4_980, 4_975, 5_000, 5_000)))
    assert (closing.why, abs(closing.price)) == (Exit.MAX_LOSS, 5_000.0 - side * 5.0)


@BOTH
def test_who_was_never_ahead_is_on_the_wrong_side(side: Side) -> None:
    at_two = on(side, mes(4_999.0, 4_998.0, 5_000.25, 5_000.0))
    left, (closing,) = through_bars(bought(side), at_two)
    assert left is None
    assert (closing.why, abs(closing.price)) == (Exit.REVERSE, 5_000.0 - side * 2.0)


@pytest.mark.parametrize(
    ("high", "low", "why"),
    [
        (5_000.49, 4_998.0, Exit.REVERSE),
        (5_000.49, 4_998.01, None),
        (5_000.5, 4_998.0, None),
        (5_000.5, 4_997.51, None),
        (5_000.5, 4_997.5, Exit.STOP),
        (5_000.49, 4_990.0, Exit.REVERSE),
    ],
)
@BOTH
def test_the_bounds_of_the_reverse_are_exact(
    side: Side, high: float, low: float, why: Exit | None
) -> None:
    first = on(side, mes(5_000.0, 4_999.5, high, 5_000.0))
    second = on(side, mes(4_999.0, low, 4_999.5, 4_999.5))
    _, closings = through_bars(bought(side), first, second)
    assert [closing.why for closing in closings] == ([] if why is None else [why])


@BOTH
def test_a_high_of_the_same_bar_does_not_save_from_the_reverse_but_its_open_does(
    side: Side,
) -> None:
    later = on(side, mes(5_001.0, 4_998.0, 5_002.0, 5_000.25))
    _, (closing,) = through_bars(bought(side), later)
    assert closing.why is Exit.REVERSE
    before = on(side, mes(5_001.0, 4_998.0, 5_002.0, 5_000.5))
    left, closings = through_bars(bought(side), before)
    assert left is not None
    assert closings == ()


@BOTH
def test_ahead_by_one_and_a_half_the_stop_trails_and_never_lies_behind_the_entry(
    side: Side,
) -> None:
    quiet = on(side, mes(5_001.0, 4_999.5, 5_001.49, 5_000.0))
    left, _ = through_bars(bought(side), quiet)
    assert left is not None
    assert left.stop == 5_000.0 - side * 2.5
    ahead = on(side, mes(5_001.0, 5_000.8, 5_001.5, 5_001.0))
    left, _ = through_bars(left, ahead)
    assert left is not None
    assert left.stop == pytest.approx(5_000.0 + side * 0.75)
    assert left.risk == pytest.approx(max(0.0, 2 * (-0.75 * 5 + 3.74)), abs=1e-9)
    _, (closing,) = through_bars(left, on(side, mes(5_000.0, 4_999.0, 5_001.2, 5_001.0)))
    assert closing.why is Exit.TRAIL
    assert abs(closing.price) == pytest.approx(5_000.0 + side * 0.75)


@BOTH
def test_with_a_wide_trail_the_stop_waits_at_the_entry(side: Side) -> None:
    wide = VALOR.model_copy(update={"brackets": BRACKETS.model_copy(update={"trail": 3 / 5_000})})
    left, _ = exits.step(bought(side), on(side, mes(5_001, 4_999.5, 5_002, 5_000)), wide, COSTS, 1)
    assert left is not None
    assert left.stop == 5_000.0
    _, (closing,) = exits.step(left, on(side, mes(5_000, 4_999, 5_001, 5_001)), wide, COSTS, 1)
    assert (closing.why, abs(closing.price)) == (Exit.BREAK_EVEN, 5_000.0)


def test_a_stop_that_is_nearer_already_stays() -> None:
    near = Held(1, 5_000.0, 5_002.0, 2.5)
    found = through(mes(5_002.5, 5_002.1, 5_002.6, 5_002.5), near, BRACKETS)
    assert found == near._replace(best=pytest.approx(2.6))


def test_the_trail_begins_at_its_bound_and_not_after_it() -> None:
    # of powers of two, so that the bound is exact
    rules = BRACKETS.model_copy(update={"even": 2 / 4_096, "trail": 1 / 4_096})
    for high, stop in ((4_098.0, 4_097.0), (4_097.75, 4_095.0)):
        found = through(mes(4_097, 4_096.5, high, 4_096.5), Held(1, 4_096.0, 4_095.0), rules)
        assert isinstance(found, Held)
        assert found.stop == stop


@BOTH
def test_a_bar_that_raises_the_stop_does_not_hit_it(side: Side) -> None:
    left, closings = through_bars(bought(side), on(side, mes(5_000.2, 4_999, 5_009, 5_000)))
    assert closings == ()
    assert left is not None
    assert left.stop == pytest.approx(5_000.0 + side * 8.25)
    _, (closing,) = through_bars(left, on(side, mes(5_000.2, 4_999, 5_001, 5_000.2)))
    assert (closing.why, abs(closing.price)) == (Exit.GAP_STOP, on(side, mes(5_000.2)).close)


@BOTH
def test_time_runs_out_at_the_close(side: Side) -> None:
    one = on(side, mes(5_001.0, 4_999.0, 5_001.2, 5_000.0))
    left, (closing,) = through_bars(bought(side), one, remaining=0.0)
    assert left is None
    assert (closing.why, closing.price) == (Exit.TIME, side * one.close)


# what is refused


def test_futures_without_brackets_or_stop_are_reported_and_not_guessed_at() -> None:
    bare = VALOR.model_copy(update={"brackets": None})
    with pytest.raises(DataError, match="brackets"):
        exits.step(bought(), mes(5_000.0), bare, COSTS, 1)
    with pytest.raises(DataError, match="without a stop"):
        exits.step(bought().model_copy(update={"stop": None}), mes(5_000.0), VALOR, COSTS, 1)
    placed = order(future().model_copy(update={"stop": None}), 1, VALOR)
    fill = PaperBroker(COSTS).submit(placed, Quote(symbol="SPX", at=OPENED, price=5_000.0))
    with pytest.raises(Refused, match="no stop"):
        exits.open_position(placed, fill, EXPIRES, VALOR)


def test_a_future_that_nobody_knows_has_no_costs_and_no_fill() -> None:
    placed = order(future(), 1, VALOR).model_copy(update={"symbol": "ZZ"})
    with pytest.raises(SettingsError, match="ZZ is no known future; there are MES, MNQ"):
        PaperBroker(COSTS).submit(placed, Quote(symbol="ZZ", at=OPENED, price=5_000.0))


@pytest.mark.parametrize(
    "wrong", [{"stop": 0.0}, {"stop": 0.002}, {"worst": 0.01}, {"reverse": 0.0006}, {"trail": 1.0}]
)
def test_brackets_that_lie_in_no_order_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Brackets(**(BRACKETS.model_dump() | wrong))


# whatever the market does

PRICES = st.floats(4_980.0, 5_020.0).map(lambda x: round(x * 4) / 4)
BARS = st.lists(
    st.one_of(
        st.tuples(PRICES, PRICES, PRICES, PRICES).map(lambda p: mes(p[0], min(p), max(p), p[1])),
        PRICES.map(mes),
    ),
    min_size=1,
    max_size=15,
)


@given(BARS, st.sampled_from(SIDES))
def test_the_stop_never_loosens_and_the_risk_never_grows(bars: list[Bar], side: Side) -> None:
    left: Position | None = bought(side)
    for one in bars:
        assert left is not None
        before = left
        left, closings = exits.step(left, one, VALOR, COSTS, 1)
        if left is None:
            assert sum(closing.quantity for closing in closings) == 2
            return
        assert left.stop is not None
        assert before.stop is not None
        assert side * left.stop >= side * before.stop
        assert left.risk <= before.risk
        assert left.best is not None
        assert before.best is not None
        assert left.best >= before.best


@given(BARS, st.integers(0, 14))
def test_mirrored_prices_bring_mirrored_results(bars: list[Bar], last: int) -> None:
    long: Position | None = bought(1)
    short: Position | None = bought(-1)
    for k, one in enumerate(bars):
        assert long is not None
        assert short is not None
        held, other = long, short
        remaining = 0.0 if k == last else 1.0
        long, up = exits.step(held, one, VALOR, COSTS, remaining)
        short, down = exits.step(other, mirrored(one), VALOR, COSTS, remaining)
        assert [c.why for c in up] == [c.why for c in down]
        assert (long is None) == (short is None)
        if long is None or short is None:
            pnl = [trade(p, c).pnl for p, (c,) in ((held, up), (other, down))]
            assert pnl[0] == pytest.approx(pnl[1], abs=1e-6)
            return
        assert long.unrealised == pytest.approx(short.unrealised, abs=1e-6)
        assert long.risk == pytest.approx(short.risk, abs=1e-6)


@given(PRICES, st.sampled_from(SIDES), st.floats(0.0, 10.0))
def test_no_level_is_filled_better_than_the_open_that_was_beyond_it(
    opened: float, side: Side, best: float
) -> None:
    held = Held(side, 5_000.0, 5_000.0 - side * 2.5, best)
    one = mes(opened, opened - 1, opened + 1, opened)
    found = through(one, held, BRACKETS)
    if held.ahead(opened) <= -2.5:
        assert isinstance(found, Hit)
        assert found.price == opened
    if isinstance(found, Hit):
        assert held.ahead(found.price) <= held.ahead(opened)


# real bars


def nq() -> Iterator[Bar]:
    """Yield the five-minute bars of the Nasdaq future, each at the moment of its close."""
    zone = ZoneInfo("America/New_York")
    with gzip.open(NQ, "rt", newline="") as rows:
        for row in csv.DictReader(rows):
            began = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=zone)
            prices: dict[str, Any] = {
                name: float(row[name]) for name in ("open", "high", "low", "close")
            }
            yield Bar(symbol="MNQ", at=began.astimezone(UTC) + timedelta(minutes=5), **prices)


def by_hand(bars: Sequence[Bar], start: int, long: bool, last: int) -> tuple[float, str, int]:
    """Return points won, why and in which bar, worked out once more and in another way."""
    entry = bars[start].open
    assert entry is not None
    point = entry / 5_000
    stop = entry - 2.5 * point if long else entry + 2.5 * point
    high = low = entry  # the best and worst prices that are known
    for k in range(start, last + 1):
        one = bars[k]
        assert one.open is not None
        assert one.low is not None
        assert one.high is not None
        sign = 1 if long else -1
        fresh = (high - entry if long else entry - low) < 0.5 * point
        loss = sign * (entry - one.open)
        if loss >= 15 * point:
            return -loss, "emergency", k
        if loss >= 5 * point:
            return -loss, "max_loss", k
        if (one.open <= stop) if long else (one.open >= stop):
            return -loss, "gap_stop", k
        if fresh and loss >= 2 * point:
            return -loss, "reverse", k
        high, low = max(high, one.open), min(low, one.open)
        fresh = (high - entry if long else entry - low) < 0.5 * point
        worst = one.low if long else one.high
        moved = (stop > entry) if long else (stop < entry)
        if not moved and fresh and sign * (entry - worst) >= 2 * point:
            return -2 * point, "reverse", k
        if (worst <= stop) if long else (worst >= stop):
            return sign * (stop - entry), "trail" if moved else "stop", k
        if k == last:
            return sign * (one.close - entry), "time", k
        high, low = max(high, one.high), min(low, one.low)
        if (high - entry if long else entry - low) >= 1.5 * point:
            stop = max(stop, high - 0.75 * point) if long else min(stop, low + 0.75 * point)
    raise AssertionError("not reached")


@pytest.mark.skipif(not NQ.exists(), reason="needs the shared market files")
def test_real_bars_of_the_nasdaq_future_come_to_what_another_loop_says() -> None:
    bars = list(nq())
    whys: Counter[str] = Counter()
    total, expected, n = 0.0, 0.0, 0
    for start in range(0, len(bars) - 60, 7):
        side = SIDES[n % 2]
        entry = bars[start].open
        assert entry is not None
        held = left = bought(side, "MNQ", entry, n=1)
        closings: tuple[exits.Closing, ...] = ()
        last = start + 47  # four hours
        for k in range(start, last + 1):
            assert left is not None
            remaining = (last - k) / 47
            left, closings = exits.step(left, bars[k], VALOR, COSTS, remaining)
            if left is None:
                break
        [closing] = closings
        points, why, where = by_hand(bars, start, side > 0, last)
        made = accounting.trade(held, closing, bars[k].at)
        assert (closing.why.value, k) == (why, where)
        assert held.entry + closing.price == pytest.approx(points, abs=1e-6)
        assert made.pnl == pytest.approx(2.0 * points - 2 * 1.12)
        whys[why] += 1
        total += made.pnl
        expected += 2.0 * points - 2 * 1.12
        n += 1
    assert n > 1_900
    assert total == pytest.approx(expected)
    assert {"stop", "reverse", "trail", "gap_stop"} <= whys.keys()
