"""Every structure by name, and a proposal made of one."""

from domain.book import Costs
from domain.bot import Bot
from domain.decision import Proposal
from domain.errors import DataError, SettingsError
from domain.market import Surface
from domain.values import Points
from market.pricing import expected_move as implied_move
from trading.costs import unit_costs
from trading.structures.base import Legs, Structure, extremes, place, value
from trading.structures.butterfly import IRON_BUTTERFLY
from trading.structures.condor import IRON_CONDOR
from trading.structures.long import LONG_CALL, LONG_PUT, LONG_STRADDLE
from trading.structures.verticals import BEAR_CALL, BEAR_PUT, BULL_CALL, BULL_PUT
from trading.structures.wheel import CASH_SECURED_PUT, COVERED_CALL

NINE: dict[str, Structure] = {
    "iron_condor": IRON_CONDOR,
    "bull_put": BULL_PUT,
    "bear_call": BEAR_CALL,
    "bull_call": BULL_CALL,
    "bear_put": BEAR_PUT,
    "long_call": LONG_CALL,
    "long_put": LONG_PUT,
    "iron_butterfly": IRON_BUTTERFLY,
    "long_straddle": LONG_STRADDLE,
}
"""Those that DISCERNMENT chooses among: of options alone, and what is sold is covered by others."""
CATALOG: dict[str, Structure] = NINE | {
    "cash_secured_put": CASH_SECURED_PUT,
    "covered_call": COVERED_CALL,
}


def structure(name: str) -> Structure:
    """Return a structure by name; `SettingsError` names the known ones."""
    if name not in CATALOG:
        raise SettingsError(f"unknown structure {name!r}; known: {', '.join(CATALOG)}")
    return CATALOG[name]


def legs(
    name: str, spot: Points, expected_move: Points, distance: float, wing: Points, step: Points
) -> Legs:
    """Return the legs of a structure by name; see `trading.structures.base.place`.

    Examples
    --------
    >>> [leg.strike for leg in legs("iron_condor", 2383.0, 36.9, 1.0, 25.0, 5.0)]
    [2320.0, 2345.0, 2420.0, 2445.0]
    """
    return place(structure(name), spot, expected_move, distance, wing, step)


def propose(
    name: str,
    bot: Bot,
    surface: Surface,
    horizon: int,
    vix: float,
    costs: Costs,
    left: float | None = None,
) -> Proposal:
    """Return one unit of a structure for a bot, priced at mid on a surface.

    Parameters
    ----------
    bot
        Gives distance, wing, strike step and multiplier; at the money the distance is 0, and what
        has no wings needs no width of one.
    horizon
        Sessions until it expires, at least 1.
    vix
        In points; the distance is counted in the moves it implies.
    costs
        Charged twice, in and out, and both times at today's spot. `max_loss` and `max_gain` are
        what remains at the worst and the best spot at expiry after them; `max_gain` is None where
        it has no bound.
    left
        Sessions until it expires where one of them has begun; None for all of `horizon`. The
        strikes keep the distance of the whole horizon, for which survival was learned, and the
        price is of what time is left.

    Raises
    ------
    SettingsError
        The structure is unknown, or the bot lacks a number that it needs.
    DataError
        VIX or the surface is unknown or impossible.
    """
    shape = structure(name)
    distance = 0.0 if shape.atm else bot.distance
    wing = bot.wing if shape.winged else bot.strike_step
    if distance is None or wing is None or bot.strike_step is None:
        raise SettingsError(f"{bot.name} needs distance, wing and strike_step to trade {name}")
    if not vix > 0:
        raise DataError(f"VIX is {vix}; a number above 0 is needed to place the strikes of {name}")
    if horizon < 1:
        raise SettingsError(f"{name} over {horizon} sessions; the horizon must be at least 1")
    move = implied_move(surface.spot, vix, horizon)
    chosen = place(shape, surface.spot, move, distance, wing, bot.strike_step)
    entry = -value(chosen, surface, horizon if left is None else left)
    worst, best = extremes(chosen)
    both_ways = 2 * unit_costs(chosen, surface.spot, costs, bot.multiplier)
    return Proposal(
        structure=name,
        action=shape.action,
        factor=shape.factor,
        side=shape.side,
        legs=chosen,
        entry=entry,
        max_loss=both_ways - (entry + worst) * bot.multiplier,
        max_gain=None if best is None else (entry + best) * bot.multiplier - both_ways,
        costs=both_ways,
        multiplier=bot.multiplier,
        horizon=horizon,
        distance=distance,
        simulated=surface.label if surface.label.startswith("simulated") else "",
    )
