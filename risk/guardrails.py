"""PROVERBS: the guardrails that every entry has to pass before a model is even asked.

A guardrail is a rule ``Context -> Verdict | None`` with a line in `GUARDRAILS`; None is no
objection. What cannot be judged is refused. Exits do not come this way.

`trips` is the other half: the guardrails that must outlive a decision, as latches.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import isfinite, prod

from domain.book import Book, KillCode, Limits, Scope, Switch, Switches
from domain.bot import Bot
from domain.decision import Context, Effect, Reason, Verdict
from risk import killswitch
from risk.measures import underwater

Guardrail = Callable[[Context], Verdict | None]

SOFT = 0.5
"""What is left of the size after the soft daily loss, and while decisions come too late."""


def _veto(code: Reason, reason: str, **evidence: float) -> Verdict:
    return Verdict(layer="safety", effect=Effect.VETO, code=code, reason=reason, evidence=evidence)


def lost_today(book: Book) -> float:
    """Return today's loss as a share of the equity the bot began the session with, >= 0.

    Everything (1) where the bot had nothing to begin with.

    Examples
    --------
    >>> from domain.examples import book
    >>> lost_today(book(equity=95_000.0, day_pnl=-5_000.0))
    0.05
    """
    start = book.equity - book.day_pnl
    return max(0.0, -book.day_pnl / start) if start > 0 else 1.0


def fallen(book: Book) -> float:
    """Return the bot's drawdown now, open positions at their marks; all (1) without a peak."""
    return underwater(book.equity, book.peak) if book.peak > 0 else 1.0


def session(context: Context) -> Verdict | None:
    """Refuse when the exchange is closed."""
    if context.due is None:
        return _veto(Reason.CLOSED, f"no session at {context.asof:%Y-%m-%d %H:%MZ}")
    return None


def data(context: Context) -> Verdict | None:
    """Refuse a bar that data quality objects to, one from the future, or one without a price."""
    if context.issues:
        return _veto(Reason.DATA, "; ".join(context.issues), issues=len(context.issues))
    if context.bar > context.asof:
        return _veto(Reason.DATA, f"the bar of {context.bar} is not closed at {context.asof}")
    if context.price is None or not (isfinite(context.price) and context.price > 0):
        return _veto(Reason.DATA, f"the price of {context.symbol} is unknown: {context.price}")
    return None


def stale(context: Context) -> Verdict | None:
    """Refuse when the newest bar is missing for longer than `stale_minutes` after it was due."""
    if context.due is None:
        return _veto(Reason.STALE, "without a session nobody can say how old the data may be")
    late = (context.asof - context.due) / timedelta(minutes=1)
    if context.bar >= context.due or late <= context.limits.stale_minutes:
        return None
    return _veto(
        Reason.STALE,
        f"newest bar closed {context.bar:%Y-%m-%d %H:%MZ}, one was due {late:.0f} min ago",
        minutes_late=late,
        limit=context.limits.stale_minutes,
    )


def loss_streak(context: Context) -> Verdict | None:
    """Refuse after too many losses in a row.

    `Book.losses_in_row` counts since the last pause for a streak ended; a count over the whole
    life of a bot would stop it for good, since a bot that may not trade cannot win again.
    """
    losses, limit = context.book.losses_in_row, context.limits.loss_streak
    if losses < limit:
        return None
    text = f"{losses} losses in a row, limit {limit}"
    return _veto(Reason.LOSS_STREAK, text, losses=losses, limit=limit)


def daily_loss(context: Context) -> Verdict | None:
    """Halve the size at the soft daily loss, refuse at the hard one."""
    lost, limits = lost_today(context.book), context.limits
    if lost >= limits.daily_loss_hard:
        return _veto(
            Reason.DAILY_LOSS,
            f"lost {lost:.2%} today, limit {limits.daily_loss_hard:.2%}",
            lost=lost,
            limit=limits.daily_loss_hard,
        )
    if lost < limits.daily_loss_soft:
        return None
    return Verdict(
        layer="safety",
        effect=Effect.ADJUST,
        code=Reason.DAILY_LOSS,
        reason=f"lost {lost:.2%} today, soft limit {limits.daily_loss_soft:.2%}: half size",
        scale=SOFT,
        evidence={"lost": lost, "limit": limits.daily_loss_soft},
    )


def drawdown(context: Context) -> Verdict | None:
    """Refuse when equity, open positions counted, is too far below its peak."""
    depth, limit = fallen(context.book), context.limits.max_drawdown
    if depth < limit:
        return None
    text = f"{depth:.2%} below the peak, limit {limit:.2%}"
    return _veto(Reason.DRAWDOWN, text, drawdown=depth, limit=limit)


def repeat_orders(context: Context) -> Verdict | None:
    """Refuse one more order for the same bot and symbol: a loop looks like this (RTS 6 Art. 15)."""
    orders, limit = context.book.orders_today, context.limits.repeat_orders
    if orders < limit:
        return None
    text = f"{orders} orders for {context.symbol} in this session, limit {limit}"
    return _veto(Reason.REPEAT_ORDERS, text, orders=orders, limit=limit)


def max_open(context: Context) -> Verdict | None:
    """Refuse when the bot holds as many positions as it may."""
    held, limit = context.book.open_positions, context.bot.max_open
    if held < limit:
        return None
    return _veto(Reason.MAX_OPEN, f"{held} positions open, limit {limit}", open=held, limit=limit)


def max_daily(context: Context) -> Verdict | None:
    """Refuse when the bot has traded as often today as it may."""
    traded, limit = context.book.trades_today, context.bot.max_daily
    if traded < limit:
        return None
    text = f"{traded} trades today, limit {limit}"
    return _veto(Reason.MAX_DAILY, text, trades=traded, limit=limit)


def degraded(context: Context) -> Verdict | None:
    """Halve the size while decisions come too late."""
    if not context.degraded:
        return None
    return Verdict(
        layer="safety",
        effect=Effect.ADJUST,
        code=Reason.DEGRADED,
        reason="decisions come too late: half size",
        scale=SOFT,
    )


GUARDRAILS: dict[str, Guardrail] = {
    "killed": killswitch.refuse_entry,
    "session": session,
    "data": data,
    "stale": stale,
    "loss_streak": loss_streak,
    "daily_loss": daily_loss,
    "drawdown": drawdown,
    "repeat_orders": repeat_orders,
    "max_open": max_open,
    "max_daily": max_daily,
    "degraded": degraded,
}
"""Every guardrail, in the order they are asked. To add one, write its rule and add a line."""


def safety(context: Context, guardrails: Mapping[str, Guardrail] = GUARDRAILS) -> Verdict:
    """Ask every guardrail: the first veto wins, reductions multiply.

    Examples
    --------
    >>> from domain.examples import book, context
    >>> safety(context()).effect
    <Effect.PASS: 'pass'>
    >>> safety(context(book=book(losses_in_row=3))).reason
    '3 losses in a row, limit 3'
    """
    reductions: list[Verdict] = []
    for guardrail in guardrails.values():
        verdict = guardrail(context)
        if verdict is None:
            continue
        if verdict.effect is Effect.VETO:
            return verdict
        reductions.append(verdict)
    book = context.book
    evidence = {
        "lost_today": lost_today(book),
        "drawdown": fallen(book),
        "losses_in_row": float(book.losses_in_row),
    }
    if not reductions:
        return Verdict(layer="safety", evidence=evidence)
    return Verdict(
        layer="safety",
        effect=Effect.ADJUST,
        code=reductions[0].code,
        reason="; ".join(verdict.reason for verdict in reductions),
        scale=prod(verdict.scale for verdict in reductions),
        evidence=evidence,
    )


def trips(
    book: Book,
    limits: Limits,
    bot: Bot,
    at: datetime,
    expires_at: datetime,
    symbol: str | None = None,
    switches: Switches | None = None,
) -> tuple[Switch, ...]:
    """Return the latches that the guardrail sweep has to throw for one bot.

    A guardrail refuses an entry while its cause can be seen in the book; the latch keeps refusing
    until the session rolls, through restarts and through a book that has recovered meanwhile. A
    drawdown leaves the exits to work (REDUCING), a losing day or streak halts the bot, repeated
    orders halt the symbol, for whatever repeats them may do so under another bot's name.

    Parameters
    ----------
    expires_at
        The next session roll.
    symbol
        Which symbol `book.orders_today` counts; left out, the whole bot is halted for them.
    switches
        What is set already; a latch that is in force is not thrown again.
    """
    lost, depth = lost_today(book), fallen(book)
    target = (Scope.BOT, bot.name)
    orders = target if symbol is None else (Scope.SYMBOL, symbol)
    sweep = (
        (KillCode.LOSS_STREAK, target, book.losses_in_row, limits.loss_streak),
        (KillCode.DAILY_LOSS, target, lost, limits.daily_loss_hard),
        (KillCode.DRAWDOWN, target, depth, limits.max_drawdown),
        (KillCode.REPEAT_ORDERS, orders, book.orders_today, limits.repeat_orders),
    )
    in_force = {
        (latch.code, latch.scope, latch.target)
        for latch in (switches.latches if switches is not None else ())
        if latch.expires_at is None or at < latch.expires_at
    }
    return tuple(
        killswitch.automatic(
            scope,
            name,
            code,
            f"{bot.name}: {measured:.4g}, limit {limit:.4g}",
            at,
            expires_at,
            {"measured": measured, "limit": limit},
        )
        for code, (scope, name), measured, limit in sweep
        if measured >= limit and (code, scope, name) not in in_force
    )
