"""How much was traded, and on which side."""

from functools import partial

import numpy as np

from domain.values import FloatArray
from market.features.base import Feature, deviation, difference, mean, ratio, shared, value
from market.panel import Panel


def volume_ratio(panel: Panel, n: int) -> FloatArray:
    volume = value(panel, "volume")
    return ratio(volume, mean(volume, n))


def volume_z(panel: Panel, n: int) -> FloatArray:
    volume = value(panel, "volume")
    level = mean(volume, n)
    return (volume - level) / deviation(volume, n, level)


@shared
def on_balance(panel: Panel) -> FloatArray:
    """Return the running sum of volume, signed by the way the close went.

    Unknown where a change or a volume is; the sum goes on from where it was, since only its
    changes within a window count.
    """
    flow = np.sign(difference(value(panel, "close"))) * value(panel, "volume")
    unknown = np.isnan(flow)
    balance = np.cumsum(np.where(unknown, 0.0, flow), axis=0)
    return np.where(unknown, np.nan, balance)


def on_balance_z(panel: Panel, n: int) -> FloatArray:
    """Return where the on-balance volume stands among its last n values, in sigmas."""
    balance = on_balance(panel)
    traded = mean(value(panel, "volume"), n)
    return (balance - mean(balance, n)) / deviation(balance, n, traded)


def dollar_volume_ratio(panel: Panel, n: int) -> FloatArray:
    dollars = value(panel, "close") * value(panel, "volume")
    return ratio(dollars, mean(dollars, n))


BOTH = ("close", "volume")

FEATURES = (
    Feature("volume_ratio_20", "volume", "ratio", 20, ("volume",), partial(volume_ratio, n=20)),
    Feature("volume_z_50", "volume", "sigmas", 50, ("volume",), partial(volume_z, n=50)),
    Feature("obv_z_20", "volume", "sigmas", 21, BOTH, partial(on_balance_z, n=20)),
    Feature(
        "dollar_volume_ratio_20", "volume", "ratio", 20, BOTH, partial(dollar_volume_ratio, n=20)
    ),
)
