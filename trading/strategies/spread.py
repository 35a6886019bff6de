"""Buy a debit spread off a gamma wall, on the side that dealers' gamma favours.

Calls with more gamma than puts, and the put wall close below: a floor. The other way round, with
the call wall close above: a ceiling. Whether the session follows is for ORION to say.
"""

from math import exp

from domain.decision import Context
from domain.errors import FeatureMismatch, SettingsError
from domain.values import Action
from trading.strategies.base import Setup
from trading.structures import catalog as structures

FEATURES = (
    "vix",
    "gex_ratio_log",
    "gex_distance_to_call_wall_pct",
    "gex_distance_to_put_wall_pct",
)
SIDES = {Action.BUY: 1, Action.SELL: -1}


def setup(context: Context) -> Setup:
    """Say BUY for a rise and SELL for a fall; both are bought, as a spread of calls or of puts.

    Raises
    ------
    FeatureMismatch
        A feature is unknown; gamma is where no chains were imported.
    SettingsError
        The bot lacks one of the numbers that its setups are judged by.
    """
    bot, known = context.bot, _known(context)
    if bot.vix_range is None or bot.gamma_ratio is None or bot.wall_reach is None:
        raise SettingsError(f"{bot.name} needs vix_range, gamma_ratio and wall_reach")
    least, most = bot.vix_range
    bullish, bearish = bot.gamma_ratio
    ratio = exp(known["gex_ratio_log"])
    floor, ceiling = (abs(known[f"gex_distance_to_{wall}_wall_pct"]) for wall in ("put", "call"))
    evidence = known | {"gamma_ratio": ratio}
    told = f"puts have {ratio:.2f} of the gamma of calls"
    if not least <= known["vix"] <= most:
        why = f"VIX is {known['vix']:.1f}, outside {least:g} to {most:g}"
        return Setup(action=Action.HOLD, reason=why, evidence=evidence)
    if ratio <= bullish and floor <= bot.wall_reach:
        why = f"{told}, the put wall is {floor:.2f} % away"
        return Setup(action=Action.BUY, reason=why, evidence=evidence)
    if ratio >= bearish and ceiling <= bot.wall_reach:
        why = f"{told}, the call wall is {ceiling:.2f} % away"
        return Setup(action=Action.SELL, reason=why, evidence=evidence)
    why = f"{told}; the walls are {floor:.2f} % and {ceiling:.2f} % away"
    return Setup(action=Action.HOLD, reason=why, evidence=evidence)


def chosen(context: Context, action: Action) -> str:
    """Return the bot's first structure on the side of an action.

    Raises `SettingsError` where it has none.
    """
    for name in context.bot.structures:
        if structures.structure(name).side == SIDES.get(action):
            return name
    raise SettingsError(f"{context.bot.name} has no structure to {action} with")


def _known(context: Context) -> dict[str, float]:
    missing = [name for name in FEATURES if name not in context.features]
    if missing:
        raise FeatureMismatch(f"spread needs {', '.join(missing)} of {context.symbol}")
    return {name: context.features[name] for name in FEATURES}
