"""Scanning while a session is on: prices of the moment, and all else of the close before."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import examples
from domain.clock import VirtualClock
from domain.decision import Context, Effect, Reason
from domain.errors import DataError
from domain.trade import Exit
from market import calendar, pricing, window
from market.panel import Panel
from market.quality import Defect, Quarantined
from orchestrator import books, recorded
from orchestrator.desk import Desk
from orchestrator.layers.sizing import payoff
from orchestrator.sight import Sight, glance
from risk import guardrails
from storage import decisions, orders, trades
from tests.orchestrator.made import answered, desk_at, due, ordered, packaged, wanting
from tests.orchestrator.within import (
    FIVE,
    TODAY,
    WEEK,
    Within,
    at,
    five_minutes,
    known,
    scanning,
)
from trading import accounting
from trading.bots.catalog import BOTS
from trading.brokers.base import Quote
from trading.strategies import catalog as strategies
from trading.structures.base import value

YESTERDAY = calendar.closes(date(2016, 3, 8))
CLOSE = calendar.closes(TODAY)
NOON = at(150)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path, NOON, scanning()) as made:
        yield made


def turn(desk: Desk, moment: datetime) -> None:
    desk.clock = desk.wall = VirtualClock(moment)


def of_sessions(seen: Sight) -> dict[str, dict[str, float]]:
    """Return the features that are not of the bar itself."""
    return {
        symbol: {name: x for name, x in known.items() if not name.startswith("bar_")}
        for symbol, known in seen.features.items()
    }


def context(desk: Desk, asof: datetime, bot: str = "fortress") -> Context:
    [found] = desk.gather(desk.bots[bot], ["SPX"], desk.view(asof))
    return found


# what is seen


def test_a_scan_sees_the_price_of_its_bar_and_the_features_of_the_close_before(desk: Desk) -> None:
    seen, before = desk.sight(NOON), desk.sight(YESTERDAY)
    bar = desk.feed.bar("SPX", NOON)
    assert bar is not None
    assert (seen.bar, seen.daily, before.bar) == (NOON, YESTERDAY, YESTERDAY)
    assert seen.prices["SPX"] == bar.close != before.prices["SPX"]
    assert of_sessions(seen) == of_sessions(before)
    assert seen.regimes == before.regimes
    np.testing.assert_array_equal(seen.matrix, before.matrix)


def test_volatility_is_of_the_close_before_and_the_spot_is_of_the_bar(desk: Desk) -> None:
    seen, before = desk.sight(NOON).surface, desk.sight(YESTERDAY).surface
    assert seen is not None
    assert before is not None
    assert (seen.sigmas, seen.label) == (before.sigmas, before.label)
    assert (seen.asof, seen.spot) == (NOON, desk.sight(NOON).prices["SPX"])


def test_a_level_that_is_printed_within_the_session_is_that_of_the_bar(tmp_path: Path) -> None:
    printed = np.full(len(five_minutes()), 25.0)
    panel = packaged().panel()
    with desk_at(tmp_path, NOON, scanning(VIX=printed)) as desk:
        seen = desk.sight(NOON).surface
        place = window.index(panel, YESTERDAY)
        moves = np.diff(np.log(panel.close[place - 21 : place + 1, 0]))
        spot = desk.sight(NOON).prices["SPX"]
        annual = 100 * np.sqrt(252)
        told = (25.0, annual * moves[-5:].std(ddof=1), annual * moves.std(ddof=1))
        change = float(np.log(25.0 / panel.series["VIX"][place - 4]))
        assert seen == pricing.surface("SPX", NOON, spot, *map(float, told), change, False)
        assert desk.sight(NOON).features["SPX"]["vix"] == np.float32(panel.series["VIX"][place])


def test_features_are_computed_once_per_session(desk: Desk) -> None:
    first, then = desk.sight(at(5)), desk.sight(at(385))
    assert first.features["KO"] is then.features["KO"]
    assert of_sessions(first) == of_sessions(then)
    assert first.matrix is then.matrix
    assert desk.sight(at(387)) is then
    assert desk.sight(CLOSE).features is not first.features


def test_the_close_is_what_a_daily_feed_sees_there(desk: Desk, tmp_path: Path) -> None:
    with desk_at(tmp_path / "daily", CLOSE, packaged()) as daily:
        expected = context(daily, CLOSE)
    assert context(desk, CLOSE) == expected
    assert expected.bar == CLOSE


def test_a_context_within_a_session_asks_the_same_models_for_the_same_features(desk: Desk) -> None:
    now, before = context(desk, NOON), context(desk, YESTERDAY)
    assert (now.schema_hash, now.features, now.champions) == (
        before.schema_hash,
        before.features,
        before.champions,
    )
    assert (now.bar, now.asof, now.due) == (NOON, NOON, NOON)
    assert now.id == f"fortress-SPX-{NOON:%Y%m%dT%H%MZ}"


def test_a_symbol_with_daily_bars_only_waits_for_its_close(desk: Desk) -> None:
    seen = desk.sight(NOON)
    assert (seen.at("SPX"), seen.at("KO")) == (NOON, YESTERDAY)
    assert seen.prices["KO"] == desk.sight(YESTERDAY).prices["KO"]
    assert (desk.due("SPX", NOON, NOON), desk.due("KO", YESTERDAY, NOON)) == (NOON, YESTERDAY)


def test_a_bar_that_is_not_there_cannot_be_looked_at(desk: Desk) -> None:
    within = desk.feed.within()
    assert within is not None
    with pytest.raises(DataError, match="no bar within a session"):
        glance(desk.sight(YESTERDAY), within, NOON + timedelta(minutes=1), None)


# nothing looks ahead


def spoilt(panel: Panel, asof: datetime, seed: int) -> Panel:
    """Return a panel whose numbers after a moment are others."""
    rng, first = np.random.default_rng(seed), len(window.until(panel, asof))

    def other(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[first:] *= rng.uniform(0.5, 2.0, changed[first:].shape)
        return changed

    bars = {n: other(getattr(panel, n)) for n in ("open", "high", "low", "close", "volume")}
    return replace(panel, **bars, series={n: other(x) for n, x in panel.series.items()}, memo={})


def shuffled(panel: Panel, asof: datetime, seed: int) -> Panel:
    """Return a panel whose bars after a moment stand in another order."""
    first = len(window.until(panel, asof))
    order = np.arange(len(panel))
    np.random.default_rng(seed).shuffle(order[first:])
    bars = {n: getattr(panel, n)[order] for n in ("open", "high", "low", "close", "volume")}
    return replace(panel, **bars, series={n: x[order] for n, x in panel.series.items()}, memo={})


@given(minute=st.integers(0, 400), seed=st.integers(0, 999))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_of_the_rest_of_the_day_makes_a_difference(
    desk: Desk, minute: int, seed: int
) -> None:
    asof, feed = at(minute), desk.feed
    assert isinstance(feed, Within)
    panel, within = feed.panel(), feed.within()
    assert within is not None
    expected, opened = context(desk, asof), feed.opening("SPX", at(0))
    for other in (
        known(feed, asof),
        Within(spoilt(panel, asof, seed), spoilt(within, asof, seed)),
        Within(panel, shuffled(within, asof, seed)),
    ):
        fresh = replace(desk, feed=other, _seen=None, _glanced=None)
        assert context(fresh, asof) == expected
        assert other.issues("SPX", asof) == feed.issues("SPX", asof)
        assert other.newest(asof) == feed.newest(asof)
        if minute >= 5:
            assert other.opening("SPX", at(0)) == opened


# what is asked


def test_every_bar_is_decided_on_once(desk: Desk) -> None:
    first = desk.scan(["fortress", "anchor"])
    assert {c.id for c in first} == {f"{b}-SPX-20160309T1700Z" for b in ("fortress", "anchor")}
    assert desk.scan(["fortress", "anchor"]) == []
    turn(desk, NOON + timedelta(minutes=4))
    assert desk.scan(["fortress", "anchor"]) == []
    turn(desk, NOON + FIVE)
    assert [c.bar for c in desk.scan(["fortress"])] == [NOON + FIVE]


def test_stocks_are_decided_on_at_their_close_while_the_index_is_scanned(desk: Desk) -> None:
    made = desk.scan()
    assert {c.bar for c in made if c.symbol != "SPX"} == {YESTERDAY}
    turn(desk, NOON + FIVE)
    assert {c.symbol for c in desk.scan()} == {"SPX"}


def test_what_the_feed_does_not_have_is_not_scanned(desk: Desk) -> None:
    bot = BOTS["fortress"].model_copy(update={"symbols": ("NDX", "SPX")})
    desk.bots = {"fortress": bot}
    assert [c.symbol for c in desk.scan()] == ["SPX"]


@pytest.mark.parametrize(
    ("minute", "expected"), [(0, -1), (4, -1), (5, 5), (9, 5), (150, 150), (389, 385), (390, 390)]
)
def test_a_bar_is_due_when_it_should_have_closed(desk: Desk, minute: int, expected: int) -> None:
    wanted = YESTERDAY if expected < 0 else at(expected)
    assert context(desk, at(minute)).due == wanted


def test_bars_that_stop_coming_are_stale_when_the_first_is_late_for_too_long(
    tmp_path: Path,
) -> None:
    feed = known(scanning(), NOON)
    with desk_at(tmp_path, NOON, feed) as desk:
        for minutes, code in ((4, None), (35, None), (36, Reason.STALE)):
            made = context(desk, NOON + timedelta(minutes=minutes))
            assert made.bar == NOON
            assert made.due == (NOON if minutes < 5 else NOON + FIVE)
            judged = guardrails.stale(made)
            assert (None if judged is None else judged.code) == code
    assert judged is not None
    assert judged.evidence == {"minutes_late": 31.0, "limit": 30.0}


def test_a_session_that_does_not_begin_is_stale(tmp_path: Path) -> None:
    with desk_at(tmp_path, NOON, known(scanning(), YESTERDAY)) as desk:
        made = context(desk, at(36))
        assert (made.bar, made.due) == (YESTERDAY, at(5))
        assert guardrails.safety(made).code == Reason.STALE


def test_without_the_daily_bar_of_the_last_session_nothing_is_decided(tmp_path: Path) -> None:
    whole = scanning()
    panel, within = whole.panel(), whole.within()
    assert within is not None
    gone = window.index(panel, YESTERDAY)
    close = panel.close.copy()
    close[gone, 0] = np.nan
    with desk_at(tmp_path, NOON, Within(replace(panel, close=close, memo={}), within)) as desk:
        made = context(desk, NOON)
        assert made.issues == (Defect.STALE.value,)
        judged = guardrails.safety(made)
        assert (judged.effect, judged.code) == (Effect.VETO, Reason.DATA)


@pytest.mark.parametrize("defect", [Defect.GAP, Defect.DISAGREES])
def test_what_is_wrong_with_a_session_speaks_until_the_next_has_ended(defect: Defect) -> None:
    panel, within = packaged().panel(), five_minutes()
    bad = (Quarantined(symbol="SPX", defect=defect, detail="odd", at=YESTERDAY),)
    feed = Within(panel, within, bad)
    asked = (YESTERDAY - FIVE, YESTERDAY, NOON, CLOSE)
    assert [feed.issues("SPX", moment) for moment in asked] == [(), (defect,), (defect,), ()]


# what is traded


def test_an_order_fills_at_the_open_of_the_next_bar_and_not_before(desk: Desk) -> None:
    made = ordered(desk, "fortress", "SPX", 2)
    turn(desk, NOON)
    assert desk.feed.entry("SPX", NOON, NOON - timedelta(seconds=1)) is None
    turn(desk, NOON + FIVE)
    assert books.execute(desk) == 1
    [position] = trades.positions(desk.store)
    nxt = desk.feed.bar("SPX", NOON + FIVE)
    assert nxt is not None
    assert nxt.open is not None
    assert position.opened_at == NOON
    assert position.expires == calendar.closes(date(2016, 3, 15))
    surface = desk.sight(NOON).surface
    assert surface is not None
    left = calendar.left(NOON, position.expires)
    assert left == pytest.approx(5 - 150 / 390)
    legs = made.proposal.legs if made.proposal else ()
    at_open = -value(legs, pricing.shifted(surface, nxt.open), left)
    assert position.entry == pytest.approx(at_open)


def test_an_order_of_the_close_fills_at_the_next_open(desk: Desk) -> None:
    turn(desk, CLOSE)
    ordered(desk, "fortress", "SPX")
    tomorrow = date(2016, 3, 10)
    turn(desk, at(0, tomorrow))
    assert books.execute(desk) == 1
    [position] = trades.positions(desk.store)
    assert position.opened_at == at(0, tomorrow)
    assert position.expires == calendar.closes(date(2016, 3, 16))


def test_a_session_without_another_bar_cancels_the_order(tmp_path: Path) -> None:
    whole = scanning([day for day in WEEK if day <= TODAY])
    panel, within = known(whole, NOON)._panels
    bare = replace(panel, open=np.full_like(panel.open, np.nan), memo={})
    with desk_at(tmp_path, NOON, Within(bare, within)) as desk:
        made = ordered(desk, "fortress", "SPX")
        turn(desk, CLOSE + timedelta(minutes=1))
        assert books.execute(desk) == 0
        assert orders.get(desk.store, made.id)[1] == "cancelled"
        assert trades.positions(desk.store) == []


@pytest.mark.parametrize("last", [at(385), CLOSE])
def test_what_was_to_expire_today_is_not_sold_tomorrow(tmp_path: Path, last: datetime) -> None:
    """The last bar of the session is missing, and the next session has all of its bars."""
    whole, tomorrow = scanning(), date(2016, 3, 10)
    within = whole.within()
    assert within is not None
    kept = within.times != np.datetime64(CLOSE.replace(tzinfo=None))
    bars = {n: getattr(within, n)[kept] for n in ("open", "high", "low", "close", "volume")}
    holed = replace(within, times=within.times[kept], **bars)
    with desk_at(tmp_path, at(385), Within(whole.panel(), holed)) as desk:
        desk.bots = {"fortress": BOTS["fortress"].model_copy(update={"horizon": 1})}
        made = ordered(desk, "fortress", "SPX")
        turn(desk, last)
        assert books.execute(desk) == 0
        assert orders.get(desk.store, made.id)[1] == "open"
        turn(desk, at(0, tomorrow))
        assert books.execute(desk) == 0
        assert orders.get(desk.store, made.id)[1] == "cancelled"
        assert trades.positions(desk.store) == []


def held(desk: Desk, quantity: int = 1) -> None:
    ordered(desk, "fortress", "SPX", quantity)
    turn(desk, NOON + FIVE)
    assert books.execute(desk) == 1


def test_a_position_is_marked_bar_by_bar_and_loses_time_value_on_the_way(tmp_path: Path) -> None:
    flat = five_minutes()
    level = np.full_like(flat.close, 1985.0)
    still = replace(flat, open=level, high=level, low=level, close=level)
    with desk_at(tmp_path, NOON, Within(packaged().panel(), still)) as desk:
        held(desk)
        worth = []
        for minute in range(155, 390, 5):
            turn(desk, at(minute))
            assert books.mark(desk) == 0
            [position] = trades.positions(desk.store)
            assert position.marked_at == at(minute)
            worth.append(position.mark)
        assert position.bars == len(worth) == 47
        assert worth == sorted(worth)
        assert worth[0] < worth[-1] < 0
        left = calendar.left(at(385), position.expires)
        cut = desk.surface(at(385))
        assert cut is not None
        assert worth[-1] == pytest.approx(value(position.proposal.legs, cut, left))


def test_equity_is_kept_at_every_bar(desk: Desk) -> None:
    held(desk)
    for minute in (155, 160, 165):
        turn(desk, at(minute))
        books.mark(desk)
    marks = books.equity(desk)["fortress"]
    assert [mark.at for mark in marks] == [at(155), at(160), at(165)]
    [position] = trades.positions(desk.store)
    assert marks[-1].unrealised == pytest.approx(accounting.unrealised([position]))


def test_a_mark_that_was_missed_is_made_up_bar_by_bar(desk: Desk, tmp_path: Path) -> None:
    held(desk)
    turn(desk, at(250))
    books.mark(desk)
    [late] = trades.positions(desk.store)
    with desk_at(tmp_path / "punctual", NOON, scanning()) as other:
        held(other)
        for minute in range(155, 255, 5):
            turn(other, at(minute))
            books.mark(other)
        [position] = trades.positions(other.store)
    assert late == position
    assert late.bars == 20


def test_options_expire_at_the_close_at_its_official_level(desk: Desk) -> None:
    day = BOTS["fortress"].model_copy(update={"horizon": 1})
    desk.bots = {"fortress": day}
    held(desk)
    [position] = trades.positions(desk.store)
    assert position.expires == CLOSE
    turn(desk, CLOSE - FIVE)
    assert books.mark(desk) == 0
    turn(desk, CLOSE)
    assert books.mark(desk) == 1
    [trade] = trades.trades(desk.store)
    assert (trade.why, trade.closed_at, trade.exit) == (Exit.EXPIRY, CLOSE, 0.0)
    assert trades.positions(desk.store) == []


def test_a_day_s_range_stops_nothing_that_was_opened_after_it(tmp_path: Path) -> None:
    """The bars up to the close are missing; the daily bar has the range of the whole day."""
    whole = scanning()
    panel, within = whole.panel(), whole.within()
    assert within is not None
    place = window.index(panel, CLOSE)
    high, low = panel.high.copy(), panel.low.copy()
    high[place, 0], low[place, 0] = 4000.0, 100.0
    cut = window.until(within, at(155))
    with desk_at(tmp_path, NOON, Within(replace(panel, high=high, low=low, memo={}), cut)) as desk:
        ordered(desk, "anchor", "SPX")
        turn(desk, NOON + FIVE)
        assert books.execute(desk) == 1
        turn(desk, CLOSE)
        assert books.mark(desk) == 0
        bar = desk.feed.bar("SPX", CLOSE)
        assert bar is not None
        assert (bar.open, bar.high, bar.low, bar.close) == (None, None, None, panel.close[place, 0])


# what it is worth


def test_premium_that_is_sold_late_in_the_session_brings_less(desk: Desk) -> None:
    premiums = []
    for moment in (YESTERDAY, at(5), NOON, at(385)):
        seen = context(desk, moment)
        assert seen.surface is not None
        still = seen.model_copy(update={"surface": pricing.shifted(seen.surface, 1985.0)})
        premiums.append(strategies.propose(still).entry)
    assert premiums == sorted(premiums, reverse=True)
    assert premiums[-1] > 0


def test_a_winner_brings_the_share_of_its_credit_that_is_left(desk: Desk) -> None:
    said = {"base_rate": 0.9, "gain": 0.05, "loss": 0.3, "n": 1000.0}
    for moment in (YESTERDAY, NOON, at(385)):
        seen = context(desk, moment)
        unit, whole = strategies.propose(seen), 0.0
        draft = answered(seen, wisdom=0.9)
        predictions = [p.model_copy(update={"facts": said}) for p in draft.predictions]
        draft = draft.model_copy(update={"predictions": tuple(predictions)})
        assert seen.surface is not None
        whole = -value(unit.legs, seen.surface, 5)
        gain, loss = payoff(draft, unit)
        assert loss == pytest.approx(0.3)
        assert gain == pytest.approx(0.05 * unit.entry / whole)
        assert (gain == pytest.approx(0.05)) is (moment == YESTERDAY)


def test_what_is_bought_late_is_worth_as_much_of_its_price(desk: Desk) -> None:
    said = {"base_rate": 0.9, "gain": 0.8, "loss": 0.9, "n": 1000.0}
    seen = context(desk, at(385)).model_copy(update={"bot": BOTS["solomon"]})
    unit = strategies.propose(seen)
    assert unit.entry < 0
    told = [examples.prediction(0.6, "orion-up").model_copy(update={"facts": said})]
    assert payoff(answered(seen, *told), unit) == (0.8, 0.9)


# what is told of it


def test_decisions_within_a_session_count_to_its_day(desk: Desk) -> None:
    desk.scan(["fortress"])
    turn(desk, CLOSE)
    desk.scan(["fortress"])
    lines = decisions.listing(desk.store, limit=10)
    assert [line.asof for line in lines] == [CLOSE, NOON]
    assert recorded.bars(desk.feed, lines) == [CLOSE]


def test_a_daily_feed_counts_as_before(tmp_path: Path) -> None:
    with desk_at(tmp_path, NOON, packaged()) as desk:
        desk.scan(["fortress"])
        lines = decisions.listing(desk.store, limit=10)
        assert recorded.bars(desk.feed, lines) == [YESTERDAY]


def test_a_quote_of_the_bar_that_was_decided_on_is_refused(desk: Desk) -> None:
    made = due(desk, "fortress", "SPX")
    quote = Quote(symbol="SPX", at=NOON, price=1980.0, surface=made.surface)
    desk.seal([wanting(made)])
    order, _ = orders.get(desk.store, made.id)
    with pytest.raises(Exception, match="decided on this very bar"):
        desk.broker.submit(order, quote)
    fill = desk.broker.submit(order, quote.model_copy(update={"next_bar": True}))
    assert fill.at == NOON
