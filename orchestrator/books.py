"""What happens after a decision: orders fill, positions are marked, closed and counted.

Every function here can run twice, or stop half-way and run again: what is done already is found in
the store and not done a second time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from domain.book import KillCode, Scope, Switch, Switches
from domain.bot import Bot
from domain.errors import DataError, Transient
from domain.market import Bar
from domain.trade import Fill, Intent, Order, Position, Trade
from domain.values import Value
from market import calendar, pricing
from orchestrator.desk import Desk
from orchestrator.pulse import Pulse, alive
from orchestrator.view import SLA, accounts, punctuality, read_accounts
from risk import capital, guardrails, killswitch, sla
from risk.capital import Capital
from risk.sla import Sla
from storage import audit, decisions, orders, outbox, state, switches, trades
from storage.engine import Store
from trading import accounting, exits
from trading.accounting import Account
from trading.brokers.base import Quote
from trading.exits import Closing

SKEW = 1.0
"""Seconds by which a clock may differ from the database's."""
MARKED = "marked"
"""Key of the last bar that every account was marked to."""
MANY = 1000
"""Messages taken from the outbox at a time."""


class Mark(Value):
    """One bot's money at one close."""

    bot: str
    at: datetime
    equity: float
    cash: float
    unrealised: float


def execute(desk: Desk) -> int:
    """Work off the outbox: fill the orders for which a price has come; return how many.

    An order and its message were written with the decision, so none can be lost on the way.
    Decided at a close, filled at the next open; a feed without opens fills at the next close. Where
    there are bars within the session, the next of them is next. A switch that was thrown meanwhile
    cancels the order: it would only add risk. So does a session that passes without a price.
    """
    now, filled = desk.clock.now(), 0
    messages = [m for m in outbox.pending(desk.store, MANY) if m.topic == outbox.EXECUTE]
    if not messages:
        return 0
    halted, settled = switches.read(desk.store), []
    for message in messages:
        order, status = orders.get(desk.store, message.payload["order"])
        if status == "open" and not _settle(desk, order, halted, now):
            continue
        settled.append(message.id)
        filled += status == "open" and orders.get(desk.store, order.id)[1] == "filled"
    outbox.published(desk.store, settled, now)
    return filled


def _settle(desk: Desk, order: Order, halted: Switches, now: datetime) -> bool:
    """Fill or cancel an open order; False while it has to wait.

    An order that closes waits for `mark`, which records it with the trade that it makes.
    """
    if order.intent is Intent.CLOSE:
        return False
    bot = desk.bot(order.bot)
    mode, latch = killswitch.mode(halted, bot.name, bot.strategy, order.symbol, now)
    if not killswitch.allows(mode, order.intent):
        why = "the switches cannot be read" if latch is None else f"{latch.code}: {latch.reason}"
        return orders.cancel(desk.store, order.id, why, now)
    expires = calendar.ahead(order.placed_at, order.proposal.horizon)
    fill = _fill(desk, order, expires, now)
    if fill is None:
        late = now > calendar.ahead(order.placed_at, 1)
        return late and orders.cancel(desk.store, order.id, "a session passed without a price", now)
    opened = exits.open_position(order, fill, expires, bot)
    return orders.record_fill(desk.store, fill, opened, halted.revision)


def _fill(desk: Desk, order: Order, expires: datetime, now: datetime) -> Fill | None:
    """Return what the broker makes of an order, or None while there is nothing to price it with.

    Options whose volatility is unknown wait; the orders behind them do not.
    """
    quote = _quote(desk, order, expires, now)
    try:
        return None if quote is None else desk.broker.submit(order, quote)
    except DataError:
        return None


def _quote(desk: Desk, order: Order, expires: datetime, now: datetime) -> Quote | None:
    """Return the first price after the order was placed, or None while there is none.

    Where there are bars within sessions an order is for the session that it was placed in, or for
    the next if that was over: what was to expire by then is not sold a day later.
    """
    found = _met(desk, order, now)
    if found is None:
        return None
    (at, price), scans, left = found, desk.feed.scans(order.symbol), None
    if scans:
        left = calendar.left(at, expires)
        if not left or at > calendar.ahead(order.placed_at, 1):
            return None
    known = desk.surface(at) if order.proposal.legs else None
    return Quote(
        symbol=order.symbol, at=at, price=price, surface=known, horizon=left, next_bar=scans
    )


def _met(desk: Desk, order: Order, now: datetime) -> tuple[datetime, float] | None:
    """Return when and where an order meets the market by now."""
    first = desk.feed.entry(order.symbol, order.placed_at, now)
    if first is not None:
        return first
    session = calendar.session_of(now)
    if session is not None:
        opened = calendar.opens(session)
        price = desk.feed.opening(order.symbol, opened) if opened > order.placed_at else None
        if price is not None:
            return opened, price
    bar = desk.feed.bar(order.symbol, now)
    if bar is None or bar.at <= order.placed_at or bar.open is not None:
        return None
    return bar.at, bar.close


def mark(desk: Desk) -> int:
    """Carry every open position through the bars it has not seen; return how many parts closed.

    Exits reduce, so no switch and no limit is asked.

    Raises
    ------
    Transient
        Somebody changed an account meanwhile. What was closed is recorded; the next look at the
        books counts it.
    """
    now, closed = desk.clock.now(), 0
    kept, revisions = read_accounts(desk.store, desk.bots)
    books = _counted(desk, kept)
    carried: list[Position] = []
    held: list[Position] = []
    for position in trades.positions(desk.store):
        left: Position | None = position
        for unseen in _unseen(desk, position, now):
            if left is None:
                break
            left, done = _carry(desk, left, unseen)
            closed += len(done)
            for trade in done:
                books[trade.bot] = accounting.applied(books[trade.bot], trade)
        if left is not None:
            held.append(left)
            if left is not position:
                carried.append(left)
    bar = desk.sight(now).bar
    last = state.get(desk.store, MARKED)
    news = carried or closed or books != kept
    if news or last is None or last.body != bar.isoformat():
        trades.mark(desk.store, carried)
        _value(desk, books, held, bar, revisions)
    return closed


def _counted(desk: Desk, kept: dict[str, Account]) -> dict[str, Account]:
    """Return the accounts with every trade that is recorded.

    A trade is recorded before the account that it changes. A process that ends in between, or
    one that writes an account it had read too early, leaves trades that no account has counted;
    they are the newest.
    """
    books, recorded = dict(kept), trades.count(desk.store)
    for name, account in kept.items():
        missing = recorded.get(name, 0) - account.trades
        if missing > 0:
            for trade in trades.trades(desk.store, bot=name, limit=missing):
                books[name] = accounting.applied(books[name], trade)
    return books


def _unseen(desk: Desk, position: Position, now: datetime) -> Iterable[Bar]:
    """Yield the bars that closed after the position was last looked at."""
    since = position.marked_at or position.opened_at
    for moment in desk.feed.moments(since, now):
        bar = desk.feed.bar(position.symbol, moment)
        if bar is not None and bar.at > since:
            since = bar.at
            yield bar


def _carry(desk: Desk, position: Position, bar: Bar) -> tuple[Position | None, list[Trade]]:
    """Take a position through one bar; record what it closes."""
    bot = desk.bot(position.bot)
    known = desk.surface(bar.at) if position.proposal.legs else None
    remaining, length = calendar.left(bar.at, position.expires), 1.0
    if desk.feed.scans(position.symbol):
        length = (
            calendar.left(position.marked_at or position.opened_at, position.expires) - remaining
        )
    left, closings = exits.step(
        position,
        bar,
        bot,
        desk.settings.costs,
        remaining,
        None if known is None else (lambda spot: pricing.shifted(known, spot)),
        desk.features(bar.at).get(position.symbol, {}).get("close_range_14"),
        length,
    )
    if left is not None:
        left = left.model_copy(update={"marked_at": bar.at})
    done = _close(desk, position, left, closings, bar.at)
    return left, done


def _close(
    desk: Desk,
    position: Position,
    left: Position | None,
    closings: tuple[Closing, ...],
    at: datetime,
) -> list[Trade]:
    """Record each closing as an order, a fill and a trade. Units leave in the order given."""
    done, held = [], position.quantity
    for closing in closings:
        held -= closing.quantity
        order = Order.closing(position, closing.quantity, closing.why, at)
        fill = Fill(
            id=f"{order.id}#fill",
            order_id=order.id,
            decision_id=order.decision_id,
            quantity=closing.quantity,
            price=closing.price,
            costs=closing.costs,
            at=at,
        )
        trade = accounting.trade(position, closing, at)
        rest = left if left and left.quantity == held else exits.reduced(position, held)
        orders.place(desk.store, order, at)
        if trades.close(desk.store, fill, trade, rest):
            done.append(trade)
    return done


def _value(
    desk: Desk,
    books: dict[str, Account],
    held: Sequence[Position],
    bar: datetime,
    revisions: Mapping[str, int],
) -> None:
    """Mark every account to its open positions, and keep the equity of this close."""
    kept: dict[str, object] = {MARKED: bar.isoformat()}
    for name, account in books.items():
        open_now = accounting.unrealised(p for p in held if p.bot == name)
        marked = accounting.marked(account, open_now)
        mark = Mark(bot=name, at=bar, equity=marked.equity, cash=marked.cash, unrealised=open_now)
        kept[f"account/{name}"] = marked.model_dump(mode="json")
        kept[f"equity/{name}/{bar:%Y%m%dT%H%MZ}"] = mark.model_dump(mode="json")
    state.put_many(desk.store, kept, revisions)


def _keep(store: Store, books: Iterable[Account], revisions: Mapping[str, int]) -> None:
    """Write accounts that were read at these revisions; `Transient` if one was changed since."""
    bodies = {f"account/{a.bot}": a.model_dump(mode="json") for a in books}
    state.put_many(store, bodies, {key: revisions[key] for key in bodies})


def equity(desk: Desk) -> dict[str, list[Mark]]:
    """Return each bot's equity at every close it was marked at, oldest first."""
    found: dict[str, list[Mark]] = {name: [] for name in desk.bots}
    for kept in state.listing(desk.store, "equity/").values():
        mark = Mark.model_validate(kept.body)
        found.setdefault(mark.bot, []).append(mark)
    return found


def sweep(desk: Desk) -> int:
    """Throw the automatic switches that the books call for; return how many were new.

    A streak of losses is forgiven when its latch is set: the pause is the price, and a bot that
    may not trade can never win its way out.
    """
    now = desk.clock.now()
    revisions = read_accounts(desk.store, desk.bots)[1]  # before the view: what is newer is noticed
    view, until, forgiven = desk.view(now), calendar.roll(now), []
    limits, new = desk.settings.limits, set()
    for bot in desk.bots.values():
        ordered = {symbol for name, symbol in view.orders if name == bot.name}
        for symbol in sorted({bot.symbols[0]} | ordered):
            book = view.book(bot, symbol)
            for latch in guardrails.trips(book, limits, bot, now, until, symbol, view.switches):
                new.add(switches.throw(desk.store, latch).id)
                if latch.code is KillCode.LOSS_STREAK:
                    forgiven.append(accounting.reset_streak(view.accounts[bot.name]))
    _keep(desk.store, forgiven, revisions)
    for latch in _unlike(alive(desk.store, desk.wall.now()), now, until):
        new.add(switches.throw(desk.store, latch).id)
    return len(new)


def punctual(desk: Desk) -> Sla:
    """Judge whether decisions come in time, record a change of mode, and return what was found."""
    at, before = desk.wall.now(), punctuality(desk.store)
    limit = desk.settings.sla_ms / 1000
    n, (late, slow) = decisions.latency(desk.store, sla.window(before, at), limit, sla.BACK * limit)
    after = sla.judge(before, n, late, slow, at)
    if after.degraded is not before.degraded:
        told = {"n": n, "late": late, "slow": slow, "limit_ms": desk.settings.sla_ms}
        kind = "degraded" if after.degraded else "restored"
        audit.append(desk.store, audit.DESK, kind, told, desk.clock.now())
    if after != before:
        state.put(desk.store, SLA, after.model_dump(mode="json"))
    return after


def _unlike(pulses: Sequence[Pulse], now: datetime, until: datetime) -> Iterator[Switch]:
    """Yield a halt of the whole desk while its workers run different code, or tell another time.

    One of eight servers that ran other code than the rest cost Knight Capital 460 million dollars
    in 45 minutes (SEC release 34-70694). Who tells another time takes what is stale for fresh.
    """

    def halt(code: KillCode, told: str, measured: dict[str, float]) -> Switch:
        return killswitch.automatic(Scope.ALL, "*", code, told, now, until, measured)

    builds = {pulse.build: pulse.host for pulse in pulses}
    if len(builds) > 1:
        told = ", ".join(f"{host} runs {code}" for code, host in sorted(builds.items()))
        yield halt(KillCode.MIXED_BUILDS, told, {"builds": len(builds)})
    worst = max(pulses, key=lambda pulse: abs(pulse.skew), default=None)
    if worst is not None and abs(worst.skew) > SKEW:
        told = f"the clock of {worst.host} is {worst.skew:+.1f} s from the database's"
        yield halt(KillCode.CLOCK_SKEW, told, {"skew": worst.skew, "limit": SKEW})


def roll(desk: Desk) -> None:
    """Open the books of the session: latches that ran out go, capital is drawn for the day.

    Of the session that is on, or else of the next: a roll that comes minutes late opens no other.
    """
    now = desk.clock.now()
    session = calendar.session_of(now)
    if session is None or now >= calendar.closes(session):
        session = calendar.roll(now).date()
    switches.expire(desk.store, calendar.opens(session))
    books, revisions = read_accounts(desk.store, desk.bots)
    rolled = (accounting.rolled(account, session) for account in books.values())
    _keep(desk.store, rolled, revisions)
    kept = state.get(desk.store, "capital")
    beliefs = Capital.model_validate(kept.body) if kept else Capital()
    drawn = capital.allot(beliefs, tuple(desk.bots), session, desk.settings.seed)
    state.put(desk.store, "capital", drawn.model_dump(mode="json"))


def reward(desk: Desk) -> int:
    """Teach the capital what today's trades brought; return how many there were."""
    now = desk.clock.now()
    kept = state.get(desk.store, "rewarded")
    since = datetime.fromisoformat(kept.body) if kept else None
    closed = trades.trades(desk.store, since=since, until=now)
    beliefs = (
        Capital.model_validate(b.body) if (b := state.get(desk.store, "capital")) else Capital()
    )
    for trade in closed:
        beliefs = capital.update(beliefs, trade.bot, trade.r)
    state.put_many(
        desk.store, {"capital": beliefs.model_dump(mode="json"), "rewarded": now.isoformat()}
    )
    return len(closed)


def acknowledge(store: Store, bot: Bot, who: str, reason: str, at: datetime) -> None:
    """Begin a bot's drawdown and its streak anew: a person has looked and lets it trade again.

    Without that a bot that was stopped by its drawdown could never trade again, for it is still
    as far below its peak as it was.
    """
    account = accounts(store, {bot.name: bot})[bot.name]
    told = {"who": who, "reason": reason, "peak": account.peak, "equity": account.equity}
    audit.append(store, bot.name, "acknowledge", told, at)
    while True:
        found, revisions = read_accounts(store, {bot.name: bot})
        account = found[bot.name]
        anew = account.model_copy(update={"peak": account.equity, "losses_in_row": 0})
        try:
            return _keep(store, [anew], revisions)
        except Transient:
            continue  # it was marked at this very moment
