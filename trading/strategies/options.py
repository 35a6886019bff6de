"""Options around the spot: what every strategy that trades structures proposes."""

from domain.bot import Bot
from domain.decision import Context, Proposal
from domain.errors import DataError, FeatureMismatch, SettingsError
from market import calendar
from trading.structures import catalog as structures


def propose(
    context: Context, structure: str | None = None, distance: float | None = None
) -> Proposal:
    """Return a structure around the context's spot, priced on its surface.

    Parameters
    ----------
    structure
        The first of the bot's if None.
    distance
        Of the short strikes, in expected moves; the bot's own if None.

    Raises
    ------
    FeatureMismatch
        VIX is unknown, by which the strikes are placed.
    DataError
        There is no surface to price it on.
    SettingsError
        The bot does not trade this structure, or any.
    """
    bot = context.bot
    if "vix" not in context.features:
        raise FeatureMismatch(f"{bot.name} needs vix to place the strikes of {context.symbol}")
    if context.surface is None:
        raise DataError(f"{context.symbol} has no volatility surface to price options on")
    name = own(bot, structure)
    if distance is not None:
        bot = bot.model_copy(update={"distance": distance})
    vix = context.features["vix"]
    left = calendar.left(context.bar, calendar.ahead(context.bar, bot.horizon))
    return structures.propose(name, bot, context.surface, bot.horizon, vix, context.costs, left)


def own(bot: Bot, structure: str | None) -> str:
    """Return a structure that the bot trades, its first if None; `SettingsError` for another."""
    name = structure or next(iter(bot.structures), "")
    if name not in bot.structures:
        known = ", ".join(bot.structures) or "none"
        raise SettingsError(f"{bot.name} does not trade {name or 'anything'!r}; its own: {known}")
    return name
