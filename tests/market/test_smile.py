"""Volatility off a chain: at the money and between the wings, of one month and no other."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from market import chain, smile
from market.chain import Chain
from tests.market.test_gex import CBOE

ASOF = datetime(2018, 11, 19, 21, tzinfo=UTC)
MONTH = "2018-12-19T21:00"
"""The close 20 sessions on: Thanksgiving and the day of mourning of the 5th were none."""
CHAINS = Path(CBOE).parent / "spx_chain_2026"


def made(*rows: tuple[str, float, str, float, float]) -> Chain:
    """Return a chain of rows (right, strike, settlement, volatility, delta) at a spot of 2690."""
    rights, strike, settles, iv, delta = zip(*rows, strict=True)
    unknown = np.full(len(rows), np.nan)
    return Chain(
        symbol="SPX",
        asof=ASOF,
        spot=2690.0,
        call=np.array([right == "C" for right in rights]),
        strike=np.array(strike, float),
        settles=np.array(settles, "datetime64[s]"),
        bid=unknown,
        ask=unknown,
        iv=np.array(iv, float),
        delta=np.array(delta, float),
        gamma=unknown,
        open_interest=unknown,
    )


ROWS = [
    ("C", 2680.0, MONTH, 0.200, 0.54),
    ("C", 2700.0, MONTH, 0.190, 0.48),
    ("C", 2750.0, MONTH, 0.170, 0.30),
    ("C", 2780.0, MONTH, 0.160, 0.20),
    ("P", 2680.0, MONTH, 0.206, -0.46),
    ("P", 2700.0, MONTH, 0.196, -0.52),
    ("P", 2600.0, MONTH, 0.240, -0.27),
    ("P", 2580.0, MONTH, 0.250, -0.22),
]


def test_at_the_money_lies_between_the_strikes_around_spot() -> None:
    assert smile.measure(made(*ROWS)).atm == pytest.approx((19.5 + 20.1) / 2)


def test_the_skew_is_put_less_call_at_a_delta_of_a_quarter() -> None:
    put, call = 24.0 + 1.0 * (0.27 - 0.25) / 0.05, 16.5
    assert smile.measure(made(*ROWS)).skew == pytest.approx(put - call)


def test_the_settlement_nearest_to_21_sessions_counts() -> None:
    far = [(right, k, "2019-01-18T21:00", 0.5, delta) for right, k, _, _, delta in ROWS]
    near = [(right, k, "2018-11-30T21:00", 0.5, delta) for right, k, _, _, delta in ROWS]
    assert smile.measure(made(*ROWS, *far, *near)) == smile.measure(made(*ROWS))
    assert smile.measure(made(*far, *near)) == (None, None)  # 40 and 8 sessions are no month


def test_a_strike_that_is_there_twice_is_averaged() -> None:
    again = ("C", 2680.0, MONTH, 0.220, 0.54)
    assert smile.measure(made(*ROWS, again)).atm == pytest.approx((20.0 + 20.1) / 2)


@pytest.mark.parametrize("iv", [0.0, np.nan, 7.0])
def test_what_is_not_quoted_is_not_read(iv: float) -> None:
    gone = [(*row[:3], iv, row[4]) if row[0] == "P" else row for row in ROWS]
    assert smile.measure(made(*gone)) == (None, None)


def test_outside_of_the_strikes_nothing_is_guessed() -> None:
    assert smile.measure(replace(made(*ROWS), spot=2500.0)).atm is None
    assert smile.measure(made(*ROWS[:7])).skew is None  # no put of less than -0.27


@pytest.mark.skipif(not CHAINS.is_dir(), reason="real chains are not here")
def test_real_chains_lie_below_vix_as_they_always_do() -> None:
    """VIX counts the wings too: over 18 days the money was at 0.81 to 0.87 of it."""
    vix = dict(
        line.split(",")[::4]
        for line in (CHAINS.parents[1] / "daily_window_2026" / "vix.csv")
        .read_text()
        .split("\n")[1:]
        if line
    )
    for day in chain.days(CHAINS):
        found = smile.measure(day)
        assert found.atm is not None
        assert 0.80 < found.atm / float(vix[f"{day.asof:%Y-%m-%d}"]) < 0.88
        assert found.skew is not None
        assert 3.5 < found.skew < 5.5
