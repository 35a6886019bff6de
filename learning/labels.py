"""What came true, and what it would have earned, for every bar of a panel at once.

All arrays have shape (T, C, D): bars, symbols of the target's universe, strike distances (one for
a target without). Row t looks from bar t to bar t + horizon, so the last `horizon` rows are NaN.
NaN is "not known", never "lost".
"""

from datetime import UTC, datetime
from math import isfinite

import numpy as np

from domain.book import Costs
from domain.bot import Bot
from domain.errors import Refused
from domain.market import Surface
from domain.values import FloatArray
from market import pricing
from market.features import base, options
from market.panel import Panel
from models.base import Target
from trading.bots.catalog import BOTS
from trading.costs import share_costs
from trading.strategies.score import MIN_STOP
from trading.structures.base import payoff
from trading.structures.catalog import propose

WING_SHARE = 0.02
"""Wing of a condor at a distance that no bot of the desk trades, as a share of the spot."""


def columns(panel: Panel, target: Target) -> list[int]:
    """Return the columns of the panel that a target is about.

    Raises `Refused` where the panel has no symbol of that universe.
    """
    found = [0] if target.universe == "index" else list(range(1, len(panel.symbols)))
    if not found:
        raise Refused(f"the panel has only {', '.join(panel.symbols)}; add stocks to learn of them")
    return found


def outcomes(panel: Panel, target: Target) -> FloatArray:
    """Return 1 where the target came true, 0 where it did not, shape (T, C, D).

    ``survives``: the close after `horizon` sessions is within ``distance * EM`` of the close, with
    ``EM = close * VIX/100 * sqrt(horizon/252)``. ``rises``: it is above the close. Costs are no
    part of it; they are in `results`.
    """
    close = panel.close[:, columns(panel, target)]
    later = _later(close, target.horizon)
    if target.name == "rises":
        known = np.isfinite(close) & np.isfinite(later)
        return np.where(known, later > close, np.nan)[:, :, None]
    one = pricing.expected_move(1.0, 100.0, target.horizon)
    edge = close * one * base.value(panel, "VIX") / 100
    move, edges = np.abs(later - close)[:, :, None], edge[:, :, None] * np.array(target.distances)
    return np.where(np.isfinite(move) & np.isfinite(edges), move <= edges, np.nan)


def results(panel: Panel, target: Target, costs: Costs) -> FloatArray:
    """Return what the trade would have earned in units of its risk, after costs, (T, C, D).

    The trade is entered at the close of its bar and held to the horizon: no stop and no profit
    target, whose part in a result only the simulation of the desk can show. The unit is that of
    `domain.trade.Trade.r`, the proposal's worst case.

    Condors are placed and priced as the desk's are, on a simulated surface, with the wings of the
    bot that trades the distance. Shares are bought with the first stop of the bot that buys them.
    """
    if target.name == "rises":
        return _shares(panel, target, costs)
    return _condors(panel, target, costs)


def seller(distance: float, spot: float) -> Bot:
    """Return the bot whose condors have this distance, or one like it where there is none.

    The wings then are 2 % of the spot, in whole strike steps.
    """
    sellers = [bot for bot in BOTS.values() if "iron_condor" in bot.structures]
    for bot in sellers:
        if bot.distance == distance:
            return bot
    step = sellers[0].strike_step or 5.0
    wing = max(round(WING_SHARE * spot / step), 1) * step
    return sellers[0].model_copy(update={"distance": distance, "wing": wing})


def _later(close: FloatArray, horizon: int) -> FloatArray:
    later = np.full(close.shape, np.nan)
    later[: max(len(close) - horizon, 0)] = close[horizon:]
    return later


def _shares(panel: Panel, target: Target, costs: Costs) -> FloatArray:
    close = panel.close[:, columns(panel, target)]
    change = _later(close, target.horizon) / close - 1
    moves = base.mean(np.abs(base.difference(close)), 14) / close
    ranges = next(bot.stop_ranges for bot in BOTS.values() if bot.stop_ranges is not None)
    both_ways = 2 * share_costs(1.0, costs)
    risk = np.maximum(ranges * moves, MIN_STOP) + both_ways
    return ((change - both_ways) / risk)[:, :, None]


def _condors(panel: Panel, target: Target, costs: Costs) -> FloatArray:
    close = panel.close[:, columns(panel, target)]
    later = _later(close, target.horizon)
    out = np.full((*close.shape, len(target.distances)), np.nan)
    for t, surface in _surfaces(panel):
        vix, after = float(base.value(panel, "VIX")[t, 0]), float(later[t, 0])
        if not isfinite(after):
            continue
        for d, distance in enumerate(target.distances):
            bot = seller(distance, surface.spot)
            unit = propose("iron_condor", bot, surface, target.horizon, vix, costs)
            earned = (unit.entry + payoff(unit.legs, after)) * unit.multiplier
            # half of the costs is getting out, and what expires gets out for nothing
            out[t, 0, d] = (earned - unit.costs / 2) / unit.max_loss
    return out


def _surfaces(panel: Panel) -> list[tuple[int, Surface]]:
    """Return the first symbol's surface at every bar that has what it takes."""
    close, vix = panel.close[:, 0], base.value(panel, "VIX")[:, 0]
    rv5, rv21 = (options.realised_over_vix(panel, n)[:, 0] * vix for n in (5, 21))
    dln = base.difference(np.log(vix), 5)
    one_day, nine_day = (base.value(panel, name)[:, 0] for name in ("VIX1D", "VIX9D"))
    known = np.isfinite(close + vix + rv5 + rv21 + dln)
    found = []
    for t in np.flatnonzero(known).tolist():
        at = panel.times[t].astype("datetime64[s]").astype(datetime).replace(tzinfo=UTC)
        surface = pricing.surface(
            panel.symbols[0],
            at,
            spot=float(close[t]),
            vix=float(vix[t]),
            rv5=float(rv5[t]),
            rv21=float(rv21[t]),
            dln_vix5=float(dln[t]),
            friday=at.weekday() == 4,
            vix1d=float(one_day[t]),
            vix9d=float(nine_day[t]),
        )
        found.append((t, surface))
    return found
