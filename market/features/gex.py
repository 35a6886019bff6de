"""Where dealers' gamma sits, from the option chains of the index. Unknown where none was read.

The series ``GEX_NET`` (any unit, signed), ``GEX_FLIP``, ``GEX_CALL_WALL`` and ``GEX_PUT_WALL``
(index points) are of the panel's first symbol; see `market.gex`.
"""

from functools import partial

import numpy as np

from domain.values import FloatArray
from market.features.base import Feature, mean, ratio, value
from market.panel import Panel


def normalised(panel: Panel, n: int) -> FloatArray:
    """Return net gamma over its own root mean square of the last n bars: signed, scale-free.

    A fixed divisor would mean another thing for every symbol and year.
    """
    net = value(panel, "GEX_NET")
    return ratio(net, np.sqrt(mean(net**2, n)))


def positive(panel: Panel) -> FloatArray:
    net = value(panel, "GEX_NET")
    return np.where(np.isnan(net), np.nan, net > 0.0)


def to_flip(panel: Panel) -> FloatArray:
    """Return how far the index is above the flip, in percent of the index."""
    close = value(panel, "benchmark")
    return 100.0 * (close - value(panel, "GEX_FLIP")) / close


def between_walls(panel: Panel) -> FloatArray:
    close = value(panel, "benchmark")
    call, put = value(panel, "GEX_CALL_WALL"), value(panel, "GEX_PUT_WALL")
    unknown = np.isnan(close) | np.isnan(call) | np.isnan(put)
    return np.where(unknown, np.nan, (put <= close) & (close <= call))


FEATURES = (
    Feature("gex_normalized", "gex", "own sizes", 20, ("GEX_NET",), partial(normalised, n=20)),
    Feature("gex_regime_positive", "gex", "0 or 1", 1, ("GEX_NET",), positive),
    Feature("gex_distance_to_flip_pct", "gex", "percent", 1, ("benchmark", "GEX_FLIP"), to_flip),
    Feature(
        "gex_between_walls",
        "gex",
        "0 or 1",
        1,
        ("benchmark", "GEX_CALL_WALL", "GEX_PUT_WALL"),
        between_walls,
    ),
)
