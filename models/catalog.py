"""Every model there is.

To add a model, write ``models/<name>.py`` and add a line here. The line alone gives it a place in
the retraining schedule, walk-forward validation, drift watching, hot reload, a row in the README
and the contract tests.
"""

from importlib import import_module
from typing import NamedTuple

from domain.errors import Refused
from models.base import Model, Target


class Entry(NamedTuple):
    """Where a model lives. What else is known of it stands in its class, and only there."""

    path: str
    """``module:Class``."""

    def load(self) -> type[Model]:
        """Import its module, which is light: training libraries are imported when it is fitted."""
        module, _, cls = self.path.partition(":")
        found: type[Model] = getattr(import_module(module), cls)
        return found

    @property
    def title(self) -> str:
        return self.load().title

    @property
    def features(self) -> tuple[str, ...]:
        return self.load().features

    @property
    def target(self) -> Target:
        return self.load().target

    @property
    def requires(self) -> tuple[str, ...]:
        return self.load().requires

    @property
    def retrain(self) -> str:
        """When it is retrained: five crontab fields, exchange time."""
        return self.load().retrain


CATALOG: dict[str, Entry] = {
    "wisdom": Entry("models.wisdom:Wisdom"),
    "prophet": Entry("models.prophet:Prophet"),
    "prophet-condor": Entry("models.prophet:Condor"),
    "prophet-directional": Entry("models.prophet:Directional"),
    "xgb": Entry("models.xgb:Xgb"),
    "lgbm": Entry("models.lgbm:Lgbm"),
    "orion-up": Entry("models.orion:Up"),
    "orion-down": Entry("models.orion:Down"),
    "orion-flip": Entry("models.orion:Flip"),
    "orion-magnet": Entry("models.orion:Magnet"),
    "orion-range": Entry("models.orion:Range"),
    "orion-pin": Entry("models.orion:Pin"),
    "gex-bullish": Entry("models.gex_direction:Bullish"),
    "gex-bearish": Entry("models.gex_direction:Bearish"),
    "wheel": Entry("models.wheel:Wheel"),
    "valor-long": Entry("models.valor:Long"),
    "valor-short": Entry("models.valor:Short"),
    "pattern": Entry("models.pattern:Pattern"),
    "discernment-up": Entry("models.discernment:Up"),
    "discernment-down": Entry("models.discernment:Down"),
    "discernment-size": Entry("models.discernment:Size"),
    "discernment-soon": Entry("models.discernment:Soon"),
    "nhits": Entry("models.nhits:Nhits"),
    "patchtst": Entry("models.patchtst:PatchTst"),
}


def entry(name: str) -> Entry:
    """Return a line of the catalog; `Refused`, naming those there are, if it has none."""
    if name not in CATALOG:
        raise Refused(f"there is no model {name!r}; there are {', '.join(CATALOG)}")
    return CATALOG[name]


def create(name: str, seed: int = 0) -> Model:
    """Return a fresh, unfitted model.

    Examples
    --------
    >>> create("wisdom").target.horizon
    5
    """
    return entry(name).load()(seed=seed)
