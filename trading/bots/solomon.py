"""SOLOMON buys narrow debit spreads off the gamma walls, when ORION sees the same side."""

from domain.bot import Bot, Factor

SOLOMON = Bot(
    name="solomon",
    title="SOLOMON",
    strategy="spread",
    symbols=("SPX",),
    models=(
        "orion-up",
        "orion-down",
        "orion-flip",
        "orion-magnet",
        "orion-range",
        "orion-pin",
        "gex-bullish",
        "gex-bearish",
        "pattern",
        "prophet-directional",
    ),
    features=(
        "vix",
        "gex_ratio_log",
        "gex_distance_to_call_wall_pct",
        "gex_distance_to_put_wall_pct",
    ),
    factor=Factor.PRICE,
    capital=100_000.0,
    risk_per_trade=0.02,
    kelly=0.25,
    max_open=3,
    max_daily=5,
    max_quantity=50,
    # The ancestor's 0.50 was of a direction with two sides. ORION's has three, of which flat takes
    # about 45 %: one side reaches 0.35, the least that its conviction asks for, on few days.
    p_min=0.35,
    horizon=1,
    structures=("bull_call", "bear_put"),
    distance=1.0,
    # $2 on SPY.
    wing=20.0,
    strike_step=5.0,
    # Held to the close of the next session; what a target or a stop inside the day would bring is
    # unknown on daily bars.
    min_reward=1.5,
    vix_range=(12.0, 35.0),
    gamma_ratio=(0.85, 1.2),
    wall_reach=1.0,
)
