"""Thompson sampling: which bot gets how much of the desk's capital, drawn once a day.

Each bot is an arm with a Beta belief about how it does. The more certain the belief, the less the
draw wanders, so capital explores while little is known and settles as trades come in [1]_.

References
----------
.. [1] W. R. Thompson, "On the likelihood that one unknown probability exceeds another in view of
   the evidence of two samples", Biometrika 25, 1933.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from math import isfinite
from typing import Annotated

import numpy as np
from pydantic import Field

from domain.errors import DataError
from domain.values import FloatArray, Fraction, Value

LOW, HIGH = 0.05, 0.5
"""Least and most that one bot may be allotted."""


Belief = Annotated[float, Field(ge=1.0)]


class Arm(Value):
    """Belief about one bot: Beta(alpha, beta), uniform before the first trade."""

    alpha: Belief = 1.0
    beta: Belief = 1.0


class Capital(Value):
    """Beliefs about the bots, and the allotment drawn from them on `day`."""

    arms: dict[str, Arm] = Field(default_factory=dict)
    day: date | None = None
    allotted: dict[str, Fraction] = Field(default_factory=dict)


def learn(arm: Arm, r: float) -> Arm:
    """Return the belief after a trade that earned `r` times its risk.

    A win adds ``1 + min(r, 2)`` to alpha, anything else ``1 + min(2 |r|, 3)`` to beta: losses weigh
    up to four wins. The seed counted hundreds of dollars; units of risk keep the rule the same for
    a bot of any size.

    Raises `DataError` for a result that is not a number.
    """
    if not isfinite(r):
        raise DataError(f"a trade of {r} units of risk teaches nothing; its risk must be known")
    if r > 0:
        return Arm(alpha=arm.alpha + 1.0 + min(r, 2.0), beta=arm.beta)
    return Arm(alpha=arm.alpha, beta=arm.beta + 1.0 + min(-2.0 * r, 3.0))


def update(capital: Capital, bot: str, r: float) -> Capital:
    """Return the beliefs after one trade of `bot`. The allotment stays as it is until tomorrow."""
    arm = learn(capital.arms.get(bot, Arm()), r)
    return capital.model_copy(update={"arms": capital.arms | {bot: arm}})


def sample(arms: Mapping[str, Arm], day: date, seed: int) -> dict[str, Fraction]:
    """Draw the allotment of one day.

    The draw of a bot depends on the seed, the day and its own name alone: asked twice, it is the
    same, and a bot that joins the desk does not change what the others draw.

    Returns
    -------
    dict
        Shares within 5 and 50 % that add up to 1; the bounds give way where no such shares exist
        (one bot gets everything).
    """
    if not arms:
        return {}
    names = sorted(arms)
    draws = np.array([_draw(arms[name], name, day, seed) for name in names])
    shares = bounded(draws / draws.sum())
    return dict(zip(names, shares.tolist(), strict=True))


def _draw(arm: Arm, bot: str, day: date, seed: int) -> float:
    name = int.from_bytes(sha256(bot.encode()).digest()[:8], "big")
    return float(np.random.default_rng([seed, day.toordinal(), name]).beta(arm.alpha, arm.beta))


def allot(capital: Capital, bots: Sequence[str], day: date, seed: int) -> Capital:
    """Return the capital with an allotment for `day`; unchanged if it has one for these bots.

    Asking again on the same day changes nothing, whatever was learnt meanwhile, so that sizes do
    not jitter from one decision to the next.
    """
    if capital.day == day and set(capital.allotted) == set(bots):
        return capital
    arms = {bot: capital.arms.get(bot, Arm()) for bot in bots}
    return capital.model_copy(update={"day": day, "allotted": sample(arms, day, seed)})


def bounded(shares: FloatArray, low: Fraction = LOW, high: Fraction = HIGH) -> FloatArray:
    """Return the closest shares that lie within the bounds and add up to 1.

    Clipping and dividing by the sum again would break the bounds it has just set. The closest
    point is ``clip(shares - shift, low, high)`` for the one shift that makes the sum 1 [1]_.
    Bounds that cannot be met by this many shares are widened to the equal share.

    References
    ----------
    .. [1] W. Wang and C. Lu, "Projection onto the capped simplex", arXiv:1503.01002, 2015.

    Examples
    --------
    >>> bounded(np.array([0.9, 0.06, 0.04])).round(3).tolist()
    [0.5, 0.26, 0.24]
    """
    n = len(shares)
    low, high = min(low, 1.0 / n), max(high, 1.0 / n)
    least, most = float(shares.min() - high), float(shares.max() - low)
    # 60 halvings leave nothing of an interval of at most a few units in double precision.
    for _ in range(60):
        shift = (least + most) / 2
        if np.clip(shares - shift, low, high).sum() > 1.0:
            least = shift
        else:
            most = shift
    return np.clip(shares - most, low, high)
