"""Sell premium: options a distance away from spot, and wings beyond them."""

from domain.decision import Context
from domain.values import Action
from trading.strategies.base import Setup

FEATURES = ("vix",)


def setup(context: Context) -> Setup:
    """Premium can be sold in any session; whether today suits is for the models to say."""
    return Setup(action=Action.SELL, reason="premium is for sale in every session")
