"""The money of the desk: an account per bot, and the book that a decision is shown.

Cash moves by trades alone, and every cost is in a trade's result, so what an account started with
plus the results of its trades is its cash, to the cent.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from math import fsum
from typing import Self

from pydantic import AwareDatetime

from domain.book import Book, Exposure
from domain.bot import Bot
from domain.trade import Position, Trade
from domain.values import Dollars, Fraction, Value
from trading.exits import Closing, risk_taken

FLAT = 0.001
"""Results nearer to zero than this, in units of risk, neither win nor lose. What a put brings that
is sold against its whole strike is half a hundredth of it; a share that is stopped at break-even
comes out within a ten-thousandth."""


class Account(Value):
    """The state of one bot's money.

    `capital` is what it started with, `cash` that and all results so far, `unrealised` what its
    open positions would add at their last mark. `losses_in_row` is broken by a win; a trade that
    comes out even leaves it alone.
    """

    bot: str
    capital: Dollars
    cash: Dollars
    unrealised: Dollars = 0.0
    peak: Dollars
    session: date | None = None
    """The session that `day_open_equity` is of."""
    day_open_equity: Dollars
    losses_in_row: int = 0
    trades: int = 0
    wins: int = 0
    losses: int = 0
    costs: Dollars = 0.0
    """Of all trades; they are in `cash` already."""

    @classmethod
    def of(cls, bot: Bot) -> Self:
        """Return the account of a bot that has not traded."""
        capital = bot.capital
        return cls(
            bot=bot.name, capital=capital, cash=capital, peak=capital, day_open_equity=capital
        )

    @property
    def equity(self) -> Dollars:
        return self.cash + self.unrealised

    @property
    def day_pnl(self) -> Dollars:
        return self.equity - self.day_open_equity

    @property
    def drawdown(self) -> Fraction:
        """How far below its peak, as a share of the peak."""
        return max(0.0, 1 - self.equity / self.peak)


def applied(account: Account, trade: Trade) -> Account:
    """Book the result of a trade.

    The position's share of `unrealised` is still in there until the account is `marked` again,
    so book the trades of a bar first and mark what is left after.
    """
    won, lost = trade.r > FLAT, trade.r < -FLAT
    streak = account.losses_in_row + 1 if lost else 0 if won else account.losses_in_row
    return account.model_copy(
        update={
            "cash": account.cash + trade.pnl,
            "losses_in_row": streak,
            "trades": account.trades + 1,
            "wins": account.wins + won,
            "losses": account.losses + lost,
            "costs": account.costs + trade.costs,
        }
    )


def marked(account: Account, unrealised: Dollars) -> Account:
    """Value what is open anew; a new high of the equity is the new peak."""
    equity = account.cash + unrealised
    return account.model_copy(update={"unrealised": unrealised, "peak": max(account.peak, equity)})


def rolled(account: Account, session: date) -> Account:
    """Open a session: today's result counts from this equity.

    Rolling into the session that is open already changes nothing. Raises `ValueError` when the
    session lies before it.
    """
    if account.session is not None and session <= account.session:
        if session < account.session:
            raise ValueError(f"{account.bot} cannot go back from {account.session} to {session}")
        return account
    return account.model_copy(update={"session": session, "day_open_equity": account.equity})


def reset_streak(account: Account) -> Account:
    """Forget the losses in a row: the latch that they threw has expired or was released."""
    return account.model_copy(update={"losses_in_row": 0})


def unrealised(positions: Iterable[Position]) -> Dollars:
    """Return what open positions would add at their marks. What it cost to get in is gone."""
    return sum(position.unrealised - position.entry_costs for position in positions)


def trade(position: Position, closing: Closing, at: AwareDatetime) -> Trade:
    """Return the trade that a closing makes of a position, as it was before the bar.

    Several closings of one bar are all taken against that same position: costs of entry and risk
    are shared out by quantity.
    """
    quantity, proposal = closing.quantity, position.proposal
    costs = position.entry_costs * quantity / position.quantity + closing.costs
    pnl = (position.entry + closing.price) * proposal.multiplier * quantity - costs
    risk = risk_taken(position) * quantity
    return Trade(
        id=f"{position.decision_id}/{closing.why}-{at:%Y%m%dT%H%MZ}",
        decision_id=position.decision_id,
        bot=position.bot,
        symbol=position.symbol,
        structure=proposal.structure,
        quantity=quantity,
        entry=position.entry,
        exit=closing.price,
        pnl=pnl,
        costs=costs,
        risk=risk,
        r=pnl / risk,
        why=closing.why,
        opened_at=position.opened_at,
        closed_at=at,
        simulated=proposal.simulated,
    )


def whole(closed: Iterable[Trade], still: Collection[str]) -> list[Trade]:
    """Return one trade per entry that is wholly closed, in how many parts it may have been.

    A half that is sold at 1 R and the rest that is stopped are one decision and one result. To
    count them as two would show a winner and hide what the rest came to.

    Parameters
    ----------
    closed
        Closings, oldest first.
    still
        Ids of the decisions of which something is still held; they are left out.
    """
    parts: dict[str, list[Trade]] = {}
    for part in closed:
        if part.decision_id not in still:
            parts.setdefault(part.decision_id, []).append(part)
    return [_joined(closings) for closings in parts.values()]


def _joined(parts: Sequence[Trade]) -> Trade:
    pnl, risk = fsum(part.pnl for part in parts), fsum(part.risk for part in parts)
    return parts[-1].model_copy(
        update={
            "quantity": sum(part.quantity for part in parts),
            "pnl": pnl,
            "costs": fsum(part.costs for part in parts),
            "risk": risk,
            "r": pnl / risk,
        }
    )


def exposure(position: Position) -> Exposure:
    """Return what a position puts at stake."""
    return Exposure(
        id=position.decision_id,
        bot=position.bot,
        symbol=position.symbol,
        factor=position.factor,
        side=position.side,
        risk=position.risk,
    )


def book(
    account: Account,
    desk: Iterable[Account],
    exposures: Iterable[Exposure],
    positions: Iterable[Position],
    allocation: Fraction,
    trades_today: int = 0,
    orders_today: int = 0,
) -> Book:
    """Return the book of one bot.

    Parameters
    ----------
    desk
        The accounts of every bot, this one's among them.
    exposures
        Of every bot: open positions and reservations.
    positions
        Open ones; those of other bots are not counted.
    allocation
        The bot's share of the desk's capital.
    trades_today
        Entries of this bot since the session opened.
    orders_today
        Orders of this bot for the symbol that is to be decided.
    """
    accounts = tuple(desk)
    return Book(
        equity=account.equity,
        peak=account.peak,
        day_pnl=account.day_pnl,
        desk_equity=sum(each.equity for each in accounts),
        losses_in_row=account.losses_in_row,
        open_positions=sum(position.bot == account.bot for position in positions),
        trades_today=trades_today,
        orders_today=orders_today,
        exposures=tuple(exposures),
        allocation=allocation,
        bots=len(accounts),
    )
