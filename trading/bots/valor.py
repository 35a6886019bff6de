"""VALOR trades micro futures around the gamma flip, for minutes and not for days.

What it is up against: entered without any choice, long and short in turn, at every seventh of the
five-minute bars of NQ of 17 February to 28 April 2026 and held for four hours at most, its brackets
brought -3.45 dollars [-4.81, -2.26] a contract of MNQ (n=1,959), of which 2.24 are costs; before
them -1.21 [-2.54, 0.12]. With stops so near costs are 9 % of the risk, and of MES 23 %.
"""

from domain.bot import Bot, Brackets, Factor
from domain.values import Action
from trading.strategies.flip import FEATURES

LEVEL = 5_000.0
"""Where MES stood when its points were chosen; on NQ at 24,000 the first stop is 12 points."""

BRACKETS = Brackets(
    stop=2.5 / LEVEL,
    even=1.5 / LEVEL,
    trail=0.75 / LEVEL,
    worst=5.0 / LEVEL,
    emergency=15.0 / LEVEL,
    reverse=2.0 / LEVEL,
    wrong=0.5 / LEVEL,
)

VALOR = Bot(
    name="valor",
    title="VALOR",
    strategy="flip",
    # It trades MES by the bars of its index. No feed knows the gamma of Nasdaq options, so no MNQ.
    symbols=("SPX",),
    models=("valor-long", "valor-short"),
    # Beside what it trades by, the fear in the market: the advisor sizes by it.
    features=(*FEATURES, "vix"),
    factor=Factor.PRICE,
    capital=100_000.0,
    risk_per_trade=0.01,
    kelly=0.25,
    max_open=1,
    max_daily=20,
    max_quantity=5,
    p_min=0.50,
    horizon=1,
    sides=(Action.BUY, Action.SELL),
    brackets=BRACKETS,
)
