"""How much the desk's positions move together, and what risk a new one would share.

Positions earn by the price or by volatility, so each symbol has two factors, and all of them feed
one matrix: a short condor and a long stock have a correlation that can be measured.
"""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from domain.book import Exposure
from domain.bot import Factor
from domain.errors import DataError
from domain.values import Dollars, FloatArray, Fraction, Value

FEWEST = 30
"""Rows in common below which a correlation is unknown: at 30 its standard error is still 0.18."""


def factors(returns: FloatArray) -> FloatArray:
    """Return the two factors of each symbol: its return, and how large it is beyond its mean.

    Parameters
    ----------
    returns
        Shape (T, S), fractions, oldest first; NaN where unknown.

    Returns
    -------
    FloatArray
        Shape (T, 2 S): the S price factors ``r``, then the S volatility factors
        ``|r| - mean|r|``.
    """
    size = np.abs(returns)
    known = np.isfinite(size)
    rows = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, size, 0.0).sum(axis=0) / rows
    return np.hstack([returns, size - mean])


def matrix(returns: FloatArray, halflife: float, shrink: Fraction | None = None) -> FloatArray:
    """Return the correlation matrix of K factors, recent rows weighing more, shrunk.

    A sample correlation of many factors over few effective rows is mostly noise. It is drawn
    towards a matrix with all correlations equal to their mean, by the intensity that minimises the
    expected squared error [1]_: with ``r`` the pairwise correlations and ``m`` their mean,
    ``sum(Var(r)) - pairs * Var(m)`` over ``sum((r - m)**2)``, the variances estimated from the
    spread of the products that ``r`` is the weighted mean of [2]_.

    Columns that leave too few rows in common are unknown: NaN, but for the diagonal. The others
    are estimated from the rows that all of them have, so the known part is always positive
    semi-definite.

    Parameters
    ----------
    returns
        Shape (T, K), oldest first; NaN where unknown.
    halflife
        Rows after which a row weighs half, > 0.
    shrink
        The intensity, instead of the best one.

    Returns
    -------
    FloatArray
        Shape (K, K), symmetric, unit diagonal.

    References
    ----------
    .. [1] O. Ledoit and M. Wolf, "Honey, I shrunk the sample covariance matrix", Journal of
       Portfolio Management 30, 2004.
    .. [2] J. Schaefer and K. Strimmer, "A shrinkage approach to large-scale covariance matrix
       estimation", Statistical Applications in Genetics and Molecular Biology 4, 2005.
    """
    if not halflife > 0:
        raise DataError(f"a half-life must be positive, not {halflife}")
    rows, columns = returns.shape
    result = np.full((columns, columns), np.nan)
    np.fill_diagonal(result, 1.0)
    kept, common = _common(returns)
    if not len(kept):
        return result
    age = (rows - 1 - np.flatnonzero(common)).astype(np.float64)
    weights = 0.5 ** (age / halflife)
    weights /= weights.sum()
    x = returns[np.ix_(common, kept)]
    x = x - weights @ x
    spread = np.sqrt(weights @ np.square(x))
    # Equal numbers do not come out with a spread of exactly zero.
    varied = spread > 1e-12
    kept, z = kept[varied], x[:, varied] / spread[varied]
    sample = (z * weights[:, None]).T @ z
    pairs = len(kept) * (len(kept) - 1)
    mean = (sample.sum() - len(kept)) / pairs if pairs else 0.0
    intensity = _intensity(z, weights, sample, mean) if shrink is None else shrink
    shrunk = (1.0 - intensity) * sample + intensity * mean
    shrunk = np.clip((shrunk + shrunk.T) / 2, -1.0, 1.0)
    np.fill_diagonal(shrunk, 1.0)
    result[np.ix_(kept, kept)] = shrunk
    return result


def _common(returns: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the columns to keep and the rows they all have, giving up the emptiest columns."""
    known = np.isfinite(returns)
    kept = np.arange(returns.shape[1])
    while len(kept):
        common = np.asarray(known[:, kept].all(axis=1))
        if common.sum() >= FEWEST:
            return kept, common
        kept = np.delete(kept, known[:, kept].sum(axis=0).argmin())
    return kept, np.zeros(len(returns), dtype=np.bool_)


def _intensity(z: FloatArray, weights: FloatArray, sample: FloatArray, mean: float) -> float:
    """Return how far to shrink, 0 to 1; sums run over pairs of different columns."""
    k = z.shape[1]
    pairs = k * (k - 1)
    off = sample - np.eye(k)
    distance = float(np.square(off).sum() - pairs * mean * mean)
    if distance <= 1e-12:
        return 0.0
    squared, square = np.square(weights), np.square(z)
    # sum over pairs and rows of w^2 (z_i z_j - r_ij)^2, multiplied out
    products = square.sum(axis=1) ** 2 - np.square(square).sum(axis=1)
    crossed = (z * squared[:, None]).T @ z
    np.fill_diagonal(crossed, 0.0)
    noise = float(
        squared @ products - 2.0 * (off * crossed).sum() + squared.sum() * np.square(off).sum()
    )
    row_means = (z.sum(axis=1) ** 2 - square.sum(axis=1)) / pairs
    shared = float(pairs * (squared @ np.square(row_means - mean)))
    return min(1.0, max(0.0, (noise - shared) / (1.0 - squared.sum()) / distance))


def against(
    correlations: FloatArray,
    symbols: Sequence[str],
    symbol: str,
    factor: Factor,
    exposures: Sequence[Exposure],
) -> dict[str, float]:
    """Return the correlation of one factor with that of each exposure, by exposure id.

    Parameters
    ----------
    correlations
        `matrix` of `factors`, shape (2 S, 2 S), for the S `symbols` in their order.

    Returns
    -------
    dict
        Leaves out what is unknown: a symbol that is not in the matrix, or too little history.
    """
    place = {
        (name, kind): i + offset
        for kind, offset in ((Factor.PRICE, 0), (Factor.VOLATILITY, len(symbols)))
        for i, name in enumerate(symbols)
    }
    mine = place.get((symbol, factor))
    if mine is None:
        return {}
    known = {}
    for exposure in exposures:
        theirs = place.get((exposure.symbol, exposure.factor))
        if theirs is not None and np.isfinite(correlations[mine, theirs]):
            known[exposure.id] = float(correlations[mine, theirs])
    return known


class SharedRisk(Value):
    """What a candidate would share with the positions that are held.

    `movement` is, by exposure id, how far it moves with the candidate: 1 is the same bet, -1 a
    perfect hedge. `held` is the risk of all of them that would be lost together with it.
    """

    movement: dict[str, float]
    worst: float | None
    """Largest co-movement; None when nothing is held."""
    worst_id: str | None
    held: Dollars
    total: Dollars
    """`held` and the candidate's own risk."""


def shared(
    side: Literal[-1, 1],
    candidate_risk: Dollars,
    correlations: Mapping[str, float],
    exposures: Sequence[Exposure],
) -> SharedRisk:
    """Return the risk that a candidate shares with what the desk holds.

    Co-movement is ``rho * side * side_held``. Only what moves along is shared, so a hedge adds
    nothing. An exposure whose correlation is unknown, or impossible, counts as the same bet
    whatever its side: assuming 1 for the correlation alone would make a hedge of it.

    Examples
    --------
    >>> from domain.examples import exposure
    >>> held = exposure()  # short volatility, 20,000 at risk
    >>> shared(-1, 5_000.0, {held.id: 0.9}, [held]).held
    18000.0
    >>> shared(1, 5_000.0, {held.id: 0.9}, [held]).held
    0.0
    >>> shared(1, 5_000.0, {}, [held]).held
    20000.0
    """
    movement: dict[str, float] = {}
    along: list[Dollars] = []
    for exposure in exposures:
        rho = correlations.get(exposure.id)
        # NaN fails the comparison too
        known = rho is not None and abs(rho) <= 1.0
        moves = rho * side * exposure.side if rho is not None and known else 1.0
        movement[exposure.id] = moves
        along.append(exposure.risk * max(0.0, moves))
    held = fsum(along)  # exactly, in whatever order they came
    worst_id = max(movement, key=lambda name: movement[name], default=None)
    return SharedRisk(
        movement=movement,
        worst=None if worst_id is None else movement[worst_id],
        worst_id=worst_id,
        held=held,
        total=held + candidate_risk,
    )
