"""Every strategy there is.

To add a strategy, write ``trading/strategies/<name>.py`` with a pure `setup` and `propose` and add
a line here; a bot then trades it by name.
"""

from domain.decision import Context, Proposal
from domain.errors import Refused
from trading.strategies import condor, flip, options, scan, score, spread, wheel
from trading.strategies.base import Setup, Strategy

CATALOG: dict[str, Strategy] = {
    "condor": Strategy("Sell premium", condor.setup, options.propose, "win", condor.FEATURES),
    "score": Strategy("Adaptive momentum", score.setup, score.propose, "vote", score.FEATURES),
    "spread": Strategy(
        "Debit spreads at the walls", spread.setup, options.propose, "conviction", spread.FEATURES
    ),
    "flip": Strategy(
        "Around the gamma flip", flip.setup, flip.propose, "count", flip.FEATURES, flip.evidence
    ),
    "scan": Strategy("Scan of nine structures", scan.setup, scan.propose, "view", scan.FEATURES),
    "wheel": Strategy(
        "Puts against cash, calls against the index",
        wheel.setup,
        wheel.propose,
        "expiry",
        wheel.FEATURES,
        wheel.evidence,
    ),
}


def find(name: str) -> Strategy:
    """Return a strategy by name; `Refused`, with the names there are, if there is none."""
    if name not in CATALOG:
        raise Refused(f"there is no strategy {name!r}; there are {', '.join(CATALOG)}")
    return CATALOG[name]


def setup(context: Context) -> Setup:
    """Return what the bot's own strategy says of this bar."""
    return find(context.bot.strategy).setup(context)


def propose(
    context: Context, structure: str | None = None, distance: float | None = None
) -> Proposal:
    """Return what the bot would trade, per unit; see `Strategy.propose`."""
    return find(context.bot.strategy).propose(context, structure, distance)
