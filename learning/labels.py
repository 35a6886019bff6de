"""What came true, and what it would have earned, for every bar of a panel at once.

All arrays have shape (T, C, D): bars, symbols of the target's universe, strike distances (one for
a target without). Row t looks from bar t to bar t + horizon, so the last `horizon` rows are NaN.
NaN is "not known", never "lost".
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from math import isfinite

import numpy as np

from domain.book import Costs
from domain.bot import Bot
from domain.decision import Proposal
from domain.errors import DataError, Refused
from domain.market import Bar, Surface
from domain.trade import Intent, Order, Position
from domain.values import FloatArray
from market import pricing
from market.features import base, options
from market.panel import Panel
from market.pricing import shifted
from models.base import Target
from trading.accounting import trade
from trading.bots.catalog import BOTS
from trading.brokers.base import Quote
from trading.brokers.catalog import create
from trading.costs import share_costs
from trading.exits import open_position, step
from trading.strategies.score import MIN_STOP
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

    The unit is that of `domain.trade.Trade.r`, the worst case.

    Condors are decided at the close, filled at the next open and carried through the bars by
    `trading.exits` with the wings, the stop and the profit target of the bot that trades the
    distance: what is measured is what the desk would do. Shares are bought at the close with the
    first stop of the bot that buys them as the unit of risk, and held to the horizon.
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
    out = np.full((*close.shape, len(target.distances)), np.nan)
    surfaces = _surfaces(panel)
    for t, surface in surfaces.items():
        bars = [_bar(panel, k) for k in range(t + 1, min(t + target.horizon + 1, len(panel)))]
        if len(bars) < target.horizon or None in bars:
            continue
        vix = float(base.value(panel, "VIX")[t, 0])
        known = [surfaces.get(t + 1 + k) for k in range(len(bars))]
        for d, distance in enumerate(target.distances):
            bot = seller(distance, surface.spot)
            # a spot too low for such strikes: the label stands, the result is unknown
            with suppress(DataError):
                unit = propose("iron_condor", bot, surface, target.horizon, vix, costs)
                out[t, 0, d] = _managed(unit, surface, [b for b in bars if b], known, bot, costs)
    return out


def _managed(
    unit: Proposal,
    surface: Surface,
    bars: Sequence[Bar],
    known: Sequence[Surface | None],
    bot: Bot,
    costs: Costs,
) -> float:
    """Return the result of one structure from its fill to its last exit, in units of its risk.

    It is filled at the first bar's open, at the volatility of the close it was decided on; at its
    close where the feed has no opens.
    """
    first = bars[0]
    price = first.close if first.open is None else first.open
    order = Order(
        id="label",
        decision_id="label",
        bot=bot.name,
        symbol=first.symbol,
        intent=Intent.OPEN,
        action=unit.action,
        quantity=1,
        proposal=unit,
        placed_at=surface.asof,
    )
    quote = Quote(symbol=first.symbol, at=first.at, price=price, surface=surface)
    fill = create("paper", costs).submit(order, quote)
    position: Position | None = open_position(order, fill, bars[-1].at, bot)
    earned = 0.0
    for passed, (bar, cut) in enumerate(zip(bars, known, strict=True), 1):
        if position is None:
            break
        held, left = position, float(len(bars) - passed)
        position, closings = step(
            held, bar, bot, costs, left, None if cut is None else partial(shifted, cut)
        )
        earned += sum(trade(held, closing, bar.at).r for closing in closings)
    return earned


def _bar(panel: Panel, t: int) -> Bar | None:
    """Return one bar of the first symbol, None where it has no close."""
    prices = (panel.open[t, 0], panel.high[t, 0], panel.low[t, 0], panel.close[t, 0])
    opened, high, low, close = (float(p) if isfinite(p) else None for p in prices)
    if close is None:
        return None
    at = panel.times[t].astype("datetime64[s]").astype(datetime).replace(tzinfo=UTC)
    return Bar(symbol=panel.symbols[0], at=at, open=opened, high=high, low=low, close=close)


def _surfaces(panel: Panel) -> dict[int, Surface]:
    """Return the first symbol's surface at every bar that has what it takes."""
    close, vix = panel.close[:, 0], base.value(panel, "VIX")[:, 0]
    rv5, rv21 = (options.realised_over_vix(panel, n)[:, 0] * vix for n in (5, 21))
    dln = base.difference(np.log(vix), 5)
    one_day, nine_day = (base.value(panel, name)[:, 0] for name in ("VIX1D", "VIX9D"))
    known = np.isfinite(close + vix + rv5 + rv21 + dln)
    found = {}
    for t in np.flatnonzero(known).tolist():
        at = panel.times[t].astype("datetime64[s]").astype(datetime).replace(tzinfo=UTC)
        found[t] = pricing.surface(
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
    return found
