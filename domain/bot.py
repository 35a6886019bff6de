"""A trading bot as data. What differs between two bots is in here, and nowhere else."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from domain.values import Action, Dollars, Fraction, Probability, Value


class Factor(StrEnum):
    """What a position earns by."""

    PRICE = "price"
    """The way the price goes."""
    VOLATILITY = "volatility"
    """How far the price goes, whichever way."""


class Brackets(Value):
    """How far from its entry a future is given up, as shares of the price it was entered at.

    Shares and not points, so that the same rules hold for a contract at 5,000 and one at 24,000.
    """

    stop: float = Field(gt=0, lt=1)
    """The first stop."""
    even: float = Field(gt=0, lt=1)
    """Once it was ahead so far, the stop is at the entry at least."""
    trail: float = Field(gt=0, lt=1)
    """From then on the stop follows the best price at this distance."""
    worst: float = Field(gt=0, lt=1)
    """Behind so far, it is closed whatever the stop says."""
    emergency: float = Field(gt=0, lt=1)
    """Behind so far, something is wrong: the same, told apart."""
    reverse: float = Field(gt=0, lt=1)
    """Behind so far and never ahead by `wrong`, it was on the wrong side from the start."""
    wrong: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.reverse <= self.stop <= self.worst <= self.emergency:
            raise ValueError("reverse, stop, worst and emergency lie further out in this order")
        return self


class Bot(Value):
    """One bot of the desk.

    `strategy` names an entry in `trading.strategies.catalog`, `structures` entries in
    `trading.structures.catalog` in order of preference. Distances are in expected moves
    (spot * VIX/100 * sqrt(horizon/252)), wings and steps in points, money in dollars,
    horizons in sessions.
    """

    name: str
    title: str
    strategy: str
    symbols: tuple[str, ...]
    models: tuple[str, ...]
    """Champions that are asked, in this order."""
    features: tuple[str, ...]
    """What the strategy itself reads; the models' own features are added to them."""
    factor: Factor
    capital: Dollars
    risk_per_trade: Fraction
    kelly: Fraction
    """Share of the Kelly stake that is taken at most."""
    max_open: int
    max_daily: int
    max_quantity: int
    p_min: Probability
    """Below this probability the bot holds, whatever the payoff."""
    horizon: int
    structures: tuple[str, ...] = ()
    sides: tuple[Action, ...] = ()
    distance: float | None = None
    """Short strikes, in expected moves from spot."""
    wing: float | None = None
    strike_step: float | None = None
    min_credit: float | None = None
    """Least credit, points per unit, after the cost of getting in."""
    profit_target: Fraction | None = None
    """Share of the credit at which a winner is closed."""
    stop_multiple: float | None = None
    """Loss, as a multiple of the credit, at which a loser is closed."""
    min_reward: float | None = None
    """Least of what a debit can win over what it can lose, costs counted."""
    vix_range: tuple[float, float] | None = None
    """Between which VIX it trades."""
    gamma_ratio: tuple[float, float] | None = None
    """Put gamma over call gamma: bullish at most the first, bearish at least the second."""
    multiplier: float = 100.0
    """Dollars a point of one of its options: 100 of the index's own, 10 of the mini contract's."""
    wall_reach: float | None = None
    """How near the wall on its side must be, in percent of the index."""
    min_score: int | None = None
    stop_ranges: float | None = None
    """Distance of the first stop, in average ranges."""
    trail_ranges: float | None = None
    brackets: Brackets | None = None
    """Of futures."""

    def facts(self) -> dict[str, float]:
        """Return what a model may know of the trade beside the market: its strike distance."""
        return {} if self.distance is None else {"strike_distance": self.distance}
