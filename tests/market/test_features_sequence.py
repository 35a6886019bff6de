"""The sequence of a stock's last returns, each a feature of its own."""

import numpy as np

from market.features import compute
from market.features.catalog import CATALOG
from market.features.sequence import BARS
from market.panel import Panel
from tests.market.panels import closes, market, replaced

NAMES = [f"log_return_lag_{bars}" for bars in range(BARS)]


def test_each_is_the_log_of_one_close_over_the_one_before() -> None:
    price = np.array([100.0, 102.0, 99.0, 99.0, 105.0])
    known = compute.newest(closes(price), NAMES)["S0"]
    assert known == {
        "log_return_lag_0": np.float32(np.log(105 / 99)),
        "log_return_lag_1": 0.0,
        "log_return_lag_2": np.float32(np.log(99 / 102)),
        "log_return_lag_3": np.float32(np.log(102 / 100)),
    }


def test_all_of_them_add_up_to_the_return_of_sixty_four_bars() -> None:
    panel = market(300)
    rows = compute.history(panel, NAMES)
    added = np.sum([rows[name].astype(float) for name in NAMES], axis=0)
    whole = np.log(panel.close[BARS:] / panel.close[:-BARS])
    np.testing.assert_allclose(added[BARS:], whole, rtol=0, atol=1e-6)
    assert np.isnan(added[:BARS]).all()


def test_a_lag_is_the_newest_return_of_that_many_bars_earlier_to_the_last_bit() -> None:
    rows = compute.history(market(200), NAMES)
    for bars, name in enumerate(NAMES):
        np.testing.assert_array_equal(rows[name][bars:], rows[NAMES[0]][: 200 - bars])


def without_a_close(panel: Panel, bars: slice) -> Panel:
    close = panel.close.copy()
    close[bars, 1] = np.nan
    return replaced(panel, close=close)


def test_a_stock_that_has_stopped_trading_has_no_sequence() -> None:
    rows = compute.newest(without_a_close(market(200), slice(199, 200)), NAMES)
    assert rows["S1"] == {}
    assert set(rows["S0"]) == set(NAMES)


def test_a_hole_takes_the_two_returns_that_it_is_part_of_and_no_other() -> None:
    whole, holed = market(200), without_a_close(market(200), slice(190, 191))
    before, after = (compute.newest(panel, NAMES) for panel in (whole, holed))
    gone = {"log_return_lag_8", "log_return_lag_9"}
    assert after["S1"] == {k: v for k, v in before["S1"].items() if k not in gone}
    assert after["S0"] == before["S0"]


def test_the_schema_hash_covers_every_bar_of_the_sequence() -> None:
    hashes = {compute.schema_hash(NAMES[:bars]) for bars in range(1, BARS + 1)}
    assert len(hashes) == BARS
    assert all(CATALOG[name].warmup == bars + 2 for bars, name in enumerate(NAMES))
