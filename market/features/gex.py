"""Where dealers' gamma sits, from vendors and from the option chains of the index.

All series are of the panel's first symbol, and unknown where none was read. ``GEX_NET`` (any unit,
signed) is one vendor's history or your own. The levels in points (``GEX_FLIP``, the walls and the
magnets) and ``CHAIN_CALLS`` and ``CHAIN_PUTS`` are measured from chains, see `market.gex`, unless
the levels come in files of your own. Vendors and chains give at a bar the figures of the session
before it. Units differ from maker to maker, so that every feature here is free of them.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from domain.values import FloatArray
from market.features.base import Feature, difference, lag, mean, percentile, ratio, shared, value
from market.panel import Panel

CLOSE_BY = 0.5
"""Percent of the index within which a flip or a wall is near."""
TOUCHING = 0.3
"""Percent of the index within which a magnet is near."""
LOPSIDED = 10.0
"""Puts over calls, or calls over puts, from which on more makes no difference."""
SIZE = 20
"""Bars that net gamma is measured by."""


@shared
def size(panel: Panel) -> FloatArray:
    """Return the root mean square of the last 20 net gammas.

    A fixed divisor would mean another thing for every symbol and year.
    """
    return np.sqrt(mean(value(panel, "GEX_NET") ** 2, SIZE))


def normalised(panel: Panel) -> FloatArray:
    """Return net gamma over its own size: signed, scale-free."""
    return ratio(value(panel, "GEX_NET"), size(panel))


def standing(panel: Panel, n: int) -> FloatArray:
    """Return the share of the last n net gammas below the newest, ties halved, 0 to 1."""
    return percentile(value(panel, "GEX_NET"), n)


def moved(panel: Panel) -> FloatArray:
    """Return how much net gamma changed from the bar before, in its own sizes."""
    return ratio(difference(value(panel, "GEX_NET")), size(panel))


def positive(panel: Panel) -> FloatArray:
    net = value(panel, "GEX_NET")
    return _flag(net > 0.0, net)


def turned(panel: Panel) -> FloatArray:
    """Return 1 where net gamma is positive and was not at the bar before, or the other way."""
    net = value(panel, "GEX_NET")
    before = lag(net, 1)
    return _flag((net > 0.0) != (before > 0.0), net, before)


def above(panel: Panel, level: str) -> FloatArray:
    """Return how far the index is above a level, in percent of the index."""
    close = value(panel, "benchmark")
    return 100.0 * (close - value(panel, level)) / close


def near_flip(panel: Panel) -> FloatArray:
    """Return 1 within half a percent of the flip."""
    far = above(panel, "GEX_FLIP")
    return _flag(np.abs(far) < CLOSE_BY, far)


def wall_spread(panel: Panel) -> FloatArray:
    """Return how far the call wall is above the put wall, in percent of the index."""
    return above(panel, "GEX_PUT_WALL") - above(panel, "GEX_CALL_WALL")


def position(panel: Panel) -> FloatArray:
    """Return where the index is between the walls: 0 at the put wall, 1 at the call wall.

    Beyond them it is below 0 or above 1; unknown where they are one.
    """
    return ratio(above(panel, "GEX_PUT_WALL"), wall_spread(panel))


def between_walls(panel: Panel) -> FloatArray:
    return _between(panel, "GEX_PUT_WALL", "GEX_CALL_WALL")


def above_call_wall(panel: Panel) -> FloatArray:
    far = above(panel, "GEX_CALL_WALL")
    return _flag(far > 0.0, far)


def below_put_wall(panel: Panel) -> FloatArray:
    far = above(panel, "GEX_PUT_WALL")
    return _flag(far < 0.0, far)


def near_wall(panel: Panel) -> FloatArray:
    """Return 1 within half a percent of either wall."""
    call, put = above(panel, "GEX_CALL_WALL"), above(panel, "GEX_PUT_WALL")
    return _flag(np.minimum(np.abs(call), np.abs(put)) < CLOSE_BY, call, put)


@shared
def above_magnet(panel: Panel) -> FloatArray:
    """Return how far the index is above the nearer of the two magnets, in percent of the index."""
    low, high = above(panel, "GEX_MAGNET_1"), above(panel, "GEX_MAGNET_2")
    nearer = np.where(np.abs(low) <= np.abs(high), low, high)
    return np.where(np.isnan(low) | np.isnan(high), np.nan, nearer)


def near_magnet(panel: Panel) -> FloatArray:
    """Return 1 within three tenths of a percent of a magnet."""
    far = above_magnet(panel)
    return _flag(np.abs(far) < TOUCHING, far)


def in_pin_zone(panel: Panel) -> FloatArray:
    """Return 1 between the magnets, which lay on both sides of spot when they were measured."""
    return _between(panel, "GEX_MAGNET_1", "GEX_MAGNET_2")


def pin_zone_width(panel: Panel) -> FloatArray:
    """Return how far the magnets are apart, in percent of the index."""
    return above(panel, "GEX_MAGNET_1") - above(panel, "GEX_MAGNET_2")


def puts_over_calls(panel: Panel) -> FloatArray:
    """Return the logarithm of the puts' gamma over the calls', no more than a factor of 10."""
    over = -value(panel, "CHAIN_PUTS") / value(panel, "CHAIN_CALLS")
    return np.log(np.clip(over, 1.0 / LOPSIDED, LOPSIDED))


def imbalance(panel: Panel) -> FloatArray:
    """Return net gamma as a share of the calls' and the puts' together, -1 to 1."""
    calls, puts = value(panel, "CHAIN_CALLS"), value(panel, "CHAIN_PUTS")
    return ratio(calls + puts, calls - puts)


def _between(panel: Panel, low: str, high: str) -> FloatArray:
    """Return 1 where the index is between two levels, both included."""
    close, bottom, top = (value(panel, need) for need in ("benchmark", low, high))
    return _flag((bottom <= close) & (close <= top), close, bottom, top)


def _flag(true: NDArray[np.bool_], *known: FloatArray) -> FloatArray:
    """Return 1 or 0, unknown where one of the numbers behind it is."""
    return np.where(np.logical_or.reduce([np.isnan(x) for x in known]), np.nan, true)


NET = ("GEX_NET",)
FLIP = ("benchmark", "GEX_FLIP")
CALL, PUT = ("benchmark", "GEX_CALL_WALL"), ("benchmark", "GEX_PUT_WALL")
WALLS = ("benchmark", "GEX_CALL_WALL", "GEX_PUT_WALL")
MAGNETS = ("benchmark", "GEX_MAGNET_1", "GEX_MAGNET_2")
SIDES = ("CHAIN_CALLS", "CHAIN_PUTS")
FLAG, PERCENT = "0 or 1", "percent"

FEATURES = (
    Feature("gex_normalized", "gex", "own sizes", SIZE, NET, normalised),
    Feature("gex_percentile_252", "gex", "0..1", 252, NET, partial(standing, n=252)),
    Feature("gex_change_1d", "gex", "own sizes", SIZE, NET, moved),
    Feature("gex_regime_positive", "gex", FLAG, 1, NET, positive),
    Feature("gex_regime_changed", "gex", FLAG, 2, NET, turned),
    Feature("gex_distance_to_flip_pct", "gex", PERCENT, 1, FLIP, partial(above, level="GEX_FLIP")),
    Feature("gex_near_flip", "gex", FLAG, 1, FLIP, near_flip),
    Feature(
        "gex_distance_to_call_wall_pct",
        "gex",
        PERCENT,
        1,
        CALL,
        partial(above, level="GEX_CALL_WALL"),
    ),
    Feature(
        "gex_distance_to_put_wall_pct",
        "gex",
        PERCENT,
        1,
        PUT,
        partial(above, level="GEX_PUT_WALL"),
    ),
    Feature("gex_wall_spread_pct", "gex", PERCENT, 1, WALLS, wall_spread),
    Feature("gex_position_in_walls", "gex", "fraction", 1, WALLS, position),
    Feature("gex_between_walls", "gex", FLAG, 1, WALLS, between_walls),
    Feature("gex_above_call_wall", "gex", FLAG, 1, CALL, above_call_wall),
    Feature("gex_below_put_wall", "gex", FLAG, 1, PUT, below_put_wall),
    Feature("gex_near_wall", "gex", FLAG, 1, WALLS, near_wall),
    Feature("gex_distance_to_magnet_pct", "gex", PERCENT, 1, MAGNETS, above_magnet),
    Feature("gex_near_magnet", "gex", FLAG, 1, MAGNETS, near_magnet),
    Feature("gex_in_pin_zone", "gex", FLAG, 1, MAGNETS, in_pin_zone),
    Feature("gex_pin_zone_width_pct", "gex", PERCENT, 1, MAGNETS, pin_zone_width),
    Feature("gex_ratio_log", "gex", "log ratio", 1, SIDES, puts_over_calls),
    Feature("gex_imbalance", "gex", "-1..1", 1, SIDES, imbalance),
)
