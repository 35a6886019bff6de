"""What VALOR's brackets make of every bar: labels that agree with the exits of its positions."""

from datetime import timedelta

import numpy as np
import pytest

from domain.book import Costs
from domain.bot import Brackets
from learning import bracketed, labels
from market.panel import Panel
from models.base import Target
from tests.market.panels import market
from trading import exits
from trading.bots.valor import VALOR
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.examples import OPENED, future, order

BARS = 12
LONG, SHORT = (Target(f"{side}_pays", BARS, "index", unit="bar") for side in ("long", "short"))


def minutes(bars: int = 300, seed: int = 7, symbol: str = "SPX") -> Panel:
    """Return bars that move by about a first stop each."""
    rng = np.random.default_rng(seed)
    close = 5_000.0 * np.exp(np.cumsum(0.0004 * rng.standard_normal(bars)))[:, None]
    opened = np.vstack([close[:1], close[:-1]]) + 0.2 * rng.standard_normal((bars, 1))
    high = np.maximum(opened, close) + rng.random((bars, 1))
    low = np.minimum(opened, close) - rng.random((bars, 1))
    plain = market(bars)
    nothing = np.full(close.shape, np.nan)
    return Panel(plain.times, (symbol,), opened, high, low, close, nothing)


@pytest.mark.parametrize("side", [1, -1])
def test_a_label_is_what_the_exits_of_the_desk_come_to(side: int) -> None:
    panel, costs = minutes(), Costs()
    found = bracketed.ended(panel, side, BARS)
    earned = bracketed.results(panel, side, BARS, costs)
    checked = 0
    for t in range(0, len(panel) - BARS, 7):
        first = panel.bar(t + 1)
        assert first is not None
        assert first.open is not None
        placed = order(future("MES", side, price=first.open), 1, VALOR)
        quote = Quote(symbol="SPX", at=OPENED, price=first.open)
        fill = PaperBroker(costs).submit(placed, quote)
        position = exits.open_position(placed, fill, first.at + timedelta(days=99), VALOR)
        for k in range(t + 1, t + BARS + 1):
            bar = panel.bar(k)
            assert bar is not None
            left, closings = exits.step(position, bar, VALOR, costs, t + BARS - k)
            if left is None:
                [closing] = closings
                points = position.entry + closing.price
                assert found.ahead[t] == pytest.approx(points)
                assert found.row[t] == k
                dollars = 5.0 * points - fill.costs - closing.costs
                assert earned[t] == pytest.approx(dollars / placed.proposal.max_loss, rel=1e-6)
                checked += 1
                break
            position = left
    assert checked == len(range(0, len(panel) - BARS, 7))


def test_long_and_short_are_two_questions_of_the_same_bars() -> None:
    panel = minutes()
    long, short = (labels.outcomes(panel, target)[:, 0, 0] for target in (LONG, SHORT))
    assert np.isnan(long[-BARS:]).all()
    assert np.isfinite(long[:-BARS]).all()
    assert set(np.unique(long[:-BARS])) == {0.0, 1.0}
    assert (long != short)[:-BARS].any()


def test_a_label_does_not_know_what_comes_after_its_horizon() -> None:
    panel = minutes()
    cut = panel.rows(0, 200)
    whole, part = (labels.outcomes(p, LONG)[:, 0, 0] for p in (panel, cut))
    np.testing.assert_array_equal(part[: 200 - BARS], whole[: 200 - BARS])


def test_a_bar_without_an_open_begins_nothing_and_a_hole_ends_nothing() -> None:
    panel = minutes()
    panel.open[50] = np.nan
    panel.close[60] = np.nan
    found = bracketed.ended(panel, 1, BARS)
    assert np.isnan(found.ahead[49])
    across = np.flatnonzero(found.row[48:60] > 60) + 48
    assert not len(across)
    assert np.isnan(found.ahead[59])


def test_what_follows_no_contract_has_labels_and_no_results() -> None:
    panel = minutes(symbol="SPY")
    assert np.isfinite(labels.outcomes(panel, LONG)[:-BARS]).all()
    assert np.isnan(labels.results(panel, LONG, Costs())).all()


def test_the_brackets_are_those_of_the_bot_that_trades_futures() -> None:
    assert bracketed.rules() is VALOR.brackets
    assert isinstance(VALOR.brackets, Brackets)
