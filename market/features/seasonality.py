"""What the calendar says. Known in advance, so there is nothing to peek at.

Read from the UTC date of the bar's close, which for New York's hours is the exchange's date.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from domain.values import FloatArray
from market.features.base import Feature, shared
from market.panel import Panel

Dates = NDArray[np.datetime64]


def _dates(panel: Panel) -> Dates:
    return panel.times.astype("datetime64[D]")


def _day_of_month(dates: Dates) -> FloatArray:
    return (dates - dates.astype("datetime64[M]")).astype(np.float64) + 1.0


@shared
def weekday(panel: Panel) -> FloatArray:
    """Return the day of the week, Monday 0 to Friday 4, unknown at the weekend."""
    day = (_dates(panel).astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return np.where(day < 5, day, np.nan)[:, None]


def weekday_circle(panel: Panel, wave: np.ufunc) -> FloatArray:
    """Return the weekday as a point on a circle of five, so that Friday is next to Monday."""
    return wave(2.0 * np.pi * weekday(panel) / 5.0)


def is_weekday(panel: Panel, day: int) -> FloatArray:
    today = weekday(panel)
    return np.where(np.isnan(today), np.nan, today == day)


def is_opex_week(panel: Panel) -> FloatArray:
    """Return 1 in the week of the third Friday, when monthly options expire.

    Not simply on days 15 to 21 of the month: half of those come after the expiry.
    """
    day = weekday(panel)[:, 0]
    ahead = np.where(np.isnan(day), 0, 4 - day).astype("timedelta64[D]")
    friday = _day_of_month(_dates(panel) + ahead)
    return np.where(np.isnan(day), np.nan, (friday >= 15) & (friday <= 21))[:, None]


def is_month_end(panel: Panel) -> FloatArray:
    """Return 1 from the 25th on."""
    return (_day_of_month(_dates(panel)) >= 25).astype(np.float64)[:, None]


def month_circle(panel: Panel, wave: np.ufunc) -> FloatArray:
    """Return the month as a point on a circle of twelve."""
    month = panel.times.astype("datetime64[M]").astype(np.int64) % 12
    return wave(2.0 * np.pi * month / 12.0)[:, None]


FEATURES = (
    Feature("day_of_week_sin", "seasonality", "sine", 1, (), partial(weekday_circle, wave=np.sin)),
    Feature(
        "day_of_week_cos", "seasonality", "cosine", 1, (), partial(weekday_circle, wave=np.cos)
    ),
    Feature("is_monday", "seasonality", "0 or 1", 1, (), partial(is_weekday, day=0)),
    Feature("is_friday", "seasonality", "0 or 1", 1, (), partial(is_weekday, day=4)),
    Feature("is_opex_week", "seasonality", "0 or 1", 1, (), is_opex_week),
    Feature("is_month_end", "seasonality", "0 or 1", 1, (), is_month_end),
    Feature("month_sin", "seasonality", "sine", 1, (), partial(month_circle, wave=np.sin)),
    Feature("month_cos", "seasonality", "cosine", 1, (), partial(month_circle, wave=np.cos)),
)
