"""Splits that keep the future out: by time, purged and embargoed.

A label that is decided `h` sessions after its bar is not known before. A training row whose label
reaches into the test is therefore taken out (purged) [1]_, and a few more sessions are kept clear
(embargo), because volatility does not forget overnight. Training always lies before the test.

scikit-learn's ``TimeSeriesSplit`` and skfolio's ``WalkForward`` leave a gap of so many *rows*. Here
one session has one row, or twenty (stocks), or one per strike distance, and some sessions have
none because a feature is unknown: the gap must be counted in label windows, which neither does.

References
----------
.. [1] M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.errors import InsufficientData
from market.panel import Times

EMBARGO = 5
"""Sessions, at least, from the end of the last training label to the first test bar."""

IntArray = NDArray[np.integer[Any]]


class Split(NamedTuple):
    """Row numbers to learn from and to be judged on, and how many rows were purged between."""

    train: IntArray
    test: IntArray
    purged: int


def split(
    starts: Times,
    ends: Times,
    first: np.datetime64,
    last: np.datetime64 | None = None,
    embargo: int = EMBARGO,
) -> Split:
    """Return the rows before `first` as training and those from `first` until `last` as test.

    Parameters
    ----------
    starts, ends
        Bar of each row and bar that decides its label, shape (n,); `starts` never falls.
    first, last
        Of the test, inclusive; without `last` it runs to the end.
    embargo
        A training label must have ended so many sessions before the test's first bar; >= 1.

    Raises
    ------
    InsufficientData
        Nothing is left to learn from, or to be judged on.
    """
    dates = np.unique(starts)
    at = int(np.searchsorted(dates, first))
    begin = int(np.searchsorted(starts, first))
    stop = len(starts) if last is None else int(np.searchsorted(starts, last, side="right"))
    limit = at - max(embargo, 1)
    known = ends[:begin] <= dates[limit] if limit >= 0 else np.zeros(begin, bool)
    train = np.flatnonzero(known)
    if not len(train) or stop <= begin:
        raise InsufficientData(
            f"{len(train)} rows before {first} and {max(stop - begin, 0)} from it; "
            "hand in a longer history or a later start"
        )
    return Split(train, np.arange(begin, stop), begin - len(train))


def holdout(starts: Times, ends: Times, share: float = 0.2, embargo: int = EMBARGO) -> Split:
    """Return the split whose test is the last `share` of the sessions (not of the rows).

    Raises
    ------
    InsufficientData
        Nothing is left to learn from, or to be judged on.
    """
    dates = np.unique(starts)
    if len(dates) < 2:
        raise InsufficientData(f"{len(dates)} sessions cannot be split; hand in a longer history")
    first = dates[min(int(len(dates) * (1 - share)), len(dates) - 1)]
    return split(starts, ends, first, embargo=embargo)


def forward(
    starts: Times,
    ends: Times,
    least: int = 250,
    embargo: int = EMBARGO,
    period: Literal["Y", "M"] = "Y",
) -> dict[str, Split]:
    """Return one expanding split per calendar year, or month, with enough before it.

    Parameters
    ----------
    least
        Sessions, or bars where those are what is counted, before the first that is tested.

    Returns
    -------
    dict
        By the year (``2016``) or month (``2016-03``) that is tested, oldest first.
    """
    dates = np.unique(starts)
    each = dates.astype(f"datetime64[{period}]")
    out = {}
    for one in np.unique(each)[1:]:
        inside = dates[each == one]
        if np.searchsorted(dates, inside[0]) >= least:
            out[str(one)] = split(starts, ends, inside[0], inside[-1], embargo)
    return out
