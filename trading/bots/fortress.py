"""FORTRESS sells the widest condors, and few of them."""

from domain.bot import Bot, Factor

FORTRESS = Bot(
    name="fortress",
    title="FORTRESS",
    strategy="condor",
    symbols=("SPX",),
    models=("wisdom", "prophet-condor", "prophet"),
    features=("vix",),
    factor=Factor.VOLATILITY,
    capital=100_000.0,
    risk_per_trade=0.15,
    kelly=0.5,
    max_open=3,
    max_daily=3,
    # 15 % of the capital is three spreads of 50 points: the count is the outer fence.
    max_quantity=75,
    p_min=0.42,
    horizon=5,
    structures=("iron_condor",),
    distance=1.2,
    # $5 on SPY, a tenth of the index.
    wing=50.0,
    strike_step=5.0,
    min_credit=0.5,
    profit_target=0.5,
    # Its ancestor ran with the stop off and closed by the clock. A wing is some ten credits wide,
    # so without a stop one bad week takes what ten good ones brought.
    stop_multiple=2.0,
)
