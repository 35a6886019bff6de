"""What is known of the market at one moment."""

from enum import StrEnum

from pydantic import AwareDatetime

from domain.values import Points, Probability, Value


class Vol(StrEnum):
    """The volatility axis of the regime."""

    CALM = "calm"
    HIGH = "high"


class Trend(StrEnum):
    """The trend axis of the regime."""

    TREND = "trend"
    CHOP = "chop"


class Regime(Value):
    """One of four states: calm or high volatility, times trend or chop.

    `gate` is the least probability a directional signal needs in this state. `bars` counts how
    long the state has lasted; `alarm` says that it changed on this bar.
    """

    vol: Vol
    trend: Trend
    gate: Probability
    bars: int
    alarm: bool = False
    vol_ratio: float
    trend_z: float

    @property
    def name(self) -> str:
        """Return e.g. ``calm-trend``."""
        return f"{self.vol}-{self.trend}"


class Bar(Value):
    """One bar of one symbol. `open`, `high` and `low` are None where the feed has only closes."""

    symbol: str
    at: AwareDatetime
    """When it closed."""
    open: Points | None
    high: Points | None
    low: Points | None
    close: Points


class Surface(Value):
    """Implied volatility by horizon, from which any option can be priced.

    Parameters
    ----------
    spot
        Level of the underlying, > 0.
    sigmas
        At-the-money volatility, annualised (0.15 is 15 %), for horizons in sessions.
    label
        ``simulated: ...`` where no option was quoted; shown on every surface that prints a price.
    """

    symbol: str
    asof: AwareDatetime
    spot: Points
    sigmas: dict[int, float]
    label: str


class Right(StrEnum):
    """Which option a leg is."""

    CALL = "call"
    PUT = "put"


class Leg(Value):
    """One option of a structure. `quantity` is signed: +1 bought, -1 sold, per unit.

    A call struck at 0 is the underlying itself: whoever has the right to buy it for nothing has
    it, at every price and at any time before expiry.
    """

    right: Right
    strike: Points
    quantity: int

    @property
    def underlying(self) -> bool:
        """Whether it is the underlying and no option."""
        return self.right is Right.CALL and self.strike == 0

    @property
    def words(self) -> str:
        """Say what it is, for people.

        Examples
        --------
        >>> Leg(right=Right.PUT, strike=2340.0, quantity=-1).words
        '-1 2340 put'
        >>> Leg(right=Right.CALL, strike=0.0, quantity=1).words
        '+1 the underlying'
        """
        what = "the underlying" if self.underlying else f"{self.strike:g} {self.right}"
        return f"{self.quantity:+d} {what}"
