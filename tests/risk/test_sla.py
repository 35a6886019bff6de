"""When degraded mode begins, and when it is over."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.examples import CLOSE
from risk.sla import LEAST, WINDOW, Sla, judge, window

SECOND = timedelta(seconds=1)
DEGRADED = Sla(degraded=True, since=CLOSE, n=100, late=50)


@pytest.mark.parametrize(
    ("n", "late", "degraded"),
    [(100, 1, False), (100, 2, True), (LEAST, 1, True), (LEAST - 1, LEAST - 1, False)],
)
def test_it_begins_when_more_than_one_in_a_hundred_came_late(
    n: int, late: int, degraded: bool
) -> None:
    after = judge(Sla(), n, late, late, CLOSE)
    assert (after.degraded, after.n, after.late) == (degraded, n, late)
    assert after.since == (CLOSE if degraded else None)


@pytest.mark.parametrize(
    ("after", "n", "slow", "degraded"),
    [
        (WINDOW, 100, 1, False),
        (WINDOW - SECOND, 100, 0, True),
        (WINDOW, 100, 2, True),
        (WINDOW, LEAST - 1, 0, True),
    ],
    ids=["quick for a minute", "too soon", "in time, but not by half", "too few to know"],
)
def test_it_is_over_when_a_minute_has_been_quick(
    after: timedelta, n: int, slow: int, degraded: bool
) -> None:
    now = judge(DEGRADED, n, 0, slow, CLOSE + after)
    assert now.degraded is degraded
    assert now.since == (CLOSE if degraded else CLOSE + after)


def test_what_was_taken_in_the_other_mode_does_not_count() -> None:
    assert window(Sla(), CLOSE) == CLOSE - WINDOW
    assert window(DEGRADED, CLOSE + 5 * SECOND) == CLOSE
    assert window(DEGRADED, CLOSE + 2 * WINDOW) == CLOSE + WINDOW


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))))
def test_it_never_lasts_less_than_a_minute(seen: list[tuple[int, int, int]]) -> None:
    now, begun = Sla(), None
    for step, (n, late, slow) in enumerate(seen):
        at = CLOSE + 5 * step * SECOND
        after = judge(now, n, min(late, n), min(slow, n), at)
        if after.degraded and not now.degraded:
            begun = at
        if now.degraded and not after.degraded:
            assert begun is not None
            assert at - begun >= WINDOW
        now = after
