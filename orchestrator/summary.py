"""What a report shows: the summary of a session, and the values that it is made of."""

from datetime import date
from typing import Any

import numpy as np
from pydantic import AwareDatetime, Field

from domain.book import Costs
from domain.bot import Factor
from domain.values import Dollars, Value, digest
from domain.version import Measure
from models import ensemble, orion
from orchestrator.baselines import Every
from risk.measures import Gate
from trading.competition import Standing


class Curve(Value):
    """Dollars at each close; the first is what it started from."""

    days: tuple[date, ...]
    values: tuple[Dollars, ...]

    @property
    def gain(self) -> float:
        """What became of it, as a share of the start; 0.0 is nothing."""
        return self.values[-1] / self.values[0] - 1

    @property
    def drawdowns(self) -> tuple[float, ...]:
        """How far below its peak it was at each close, as a share of the peak, <= 0."""
        values = np.array(self.values)
        return tuple((values / np.maximum.accumulate(values) - 1).tolist())


class Cause(Value):
    """Why decisions were held: a code, how often, and the newest reason in full."""

    layer: str
    code: str
    n: int
    example: str = ""


class Bin(Value):
    """Predictions of about the same size, and how many of them came true."""

    n: int
    hits: int
    predicted: float
    """Their mean."""
    sessions: int
    """Distinct ones among them, of which only every `horizon`-th is new information."""


class Forecasts(Value):
    """What became of the predictions of one model."""

    model: str
    horizon: int
    scores: dict[str, Measure] = Field(default_factory=dict)
    """``brier``, ``brier_base``, ``skill`` and more, as the promotion gate measures them."""
    bins: tuple[Bin, ...] = ()
    versions: int = 0
    """Distinct ones whose predictions these were."""

    @property
    def n(self) -> int:
        return sum(each.n for each in self.bins)

    @property
    def skill(self) -> Measure | None:
        return self.scores.get("skill")


class Record(Value):
    """What a set of trades and a daily equity are worth. Dollars, costs counted."""

    n: int
    win_rate: Measure | None = None
    mean_win: Measure | None = None
    mean_loss: Measure | None = None
    profit_factor: Measure | None = None
    expectancy_r: Measure | None = None
    """In units of the risk taken."""
    sharpe: Measure | None = None
    sortino: Measure | None = None
    max_drawdown: Measure | None = None
    """Share of the peak, open positions at their marks."""
    worst_days: Measure | None = None
    """Mean of the worst twentieth of sessions, as a share of the starting capital."""


class Money(Value):
    """Where the profit came from and where it went. Dollars.

    ``pnl = realised + open`` and ``gross = pnl + costs``.
    """

    capital: Dollars
    pnl: Dollars
    realised: Dollars
    open: Dollars
    costs: Dollars
    gross: Dollars
    gross_wins: Dollars
    """What the winners among the trades brought before costs."""

    @property
    def equity(self) -> Dollars:
        return self.capital + self.pnl

    @property
    def gain(self) -> float:
        """Profit as a share of the capital."""
        return self.pnl / self.capital

    @property
    def cost_share(self) -> float | None:
        """Costs as a share of what winners brought; None without a winner."""
        return self.costs / self.gross_wins if self.gross_wins > 0 else None


DECIDING = {"wisdom", *ensemble.WEIGHTS, *orion.DIRECTION, "discernment-up", "discernment-down"}
"""Models without which, or against which, a bot does not trade; the others only shrink."""


class BotReport(Value):
    """One bot's session."""

    name: str
    title: str
    factor: Factor
    decisions: int
    wanted: int
    """Decisions that became an order."""
    vetoes: dict[str, int]
    """By the layer that stopped the decision."""
    causes: tuple[Cause, ...]
    orders: dict[str, int]
    """Opening orders by what became of them."""
    open_positions: int
    exits: dict[str, int]
    """Closings, of wholes and of parts, by what made them."""
    money: Money
    record: Record
    gate: Gate
    forecasts: tuple[Forecasts, ...]
    """Of every model that it asks."""
    curve: Curve | None

    @property
    def deciders(self) -> tuple[Forecasts, ...]:
        """Those of the models that can stop it, as its judge has it."""
        return tuple(each for each in self.forecasts if each.model in DECIDING)


class Reign(Value):
    """A stretch of time in which one version of a model answered. `until` is None if it does."""

    version: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    ruling: str
    reason: str


class ModelReport(Value):
    """One model's session."""

    name: str
    title: str
    target: str
    horizon: int
    trained: int
    rulings: dict[str, int]
    served: int
    """Versions of which at least one prediction has come true."""
    champion: str | None = None
    since: AwareDatetime | None = None
    held_out: dict[str, Measure] = Field(default_factory=dict)
    """What training measured of the champion on data it had not seen."""
    gate: str = ""
    """What the gate said of the champion."""
    live: Forecasts
    reigns: tuple[Reign, ...] = ()


class Latched(Value):
    """Kill switches of one kind that were thrown in the window."""

    code: str
    target: str
    human: bool
    n: int


class Baseline(Value):
    """A portfolio that needs no desk: bought at the first bar and held. `title` says what."""

    name: str
    title: str
    curve: Curve
    sharpe: Measure | None
    max_drawdown: Measure | None


class Window(Value):
    """The first and the last bar that was decided on."""

    start: AwareDatetime
    end: AwareDatetime


class Summary(Value):
    """Everything a report shows. `digest` is one hash over all decisions, in the order of ids."""

    window: Window
    env: str
    sessions: int
    decisions: int
    pending: int
    wanted: int
    vetoes: dict[str, dict[str, int]]
    """``layers`` and ``codes``."""
    causes: tuple[Cause, ...]
    trades: int
    """Entries that are wholly closed."""
    closings: int
    """Rows of the record that closed them, or parts of them."""
    money: Money
    record: Record
    curve: Curve | None
    bots: dict[str, BotReport]
    standings: tuple[Standing, ...] = ()
    """The bots as if all had had the same capital, best first; last, the index held."""
    models: dict[str, ModelReport]
    mvs: Gate
    switches: tuple[Latched, ...]
    baselines: tuple[Baseline, ...]
    every: tuple[Every, ...]
    digest: str
    data_hash: str
    feed: str
    seed: int
    costs: Costs
    real: tuple[str, ...]
    simulated: tuple[str, ...]
    command: str = ""
    seconds: float | None = None
    """What it took; no part of `hash`."""

    @property
    def hash(self) -> str:
        """SHA-256 of everything but how long it took and what it was called."""
        return digest(self.model_dump(mode="json", exclude={"seconds", "command"}))

    def brief(self) -> dict[str, Any]:
        """Return it as JSON without the daily curves: what ``--json`` prints."""
        full = self.model_dump(mode="json", exclude={"curve"})
        full["money"] |= {"equity": self.money.equity, "cost_share": self.money.cost_share}
        full["mvs"] = _gate(self.mvs)
        for name, bot in self.bots.items():
            del full["bots"][name]["curve"]
            full["bots"][name]["gate"] = _gate(bot.gate)
            full["bots"][name]["money"]["cost_share"] = bot.money.cost_share
        for shown, baseline in zip(full["baselines"], self.baselines, strict=True):
            del shown["curve"]
            shown["gain"] = baseline.curve.gain
        for shown in full["models"].values():
            del shown["reigns"]
        return full


def _gate(gate: Gate) -> dict[str, Any]:
    return {"passed": gate.passed, "failed": list(gate.failed)} | gate.model_dump(mode="json")
