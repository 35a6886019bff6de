"""DISCERNMENT prices nine structures every session, and trades the one that its view pays for."""

from domain.bot import Bot, Factor
from trading.structures.catalog import NINE

DISCERNMENT = Bot(
    name="discernment",
    title="DISCERNMENT",
    strategy="scan",
    symbols=("SPX",),
    models=("discernment-up", "discernment-down", "discernment-size", "discernment-soon"),
    features=("vix",),
    factor=Factor.VOLATILITY,
    capital=100_000.0,
    risk_per_trade=0.03,
    kelly=0.25,
    max_open=3,
    max_daily=1,
    max_quantity=50,
    # What a structure needs is an edge; a long option may well win less than half the time.
    p_min=0.05,
    # As far as its models look.
    horizon=3,
    structures=tuple(NINE),
    distance=1.0,
    # About a hundredth of the index, as the scanner takes it.
    wing=25.0,
    strike_step=5.0,
)
