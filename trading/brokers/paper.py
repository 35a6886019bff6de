"""A broker that trades on paper: real prices, simulated fills."""

from domain.errors import DataError
from domain.trade import Fill, Intent, Order
from domain.values import Dollars, Points
from market import pricing
from trading import contracts
from trading.brokers.base import Broker, Quote, check
from trading.costs import expiry_costs, future_costs, share_costs, unit_costs
from trading.structures.base import value


class PaperBroker(Broker):
    """Fills every order whole, at the price of the quote.

    `Fill.price` is the market's: the mid of the simulated options, the printed price of a share or
    a future. Spread, slippage, commission and fees are all in `Fill.costs`, so that what trading
    costs can be told apart from what it earns.
    """

    name = "paper"
    simulated = "Fills: at the quoted price, whole, with modelled costs; no order moves the market"

    def submit(self, order: Order, quote: Quote) -> Fill:
        price = check(order, quote)
        sign = -1.0 if order.intent is Intent.OPEN else 1.0
        unit = sign * _worth(order, quote, price) if quote.level is None else quote.level
        return Fill(
            id=f"{order.id}#fill",
            order_id=order.id,
            decision_id=order.decision_id,
            quantity=order.quantity,
            price=unit,
            costs=self._costs(order, price, unit, quote.settled),
            at=quote.at,
        )

    def _costs(self, order: Order, price: Points, unit: Points, settled: bool) -> Dollars:
        proposal, quantity = order.proposal, order.quantity
        if proposal.structure == contracts.STRUCTURE:
            return future_costs(contracts.find(order.symbol), self.costs) * quantity
        if not proposal.legs:
            return share_costs(abs(unit), self.costs) * quantity
        charged = expiry_costs if settled else unit_costs
        return charged(proposal.legs, price, self.costs, proposal.multiplier) * quantity


def _worth(order: Order, quote: Quote, price: Points) -> Points:
    """Return what holding one unit is worth: the sum of its legs, one share, or one future."""
    proposal = order.proposal
    if not proposal.legs:
        return proposal.side * price
    if quote.surface is None:
        raise DataError(f"{order.id} trades options and the quote has no volatility surface")
    horizon = proposal.horizon if quote.horizon is None else quote.horizon
    return value(proposal.legs, pricing.shifted(quote.surface, price), horizon)
