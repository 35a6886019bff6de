"""GIDEON buys wider debit spreads than SOLOMON, and asks for less reward."""

from trading.bots.solomon import SOLOMON

GIDEON = SOLOMON.model_copy(
    update={
        "name": "gideon",
        "title": "GIDEON",
        "risk_per_trade": 0.03,
        "max_open": 4,
        "max_daily": 8,
        # $3 on SPY.
        "wing": 30.0,
        "min_reward": 1.2,
        "vix_range": (12.0, 30.0),
        "gamma_ratio": (0.77, 1.3),
    }
)
