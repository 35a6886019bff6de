"""What each question of a target asks, on a few sessions worked out by hand."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from domain.book import Costs
from domain.values import FloatArray
from learning import labels
from market import pricing
from market.panel import Panel
from models.base import Question, Target

NAN = np.nan
SESSIONS = [
    # open, high, low, close
    (100.0, 100.0, 100.0, 100.0),
    (100.2, 101.0, 99.0, 100.6),
    (100.6, 100.6, 98.0, 98.5),
    (98.4, 99.0, 98.0, 98.1),
]


def panel(rows: list[tuple[float, ...]] | None = None, **series: Any) -> Panel:
    table = np.array(SESSIONS if rows is None else rows)
    times = np.datetime64("2016-01-04T21:00:00", "s") + np.arange(len(table)) * 86400
    known = {name: np.full(len(table), float(level)) for name, level in series.items()}
    nothing = np.full((len(table), 1), NAN)
    columns = (table[:, [i]] for i in range(4))
    return Panel(times, ("SPX",), *columns, nothing, known)


def asked(name: Question, horizon: int = 1, at: Panel | None = None, **more: Any) -> FloatArray:
    target = Target(name, horizon, "index", **more)
    answer = labels.outcomes(panel() if at is None else at, target)
    assert answer.shape[1:] == (1, max(len(target.distances), 1))
    return answer[:, 0]


def test_every_question_has_an_answer_and_words() -> None:
    for name in get_args(Question):
        target = Target(name, 3, "index", (0.5, 1.0), 0.5)
        assert labels.outcomes(panel(VIX=16.0), target).shape[0] == len(SESSIONS)
        assert target.words.startswith("the index ")
        assert target.words.endswith(", 3 sessions on")


def test_gains_and_losses_are_from_the_next_open_to_the_close() -> None:
    # +0.40 % and then -2.09 %; the third open is the close before it, written twice
    np.testing.assert_array_equal(asked("gains", level=0.003)[:, 0], [1, NAN, 0, NAN])
    np.testing.assert_array_equal(asked("gains", level=0.004)[:, 0], [0, NAN, 0, NAN])
    np.testing.assert_array_equal(asked("loses", level=0.003)[:, 0], [0, NAN, 1, NAN])


def test_flat_is_neither_a_gain_nor_a_loss() -> None:
    calm = panel([(100, 101, 99, 100), (100.5, 101, 100, 100.6)])
    assert asked("gains", at=calm, level=0.003)[0, 0] == 0
    assert asked("loses", at=calm, level=0.003)[0, 0] == 0


def test_a_session_without_an_open_is_unknown() -> None:
    blind = panel([(NAN, NAN, NAN, 100.0), (NAN, NAN, NAN, 101.0)])
    assert np.isnan(asked("gains", at=blind, level=0.003)).all()


def test_above_is_about_falls_alone() -> None:
    known = panel(VIX=16.0)
    edge = pricing.expected_move(1.0, 16.0, 1)
    fell = [(1 - b / a) / edge for a, b in ((100.0, 100.6), (100.6, 98.5), (98.5, 98.1))]
    y = asked("above", at=known, distances=(0.5, 1.0, 3.0))
    assert y[:3].tolist() == [[float(f <= d) for d in (0.5, 1.0, 3.0)] for f in fell]
    assert np.isnan(y[3]).all()


def test_contained_looks_at_highs_and_lows_of_every_session() -> None:
    known, edge = panel(VIX=16.0), pricing.expected_move(1.0, 16.0, 2)
    furthest = [2.0 / 100, 2.6 / 100.6]  # down to 98 within two sessions, from 100 and from 100.6
    distances = tuple(furthest[0] / edge * k for k in (0.99, 1.01))
    y = asked("contained", 2, known, distances=distances)
    assert y[0].tolist() == [0.0, 1.0]
    assert y[1].tolist() == [float(furthest[1] / edge <= d) for d in distances]
    assert np.isnan(y[2:]).all()


def test_nearer_to_the_flip_is_measured_from_the_open() -> None:
    y = asked("nears_flip", at=panel(GEX_FLIP=101.0))[:, 0]
    np.testing.assert_array_equal(y, [1, 0, 0, NAN])
    assert np.isnan(asked("nears_flip")).all()


def test_a_touched_magnet_is_the_nearest_of_the_day_before() -> None:
    # from 100 the magnet 101.05 is the nearer of the two, and the high of 101 comes within 0.1 %
    known = panel(GEX_MAGNET_1=98.6, GEX_MAGNET_2=101.05)
    np.testing.assert_array_equal(asked("touches_magnet", at=known)[:, 0], [1, 0, 1, NAN])


def test_a_level_of_the_day_says_nothing_across_the_night() -> None:
    """Four bars of five minutes, two of one session and two of the next."""
    days = panel(GEX_FLIP=101.0, GEX_MAGNET_1=98.6, GEX_MAGNET_2=101.05)
    minutes = np.array([385.0, 390.0, 5.0, 10.0])
    bars = replace(days, series={**days.series, "MINUTE": minutes}, memo={})
    questions: tuple[Question, ...] = ("nears_flip", "touches_magnet", "pins")
    for name in questions:
        daily = asked(name, at=days)[:, 0]
        within = labels.outcomes(bars, Target(name, 1, "index", unit="bar"))[:, 0, 0]
        np.testing.assert_array_equal(within, [daily[0], NAN, daily[2], NAN])


def test_a_magnet_is_touched_by_any_of_the_bars() -> None:
    known = panel(GEX_MAGNET_1=98.05, GEX_MAGNET_2=98.05)
    one, two = (asked("touches_magnet", bars, known)[:, 0] for bars in (1, 2))
    np.testing.assert_array_equal(two[:2], np.maximum(one[:2], one[1:3]))


@pytest.mark.parametrize(("one", "two"), [(98.2, 100.6), (100.6, 98.2)])
def test_a_pin_is_between_the_magnets_whichever_is_named_first(one: float, two: float) -> None:
    y = asked("pins", at=panel(GEX_MAGNET_1=one, GEX_MAGNET_2=two))[:, 0]
    np.testing.assert_array_equal(y, [1, 1, 0, NAN])


def test_soon_is_about_when_and_unknown_where_nothing_came() -> None:
    known, edge = panel(VIX=16.0), pricing.expected_move(1.0, 16.0, 2)
    level = 0.015 / edge  # 1.5 %: from 100 it comes in the second session, from 100.6 in the first
    np.testing.assert_array_equal(asked("soon", 2, known, level=level)[:, 0], [0, 1, NAN, NAN])
    assert np.isnan(asked("soon", 2, known, level=9.0)).all()


def test_the_size_of_a_move_does_not_change_how_soon_it_came() -> None:
    small = panel([(100, 100, 100, 100), (100, 102, 99, 101), (101, 101.1, 100, 100)], VIX=16.0)
    large = panel([(100, 100, 100, 100), (100, 120, 90, 101), (101, 101.1, 100, 100)], VIX=16.0)
    for known in (small, large):
        assert asked("soon", 2, known, level=0.5)[0, 0] == 1.0


def test_a_spread_that_pays_wins_and_one_on_the_other_side_loses(packaged: Panel) -> None:
    rise, fall = (Target(name, 1, "index", level=0.003) for name in ("gains", "loses"))
    y = labels.outcomes(packaged, rise)[:, 0, 0]
    r = labels.results(packaged, rise, Costs())[:, 0, 0]
    other = labels.results(packaged, fall, Costs())[:, 0, 0]
    known = np.isfinite(y) & np.isfinite(r) & np.isfinite(other)
    assert known.sum() > 1000
    assert (r[known] >= -1 - 1e-9).all()
    assert (other[known] >= -1 - 1e-9).all()
    up = known & (y == 1)
    assert r[up].mean() > 0 > r[known & (y == 0)].mean()
    assert other[up].mean() < r[up].mean()


def test_what_nobody_trades_has_no_result(packaged: Panel) -> None:
    target = Target("contained", 1, "index", (0.5, 1.0))
    assert labels.results(packaged, target, Costs()).shape == (len(packaged), 1, 2)
    assert np.isnan(labels.results(packaged, target, Costs())).all()
