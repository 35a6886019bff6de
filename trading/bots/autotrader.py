"""AUTOTRADER buys stocks that rise, and lets what it bought run."""

from domain.bot import Bot, Factor
from domain.values import Action
from market.universe import STOCKS
from trading.strategies.score import FEATURES

AUTOTRADER = Bot(
    name="autotrader",
    title="AUTOTRADER",
    strategy="score",
    symbols=tuple(STOCKS),
    models=("xgb", "lgbm", "nhits", "patchtst", "prophet-directional"),
    # Beside what it scores, the fear in the market: the advisor sizes by it.
    features=(*FEATURES, "vix"),
    factor=Factor.PRICE,
    capital=100_000.0,
    # The first stop is never nearer than 1.5 % (`trading.strategies.score`), so a position is at
    # most a sixth of the equity and all six of them together never borrow.
    risk_per_trade=0.0025,
    kelly=0.25,
    max_open=6,
    max_daily=5,
    # Adjusted prices go down to $1.62; the risk cap binds long before this.
    max_quantity=10_000,
    p_min=0.5,
    # As far as its models look: what they measured of winners and losers is what it trades.
    horizon=5,
    # Long only: a short seller pays for the loan of the share and for its dividends, neither of
    # which an adjusted close knows of.
    sides=(Action.BUY,),
    min_score=3,
    # In mean absolute close-to-close moves, about two thirds of an average true range: a first
    # stop of two daily deviations and, after one unit of risk, a trail as wide.
    stop_ranges=2.5,
    trail_ranges=2.5,
)
