"""Every broker there is.

To add a broker, write ``trading/brokers/<name>.py`` and add a line here.
"""

from domain.book import Costs
from domain.errors import Refused
from trading.brokers.base import Broker
from trading.brokers.paper import PaperBroker

CATALOG: dict[str, type[Broker]] = {"paper": PaperBroker}


def create(name: str, costs: Costs) -> Broker:
    """Return a broker by name; `Refused`, with the names there are, if there is none."""
    if name not in CATALOG:
        raise Refused(f"there is no broker {name!r}; there are {', '.join(CATALOG)}")
    return CATALOG[name](costs)
