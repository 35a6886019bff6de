"""Every feature there is.

To add a feature, write the function and a line in the module of its group. The line alone has it
computed, checked for look-ahead, hashed into the schema and tested.
"""

from market.features import (
    gex,
    options,
    price,
    regime,
    seasonality,
    sequence,
    statistical,
    technical,
    volume,
    within,
)
from market.features.base import Feature

GROUPS = (
    price,
    volume,
    technical,
    statistical,
    sequence,
    regime,
    seasonality,
    options,
    gex,
    within,
)

CATALOG: dict[str, Feature] = {
    feature.name: feature for group in GROUPS for feature in group.FEATURES
}
