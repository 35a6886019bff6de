"""What came true, and what it would have earned, for every bar of a panel at once.

All arrays have shape (T, C, D): bars, symbols of the target's universe, strike distances (one for
a target without). Row t looks from bar t to bar t + horizon, so the last `horizon` rows are NaN.
NaN is "not known", never "lost".
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from domain.book import Costs
from domain.bot import Bot
from domain.decision import Proposal
from domain.errors import DataError, Refused
from domain.market import Bar, Surface
from domain.trade import Intent, Order, Position
from domain.values import FloatArray, Points
from learning import bracketed
from market import pricing
from market.features import base, options
from market.panel import Panel
from market.pricing import shifted
from models.base import Question, Target
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
TOUCH = 0.001
"""How near a range must come to a magnet to have touched it, as a share of the magnet."""
SAME = 1e-5
"""Relative difference below which an open is the close before it, written twice."""


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

    Distances and levels in expected moves are of ``close * VIX/100 * sqrt(horizon/252)`` at entry.
    Costs are no part of it; they are in `results`. What `models.base.Target` says in words, each
    function here computes.
    """
    return _QUESTIONS[target.name](panel, target)


def _survives(panel: Panel, target: Target) -> FloatArray:
    close, later = _ends(panel, target)
    return _within(np.abs(later - close), panel, target)


def _above(panel: Panel, target: Target) -> FloatArray:
    close, later = _ends(panel, target)
    return _within(close - later, panel, target)


def _contained(panel: Panel, target: Target) -> FloatArray:
    """Of highs and lows where the feed has them; of closes alone the range would look narrower."""
    close = panel.close[:, columns(panel, target)]
    return _within(_furthest(panel, target, target.horizon), panel, target, close)


def _rises(panel: Panel, target: Target) -> FloatArray:
    close, later = _ends(panel, target)
    known = np.isfinite(close) & np.isfinite(later)
    return np.where(known, later > close, np.nan)[:, :, None]


def _gains(panel: Panel, target: Target) -> FloatArray:
    change = _open_to_close(panel, target)
    return np.where(np.isfinite(change), change >= target.level, np.nan)[:, :, None]


def _loses(panel: Panel, target: Target) -> FloatArray:
    change = _open_to_close(panel, target)
    return np.where(np.isfinite(change), change <= -target.level, np.nan)[:, :, None]


def _nears_flip(panel: Panel, target: Target) -> FloatArray:
    flip, (opened, closed) = base.value(panel, "GEX_FLIP"), _next_session(panel, target)
    before, after = np.abs(opened - flip), np.abs(closed - flip)
    known = np.isfinite(before + after) & _one_session(panel, target)
    return np.where(known, after < before, np.nan)[:, :, None]


def _touches_magnet(panel: Panel, target: Target) -> FloatArray:
    """Of the magnet that is nearest at the close before."""
    at = columns(panel, target)
    close, (below, above) = panel.close[:, at], _magnets(panel)
    nearest = np.where(close - below <= above - close, below, above)
    low, high = _reach(panel, at, target.horizon)
    touched = (low <= nearest * (1 + TOUCH)) & (high >= nearest * (1 - TOUCH))
    known = np.isfinite(low + high + nearest) & _one_session(panel, target)
    return np.where(known, touched, np.nan)[:, :, None]


def _pins(panel: Panel, target: Target) -> FloatArray:
    closed, (below, above) = _next_session(panel, target)[1], _magnets(panel)
    inside = (below <= closed) & (closed <= above)
    known = np.isfinite(closed + below + above) & _one_session(panel, target)
    return np.where(known, inside, np.nan)[:, :, None]


def _soon(panel: Panel, target: Target) -> FloatArray:
    edge = target.level * _edge(panel, target)
    first, whole = (_furthest(panel, target, n) >= edge for n in (1, target.horizon))
    known = np.isfinite(_furthest(panel, target, target.horizon) + edge)
    return np.where(known & whole, first, np.nan)[:, :, None]


def _long_pays(panel: Panel, target: Target) -> FloatArray:
    return _pays(bracketed.ended(panel, 1, target.horizon))


def _short_pays(panel: Panel, target: Target) -> FloatArray:
    return _pays(bracketed.ended(panel, -1, target.horizon))


def _pays(found: bracketed.Ended) -> FloatArray:
    return np.where(np.isfinite(found.ahead), found.ahead > 0, np.nan)[:, None, None]


_QUESTIONS: dict[Question, Callable[[Panel, Target], FloatArray]] = {
    "survives": _survives,
    "above": _above,
    "contained": _contained,
    "rises": _rises,
    "gains": _gains,
    "loses": _loses,
    "nears_flip": _nears_flip,
    "touches_magnet": _touches_magnet,
    "pins": _pins,
    "soon": _soon,
    "long_pays": _long_pays,
    "short_pays": _short_pays,
}


def _ends(panel: Panel, target: Target) -> tuple[FloatArray, FloatArray]:
    """Return the close at entry and that of the deciding bar, each (T, C)."""
    close = panel.close[:, columns(panel, target)]
    return close, _later(close, target.horizon)


def _within(
    move: FloatArray, panel: Panel, target: Target, close: FloatArray | None = None
) -> FloatArray:
    """Return whether a move is at most each distance, (T, C, D)."""
    edges = _edge(panel, target)[:, :, None] * np.array(target.distances)
    known = np.isfinite(move)[:, :, None] & np.isfinite(edges)
    return np.where(known, move[:, :, None] <= edges, np.nan)


def _edge(panel: Panel, target: Target) -> FloatArray:
    """Return one expected move over the horizon, in points, (T, C)."""
    one = pricing.expected_move(1.0, 100.0, target.horizon)
    return panel.close[:, columns(panel, target)] * one * base.value(panel, "VIX") / 100


def _furthest(panel: Panel, target: Target, sessions: int) -> FloatArray:
    """Return how far any price of the next sessions is from the close at entry, (T, C)."""
    at = columns(panel, target)
    close = panel.close[:, at]
    high = np.where(np.isfinite(panel.high[:, at]), panel.high[:, at], close)
    low = np.where(np.isfinite(panel.low[:, at]), panel.low[:, at], close)
    steps = [(_later(high, n), _later(low, n)) for n in range(1, sessions + 1)]
    moves = [np.maximum(up - close, close - down) for up, down in steps]
    return np.maximum.reduce(moves)


def _next_session(panel: Panel, target: Target) -> tuple[FloatArray, FloatArray]:
    """Return where the next session opens, and where the last of the horizon closes, (T, C)."""
    at = columns(panel, target)
    return _later(panel.open[:, at], 1), _later(panel.close[:, at], target.horizon)


def _open_to_close(panel: Panel, target: Target) -> FloatArray:
    opened, closed = _next_session(panel, target)
    return closed / np.where(_made_up(panel, target), np.nan, opened) - 1


def _made_up(panel: Panel, target: Target) -> NDArray[np.bool_]:
    """Return where the next open is no open but the close before it, (T, C).

    Vendors write it so: of the index on 95 of 100 days until 2005. From the close before to the
    close is another question.
    """
    at = columns(panel, target)
    same = np.abs(_later(panel.open[:, at], 1) / panel.close[:, at] - 1) < SAME
    return np.asarray(same, np.bool_)


def _reach(panel: Panel, at: list[int], bars: int) -> tuple[FloatArray, FloatArray]:
    """Return the lowest low and the highest high of the next bars, each (T, C)."""
    steps = range(1, bars + 1)
    low = np.minimum.reduce([_later(panel.low[:, at], n) for n in steps])
    return low, np.maximum.reduce([_later(panel.high[:, at], n) for n in steps])


def _one_session(panel: Panel, target: Target) -> NDArray[np.bool_]:
    """Return where the horizon ends in the session it begins in, (T, 1).

    Of bars within sessions: a level of the day says nothing of the day after. A horizon of sessions
    is as long as it is meant to be.
    """
    if target.unit == "session":
        return np.ones((len(panel), 1), np.bool_)
    minute = base.value(panel, "MINUTE")
    return np.asarray(_later(minute, target.horizon) > minute, np.bool_)


def _magnets(panel: Panel) -> tuple[FloatArray, FloatArray]:
    one, two = base.value(panel, "GEX_MAGNET_1"), base.value(panel, "GEX_MAGNET_2")
    return np.minimum(one, two), np.maximum(one, two)


def results(panel: Panel, target: Target, costs: Costs) -> FloatArray:
    """Return what the trade would have earned in units of its risk, after costs, (T, C, D).

    The unit is that of `domain.trade.Trade.r`, the worst case.

    Condors are decided at the close, filled at the next open and carried through the bars by
    `trading.exits` with the wings, the stop and the profit target of the bot that trades the
    distance: what is measured is what the desk would do. So are puts, as the wheel sells them.
    Shares are bought at the close with the first stop of the bot that buys them as the unit of
    risk, and held to the horizon. Futures: `learning.bracketed`.
    """
    match target.name:
        case "rises":
            return _shares(panel, target, costs)
        case "survives":
            return _condors(panel, target, costs)
        case "gains" | "loses":
            return _spreads(panel, target, costs)
        case "long_pays":
            return bracketed.results(panel, 1, target.horizon, costs)[:, None, None]
        case "short_pays":
            return bracketed.results(panel, -1, target.horizon, costs)[:, None, None]
        case "above":
            return wheeled(panel, target, costs, "cash_secured_put")
    return np.full((len(panel), len(columns(panel, target)), max(len(target.distances), 1)), np.nan)


def seller(distance: float, spot: float) -> Bot:
    """Return the bot whose condors have this distance, or one like it where there is none.

    The wings then are 2 % of the spot, in whole strike steps.
    """
    sellers = [bot for bot in BOTS.values() if bot.strategy == "condor"]
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
    sides = [
        _traded(panel, target, costs, "iron_condor", partial(seller, distance))
        for distance in target.distances
    ]
    return np.stack(sides, axis=-1)[:, None, :]


def _spreads(panel: Panel, target: Target, costs: Costs) -> FloatArray:
    """Debit spreads on the side that the target asks about, as the first who buys them does."""
    structure = "bull_call" if target.name == "gains" else "bear_put"
    buyers = [bot for bot in BOTS.values() if bot.strategy == "spread"]
    if not buyers:
        return np.full((len(panel), 1, 1), np.nan)
    return _traded(panel, target, costs, structure, lambda spot: buyers[0])[:, None, None]


def wheeled(panel: Panel, target: Target, costs: Costs, structure: str) -> FloatArray:
    """Return what one position of the wheel would have earned, as `results` does.

    The distances are those of the target, whichever of them the wheel keeps today. NaN where no bot
    of the desk turns a wheel.
    """
    wheels = [bot for bot in BOTS.values() if bot.strategy == "wheel"]
    if not wheels:
        return np.full((len(panel), 1, len(target.distances)), np.nan)
    sides = []
    for distance in target.distances:
        bot = wheels[0].model_copy(update={"distance": distance})
        sides.append(_traded(panel, target, costs, structure, partial(_same, bot)))
    return np.stack(sides, axis=-1)[:, None, :]


def _same(bot: Bot, spot: Points) -> Bot:
    return bot


def _traded(
    panel: Panel, target: Target, costs: Costs, structure: str, trader: Callable[[Points], Bot]
) -> FloatArray:
    """Return what a structure on the first symbol would have earned from each bar on, (T,).

    Parameters
    ----------
    trader
        The bot that trades it, given the spot.
    """
    out, surfaces = np.full(len(panel), np.nan), _surfaces(panel)
    for t, surface in surfaces.items():
        last, bot = t + target.horizon, trader(surface.spot)
        if last >= len(panel) or not np.isfinite(panel.close[t + 1 : last + 1, 0]).all():
            continue
        # nothing happens on the way to what has neither stop nor target: 21 bars are 2 then
        tended = bot.stop_multiple is not None or bot.profit_target is not None
        seen = range(t + 1, last + 1) if tended else dict.fromkeys((t + 1, last))
        bars = {k: bar for k in seen if (bar := panel.bar(k)) is not None}
        vix = float(base.value(panel, "VIX")[t, 0])
        # a spot too low for such strikes: the label stands, the result is unknown
        with suppress(DataError):
            unit = propose(structure, bot, surface, target.horizon, vix, costs)
            out[t] = _managed(unit, surface, bars, surfaces, bot, costs)
    return out


def _managed(
    unit: Proposal,
    surface: Surface,
    bars: Mapping[int, Bar],
    known: Mapping[int, Surface],
    bot: Bot,
    costs: Costs,
) -> float:
    """Return the result of one structure from its fill to its last exit, in units of its risk.

    It is filled at the first bar's open, at the volatility of the close it was decided on; at its
    close where the feed has no opens. The bars are those that it is carried through, by their
    place in the panel, the first and the last among them; the surfaces likewise.
    """
    first, last = bars[min(bars)], max(bars)
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
    position: Position | None = open_position(order, fill, bars[last].at, bot)
    earned = 0.0
    for place, bar in bars.items():
        if position is None:
            break
        held, left, cut = position, float(last - place), known.get(place)
        position, closings = step(
            held, bar, bot, costs, left, None if cut is None else partial(shifted, cut)
        )
        earned += sum(trade(held, closing, bar.at).r for closing in closings)
    return earned


def _surfaces(panel: Panel) -> dict[int, Surface]:
    """Return the first symbol's surface at every bar that has what it takes."""
    if _surfaces not in panel.memo:
        panel.memo[_surfaces] = dict(_seen(panel))
    found: dict[int, Surface] = panel.memo[_surfaces]
    return found


def _seen(panel: Panel) -> Iterator[tuple[int, Surface]]:
    close, vix = panel.close[:, 0], base.value(panel, "VIX")[:, 0]
    rv5, rv21 = (options.realised_over_vix(panel, n)[:, 0] * vix for n in (5, 21))
    dln = base.difference(np.log(vix), 5)
    one_day, nine_day = (base.value(panel, name)[:, 0] for name in ("VIX1D", "VIX9D"))
    known = np.isfinite(close + vix + rv5 + rv21 + dln)
    for t in np.flatnonzero(known).tolist():
        at = panel.times[t].astype("datetime64[s]").astype(datetime).replace(tzinfo=UTC)
        yield (
            t,
            pricing.surface(
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
            ),
        )
