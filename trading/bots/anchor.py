"""ANCHOR sells narrow condors one expected move away."""

from domain.bot import Bot, Factor

ANCHOR = Bot(
    name="anchor",
    title="ANCHOR",
    strategy="condor",
    symbols=("SPX",),
    models=("wisdom", "prophet-condor", "prophet"),
    features=("vix",),
    factor=Factor.VOLATILITY,
    capital=200_000.0,
    risk_per_trade=0.10,
    kelly=0.5,
    max_open=5,
    max_daily=3,
    max_quantity=100,
    p_min=0.42,
    horizon=5,
    structures=("iron_condor",),
    distance=1.0,
    wing=10.0,
    strike_step=5.0,
    min_credit=0.75,
    # No target: buying back early costs a quarter of the credit (-6.0 % of the risk a trade in
    # 2014-2018 with a target of 50 %, -0.9 % without).
    profit_target=None,
    stop_multiple=2.0,
)
