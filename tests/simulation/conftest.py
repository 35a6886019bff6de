"""What every simulated world starts from: a database with real champions, trained once."""

from collections.abc import Iterator
from datetime import date, datetime

import pytest

from domain.clock import VirtualClock
from domain.settings import Settings
from domain.values import Env
from learning import loop
from market import calendar, window
from market.features import compute
from market.panel import Panel
from models.serving import Champions
from orchestrator import desk as desks
from orchestrator.desk import Desk
from orchestrator.loader import Registry
from orchestrator.sight import Sight, see
from tests.orchestrator.made import packaged
from tests.simulation.world import LIMITS, Made, Process
from trading.bots.catalog import BOTS
from workers.app import create

START = calendar.closes(date(2017, 10, 2))
"""A close at which every bot wants to trade, and so it is at the next two."""
STOCKS = BOTS["autotrader"].model_copy(
    update={"symbols": ("JPM", "XOM"), "models": ("xgb", "lgbm", "prophet-directional")}
)
TRADERS = {name: BOTS[name] for name in ("fortress", "anchor", "samson")} | {STOCKS.name: STOCKS}
"""Those that the limits of a world are made for."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Train every model on two years of real prices: 12 s, and no world has to do it again."""
    home = tmp_path_factory.mktemp("made") / "home"
    settings = Settings(home=home, limits=LIMITS)
    desk = Desk.open(settings, VirtualClock(START), Env.REPLAY, packaged())
    for name in {model: None for bot in TRADERS.values() for model in bot.models}:
        told = desk.settings.seed, desk.settings.costs, "test"
        loop.retrain(name, desk.store, desk.panel(START), START, *told)
    champions = Champions(Registry(desk.store), compute.schema_hash)
    for bot in TRADERS.values():
        champions.needs(bot.models)
    desk.close()
    database = (home / "omega.db").read_bytes()
    processes = tuple(Process(settings) for _ in range(3))
    app = create(settings)
    app.set_current()
    yield Made(settings, database, processes, packaged(), champions, TRADERS, app, START)
    for process in processes:
        process.store.close()


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the 20 ms of `see`, which is pure, once per bar of the worlds, and not once per desk."""
    seen: dict[tuple[int, tuple[str, ...]], Sight] = {}

    def once(panel: Panel, asof: datetime, names: tuple[str, ...]) -> Sight:
        key = window.index(panel, asof), names
        if key not in seen:
            seen[key] = see(panel, asof, names)
        return seen[key]

    monkeypatch.setattr(desks, "see", once)
