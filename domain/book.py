"""What the desk holds, what it may hold, and what stops it."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from domain.bot import Factor
from domain.values import Dollars, Fraction, Value


class Mode(StrEnum):
    """How much the desk may do. Ordered: the strictest latch that covers a bot wins."""

    ACTIVE = "active"
    REDUCING = "reducing"
    """Exits only."""
    HALTED = "halted"
    """No entries; exits that reduce still pass."""


class Scope(StrEnum):
    """What a kill switch covers."""

    ALL = "all"
    BOT = "bot"
    STRATEGY = "strategy"
    SYMBOL = "symbol"


class KillCode(StrEnum):
    """Why a kill switch was thrown. Names are never reused for another meaning."""

    HUMAN = "HUMAN"
    LOSS_STREAK = "LOSS_STREAK"
    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    REPEAT_ORDERS = "REPEAT_ORDERS"
    STALE_DATA = "STALE_DATA"
    INTEGRITY = "INTEGRITY"
    UNREADABLE = "UNREADABLE"
    MIXED_BUILDS = "MIXED_BUILDS"
    CLOCK_SKEW = "CLOCK_SKEW"
    DRILL = "DRILL"
    DRILL_FAILED = "DRILL_FAILED"


class Switch(Value):
    """One kill switch: a latch that stays until it expires or a person releases it.

    A human's latch has no expiry and needs a human with a reason to release it. An automatic one
    expires at the next session roll, so that it can never outlive its cause unnoticed.
    """

    scope: Scope
    target: str
    """The bot, strategy or symbol; ``*`` for all."""
    mode: Mode
    code: KillCode
    reason: str
    who: str
    human: bool
    set_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    evidence: dict[str, float] = {}
    id: int = 0


class Switches(Value):
    """All switches that are set, as one reading of the store saw them.

    `revision` rises with every change. `readable` is false when the store could not be read,
    and then everything counts as halted.
    """

    revision: int = 0
    latches: tuple[Switch, ...] = ()
    readable: bool = True

    def covering(
        self, bot: str, strategy: str, symbol: str, asof: AwareDatetime
    ) -> tuple[Switch, ...]:
        """Return the latches in force at `asof` for one bot, strategy and symbol."""
        targets = {
            Scope.ALL: "*",
            Scope.BOT: bot,
            Scope.STRATEGY: strategy,
            Scope.SYMBOL: symbol,
        }
        return tuple(
            latch
            for latch in self.latches
            if latch.target == targets[latch.scope]
            and (latch.expires_at is None or asof < latch.expires_at)
        )


class Exposure(Value):
    """Risk that is at stake. `risk` is the most that can still be lost, in dollars."""

    id: str
    """The decision that reserved it."""
    bot: str
    symbol: str
    factor: Factor
    side: Literal[-1, 1]
    risk: Dollars


class Limits(Value):
    """Hard limits in force when a decision was taken; recorded with it.

    Shares are of the desk's equity, but for the bot's own loss limits, which are of the bot's.
    """

    max_correlation: Fraction = 0.7
    shared_risk: Fraction = 0.20
    symbol_risk: Fraction = 0.15
    total_risk: Fraction = 0.30
    loss_streak: int = 3
    daily_loss_soft: Fraction = 0.03
    daily_loss_hard: Fraction = 0.05
    max_drawdown: Fraction = 0.20
    repeat_orders: int = 3
    """Orders for one bot and symbol within a session before a person must look."""
    stale_minutes: int = 30
    """Age of the newest bar, past the moment it was due, that is still fresh."""


class Costs(Value):
    """What trading costs. On by default; a replay without costs must say so.

    Options: points per leg and side, fees included, scaled by min(spot/4500, 1) (half the median
    quoted spread of 21 chain dates plus fees). Shares: fractions of the price, each side. Futures:
    ticks given away and dollars paid, per contract and side; both assumed from price lists (a
    broker's 0.25, the exchange's 0.35, the regulator's 0.02), for no fill of one was measured.
    """

    option_leg: float = Field(0.15, ge=0)
    share_slippage: float = Field(0.0005, ge=0)
    share_commission: float = Field(0.001, ge=0)
    future_ticks: float = Field(1.0, ge=0)
    future_commission: float = Field(0.62, ge=0)


class Book(Value):
    """The state of one bot's money, and of the whole desk's risk, before a decision.

    `equity` and `peak` count open positions at their last mark. `day_pnl` likewise, since the
    session opened.
    """

    equity: Dollars
    peak: Dollars
    day_pnl: Dollars
    desk_equity: Dollars
    losses_in_row: int = 0
    open_positions: int = 0
    trades_today: int = 0
    orders_today: int = 0
    """Orders for this bot and this symbol since the session opened."""
    exposures: tuple[Exposure, ...] = ()
    """Of every bot of the desk."""
    allocation: Fraction
    """Thompson's share of the desk's capital for this bot, sampled once a day."""
    bots: int = Field(1, ge=1)
    """How many bots share the desk's capital; an equal share is 1/bots."""
