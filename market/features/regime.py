"""The axes of the market regime and the states they are in, read as `market.regime` reads them."""

from market import regime
from market.features.base import Feature

MOVE = 14 + regime.MEDIAN
DRIFT = regime.DRIFT + 1

FEATURES = (
    Feature("regime_vol_ratio", "regime", "ratio", MOVE, ("close",), regime.vol_ratio),
    Feature("regime_trend_z", "regime", "sigmas", DRIFT, ("close",), regime.trend_z),
    Feature("regime_high_vol", "regime", "0 or 1", MOVE, ("close",), regime.high_vol),
    Feature("regime_trend", "regime", "0 or 1", DRIFT, ("close",), regime.trending),
)
