"""From a panel to features: the same functions for all of history and for the newest bar."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256

import numpy as np

from domain.errors import DataError, FeatureMismatch
from domain.values import FloatArray, canonical
from market import window
from market.features.base import TAIL, Columns, Feature, closed, narrowed, ready, tail
from market.features.catalog import CATALOG
from market.panel import Panel, Unit

__all__ = ["TAIL", "check", "counting", "history", "newest", "schema_hash", "select", "values"]

CODE = 1
"""Version of the steps that all features share; raised with a value of many of them."""


def select(names: Iterable[str]) -> tuple[Feature, ...]:
    """Return the features of these names, in this order.

    Raises `FeatureMismatch`, naming every name that the catalog does not have.
    """
    names = tuple(names)
    unknown = [name for name in names if name not in CATALOG]
    if unknown:
        close = get_close_matches(unknown[0], CATALOG, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise FeatureMismatch(f"no market feature is called {', '.join(unknown)}{hint}")
    return tuple(CATALOG[name] for name in names)


def counting(names: Iterable[str], unit: Unit) -> tuple[str, ...]:
    """Return those of the features that count such bars: sessions, or bars within them."""
    return tuple(f.name for f in select(names) if (f.group == "within") is (unit == "bar"))


def _rows(feature: Feature, panel: Panel, start: int) -> tuple[FloatArray, Columns]:
    """Return a feature from a bar on, for the symbols that can have it, and their columns."""
    part, columns = narrowed(panel, feature.needs)
    with np.errstate(all="ignore"):  # what divides by zero ends as unknown
        return feature.compute(part)[start:], columns


def _clean(values: FloatArray, counted: FloatArray, warmup: FloatArray | int) -> FloatArray:
    """Make unknown what is infinite or not warm yet, in place."""
    np.copyto(values, np.nan, where=np.isinf(values) | (counted < warmup))
    return values


def values(feature: Feature, panel: Panel) -> FloatArray:
    """Return one feature at every bar, shape (T, S), float32, NaN where it is unknown.

    Rounded to float32 here and in `newest`, once: what a model learns from, what it is asked with
    and what a decision records are the same bits.
    """
    out = np.full((len(panel), len(panel.symbols)), np.nan, dtype=np.float32)
    rows, columns = _rows(feature, panel, 0)
    with np.errstate(over="ignore"):
        out[:, columns] = rows
    return _clean(out, ready(panel, feature.counted), feature.warmup)


def history(panel: Panel, names: Iterable[str] = CATALOG) -> dict[str, FloatArray]:
    """Return features at every bar of the panel, each of shape (T, S), float32, NaN unknown.

    Row t is what was known when bar t closed, and is the same to the last bit whatever bars come
    after it: one call over all of history serves every training window within it.
    """
    return {feature.name: values(feature, panel) for feature in select(names)}


def newest(panel: Panel, names: Iterable[str] = CATALOG) -> dict[str, dict[str, float]]:
    """Return what is known at the newest bar, by symbol and feature; what is unknown is left out.

    Made of the last `TAIL` bars by the functions that make `history`, from which it differs by
    less than 1e-6 of a feature's standard deviation (1e-5 for an EWM after a gap of weeks in its
    symbol). Intermediate results are kept in the panel: asking again, with other names, costs only
    what is new.
    """
    features = select(names)
    cut = tail(panel)
    if not len(cut):
        return {symbol: {} for symbol in panel.symbols}
    table = np.full((len(features), len(cut.symbols)), np.nan, dtype=np.float32)
    counted = np.empty(table.shape)
    with np.errstate(over="ignore"):
        for place, feature in enumerate(features):
            table[place] = _newest(feature, cut)
            counted[place] = ready(cut, feature.counted)[-1]
    _clean(table, counted, np.array([[feature.warmup] for feature in features]))
    used = [feature.name for feature in features]
    return {
        symbol: {name: x for name, x in zip(used, column, strict=True) if x == x}  # not NaN
        for symbol, column in zip(cut.symbols, table.T.tolist(), strict=True)
    }


def _newest(feature: Feature, cut: Panel) -> FloatArray:
    """Return a feature's last row, shape (S,), from the memo when it was asked for before."""
    key = (_newest, feature.name)
    if key not in cut.memo:
        rows, columns = _rows(feature, cut, len(cut) - 1)
        out = np.full(len(cut.symbols), np.nan)
        out[columns] = rows[0]
        cut.memo[key] = out
    return cut.memo[key]


@lru_cache(maxsize=256)
def _hash(names: tuple[str, ...]) -> str:
    schema = [
        [feature.name, feature.units, feature.warmup, feature.needs, feature.version]
        for feature in select(names)
    ]
    return sha256(canonical([CODE, TAIL, schema]).encode()).hexdigest()[:12]


def schema_hash(names: Iterable[str]) -> str:
    """Return 12 hex digits that change with the name, units, warm-up or version of a feature.

    And with their order, for a model's columns have one.
    """
    return _hash(tuple(names))


def check(feature: Feature, panel: Panel) -> None:
    """Refuse a feature that looks ahead.

    Its values up to a bar must be the same, to the last bit, whether or not later bars exist. The
    panel is cut at a dozen bars, the last but one included, to find a peek of one bar and one of
    a hundred.

    Raises
    ------
    DataError
        Naming the feature, and the bar whose value changes with what comes after it.
    """
    whole = values(feature, panel)
    cuts = np.unique(np.linspace(1, len(panel) - 1, 12, dtype=np.int64)) if len(panel) > 1 else ()
    for cut in cuts:
        part = values(feature, window.until(panel, closed(panel, int(cut) - 1)))
        same = (part == whole[:cut]) | (np.isnan(part) & np.isnan(whole[:cut]))
        if not same.all():
            bar = int(np.argmin(same.all(axis=1)))
            raise DataError(
                f"feature {feature.name!r} looks ahead: its value at {panel.times[bar]}Z changes "
                f"with bars after {panel.times[cut - 1]}Z; use no more than the bars up to its own"
            )
