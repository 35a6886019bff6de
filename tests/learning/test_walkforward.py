"""Nothing that is learned from overlaps what it is judged by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InsufficientData
from learning.walkforward import EMBARGO, forward, holdout, split

DAYS = np.arange("2014-01-01", "2018-12-31", dtype="datetime64[D]")
DAYS = DAYS[np.is_busday(DAYS)].astype("datetime64[s]")


def rows(sessions: int, horizon: int, per: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends of `per` rows a session."""
    starts, ends = DAYS[:sessions], DAYS[horizon : sessions + horizon]
    return np.repeat(starts, per), np.repeat(ends, per)


@given(
    sessions=st.integers(50, 300),
    horizon=st.integers(1, 15),
    per=st.integers(1, 4),
    share=st.floats(0.1, 0.5),
    embargo=st.integers(1, 8),
)
def test_training_labels_end_before_the_test_begins(
    sessions: int, horizon: int, per: int, share: float, embargo: int
) -> None:
    starts, ends = rows(sessions, horizon, per)
    cut = holdout(starts, ends, share, embargo)
    first = starts[cut.test[0]]
    gap = np.searchsorted(DAYS, first) - np.searchsorted(DAYS, ends[cut.train].max())
    assert gap == embargo
    assert set(cut.train).isdisjoint(cut.test)
    assert len(cut.train) + cut.purged + len(cut.test) == len(starts)
    assert cut.test[-1] == len(starts) - 1


def test_a_session_is_never_cut_in_two() -> None:
    starts, ends = rows(100, 5, per=3)
    cut = holdout(starts, ends, 0.25)
    assert starts[cut.test[0] - 1] < starts[cut.test[0]]
    assert len(np.unique(starts[cut.test])) == 25
    # 5 sessions of label and 5 of embargo lie between the two, but for the one day they share
    assert cut.purged == 3 * (5 + EMBARGO - 1)


def test_each_year_is_judged_by_what_was_known_before_it() -> None:
    starts, ends = rows(1290, 5)
    years = forward(starts, ends)
    assert list(years) == ["2015", "2016", "2017", "2018"]
    for year, cut in years.items():
        tested = starts[cut.test].astype("datetime64[Y]").astype(str)
        assert (tested == year).all()
        assert ends[cut.train].max() < starts[cut.test[0]]
    sizes = [len(cut.train) for cut in years.values()]
    assert sizes == sorted(sizes)


def test_years_without_enough_history_are_left_out() -> None:
    assert list(forward(*rows(1290, 5), least=600)) == ["2017", "2018"]


def test_months_are_judged_where_bars_are_many_and_years_are_few() -> None:
    months = forward(*rows(300, 5), least=250, period="M")
    assert list(months) == ["2015-01", "2015-02"]


def test_a_history_without_room_for_the_purge_is_refused() -> None:
    starts, ends = rows(12, 5)
    with pytest.raises(InsufficientData, match="longer history"):
        split(starts, ends, starts[6])
    with pytest.raises(InsufficientData, match="longer history"):
        holdout(starts[:1], ends[:1])
    with pytest.raises(InsufficientData, match="later start"):
        split(starts, ends, DAYS[40])
