"""A trading bot as data. What differs between two bots is in here, and nowhere else."""

from enum import StrEnum

from domain.values import Action, Dollars, Fraction, Probability, Value


class Factor(StrEnum):
    """What a position earns by."""

    PRICE = "price"
    """The way the price goes."""
    VOLATILITY = "volatility"
    """How far the price goes, whichever way."""


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
    wall_reach: float | None = None
    """How near the wall on its side must be, in percent of the index."""
    min_score: int | None = None
    stop_ranges: float | None = None
    """Distance of the first stop, in average ranges."""
    trail_ranges: float | None = None

    def facts(self) -> dict[str, float]:
        """Return what a model may know of the trade beside the market: its strike distance."""
        return {} if self.distance is None else {"strike_distance": self.distance}
