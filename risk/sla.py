"""Degraded mode: decisions come too late, so they are made in one task, and for half the size.

Every limit stays in force. What a slow desk may not do is trade as if it were quick, or wave
anything through to catch up.
"""

from datetime import datetime, timedelta

from pydantic import AwareDatetime

from domain.values import Value

WINDOW = timedelta(seconds=60)
"""What is judged; and how long degraded mode lasts at least."""
LEAST = 10
"""Decisions without which nothing is judged: what was not measured is neither slow nor quick."""
SHARE = 0.01
"""Share of the decisions that may take longer: the rest are the 99th percentile."""
BACK = 0.5
"""Share of the limit that they must keep to before it is left: all layers in one task take about
half as long as four, so what takes longer than that would be too late again in four."""


class Sla(Value):
    """Whether decisions come in time, and since when that has been so.

    `n` were sent since then, in the last minute at most, and `late` of them took too long.
    """

    degraded: bool = False
    since: AwareDatetime | None = None
    n: int = 0
    late: int = 0


def window(now: Sla, at: datetime) -> datetime:
    """Return since when decisions count: a minute, but none that were taken in the other mode."""
    return max(at - WINDOW, now.since or at - WINDOW)


def judge(now: Sla, n: int, late: int, slow: int, at: datetime) -> Sla:
    """Return the mode that follows from what was measured.

    Parameters
    ----------
    n
        Decisions sent since `window` that are sealed.
    late, slow
        Of them, those that took longer than the limit, and than `BACK` of it.

    Examples
    --------
    >>> from domain.examples import CLOSE as at
    >>> judge(Sla(), 100, 1, 40, at).degraded, judge(Sla(), 100, 2, 40, at).degraded
    (False, True)
    """
    measured = now.model_copy(update={"n": n, "late": late})
    if n < LEAST:
        return measured
    if not now.degraded and late > SHARE * n:
        return Sla(degraded=True, since=at, n=n, late=late)
    rested = now.since is not None and at - now.since >= WINDOW
    if now.degraded and rested and slow <= SHARE * n:
        return Sla(degraded=False, since=at, n=n, late=late)
    return measured
