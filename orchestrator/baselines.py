"""What anybody could have done instead: hold the market, or take every trade there was."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike

from domain.book import Costs
from domain.bot import Bot
from domain.market import Surface
from domain.values import FloatArray, Value
from domain.version import Measure
from market import window
from market.panel import Panel
from orchestrator.sight import moment, surface
from risk import measures
from trading.costs import share_costs
from trading.structures.base import payoff
from trading.structures.catalog import propose

CONDOR = "iron_condor"
BARS = 30
"""Bars that a surface is made from; it needs 23."""


class Every(Value):
    """One condor opened at every close and held to expiry, at a bot's own distance and wing.

    `r` is the mean result in units of risk, `unit` in dollars per condor, both after costs.
    """

    bot: str
    horizon: int
    n: int
    pnl: float
    """Dollars, of all of them together."""
    r: Measure | None
    unit: Measure | None
    win_rate: Measure | None
    profit_factor: Measure | None


def held(panel: Panel, symbols: tuple[str, ...], costs: Costs) -> FloatArray | None:
    """Return what a dollar became that bought the symbols in equal parts at the first bar.

    Shape (T,), one number per bar of the panel, the costs of buying taken off. None where no
    symbol has a price at the first bar; a price that is missing later stands still.
    """
    columns = [panel.column(s) for s in symbols if s in panel.symbols]
    columns = [c for c in columns if isfinite(panel.close[0, c])]
    if not columns:
        return None
    close = panel.close[:, columns]
    newest = np.maximum.accumulate(
        np.where(np.isfinite(close), np.arange(len(close))[:, None], 0), axis=0
    )
    filled = np.take_along_axis(close, newest, axis=0)
    return np.asarray((filled / filled[0]).mean(axis=1) * (1 - share_costs(1.0, costs)))


def every(
    history: Panel, start: datetime, stop: datetime, bots: Mapping[str, Bot], costs: Costs
) -> tuple[Every, ...]:
    """Return what taking every trade would have brought, for each bot that sells condors.

    One unit is opened at every close from `start` on, at the mid of the simulated surface, and
    held to expiry; those that expire after `stop` are left out. Beside the bot's own horizon
    stands one session. No stop, no profit target, no model: what the bots add or take away is the
    difference to this.
    """
    sellers = [bot for bot in bots.values() if bot.strategy == "condor"]
    results: dict[tuple[str, int], list[tuple[float, float]]] = {
        (bot.name, horizon): [] for bot in sellers for horizon in {bot.horizon, 1}
    }
    known = window.until(history, stop)
    for place, seen in _surfaces(known, start) if sellers else ():
        vix = float(known.series["VIX"][place])
        for bot in sellers:
            for horizon in {bot.horizon, 1}:
                if place + horizon >= len(known):
                    continue
                after = float(known.close[place + horizon, 0])
                unit = propose(CONDOR, bot, seen, horizon, vix, costs)
                earned = (unit.entry + payoff(unit.legs, after)) * unit.multiplier
                # Half of the costs is getting out, and what expires gets out for nothing.
                net = earned - unit.costs / 2
                results[bot.name, horizon].append((net, net / unit.max_loss))
    return tuple(
        _summed(bot.name, horizon, results[bot.name, horizon])
        for bot in sellers
        for horizon in sorted({bot.horizon, 1}, reverse=True)
    )


def _surfaces(known: Panel, start: datetime) -> Iterator[tuple[int, Surface]]:
    first = len(known) - len(window.between(known, start, moment(known, -1)))
    for place in range(first, len(known)):
        bar = moment(known, place)
        seen = surface(window.until(known, bar, BARS), bar)
        if seen is not None:
            yield place, seen


def _summed(bot: str, horizon: int, results: list[tuple[float, float]]) -> Every:
    pnl = [dollars for dollars, _ in results]
    return Every(
        bot=bot,
        horizon=horizon,
        n=len(results),
        pnl=float(np.sum(pnl)),
        r=mean([r for _, r in results], horizon),
        unit=mean(pnl, horizon),
        win_rate=mean([float(dollars > 0) for dollars in pnl], horizon),
        profit_factor=measures.profit_factor(pnl),
    )


def mean(values: ArrayLike, horizon: int) -> Measure | None:
    """Return a mean whose interval knows that results overlap; None without a result.

    Results that start every session and last `horizon` of them share days. The standard error is
    Newey and West's [1]_, with weights falling over `horizon` lags.

    References
    ----------
    .. [1] W. K. Newey, K. D. West, "A simple, positive semi-definite, heteroskedasticity and
       autocorrelation consistent covariance matrix", Econometrica 55, 1987.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    if not n:
        return None
    value = float(x.mean())
    if n < measures.FEWEST * horizon:
        return Measure(value=value, n=n)
    d = x - value
    spread = sum(
        (1 if lag == 0 else 2) * (1 - lag / horizon) * float(d[lag:] @ d[: n - lag])
        for lag in range(horizon)
    )
    reach = 1.96 * sqrt(max(spread, 0.0)) / n
    return Measure(value=value, n=n, low=value - reach, high=value + reach)
