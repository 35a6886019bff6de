"""What a broker is, and what it is told of the market."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from pydantic import AwareDatetime

from domain.book import Costs
from domain.errors import DataError, Refused
from domain.market import Bar, Surface
from domain.trade import Fill, Intent, Order
from domain.values import Points, Value
from trading.exits import AT_EXPIRY, Closing


class Quote(Value):
    """The market an order meets.

    Parameters
    ----------
    at
        When it trades. An order that opens is filled after the close that it was decided at, so
        the caller hands in the next open, or the next close of a feed that has no opens.
    price
        Of the underlying or the share, or None where it is unknown.
    surface
        To price options on; moved to `price` if it was taken at another spot.
    level
        What one unit traded at, received positive and paid negative, when an exit rule has seen
        it: a stop or a target that was reached inside the bar. None to price it.
    horizon
        Sessions that its options have left; None for the whole of the proposal's.
    next_bar
        It is the open of a bar that began when the one that was decided on had ended: the same
        moment, and yet the first price after it.
    settled
        Its options expired into cash at `level`: they are not traded, so nothing is charged for
        them.
    """

    symbol: str
    at: AwareDatetime
    price: Points | None
    surface: Surface | None = None
    level: Points | None = None
    horizon: float | None = None
    next_bar: bool = False
    settled: bool = False

    @classmethod
    def of(cls, closing: Closing, bar: Bar) -> Self:
        """Return the quote at which an exit rule saw a part of a position close in a bar."""
        return cls(
            symbol=bar.symbol,
            at=bar.at,
            price=bar.close,
            level=closing.price,
            settled=closing.why in AT_EXPIRY,
        )


class Broker(ABC):
    """Turns orders into fills.

    A broker may be asked twice for the same order, because messages are delivered twice. It fills
    it once: same order, same fill id.
    """

    name: ClassVar[str]
    simulated: ClassVar[str]
    """What is not real about its fills; empty where all of it is."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs

    @abstractmethod
    def submit(self, order: Order, quote: Quote) -> Fill:
        """Fill an order, whole.

        Raises
        ------
        DataError
            There is nothing to price it with. No default ever stands in for a price.
        Refused
            The quote is of another symbol, or from before the order may trade.
        """


def check(order: Order, quote: Quote) -> float:
    """Return the price an order meets, or raise what `Broker.submit` promises to."""
    if quote.symbol != order.symbol:
        raise Refused(f"{order.id} trades {order.symbol}, the quote is of {quote.symbol}")
    if quote.at < order.placed_at:
        raise Refused(f"{order.id} was placed after {quote.at:%Y-%m-%d %H:%M}; quote a later bar")
    if order.intent is Intent.OPEN and quote.at == order.placed_at and not quote.next_bar:
        raise Refused(f"{order.id} was decided on this very bar; quote the next open")
    if quote.price is None or quote.price <= 0:
        raise DataError(
            f"{order.symbol} has no price at {quote.at:%Y-%m-%d %H:%M}; {order.id} waits"
        )
    return quote.price
