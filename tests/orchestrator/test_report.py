"""The summary of a session: counted, joined and measured from the record alone."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from hashlib import sha256
from math import fsum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.book import Costs, KillCode, Scope
from domain.decision import Draft, Effect, Reason, Verdict
from domain.errors import Refused
from domain.examples import CLOSE, switch
from domain.settings import Settings
from domain.trade import Exit, Order
from learning.feedback import verified
from market import window
from market.feeds.base import Feed
from market.feeds.packaged import Packaged
from orchestrator import baselines, figures
from orchestrator.books import Mark
from orchestrator.report import summarise
from orchestrator.sight import moment, surface
from orchestrator.summary import Summary
from storage import artifacts, decisions, engine, orders, registry, state, switches, trades
from storage.engine import Store
from storage.registry import Ruling, Why
from tests.orchestrator.made import ASKED
from tests.storage.made import DAY, anything, fill, hold, outcome, position, trade, version, want
from trading.bots.catalog import BOTS
from trading.structures.catalog import propose
from workers.history import Run

LATER = CLOSE + timedelta(days=3)
"""The close of the session after."""


@pytest.fixture(scope="module")
def feed() -> Feed:
    return Packaged()


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = engine.open_store(settings)
    yield opened
    opened.close()


def seal(store: Store, *drafts: Draft) -> list[Any]:
    return decisions.seal(store, drafts, anything, CLOSE + timedelta(hours=1))


def stopped(number: int, layer: str, code: Reason, reason: str = "") -> Draft:
    return hold(number).add(Verdict(layer=layer, effect=Effect.VETO, code=code, reason=reason))


def summary(store: Store, feed: Feed, settings: Settings, **more: Any) -> Summary:
    return summarise(store, feed, settings, verified, **more)


def entered(store: Store, number: int, bot: str = "fortress") -> Any:
    """Seal an entry of two condors and fill it."""
    [decision] = seal(store, want(number, bot))
    orders.record_fill(store, fill(decision.id), position(decision))
    return decision


def closed(store: Store, decision: Any, number: int, quantity: int, left: int, pnl: float) -> None:
    """Close some units of an entry, each of which risked 1,000 dollars, at a cost of 10."""
    made = trade(
        decision,
        number,
        quantity,
        pnl=pnl,
        costs=10.0 * quantity,
        risk=1_000.0 * quantity,
        r=pnl / (1_000.0 * quantity),
        why=Exit.PARTIAL if left else Exit.STOP,
        closed_at=CLOSE + number * DAY,
    )
    rest = position(decision, left) if left else None
    order = position(decision, quantity + left)
    placed = Order.closing(order, quantity, made.why, made.closed_at)
    orders.place(store, placed, made.closed_at)
    done = fill(placed.id, number, quantity, decision_id=decision.id, at=made.closed_at)
    assert trades.close(store, done, made, rest)


def test_an_empty_record_is_refused_and_says_what_to_run(
    store: Store, feed: Feed, settings: Settings
) -> None:
    with pytest.raises(Refused, match="omega replay"):
        summary(store, feed, settings)


def test_vetoes_are_counted_by_layer_and_code_with_the_newest_reason(
    store: Store, feed: Feed, settings: Settings
) -> None:
    seal(
        store,
        stopped(1, "sizing", Reason.NO_EDGE, "edge of -0.03"),
        stopped(2, "sizing", Reason.NO_EDGE, "edge of -0.01"),
        stopped(3, "safety", Reason.KILLED, "drill"),
        hold(4),
    )
    told = summary(store, feed, settings)
    assert told.decisions == 4
    assert told.wanted == 0
    assert told.vetoes == {
        "layers": {"sizing": 2, "safety": 1},
        "codes": {"NO_EDGE": 2, "KILLED": 1},
    }
    assert [(c.layer, c.code, c.n, c.example) for c in told.causes] == [
        ("sizing", "NO_EDGE", 2, "edge of -0.01"),
        ("safety", "KILLED", 1, "drill"),
    ]
    assert list(told.bots) == ["fortress"]
    assert told.bots["fortress"].vetoes == told.vetoes["layers"]


def test_an_entry_closed_in_parts_is_one_trade(
    store: Store, feed: Feed, settings: Settings
) -> None:
    decision = entered(store, 1)
    closed(store, decision, 1, 1, 1, 300.0)
    half = summary(store, feed, settings)
    assert (half.trades, half.closings) == (0, 1)
    assert half.record.win_rate is None
    closed(store, decision, 2, 1, 0, -900.0)
    whole = summary(store, feed, settings)
    assert (whole.trades, whole.closings) == (1, 2)
    assert whole.record.win_rate is not None
    assert whole.record.win_rate.value == 0.0
    assert whole.record.expectancy_r is not None
    assert whole.record.expectancy_r.value == pytest.approx(-0.3)
    assert whole.bots["fortress"].exits == {"partial": 1, "stop": 1}


def test_profit_is_what_was_realised_and_what_is_open_and_gross_is_before_costs(
    store: Store, feed: Feed, settings: Settings
) -> None:
    closed(store, entered(store, 1), 1, 2, 0, 500.0)
    entered(store, 2)  # open: received 5.0, closing costs 5.0, 60 dollars to get in
    made = summary(store, feed, settings).money
    assert (made.realised, made.open, made.pnl) == (500.0, -60.0, 440.0)
    assert (made.costs, made.gross, made.gross_wins) == (80.0, 520.0, 520.0)
    assert made.equity == 100_440.0
    assert made.cost_share == pytest.approx(80 / 520)


def test_too_few_trades_fail_the_gate_and_have_no_interval(
    store: Store, feed: Feed, settings: Settings
) -> None:
    closed(store, entered(store, 1), 1, 2, 0, 500.0)
    told = summary(store, feed, settings)
    assert not told.mvs.passed
    assert [c.name for c in told.mvs.criteria if not c.passed] == ["trades", "profit_factor"]
    assert told.record.expectancy_r is not None
    assert told.record.expectancy_r.low is None


def test_the_digest_is_over_the_hashes_in_the_order_of_ids(
    store: Store, feed: Feed, settings: Settings
) -> None:
    sealed = seal(store, hold(2), hold(1))
    hashes = [decision.hash for decision in sorted(sealed, key=lambda d: d.id)]
    told = summary(store, feed, settings)
    assert told.digest == sha256("".join(hashes).encode()).hexdigest()
    seal(store, hold(3))
    assert summary(store, feed, settings).digest != told.digest


def test_the_same_record_gives_the_same_summary_however_long_it_took(
    store: Store, feed: Feed, settings: Settings
) -> None:
    closed(store, entered(store, 1), 1, 2, 0, 500.0)
    first = summary(store, feed, settings, seconds=1.0)
    again = summary(store, feed, settings, seconds=2.0, command="omega report")
    assert first.hash == again.hash
    assert first.hash != first.model_copy(update={"seed": 8}).hash


def test_the_curve_starts_at_the_capital_and_keeps_the_last_mark_of_a_day(
    store: Store, feed: Feed, settings: Settings
) -> None:
    seal(store, hold(1))
    for at, equity in (
        (CLOSE - timedelta(hours=1), 99_000.0),
        (CLOSE, 98_000.0),
        (LATER, 99_000.0),
    ):
        mark = Mark(bot="fortress", at=at, equity=equity, cash=equity, unrealised=0.0)
        state.put(store, f"equity/fortress/{at:%Y%m%dT%H%MZ}", mark.model_dump(mode="json"))
    told = summary(store, feed, settings)
    assert told.curve is not None
    assert told.curve.values == (100_000.0, 98_000.0, 99_000.0)
    assert [str(day) for day in told.curve.days] == ["2017-03-02", "2017-03-03", "2017-03-06"]
    assert told.curve.drawdowns == pytest.approx((0.0, -0.02, -0.01))
    assert told.record.max_drawdown is not None
    assert told.record.max_drawdown.value == pytest.approx(0.02)


def test_without_marks_there_is_no_curve_and_no_drawdown_is_claimed(
    store: Store, feed: Feed, settings: Settings
) -> None:
    seal(store, hold(1))
    told = summary(store, feed, settings)
    assert told.curve is None
    assert told.record.max_drawdown is None
    assert told.record.sharpe is None


def test_predictions_are_judged_by_what_came_true_and_for_their_bot(
    store: Store, feed: Feed, settings: Settings
) -> None:
    sealed = seal(store, hold(1), hold(2), hold(3, bot="anchor"))
    came = [
        outcome(decision.id, probability=p, base_rate=0.5, happened=happened)
        for decision, p, happened in zip(sealed, (0.9, 0.6, 0.6), (True, False, True), strict=True)
    ]
    trades.record_outcomes(store, came)
    told = summary(store, feed, settings)
    wisdom = told.models["wisdom"].live
    assert wisdom.scores["brier"].value == pytest.approx((0.01 + 0.36 + 0.16) / 3, abs=1e-6)
    assert wisdom.scores["brier_base"].value == 0.25
    assert wisdom.n == 3
    assert sum(each.hits for each in wisdom.bins) == 2
    [own] = told.bots["anchor"].deciders
    assert (own.n, own.scores["brier"].value) == (1, pytest.approx(0.16))
    assert told.models["wisdom"].served == 1


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.55, 0.9]), st.booleans()), min_size=1))
def test_groups_hold_every_prediction_once_and_do_not_split_equal_ones(
    said: Sequence[tuple[float, bool]],
) -> None:
    came = [
        outcome(str(k), probability=p, happened=happened) for k, (p, happened) in enumerate(said)
    ]
    groups = figures.bins(came)
    assert sum(group.n for group in groups) == len(said)
    assert sum(group.hits for group in groups) == sum(happened for _, happened in said)
    means = [group.predicted for group in groups]
    assert means == sorted(means)
    assert len(groups) <= len({p for p, _ in said})


def test_champions_follow_each_other_and_a_retired_model_has_none(
    store: Store, feed: Feed, settings: Settings
) -> None:
    seal(store, hold(1))
    first, second = (b"first", b"second")
    for content in (first, second):
        artifacts.put(store, content)
        registry.register(store, version(content))
    a, b = version(first).version, version(second).version
    why = Why(who="gate", reason="first champion")
    registry.promote(store, "wisdom", a, None, why, CLOSE)
    registry.promote(store, "wisdom", b, a, Why(who="gate", reason="better"), CLOSE + DAY)
    told = summary(store, feed, settings).models["wisdom"]
    assert told.champion == b
    assert told.since == CLOSE + DAY
    assert told.gate == "better"
    assert [(reign.version, reign.until) for reign in told.reigns] == [(a, CLOSE + DAY), (b, None)]
    registry.retire(store, "wisdom", b, Why(who="gate", reason="harm"), CLOSE + 2 * DAY)
    told = summary(store, feed, settings).models["wisdom"]
    assert (told.champion, told.gate) == (None, "")
    assert told.reigns[-1].until == CLOSE + 2 * DAY
    assert told.rulings == {Ruling.PROMOTE: 2, Ruling.RETIRE: 1}


def test_switches_are_counted_by_what_threw_them_released_or_not(
    store: Store, feed: Feed, settings: Settings
) -> None:
    seal(store, hold(1))
    fields = {"scope": Scope.BOT, "target": "fortress", "human": False, "id": 0}
    for number in range(2):
        at = CLOSE + timedelta(minutes=number)
        latch = switch(code=KillCode.LOSS_STREAK, set_at=at, expires_at=at + DAY, **fields)
        switches.throw(store, latch)
    switches.throw(store, switch(set_at=CLOSE))
    switches.throw(store, switch(set_at=CLOSE - DAY))  # before the window
    switches.expire(store, CLOSE + 9 * DAY)
    thrown = summary(store, feed, settings).switches
    assert [(s.code, s.target, s.human, s.n) for s in thrown] == [
        ("LOSS_STREAK", "fortress", False, 2),
        ("HUMAN", "*", True, 1),
    ]


def test_holding_the_market_is_the_price_over_the_first_price_less_the_cost_of_buying(
    feed: Feed,
) -> None:
    panel = window.between(feed.panel(), CLOSE, LATER)
    spx = panel.close[:, 0]
    held = baselines.held(panel, ("SPX",), Costs())
    assert held == pytest.approx(spx / spx[0] * (1 - 0.0015))
    pair = baselines.held(panel, ("KO", "JPM"), Costs(share_slippage=0, share_commission=0))
    growth = panel.close[-1] / panel.close[0]
    assert pair is not None
    mean = (growth[panel.column("KO")] + growth[panel.column("JPM")]) / 2
    assert pair[-1] == pytest.approx(mean)
    assert baselines.held(panel, (), Costs()) is None


def test_taking_every_trade_pays_at_expiry_what_the_strikes_say(feed: Feed) -> None:
    panel, costs = feed.panel(), Costs()
    place = window.index(panel, CLOSE)
    stop = moment(panel, place + 5)
    found = {(e.bot, e.horizon): e for e in baselines.every(panel, CLOSE, stop, BOTS, costs)}
    assert set(found) == {(b, h) for b in ("fortress", "anchor", "samson") for h in (5, 1)}
    assert [found["anchor", horizon].n for horizon in (5, 1)] == [1, 5]
    seen = surface(window.until(panel, CLOSE), CLOSE)
    assert seen is not None
    vix, after = float(panel.series["VIX"][place]), float(panel.close[place + 5, 0])
    unit = propose("iron_condor", BOTS["anchor"], seen, 5, vix, costs)
    in_and_settled = unit.costs / 2
    assert unit.legs[1].strike < after < unit.legs[2].strike  # it survived: all of the credit
    assert found["anchor", 5].pnl == pytest.approx(100 * unit.entry - in_and_settled)
    assert found["anchor", 5].r is not None
    assert found["anchor", 5].r.low is None


def test_results_that_overlap_are_known_less_surely_than_as_many_that_do_not() -> None:
    steps = np.random.default_rng(1).normal(size=504)
    smooth = np.convolve(steps, np.ones(5) / 5, "valid")
    naive, honest = baselines.mean(smooth, 1), baselines.mean(smooth, 5)
    assert naive is not None
    assert honest is not None
    assert naive.value == honest.value
    assert naive.high is not None
    assert honest.high is not None
    assert 1.5 < (honest.high - honest.value) / (naive.high - naive.value) < 2.5


def test_the_report_of_a_played_session_adds_up(played: tuple[Settings, Run], feed: Feed) -> None:
    settings, run = played
    store = engine.open_store(settings)
    told = summary(store, feed, settings, command="omega replay")
    marks = [Mark.model_validate(kept.body) for kept in state.listing(store, "equity/").values()]
    store.close()
    assert told.sessions == run.sessions
    assert told.decisions == run.sessions * ASKED
    assert told.pending == 0
    for part in (told, *told.bots.values()):
        causes = sum(cause.n for cause in part.causes)
        assert part.decisions == causes + part.wanted
        assert part.money.pnl == pytest.approx(part.money.realised + part.money.open)
        assert part.curve is not None
        assert part.curve.values[-1] == pytest.approx(part.money.equity)
        assert len(part.curve.days) == run.sessions + 1
    last = max(mark.at for mark in marks)
    assert told.money.equity == pytest.approx(fsum(m.equity for m in marks if m.at == last))
    brief = told.brief()
    assert {"sessions", "decisions", "vetoes", "trades", "bots", "models"} <= brief.keys()
    assert {"mvs", "digest", "simulated", "real", "window", "baselines"} <= brief.keys()
    assert brief["mvs"]["passed"] is told.mvs.passed
    assert any("simulated" in line for line in told.simulated)
    assert "curve" not in brief
