"""Option chains made up around Black-76, for what reads chains."""

from collections.abc import Iterable
from datetime import UTC, datetime
from math import sqrt
from typing import Any

import numpy as np

from domain.market import Right
from market import calendar, pricing
from market.chain import Chain
from market.pricing import Smile

ASOF = datetime(2023, 2, 7, 21, tzinfo=UTC)
SPOT, FORWARD, VOL = 2400.0, 2403.0, 0.16
STRIKES = tuple(float(k) for k in range(2200, 2605, 5))
Contract = dict[str, Any]


def contracts(
    sessions: int = 5, strikes: Iterable[float] = STRIKES, half: float = 0.1
) -> list[Contract]:
    """Return the contracts of one expiry, `half` a spread around what Black-76 gives."""
    expires = calendar.ahead(ASOF, sessions).replace(tzinfo=None)
    smile = Smile(FORWARD, VOL, 0.0, 0.0, sqrt(sessions / 252))
    rows = []
    for right in Right:
        for strike in strikes:
            mid = pricing.price_at(smile, right, strike)
            row = {"call": right is Right.CALL, "strike": strike, "settles": expires}
            rows.append(row | {"bid": max(0.0, mid - half), "ask": mid + half})
    return rows


def made(rows: list[Contract], asof: datetime = ASOF) -> Chain:
    """Return the chain of these contracts."""
    columns = {
        name: np.array([row[name] for row in rows], kind)
        for name, kind in (
            ("call", bool),
            ("strike", float),
            ("settles", "datetime64[s]"),
            ("bid", float),
            ("ask", float),
        )
    }
    none = np.zeros(len(rows))
    return Chain("SPX", asof, SPOT, **columns, iv=none, delta=none, gamma=none, open_interest=none)


def changed(right: Right, strike: float, **fields: float) -> Chain:
    """Return a chain of which one contract is otherwise."""
    rows = contracts()
    [one] = [r for r in rows if r["call"] == (right is Right.CALL) and r["strike"] == strike]
    one.update(fields)
    return made(rows)
