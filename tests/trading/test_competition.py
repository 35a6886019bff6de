"""Who stands where, and that nothing but the record decides it."""

from datetime import UTC, date, datetime, timedelta
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trade import Exit, Trade
from trading import competition, examples
from trading.competition import Entrant, Standing, measured, rank

START = date(2017, 3, 1)
DAY = timedelta(days=1)


def at(day: int) -> datetime:
    return datetime(START.year, START.month, START.day, 21, tzinfo=UTC) + day * DAY


def trade(number: int, pnl: float, opened: int, closed: int, **fields: Any) -> Trade:
    """Return a trade that was opened and closed so many days after the start; it cost 2."""
    plain: dict[str, Any] = {
        "id": f"{number}",
        "decision_id": f"{number}",
        "bot": "a",
        "symbol": "SPX",
        "structure": "shares",
        "quantity": 1,
        "entry": -100.0,
        "exit": 100.0 + pnl,
        "pnl": pnl,
        "costs": 2.0,
        "risk": 100.0,
        "r": pnl / 100.0,
        "why": Exit.STOP,
        "opened_at": at(opened),
        "closed_at": at(closed),
    }
    return Trade(**(plain | fields))


def entrant(name: str, capital: float, *results: float, **fields: Any) -> Entrant:
    """Return a bot with so many dollars more or less after each session, the first on day 1."""
    return Entrant(
        name=name,
        title=name.upper(),
        strategy="score",
        days=tuple(START + k * DAY for k in range(len(results) + 1)),
        equity=tuple(capital + x for x in (0.0, *np.cumsum(results))),
        **fields,
    )


def busy(name: str, capital: float, results: list[float], times: int = 30) -> Entrant:
    """Return a bot with as many trades, two thirds of them won, as its results are repeated."""
    won = [trade(k, 30.0 if k % 3 else -20.0, 1, 1, bot=name) for k in range(times)]
    return entrant(name, capital, *results, closed=tuple(won))


# one row, worked out by hand


def test_a_row_is_what_the_record_comes_to() -> None:
    closed = (trade(1, 30.0, 1, 2), trade(2, -10.0, 2, 2), trade(3, 0.0, 4, 4))
    row = measured(entrant("a", 1_000.0, 0.0, 20.0, -30.0, 40.0, 0.0, closed=closed))
    assert (row.sessions, row.trades) == (5, 3)
    assert row.gain == pytest.approx(0.03)
    assert row.costs == pytest.approx(0.006)
    # 1,000 1,000 1,020 990 1,030 1,030: 30 below 1,020
    assert row.max_drawdown is not None
    assert row.max_drawdown.value == pytest.approx(30 / 1_020)
    # a mean of 6 dollars a session, and deviations of -6 14 -36 34 -6
    spread = sqrt((36 + 196 + 1_296 + 1_156 + 36) / 4)
    assert row.sharpe is not None
    assert row.sharpe.value == pytest.approx(6 / spread * sqrt(252))
    assert row.profit_factor is not None
    assert row.profit_factor.value == 3.0
    assert row.win_rate is not None
    assert row.win_rate.value == pytest.approx(1 / 3)
    assert row.exposure == pytest.approx(3 / 5)  # days 1, 2 and 4


def test_parts_of_an_entry_are_one_trade_and_count_when_the_last_is_closed() -> None:
    half = trade(1, 50.0, 1, 2, id="1/partial")
    rest = trade(1, -80.0, 1, 4, id="1/stop")
    both = entrant("a", 1_000.0, 0.0, 50.0, 0.0, -80.0, closed=(half, rest))
    row = measured(both)
    assert (row.trades, row.exposure) == (1, 1.0)
    assert row.win_rate is not None
    assert row.win_rate.value == 0.0
    before = measured(both, until=START + 3 * DAY)
    assert (before.trades, before.win_rate) == (0, None)
    assert before.gain == pytest.approx(0.05)
    assert before.costs == pytest.approx(0.002)


def test_what_is_still_held_is_in_the_market_and_no_trade() -> None:
    held = examples.holding().model_copy(update={"opened_at": at(3), "decision_id": "1"})
    part = trade(1, 10.0, 3, 4)
    row = measured(entrant("a", 1_000.0, 0.0, 0.0, 0.0, 10.0, closed=(part,), held=(held,)))
    assert (row.trades, row.exposure) == (0, 0.5)


def test_a_window_begins_with_the_equity_of_the_session_before() -> None:
    whole = entrant("a", 1_000.0, 100.0, -110.0, 99.0)
    row = measured(whole, since=START + 2 * DAY)
    assert (row.sessions, row.gain) == (2, pytest.approx(1_089 / 1_100 - 1))
    assert row.max_drawdown is not None
    assert row.max_drawdown.value == pytest.approx(0.1)
    first = measured(whole, until=START + DAY)
    assert (first.sessions, first.gain, first.sharpe) == (1, pytest.approx(0.1), None)


def test_trades_that_ended_before_the_window_do_not_count() -> None:
    closed = (trade(1, 30.0, 1, 1), trade(2, -10.0, 1, 2), trade(3, 5.0, 3, 3))
    whole = entrant("a", 1_000.0, 30.0, -10.0, 5.0, closed=closed)
    row = measured(whole, START + 2 * DAY, START + 2 * DAY)
    assert (row.trades, row.sessions, row.exposure) == (1, 1, 1.0)
    assert row.costs == pytest.approx(2 / 1_030)


# the places


def names(rows: tuple[Standing, ...]) -> list[tuple[str, int | None]]:
    return [(row.name, row.place) for row in rows]


STEADY, WILD = [3.0, 1.0, 3.0, 1.0], [90.0, -70.0, 90.0, -70.0]


def test_who_earned_is_ranked_by_the_sharpe_ratio_and_who_lost_by_the_loss() -> None:
    rows = rank(
        [
            busy("wild", 1_000.0, WILD),
            busy("steady", 1_000.0, STEADY),
            busy("little", 1_000.0, [-3.0, -1.0, -3.0, -1.0]),
            busy("much", 1_000.0, [-90.0, 70.0, -90.0, 70.0]),
        ]
    )
    assert names(rows) == [("steady", 1), ("wild", 2), ("little", 3), ("much", 4)]
    # though the ratio of who lost much is the better one
    assert rows[3].sharpe is not None
    assert rows[2].sharpe is not None
    assert rows[3].sharpe.value > rows[2].sharpe.value


def test_equals_share_a_place_and_the_next_one_is_left_out() -> None:
    rows = rank([busy(n, 1_000.0, STEADY) for n in ("b", "a")] + [busy("c", 1_000.0, WILD)])
    assert names(rows) == [("a", 1), ("b", 1), ("c", 3)]


def test_too_few_trades_are_listed_with_the_reason_and_not_ranked() -> None:
    rows = rank(
        [
            busy("few", 1_000.0, STEADY, 29),
            busy("none", 1_000.0, STEADY, 0),
            busy("enough", 1_000.0, WILD, 30),
        ]
    )
    assert names(rows) == [("enough", 1), ("few", None), ("none", None)]
    assert [row.reason for row in rows] == [
        "",
        "29 trades; 30 are needed",
        "0 trades; 30 are needed",
    ]
    assert rows[1].sharpe is not None


def test_what_cannot_be_measured_has_no_place() -> None:
    closed = busy("x", 1.0, []).closed
    rows = rank(
        [
            Entrant(name="absent", title="ABSENT", closed=closed),
            entrant("broke", 0.0, 1.0, 2.0, closed=closed),
            entrant("clockwork", 1_000.0, 1.0, 1.0, 1.0, closed=closed),
            entrant("idle", 1_000.0, 0.0, 0.0, closed=closed),
        ]
    )
    assert {row.name: row.reason for row in rows} == {
        "absent": "no session in the window",
        "broke": "it had nothing left to trade with",
        "clockwork": "its sessions do not differ, so its risk is unknown",
        "idle": "",
    }
    assert names(rows)[0] == ("idle", 1)
    assert all(row.gain is None for row in rows if row.name in ("absent", "broke"))


def test_nobody_makes_no_table() -> None:
    assert rank([]) == ()


def test_intervals_are_drawn_for_each_bot_by_itself() -> None:
    results = np.random.default_rng(1).normal(1.0, 20.0, 60).tolist()
    first, other = busy("a", 1_000.0, results), busy("b", 1_000.0, WILD)

    def rng(part: str) -> np.random.Generator:
        return np.random.default_rng([7, *part.encode()])

    [alone] = rank([first], rng=rng)
    assert alone.sharpe is not None
    assert alone.sharpe.low is not None
    assert alone.sharpe.low < alone.sharpe.value
    both = {row.name: row for row in rank([other, first], rng=rng)}
    assert both["a"].model_copy(update={"place": 1}) == alone


# whatever the record says

RESULTS = st.lists(st.floats(-200.0, 200.0).map(lambda x: round(x, 2)), min_size=4, max_size=12)
DESK = st.lists(RESULTS, min_size=1, max_size=5).map(
    lambda many: [busy(f"bot{k}", 100_000.0, each) for k, each in enumerate(many)]
)


@given(DESK, st.randoms(use_true_random=False))
def test_the_order_in_which_bots_are_given_changes_nothing(desk: list[Entrant], rng: Any) -> None:
    shuffled = list(desk)
    rng.shuffle(shuffled)
    assert rank(shuffled) == rank(desk)


def times(whole: Entrant, factor: float) -> Entrant:
    """Return the bot with so many times the capital, traded in the same way."""
    return whole.model_copy(
        update={
            "equity": tuple(factor * value for value in whole.equity),
            "closed": tuple(
                t.model_copy(update={"pnl": factor * t.pnl, "costs": factor * t.costs})
                for t in whole.closed
            ),
        }
    )


@given(DESK, st.sampled_from([0.125, 0.5, 2.0, 1024.0]))
def test_more_capital_traded_in_the_same_way_is_the_same_table(
    desk: list[Entrant], factor: float
) -> None:
    # powers of two, so that not even the last bit may differ
    assert rank([times(desk[0], factor), *desk[1:]]) == rank(desk)


@given(DESK)
def test_no_loser_stands_above_a_winner_and_places_count_who_is_better(desk: list[Entrant]) -> None:
    rows = [row for row in rank(desk) if row.place is not None]
    earned = [row.gain is not None and row.gain > 0 for row in rows]
    assert earned == sorted(earned, reverse=True)
    places = [row.place or 0 for row in rows]
    assert places == sorted(places)
    assert all(place <= k + 1 for k, place in enumerate(places))
    assert all(places[k] in (k + 1, places[k - 1]) for k in range(len(places)))


@given(RESULTS.filter(lambda x: abs(sum(x)) > 1.0))
def test_of_equal_risk_who_won_stands_above_who_lost(results: list[float]) -> None:
    won = results if sum(results) > 0 else [-x for x in results]
    rows = rank([busy("lost", 100_000.0, [-x for x in won]), busy("won", 100_000.0, won)])
    placed = {row.name: row.place for row in rows}
    if placed["won"] is None:  # without any spread
        assert placed["lost"] == 1
        return
    assert (placed["won"], placed["lost"]) == (1, 2)
    won_row, lost_row = rows
    assert won_row.sharpe is not None
    assert lost_row.sharpe is not None
    assert won_row.sharpe.value == pytest.approx(-lost_row.sharpe.value)


def test_as_many_trades_are_needed_as_the_gate_asks_for() -> None:
    from risk import measures

    count = next(c for c in measures.mvs([1.0]).criteria if c.name == "trades")
    assert count.needs == f">= {competition.FEWEST}"
