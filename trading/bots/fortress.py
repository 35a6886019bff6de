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
    # Held to expiry. Getting out early pays four half-spreads, a quarter of a credit of this size:
    # with the ancestors' target of 50 % a condor of 2014-2018 returned -1.4 % of its risk, held
    # to expiry +0.5 %. The wings are the stop.
    profit_target=None,
    stop_multiple=None,
)
