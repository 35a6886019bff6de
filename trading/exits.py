"""How a position ends: one bar at a time, the worst thing that can have happened in it first.

Nothing in here knows of kill switches, limits or modes, so none of them can keep a position open.

Inside a bar the order of events is unknown, but for the open, so it is taken to be: the opening
gap, then the adverse extreme, then the favourable one, then the close. What falls through a stop
overnight is filled where the market opened and not where the stop was. What a bar teaches, such as
a new high, moves the stop of the next bar only: a stop cannot be raised by the same high whose low
then hits it.
"""

from collections.abc import Callable
from typing import NamedTuple

from pydantic import AwareDatetime, Field

from domain.book import Costs
from domain.bot import Bot
from domain.decision import Proposal
from domain.errors import DataError, Refused
from domain.market import Bar, Surface
from domain.trade import Exit, Fill, Order, Position
from domain.values import Dollars, Points, Value
from market import pricing
from trading import contracts
from trading.brackets import Held, Hit, through
from trading.costs import expiry_costs, future_costs, share_costs, unit_costs
from trading.structures.base import payoff, value

Priced = Callable[[float], Surface]
"""The surface of a bar with the underlying at a given level."""
IN_THE_MONEY = {"cash_secured_put": Exit.ASSIGNED, "covered_call": Exit.CALLED_AWAY}
"""How an expiry is told of what goes on as something else if what was sold is in the money."""
AT_EXPIRY = frozenset({Exit.EXPIRY, *IN_THE_MONEY.values()})


class Closing(Value):
    """A part of a position that was closed. `price` per unit: received positive, paid negative."""

    quantity: int = Field(gt=0)
    price: Points
    why: Exit
    costs: Dollars = Field(ge=0)
    """Of getting out; of options that expire into cash there are none."""


class _Event(NamedTuple):
    quantity: int
    price: Points
    why: Exit


def open_position(order: Order, fill: Fill, expires: AwareDatetime, bot: Bot) -> Position:
    """Return the position that a fill opens.

    Parameters
    ----------
    expires
        Close of the session at which its options expire, or its time is up.
    bot
        Whose rules set the first stop: for sold options the debit that loses `stop_multiple`
        credits, for shares and futures the proposal's distance from the fill. Bought options have
        none.

    Raises
    ------
    Refused
        The fill is of another order, or shares were sold short, which no exit here covers.
    """
    proposal = order.proposal
    if fill.order_id != order.id:
        raise Refused(f"{fill.id} fills {fill.order_id}, not {order.id}")
    if not proposal.legs and proposal.side < 0 and not _future(proposal):
        raise Refused(f"{order.id} sells shares short; only bought shares can be managed")
    position = Position(
        id=order.decision_id,
        decision_id=order.decision_id,
        bot=order.bot,
        symbol=order.symbol,
        proposal=proposal,
        factor=proposal.factor,
        side=proposal.side,
        quantity=fill.quantity,
        initial_quantity=fill.quantity,
        entry=fill.price,
        entry_costs=fill.costs,
        opened_at=fill.at,
        expires=expires,
        risk=0.0,
        mark=-fill.price,
        stop=_first_stop(proposal, fill.price, bot),
        best=-fill.price,
    )
    return position.model_copy(update={"risk": at_risk(position)})


def _future(proposal: Proposal) -> bool:
    return proposal.structure == contracts.STRUCTURE


def _first_stop(proposal: Proposal, entry: Points, bot: Bot) -> Points | None:
    if not proposal.legs:
        if proposal.stop is None:
            raise Refused(f"{proposal.structure} has no stop; nothing is held without one")
        return -proposal.side * (entry + proposal.stop)
    if entry <= 0 or bot.stop_multiple is None:
        return None
    return entry * (1 + bot.stop_multiple)


def risk_taken(position: Position) -> Dollars:
    """Return what one unit could lose when it was opened: the unit in which `r` is counted.

    The proposal's worst case, moved by what the fill was better or worse than proposed. For
    shares and futures the stop moves along with the fill, and the worst case stays.
    """
    proposal = position.proposal
    if not proposal.legs:
        return proposal.max_loss
    risk = proposal.max_loss + (proposal.entry - position.entry) * proposal.multiplier
    # a credit wider than the wings is a price that cannot be; count in the risk that was proposed
    return risk if risk > 0 else proposal.max_loss


def at_risk(position: Position) -> Dollars:
    """Return the most that the units still open can lose, with costs.

    Options: what was at risk at the start, for a stop is no promise over a weekend. Shares and
    futures: the way from the fill to the stop, which shrinks as the stop follows and frees the
    desk's limits.
    """
    proposal = position.proposal
    if proposal.legs or position.stop is None:
        return risk_taken(position) * position.quantity
    way = -(position.entry + position.side * position.stop)
    per_unit = way * proposal.multiplier + proposal.costs
    return max(0.0, per_unit) * position.quantity


def reduced(position: Position, quantity: int) -> Position | None:
    """Return the position with only `quantity` units left, or None with none left.

    Costs of entry and risk are shared out by unit, so a position that is closed in parts makes
    the same trades whether each part is taken from all of it or from what was left.
    """
    if not 0 <= quantity <= position.quantity:
        raise Refused(f"{position.id} holds {position.quantity}, {quantity} cannot be left")
    if not quantity:
        return None
    share = quantity / position.quantity
    return position.model_copy(
        update={
            "quantity": quantity,
            "entry_costs": position.entry_costs * share,
            "risk": position.risk * share,
        }
    )


def flat(position: Position, spot: Points, costs: Costs, why: Exit = Exit.SESSION_END) -> Closing:
    """Return the closing of all that is left, at its last mark."""
    event = _Event(position.quantity, position.mark, why)
    return _closing(position, event, spot, costs)


def mark(
    position: Position, spot: Points, surface: Surface | None = None, horizon: float = 0.0
) -> Position:
    """Return the position valued at `spot`; nothing else about it changes.

    Raises
    ------
    DataError
        Options that have not expired are valued without a surface.
    """
    legs = position.proposal.legs
    if not legs:
        return position.model_copy(update={"mark": position.side * spot})
    if horizon <= 0:
        return position.model_copy(update={"mark": payoff(legs, spot)})
    if surface is None:
        raise DataError(f"{position.id} cannot be valued: no volatility surface at {spot}")
    moved = surface if surface.spot == spot else pricing.shifted(surface, spot)
    return position.model_copy(update={"mark": value(legs, moved, horizon)})


def step(  # noqa: PLR0913 -- what a bar is, and what is known at its close
    position: Position,
    bar: Bar,
    bot: Bot,
    costs: Costs,
    remaining: float,
    surface: Priced | None = None,
    close_range: float | None = None,
    length: float = 1.0,
) -> tuple[Position | None, tuple[Closing, ...]]:
    """Carry a position through one bar.

    Parameters
    ----------
    bar
        The next bar after the last one it was carried through; the first is the one at whose
        open it was filled. Where a bar has only a close, only the close is seen.
    remaining
        Sessions left after this bar's close, parts of one counted; at or below 0 it ends at this
        close.
    surface
        Prices options with the underlying at any level of this bar, at the volatility of its
        close where no other is known. None keeps the last mark and decides nothing but the
        expiry, which needs no volatility.
    close_range
        The share's mean absolute close-to-close move, as a share of its price, known at this
        close. None leaves the trailing stop where it is.
    length
        Sessions that the bar lasts: 1 for a daily one, 1/78 for five minutes.

    Returns
    -------
    position
        What is left after the bar, marked at its close, or None.
    closings
        In the order they happened; together never more than what was held.

    Raises
    ------
    Refused
        The bar is of another symbol.
    """
    if bar.symbol != position.symbol:
        raise Refused(f"{position.id} is in {position.symbol}, the bar is of {bar.symbol}")
    if position.proposal.legs:
        left, events = _options(position, bar, bot, remaining, surface, length)
    elif _future(position.proposal):
        left, events = _futures(position, bar, bot, remaining)
    else:
        left, events = _shares(position, bar, bot, remaining, close_range, costs)
    return left, tuple(_closing(position, event, bar.close, costs) for event in events)


def _closing(position: Position, event: _Event, spot: Points, costs: Costs) -> Closing:
    quantity, price, why = event
    return Closing(
        quantity=quantity,
        price=price,
        why=why,
        costs=closing_costs(position, price, spot, why, costs) * quantity,
    )


def closing_costs(
    position: Position, price: Points, spot: Points, why: Exit, costs: Costs
) -> Dollars:
    """Return what closing one unit costs. Options that expire are settled in cash, for nothing."""
    multiplier = position.proposal.multiplier
    legs = position.proposal.legs
    if _future(position.proposal):
        return future_costs(contracts.find(position.symbol), costs)
    if not legs:
        return share_costs(price, costs)
    if why in AT_EXPIRY:
        return expiry_costs(legs, spot, costs, multiplier)
    return unit_costs(legs, spot, costs, multiplier)


def _expired(position: Position, spot: Points) -> Exit:
    """Return how the options of a position ended at expiry."""
    told = IN_THE_MONEY.get(position.proposal.structure)
    sold = tuple(leg for leg in position.proposal.legs if leg.quantity < 0)
    return told if told is not None and payoff(sold, spot) < 0 else Exit.EXPIRY


def _options(
    position: Position,
    bar: Bar,
    bot: Bot,
    remaining: float,
    surface: Priced | None,
    length: float,
) -> tuple[Position | None, list[_Event]]:
    legs = position.proposal.legs
    if surface is None:
        if remaining > 0:
            seen_to = {"bars": position.bars + 1, "marked_at": bar.at}
            return position.model_copy(update=seen_to), []
        settled = _Event(position.quantity, payoff(legs, bar.close), _expired(position, bar.close))
        return None, [settled]
    # the dearest moment for a seller: until the close, the whole bar's time value counts
    before = remaining + length
    stop, target = position.stop, _target(position, bot)
    if bar.open is not None and stop is not None:
        at_open = value(legs, surface(bar.open), before)
        if -at_open >= stop:
            return None, [_Event(position.quantity, at_open, Exit.GAP_STOP)]
    inside = [
        value(legs, surface(spot), before) for spot in (bar.low, bar.high) if spot is not None
    ]
    if remaining > 0:
        at_close = value(legs, surface(bar.close), remaining)
    else:
        at_close = payoff(legs, bar.close)
    seen = [*inside, at_close]
    if stop is not None and -min(seen) >= stop:
        # on a path it was passed on the way; after a lone close nobody knows how far beyond
        price = -stop if inside else at_close
        return None, [_Event(position.quantity, price, Exit.STOP)]
    if target is not None and max(seen) >= target:
        return None, [_Event(position.quantity, target, Exit.PROFIT_TARGET)]
    if remaining <= 0:
        return None, [_Event(position.quantity, at_close, _expired(position, bar.close))]
    best = at_close if position.best is None else max(position.best, at_close)
    news = {"mark": at_close, "best": best, "bars": position.bars + 1, "marked_at": bar.at}
    return position.model_copy(update=news), []


def _target(position: Position, bot: Bot) -> Points | None:
    """Return the mark at which a winner is closed.

    A limit order rests there and gets no more, not even at an open beyond it: the volatility that
    prices the bar may be its close's, of which the open knew nothing.
    """
    if position.entry <= 0 or bot.profit_target is None:
        return None
    return -position.entry * (1 - bot.profit_target)


def _futures(
    position: Position, bar: Bar, bot: Bot, remaining: float
) -> tuple[Position | None, list[_Event]]:
    entry, side, held = position.entry, position.side, position.quantity
    if bot.brackets is None or position.stop is None or position.best is None:
        raise DataError(f"{position.id} holds futures without a stop or brackets; close by hand")
    found = through(
        bar, Held(side, -side * entry, position.stop, entry + position.best), bot.brackets
    )
    if isinstance(found, Hit):
        return None, [_Event(held, side * found.price, found.why)]
    if remaining <= 0:
        return None, [_Event(held, side * bar.close, Exit.TIME)]
    news = {
        "mark": side * bar.close,
        "best": found.best - entry,
        "stop": found.stop,
        "bars": position.bars + 1,
        "marked_at": bar.at,
    }
    carried = position.model_copy(update=news)
    return carried.model_copy(update={"risk": at_risk(carried)}), []


def _shares(
    position: Position,
    bar: Bar,
    bot: Bot,
    remaining: float,
    close_range: float | None,
    costs: Costs,
) -> tuple[Position | None, list[_Event]]:
    held, stop, one_r = position.quantity, position.stop, _one_r(position)
    if stop is None:
        raise DataError(f"{position.id} holds shares without a stop; sell them by hand")
    half = held // 2 if held == position.initial_quantity else 0
    events: list[_Event] = []
    if bar.open is not None:
        if bar.open <= stop:
            return None, [_Event(held, bar.open, Exit.GAP_STOP)]
        if half and bar.open >= one_r:
            events.append(_Event(half, bar.open, Exit.PARTIAL))
            held, half = held - half, 0
    low = bar.close if bar.low is None else bar.low
    high = bar.close if bar.high is None else bar.high
    if low <= stop:
        # on a path it was passed on the way; after a lone close nobody knows how far beyond
        price = bar.close if bar.low is None else stop
        return None, [*events, _Event(held, price, _why(position, stop, costs))]
    if half and high >= one_r:
        events.append(_Event(half, one_r, Exit.PARTIAL))
        held -= half
    if remaining <= 0:
        return None, [*events, _Event(held, bar.close, Exit.TIME)]
    news = {
        "quantity": held,
        "entry_costs": position.entry_costs * held / position.quantity,
        "mark": bar.close,
        "best": high if position.best is None else max(position.best, high),
        "bars": position.bars + 1,
        "marked_at": bar.at,
    }
    carried = position.model_copy(update=news)
    raised = {"stop": max(stop, _raised(carried, bot, close_range, costs))}
    carried = carried.model_copy(update=raised)
    return carried.model_copy(update={"risk": at_risk(carried)}), events


def _raised(position: Position, bot: Bot, close_range: float | None, costs: Costs) -> Points:
    """Return where the next bar's stop belongs, by what is known at this close.

    After one unit of risk it is at break-even at least, and follows the best price at
    `trail_ranges` usual moves.
    """
    best = position.best
    if best is None or best < _one_r(position):
        return _first(position)
    even = break_even(position, costs)
    if bot.trail_ranges is None or close_range is None:
        return even
    return max(even, best - bot.trail_ranges * close_range * position.mark)


def break_even(position: Position, costs: Costs) -> Points:
    """Return the price of a share at which its trade comes out at nothing, costs counted."""
    paid = -position.entry
    return paid + 2 * share_costs(paid, costs)


def _first(position: Position) -> Points:
    return -position.entry - (position.proposal.stop or 0.0)


def _one_r(position: Position) -> Points:
    return -position.entry + (position.proposal.stop or 0.0)


def _why(position: Position, stop: Points, costs: Costs) -> Exit:
    if stop <= _first(position):
        return Exit.STOP
    return Exit.BREAK_EVEN if stop <= break_even(position, costs) else Exit.TRAIL
