"""CORNERSTONE turns the wheel: puts against cash, and calls against the index when assigned."""

from domain.bot import Bot, Factor

CORNERSTONE = Bot(
    name="cornerstone",
    title="CORNERSTONE",
    strategy="wheel",
    symbols=("SPX",),
    models=("wheel",),
    features=("vix",),
    factor=Factor.PRICE,
    # A put may lose its whole strike, and 15 % of this is the strike of one at an index of 7,500.
    # Any edge but the smallest asks for a larger stake of such a risk, so this is what binds.
    capital=500_000.0,
    risk_per_trade=0.15,
    kelly=0.25,
    # One position at a time: which one is next follows from how the last one ended.
    max_open=1,
    max_daily=1,
    max_quantity=10,
    # The ancestor's line between a trade and none.
    p_min=0.55,
    # As far as its model looks.
    horizon=21,
    structures=("cash_secured_put", "covered_call"),
    # Every position of 1990-2013 as `learning.labels` prices them brought, of its risk and after
    # costs, 0.41 % as a put and 0.39 % as a call at this distance, 0.33 % and 0.41 % at one
    # expected move, 0.27 % and 0.40 % at one and a half.
    distance=0.5,
    strike_step=5.0,
    # No target and no stop: what is assigned is carried on as the index. The mini contract, a tenth
    # of the index, for at 100 dollars a point no bot of the desk could secure one.
    multiplier=10.0,
)
