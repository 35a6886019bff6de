"""Price all nine structures in every session, and let a view choose among them."""

from domain.decision import Context, Proposal
from domain.errors import DataError, SettingsError
from domain.values import Action
from market import calendar
from market.quotes import Simulated
from trading.strategies.base import Setup
from trading.strategies.options import own
from trading.structures import scanner
from trading.structures.offer import Structured, build, proposal
from trading.structures.scanner import Scan, View, scan

FEATURES = ("vix",)


def setup(context: Context) -> Setup:
    """Say BUY in any session: which of nine structures, if any, is for the view to choose."""
    return Setup(action=Action.BUY, reason="nine structures are priced in every session")


def propose(
    context: Context, structure: str | None = None, distance: float | None = None
) -> Proposal:
    """Return a structure over the bot's horizon, on the context's surface.

    Parameters
    ----------
    structure
        The first of the bot's if None.
    distance
        Of short strikes, in expected moves; the bot's own if None.

    Raises
    ------
    DataError
        There is no surface to price it on, or it cannot be priced.
    SettingsError
        The bot does not trade this structure.
    """
    bot = context.bot
    name, away = own(bot, structure), bot.distance if distance is None else distance
    found = build(name, board(context), context.costs, distance=away, wing=bot.wing)
    return made(context, found)


def choose(context: Context, view: View) -> Scan:
    """Return all nine, ranked by what a view makes of them; see `trading.structures.scanner`."""
    return scan(board(context), view, context.costs, context.bot.distance)


def wavering(context: Context, view: View, found: Structured, up: float, down: float) -> float:
    """Return the standard error of what a view chose; see `trading.structures.scanner`."""
    return scanner.wavering(board(context), view, found, up, down)


def board(context: Context) -> Simulated:
    """Return what can be traded over the bot's horizon: simulated, and labelled so.

    Raises `DataError` where there is no surface, `SettingsError` where strikes have no step.
    """
    if context.surface is None:
        raise DataError(f"{context.symbol} has no volatility surface to price options on")
    if context.bot.strike_step is None:
        raise SettingsError(f"{context.bot.name} needs a strike_step to trade options")
    left = calendar.left(context.bar, calendar.ahead(context.bar, context.bot.horizon))
    return Simulated(context.surface, left, context.bot.strike_step)


def made(context: Context, found: Structured) -> Proposal:
    """Return a structure as the bot would propose it: over its horizon, in whole sessions.

    What has been counted in parts of a session is the time that is left of them.
    """
    return proposal(found).model_copy(update={"horizon": context.bot.horizon})
