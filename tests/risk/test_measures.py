import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from risk import measures

PNL = [3.0, -1.0, 2.0, -2.0]
RECORDS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def trades(n: int = 40) -> list[float]:
    """Return n trades: of each five, three win 10 and two lose 10."""
    return ([10.0, -10.0, 10.0, -10.0, 10.0] * n)[:n]


def test_ratios_are_those_worked_out_by_hand() -> None:
    # mean 0.5, standard deviation sqrt(17/3), root mean square of the losses sqrt(5/4)
    assert measures.sharpe(PNL).value == pytest.approx(252**0.5 * 0.5 / (17 / 3) ** 0.5)
    assert measures.sortino(PNL).value == pytest.approx(252**0.5 * 0.5 / 1.25**0.5)
    assert measures.sharpe(PNL, periods=52).value == pytest.approx(52**0.5 * 0.5 / (17 / 3) ** 0.5)
    assert measures.profit_factor(PNL).value == pytest.approx(5 / 3)
    assert measures.expectancy(PNL).value == 0.5
    assert measures.win_rate(PNL).value == 0.5
    assert {m.n for m in (measures.sharpe(PNL), measures.win_rate(PNL))} == {4}


def test_a_drawdown_is_measured_from_the_peak_and_not_from_the_capital() -> None:
    # equity 100 -> 150 -> 120 -> 160 -> 140
    assert measures.drawdown([50.0, -30.0, 40.0, -20.0], 100.0).value == pytest.approx(0.2)
    assert measures.drawdown([-25.0], 100.0).value == 0.25
    assert measures.drawdown([1.0, 2.0], 100.0).value == 0.0


@pytest.mark.parametrize(
    ("equity", "peak", "depth"), [(100.0, 100.0, 0.0), (120.0, 100.0, 0.0), (-20.0, 100.0, 1.2)]
)
def test_current_drawdown(equity: float, peak: float, depth: float) -> None:
    assert measures.underwater(equity, peak) == depth


@pytest.mark.parametrize("peak", [0.0, -1.0, float("nan")])
def test_a_peak_that_is_not_positive_has_no_drawdown(peak: float) -> None:
    with pytest.raises(DataError, match="peak"):
        measures.underwater(100.0, peak)


def test_a_drawdown_needs_capital() -> None:
    with pytest.raises(DataError, match="capital"):
        measures.drawdown([1.0], 0.0)


def test_the_tail_counts_a_session_by_its_share() -> None:
    # 5 % of 50 sessions are 2.5: the worst two and half of the third
    results = [-10.0, -6.0, -4.0, *47 * [1.0]]
    assert measures.cvar(results).value == pytest.approx((-10 - 6 - 2) / 2.5)
    assert measures.cvar([-2.0, *9 * [1.0]], tail=1.0).value == pytest.approx(0.7)


@pytest.mark.parametrize(
    "measure",
    [
        measures.sharpe([]),
        measures.sharpe([1.0]),
        measures.sharpe([0.1] * 30),
        measures.sortino([]),
        measures.sortino([1.0, 2.0]),
        measures.sortino([0.0, 0.0]),
        measures.cvar([-1.0] * 19),
        measures.drawdown([], 1.0),
        measures.profit_factor([]),
        measures.profit_factor([1.0, 2.0]),
        measures.profit_factor([0.0]),
        measures.expectancy([]),
        measures.win_rate([]),
    ],
)
def test_what_cannot_be_computed_is_none(measure: object) -> None:
    assert measure is None


@pytest.mark.parametrize("bad", [[1.0, float("nan")], [float("inf")], [[1.0, 2.0]], 3.0])
def test_results_that_are_no_series_of_numbers_are_refused(bad: object) -> None:
    for measure in (measures.sharpe, measures.win_rate, measures.mvs):
        with pytest.raises(DataError):
            measure(bad)


def test_an_interval_needs_a_generator_and_twenty_results() -> None:
    assert measures.expectancy(trades(20)).low is None
    assert measures.expectancy(trades(19), rng()).low is None
    measured = measures.expectancy(trades(20), rng())
    assert measured.low < measured.value < measured.high


def test_a_bound_that_is_infinite_is_no_bound() -> None:
    # one loss in forty: a third of the resamples have none, and so no finite profit factor
    measured = measures.profit_factor([-1.0, *39 * [1.0]], rng())
    assert (measured.value, measured.low, measured.high) == (39.0, None, None)


def test_the_same_generator_gives_the_same_interval() -> None:
    daily = rng().normal(0.1, 1.0, 200)
    assert measures.sharpe(daily, rng()) == measures.sharpe(daily, rng())


def test_the_interval_of_a_mean_covers_it_19_times_in_20() -> None:
    source = rng()
    covered = 0
    for _ in range(200):
        measured = measures.expectancy(source.normal(1.0, 2.0, 60), source)
        covered += measured.low <= 1.0 <= measured.high
    assert 180 <= covered <= 198


def test_blocks_widen_the_interval_of_a_series_that_clusters() -> None:
    source = rng()
    noise = source.normal(size=2_000)
    clustered = np.convolve(noise, np.ones(10) / 10, mode="valid")
    blocks = measures.cvar(clustered, rng())
    plain = measures._measure(
        clustered, lambda x: np.sort(x, axis=-1)[..., : len(clustered) // 20].mean(axis=-1), rng()
    )
    assert blocks.high - blocks.low > 1.5 * (plain.high - plain.low)


@pytest.mark.parametrize("n", [1, 10, 97])
def test_none_or_all_of_the_trades_won_is_an_end_of_the_interval(n: int) -> None:
    assert measures.wilson(0, n)[0] == 0.0
    assert measures.wilson(n, n)[1] == 1.0


@given(RECORDS)
def test_a_win_rate_lies_within_its_interval(pnl: list[float]) -> None:
    measured = measures.win_rate(pnl)
    assert 0.0 <= measured.low <= measured.value <= measured.high <= 1.0 + 1e-12


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=60), st.sampled_from([0.5, 4.0]))
def test_ratios_do_not_depend_on_the_currency(pnl: list[int], rate: float) -> None:
    elsewhere = [rate * x for x in pnl]
    for measure in (measures.win_rate, measures.profit_factor, measures.sharpe, measures.sortino):
        here, there = measure(pnl), measure(elsewhere)
        assert (here is None) == (there is None)
        assert here is None or there.value == pytest.approx(here.value)


def test_mvs_wants_thirty_trades_that_earned() -> None:
    gate = measures.mvs(trades(30))
    assert gate.passed
    assert gate.failed == ()
    assert [c.name for c in gate.criteria] == ["trades", "pnl", "win_rate", "profit_factor"]
    assert [c.measured.value for c in gate.criteria] == [30.0, 60.0, 0.6, 1.5]


@pytest.mark.parametrize(
    ("pnl", "failed"),
    [
        (trades(29), ["trades"]),
        ([-10.0, 10.0] * 20, ["pnl", "profit_factor"]),
        ([30.0, -10.0, -10.0] * 15, ["win_rate"]),
        ([10.0] * 30, ["profit_factor"]),
        ([], ["trades", "pnl", "win_rate", "profit_factor"]),
    ],
)
def test_mvs_names_what_was_not_met(pnl: list[float], failed: list[str]) -> None:
    gate = measures.mvs(pnl)
    assert not gate.passed
    assert [phrase.split()[0] for phrase in gate.failed] == failed


def test_a_record_without_a_loss_says_that_it_cannot_be_measured() -> None:
    assert measures.mvs([10.0] * 30).failed == ("profit_factor > 1: cannot be measured",)
