import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bot import Factor
from domain.errors import DataError
from domain.examples import exposure
from risk import correlation

SIDES = st.sampled_from((-1, 1))


def returns(rows: int = 250, columns: int = 6, rho: float = 0.5, seed: int = 7) -> np.ndarray:
    """Return equally correlated normal returns, shape (rows, columns)."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(rows, 1))
    return 0.01 * (np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=(rows, columns)))


def least_eigenvalue(matrix: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(matrix).min())


def test_without_shrinking_and_decay_it_is_pearsons() -> None:
    x = returns()
    np.testing.assert_allclose(correlation.matrix(x, 1e9, shrink=0.0), np.corrcoef(x.T), atol=1e-6)


def test_shrunk_fully_all_correlations_are_their_mean() -> None:
    x = returns()
    off = ~np.eye(6, dtype=bool)
    full = correlation.matrix(x, 1e9, shrink=1.0)
    np.testing.assert_allclose(full[off], np.corrcoef(x.T)[off].mean(), atol=1e-6)


def test_recent_rows_weigh_more() -> None:
    rng = np.random.default_rng(1)
    old = rng.normal(size=(200, 1)) * [1.0, -1.0]
    new = rng.normal(size=(200, 1)) * [1.0, 1.0]
    x = np.vstack([old, new]) + 0.01 * rng.normal(size=(400, 2))
    assert correlation.matrix(x, 20.0)[0, 1] > 0.99
    assert correlation.matrix(x[::-1], 20.0)[0, 1] < -0.99


def test_noise_is_shrunk_hard_and_structure_is_not() -> None:
    # With one true correlation everything that differs is noise; with blocks it is not.
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(60, 10))
    blocks = np.hstack(
        [rng.normal(size=(1000, 1)) + 0.3 * rng.normal(size=(1000, 5)) for _ in range(2)]
    )
    off = ~np.eye(10, dtype=bool)

    def kept(x: np.ndarray) -> float:
        raw = correlation.matrix(x, 1e9, shrink=0.0)[off]
        return float(correlation.matrix(x, 1e9)[off].std() / raw.std())

    assert kept(noise) < 0.2
    assert kept(blocks) > 0.95


def test_shrinking_comes_nearer_to_the_truth() -> None:
    truth = np.full((12, 12), 0.4)
    np.fill_diagonal(truth, 1.0)
    raw = shrunk = 0.0
    for seed in range(20):
        x = returns(rows=60, columns=12, rho=0.4, seed=seed)
        raw += np.square(correlation.matrix(x, 30.0, shrink=0.0) - truth).sum()
        shrunk += np.square(correlation.matrix(x, 30.0) - truth).sum()
    assert shrunk < 0.5 * raw


def brute_intensity(z: np.ndarray, w: np.ndarray) -> float:
    """Return the intensity by the sums in the docstring, pair by pair."""
    k = z.shape[1]
    pairs = [(i, j) for i in range(k) for j in range(k) if i != j]
    x = np.array([z[:, i] * z[:, j] for i, j in pairs])
    r = x @ w
    noise = (np.square(x - r[:, None]) @ np.square(w)).sum()
    shared = len(pairs) * (np.square(x.mean(axis=0) - r.mean()) @ np.square(w))
    return (noise - shared) / (1 - np.square(w).sum()) / np.square(r - r.mean()).sum()


def test_the_intensity_is_the_one_of_the_formula() -> None:
    z = np.random.default_rng(2).normal(size=(80, 5))
    w = 0.5 ** (np.arange(80)[::-1] / 40.0)
    w /= w.sum()
    z = z - w @ z
    z /= np.sqrt(w @ np.square(z))
    sample = (z * w[:, None]).T @ z
    mean = (sample.sum() - 5) / 20
    expected = min(1.0, max(0.0, brute_intensity(z, w)))
    assert correlation._intensity(z, w, sample, mean) == pytest.approx(expected, abs=1e-9)
    assert 0.0 < expected <= 1.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(5.0, 500.0))
def test_the_matrix_is_a_correlation_matrix(seed: int, columns: int, halflife: float) -> None:
    x = np.random.default_rng(seed).standard_t(3, size=(40, columns))
    c = correlation.matrix(x, halflife)
    np.testing.assert_array_equal(np.diag(c), 1.0)
    np.testing.assert_array_equal(c, c.T)
    assert np.abs(c).max() <= 1.0
    assert least_eigenvalue(c) > -1e-9


def test_a_column_with_too_little_history_is_unknown_and_spoils_nothing() -> None:
    x = returns()
    x[:230, 2] = np.nan
    c = correlation.matrix(x, 60.0)
    others = [0, 1, 3, 4, 5]
    assert np.isnan(np.delete(c[2], 2)).all()
    assert c[2, 2] == 1.0
    assert np.isfinite(c[np.ix_(others, others)]).all()
    np.testing.assert_array_equal(c[np.ix_(others, others)], correlation.matrix(x[:, others], 60.0))


def test_gaps_cost_rows_but_leave_it_positive() -> None:
    rng = np.random.default_rng(5)
    x = returns(rows=120, columns=8)
    x[rng.random(x.shape) < 0.05] = np.nan
    c = correlation.matrix(x, 60.0)
    assert np.isfinite(c).all()
    assert least_eigenvalue(c) > -1e-9


def test_a_column_that_never_moves_is_unknown() -> None:
    x = returns(columns=3)
    x[:, 1] = 0.01
    c = correlation.matrix(x, 60.0)
    assert np.isnan(c[1, 0])
    assert np.isfinite(c[0, 2])


@pytest.mark.parametrize("x", [np.full((50, 3), np.nan), np.zeros((10, 3)), np.ones((50, 3))])
def test_without_history_everything_is_unknown(x: np.ndarray) -> None:
    c = correlation.matrix(x, 60.0)
    assert np.isnan(c[~np.eye(3, dtype=bool)]).all()
    assert (np.diag(c) == 1.0).all()


@pytest.mark.parametrize("halflife", [0.0, -1.0, float("nan")])
def test_a_halflife_must_be_positive(halflife: float) -> None:
    with pytest.raises(DataError, match="half-life"):
        correlation.matrix(returns(), halflife)


def test_factors_are_the_move_and_its_size() -> None:
    x = np.array([[0.01, np.nan], [-0.03, np.nan]])
    expected = [[0.01, np.nan, -0.01, np.nan], [-0.03, np.nan, 0.01, np.nan]]
    np.testing.assert_allclose(correlation.factors(x), expected)


def test_a_short_condor_and_a_long_stock_share_the_risk_of_a_fall() -> None:
    # a market that falls further than it rises: a skewed common factor
    rng = np.random.default_rng(11)
    market = 0.01 * (1.0 - rng.exponential(size=(600, 1)))
    x = market + 0.003 * rng.normal(size=(600, 2))
    c = correlation.matrix(correlation.factors(x), 200.0)
    held = exposure(symbol="AAPL", factor=Factor.PRICE, side=1)
    known = correlation.against(c, ("SPX", "AAPL"), "SPX", Factor.VOLATILITY, [held])
    assert known[held.id] < -0.3
    assert correlation.shared(-1, 1.0, known, [held]).worst > 0.3
    assert correlation.shared(1, 1.0, known, [held]).held == 0.0


def test_what_is_unknown_is_left_out() -> None:
    c = np.array([[1.0, np.nan, 0.2, 0.1], [np.nan, 1.0, 0, 0], [0.2, 0, 1, 0], [0.1, 0, 0, 1.0]])
    symbols = ("SPX", "AAPL")
    price = exposure(id="a", symbol="AAPL", factor=Factor.PRICE)
    strange = exposure(id="b", symbol="ZZZ")
    known = exposure(id="c", symbol="SPX")
    all_of_them = [price, strange, known]
    assert correlation.against(c, symbols, "SPX", Factor.PRICE, all_of_them) == {"c": 0.2}
    assert correlation.against(c, symbols, "ZZZ", Factor.PRICE, all_of_them) == {}


def test_the_same_factor_of_the_same_symbol_is_the_same_bet() -> None:
    c = correlation.matrix(correlation.factors(returns(columns=2)), 60.0)
    held = exposure()
    known = correlation.against(c, ("SPX", "AAPL"), "SPX", Factor.VOLATILITY, [held])
    assert correlation.shared(-1, 100.0, known, [held]).model_dump() == {
        "movement": {held.id: 1.0},
        "worst": 1.0,
        "worst_id": held.id,
        "held": 20_000.0,
        "total": 20_100.0,
    }


def test_an_empty_book_shares_nothing() -> None:
    empty = correlation.shared(1, 100.0, {}, [])
    assert (empty.worst, empty.worst_id, empty.held, empty.total) == (None, None, 0.0, 100.0)


@pytest.mark.parametrize("rho", [{}, {"x": float("nan")}, {"x": 1.5}, {"x": -7.0}])
@pytest.mark.parametrize("side", [-1, 1])
def test_an_unknown_correlation_is_the_same_bet_on_either_side(
    rho: dict[str, float], side: int
) -> None:
    held = exposure(id="x")
    assert correlation.shared(side, 0.0, rho, [held]).worst == 1.0


def test_the_worst_is_named_and_hedges_do_not_pay_for_it() -> None:
    long_, short = exposure(id="l", side=1), exposure(id="s", side=-1, risk=5_000.0)
    risk = correlation.shared(1, 1_000.0, {"l": 0.5, "s": 0.9}, [short, long_])
    assert risk.movement == {"s": -0.9, "l": 0.5}
    assert (risk.worst_id, risk.worst, risk.held, risk.total) == ("l", 0.5, 10_000.0, 11_000.0)


@given(SIDES, st.dictionaries(st.sampled_from("abcd"), st.floats(-1, 1)), st.lists(SIDES))
def test_shared_risk_is_never_negative_and_never_more_than_is_held(
    side: int, rho: dict[str, float], sides: list[int]
) -> None:
    held = [exposure(id="abcd"[i % 4], side=s, risk=10.0) for i, s in enumerate(sides)]
    risk = correlation.shared(side, 0.0, rho, held)
    assert 0.0 <= risk.held <= 10.0 * len(held)
