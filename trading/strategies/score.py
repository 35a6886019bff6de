"""Buy strength: four conditions, and enough of them must hold.

The means adapt to the stock: the more it moves, the shorter they are. Entries look at states and
not at crossings, so a bot that starts in the middle of a trend, or is free again in one, can join
it on any bar.
"""

from typing import NamedTuple

from domain.bot import Factor
from domain.decision import Context, Proposal
from domain.errors import DataError, FeatureMismatch
from domain.values import Action
from trading.costs import share_costs
from trading.strategies.base import Setup

MIN_STOP = 0.015
"""Nearest first stop, as a share of the price: nearer, and a day's noise finds it."""


class Pace(NamedTuple):
    """The two means to look at when the close moves at least `least` a bar."""

    least: float
    fast: str
    slow: str


PACES = (
    # A true range of 3 % and 2 %; closes move about two thirds of the range.
    Pace(0.0200, "sma_ratio_5", "sma_ratio_20"),
    Pace(0.0133, "sma_ratio_10", "sma_ratio_20"),
    Pace(0.0000, "sma_ratio_20", "sma_ratio_50"),
)

RSI_LOW, RSI_HIGH = 50.0, 70.0
"""Strong, and not yet overbought."""

FEATURES = (
    "close_range_14",
    "sma_ratio_5",
    "sma_ratio_10",
    "sma_ratio_20",
    "sma_ratio_50",
    "rsi_14",
    "macd_histogram",
)


def _known(context: Context) -> dict[str, float]:
    missing = [name for name in FEATURES if name not in context.features]
    if missing:
        raise FeatureMismatch(f"score needs {', '.join(missing)} of {context.symbol}")
    return {name: context.features[name] for name in FEATURES}


def setup(context: Context) -> Setup:
    """Count what speaks for the stock; buy at the bot's `min_score` of four.

    The close above its fast mean; the fast mean above the slow one; RSI between 50 and 70; a
    MACD histogram above zero. Both means are `close/mean - 1`, so the fast mean is the higher one
    when its ratio is the smaller.

    Raises
    ------
    FeatureMismatch
        A feature is unknown. It is never taken for a condition that fails.
    """
    known, least = _known(context), context.bot.min_score
    if least is None:
        raise DataError(f"{context.bot.name} trades by score and has no min_score; set one")
    pace = next(pace for pace in PACES if known["close_range_14"] >= pace.least)
    fast, slow = known[pace.fast], known[pace.slow]
    conditions = {
        "above_fast_mean": fast > 0,
        "fast_above_slow": fast < slow,
        "rsi_strong": RSI_LOW <= known["rsi_14"] <= RSI_HIGH,
        "macd_rising": known["macd_histogram"] > 0,
    }
    score = sum(conditions.values())
    failed = [name for name, holds in conditions.items() if not holds]
    told = f"{score} of {len(conditions)}" + (f", not {', '.join(failed)}" if failed else "")
    return Setup(
        action=Action.BUY if score >= least else Action.HOLD,
        score=score,
        reason=told,
        evidence={name: float(holds) for name, holds in conditions.items()} | known,
    )


def propose(context: Context, structure: str | None, distance: float | None) -> Proposal:
    """Return the purchase of one share, with a stop as far as the stock usually moves.

    The most that it can lose is the way to the stop and the costs of getting in and out; a gap
    may lose more, which is why a bot's `risk_per_trade` for shares is small. `structure` and
    `distance` are of options and change nothing here.
    """
    price, ranges = context.price, context.bot.stop_ranges
    if price is None:
        raise DataError(f"{context.symbol} has no price at {context.bar:%Y-%m-%d %H:%M}")
    if ranges is None:
        raise DataError(f"{context.bot.name} buys shares and has no stop_ranges; set them")
    stop = max(ranges * _known(context)["close_range_14"], MIN_STOP) * price
    both_ways = 2 * share_costs(price, context.costs)
    return Proposal(
        structure="shares",
        action=Action.BUY,
        factor=Factor.PRICE,
        side=1,
        entry=-price,
        max_loss=stop + both_ways,
        costs=both_ways,
        multiplier=1.0,
        horizon=context.bot.horizon,
        stop=stop,
    )
