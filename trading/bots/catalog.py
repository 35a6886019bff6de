"""Every bot there is.

To add a bot, write ``trading/bots/<name>.py`` and add a line here. The line alone gives it a place
in every scan, an account, a kill switch, a chain in the audit trail, a row in the README and the
contract tests.
"""

from domain.bot import Bot
from domain.errors import Refused
from trading.bots.anchor import ANCHOR
from trading.bots.autotrader import AUTOTRADER
from trading.bots.cornerstone import CORNERSTONE
from trading.bots.discernment import DISCERNMENT
from trading.bots.fortress import FORTRESS
from trading.bots.gideon import GIDEON
from trading.bots.samson import SAMSON
from trading.bots.solomon import SOLOMON
from trading.bots.valor import VALOR

BOTS: dict[str, Bot] = {
    bot.name: bot
    for bot in (
        FORTRESS,
        ANCHOR,
        SAMSON,
        AUTOTRADER,
        SOLOMON,
        GIDEON,
        DISCERNMENT,
        VALOR,
        CORNERSTONE,
    )
}


def find(name: str) -> Bot:
    """Return a bot by name; `Refused`, with the names there are, if there is none.

    Examples
    --------
    >>> find("fortress").distance
    1.2
    """
    if name not in BOTS:
        raise Refused(f"there is no bot {name!r}; there are {', '.join(BOTS)}")
    return BOTS[name]
