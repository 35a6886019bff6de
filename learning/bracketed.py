"""What VALOR's brackets would have made of a position opened at every bar: labels and results."""

from typing import Literal, NamedTuple

import numpy as np

from domain.book import Costs
from domain.bot import Brackets
from domain.errors import Refused
from domain.values import FloatArray
from market.panel import Panel
from trading import contracts
from trading.bots.catalog import BOTS
from trading.brackets import Held, Hit, first_stop, through
from trading.costs import future_costs

Side = Literal[-1, 1]


class Ended(NamedTuple):
    """How a position on one side ended that was opened after each bar; arrays of shape (T,)."""

    ahead: FloatArray
    """By how many points, costs aside; NaN where it is not known."""
    entry: FloatArray
    """The price it was opened at, the open of the bar after."""
    row: FloatArray
    """The bar it was closed in."""


def rules() -> Brackets:
    """Return the brackets of the bot that trades futures; `Refused` where none does."""
    for bot in BOTS.values():
        if bot.brackets is not None:
            return bot.brackets
    raise Refused("no bot trades futures, so nobody's brackets are known")


def ended(panel: Panel, side: Side, bars: int) -> Ended:
    """Carry a position in the first symbol from every bar on, by `trading.brackets`.

    Parameters
    ----------
    bars
        How long it is held at most; it is closed at the close of the last of them. Positions of
        which fewer bars are known are not labelled, ended or not: those that end early would
        otherwise be all that is known of the newest bars.
    """
    key = (ended, side, bars)
    if key not in panel.memo:
        panel.memo[key] = _ended(panel, side, bars)
    found: Ended = panel.memo[key]
    return found


def _ended(panel: Panel, side: Side, bars: int) -> Ended:
    ahead, entry, row = (np.full(len(panel), np.nan) for _ in range(3))
    known, limits = [panel.bar(t) for t in range(len(panel))], rules()
    for t in range(len(panel) - bars):
        first = known[t + 1]
        if first is None or first.open is None:
            continue
        price = first.open
        held = Held(side, price, first_stop(side, price, limits))
        for k in range(t + 1, t + bars + 1):
            bar = known[k]
            if bar is None:
                break
            left = through(bar, held, limits)
            if isinstance(left, Hit) or k == t + bars:
                out = left.price if isinstance(left, Hit) else bar.close
                ahead[t], entry[t], row[t] = side * (out - price), price, k
                break
            held = left
    return Ended(ahead, entry, row)


def results(panel: Panel, side: Side, bars: int, costs: Costs) -> FloatArray:
    """Return what each would have earned in units of its risk, after costs, shape (T,).

    The unit is that of a proposal of `trading.strategies.flip`: the way to the first stop and the
    costs of both ways. NaN for a symbol that no contract follows.
    """
    found, symbol = ended(panel, side, bars), panel.symbols[0]
    if not contracts.known(symbol):
        return np.full(len(panel), np.nan)
    contract = contracts.find(symbol)
    both_ways = 2 * future_costs(contract, costs) / contract.point
    earned: FloatArray = (found.ahead - both_ways) / (rules().stop * found.entry + both_ways)
    return earned
