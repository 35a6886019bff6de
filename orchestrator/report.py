"""What a session came to: everything a report shows, computed from what is recorded.

Nothing in here is kept anywhere else and nothing is remembered between two calls: the same record
over the same prices gives the same summary, whoever asks and however often.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from math import fsum
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.random import Generator
from pydantic import AwareDatetime, Field

from domain.book import Costs
from domain.bot import Bot, Factor
from domain.errors import Refused
from domain.settings import Settings
from domain.trade import Outcome, Position, Trade
from domain.values import Action, Dollars, Value, digest
from domain.version import Measure, Version
from market import window
from market.feeds.base import Feed
from market.panel import Panel
from market.universe import STOCKS
from models import catalog, ensemble
from orchestrator import baselines
from orchestrator.baselines import Every
from orchestrator.books import Mark
from orchestrator.sight import moment
from risk import measures
from risk.measures import Gate
from storage import decisions, record, registry, state, trades
from storage.decisions import SEALED, Line
from storage.engine import Store
from storage.registry import Ruled, Ruling
from trading import accounting
from trading.bots.catalog import BOTS
from trading.brokers.paper import PaperBroker

Verified = Callable[[Sequence[Outcome], int, Generator], Mapping[str, Measure]]
"""`learning.feedback.verified`: how the promotion gate measures what came true."""

ALL = 10_000_000
DAY = timedelta(days=1)
BINS = 8
"""Groups of equal size that a calibration plot makes of the predictions."""


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
        """Those of the models that can stop it: WISDOM, or the members of the ensemble."""
        deciding = {"wisdom"} if self.factor is Factor.VOLATILITY else ensemble.WEIGHTS.keys()
        return tuple(each for each in self.forecasts if each.model in deciding)


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


def summarise(
    store: Store,
    feed: Feed,
    settings: Settings,
    verified: Verified,
    bots: Mapping[str, Bot] = BOTS,
    command: str = "",
    seconds: float | None = None,
) -> Summary:
    """Return what the recorded session came to.

    Parameters
    ----------
    feed
        The one the session ran on: baselines are computed on its prices.
    settings
        Costs and seed.
    verified
        Measures what came true of predictions: hand in `learning.feedback.verified`, so that the
        report and the promotion gate say the same.
    bots
        Those of the desk. One that never decided is left out.
    command, seconds
        What ran, and how long it took, where the caller knows.

    Raises
    ------
    Refused
        Nothing was decided yet.
    """
    found = _read(store, bots)
    if not found.lines:
        raise Refused("no decision is recorded; run `omega replay` or `omega decide` first")
    bars = _bars(feed.panel(), found.lines)
    start, end = bars[0], bars[-1]
    desk = {name: bot for name, bot in bots.items() if any(found.of(name).lines)}
    judge = _Judge(settings.seed, verified)
    live = {model: _forecasts(model, found.outcomes, judge) for model in catalog.CATALOG}
    reports = {name: _bot(bot, found.of(name), start, judge, live) for name, bot in desk.items()}
    capital = sum(report.money.capital for report in reports.values())
    curve = _total([report.curve for report in reports.values()])
    causes, whole = _causes(found), _whole(found)
    gate = measures.mvs([trade.pnl for trade in whole], judge.rng("mvs"))
    played = window.between(feed.panel(), start, end)
    return Summary(
        window=Window(start=start, end=end),
        env="/".join(sorted({line.env for line in found.lines})),
        sessions=len({bar.date() for bar in bars}),
        decisions=len(found.lines),
        pending=found.pending,
        wanted=sum(report.wanted for report in reports.values()),
        vetoes={
            "layers": _totals((cause.layer, cause.n) for cause in causes),
            "codes": _totals((cause.code, cause.n) for cause in causes),
        },
        causes=causes,
        trades=len(whole),
        closings=len(found.closed),
        money=_money(capital, found),
        record=_record(whole, gate, curve, judge.rng("desk")),
        curve=curve,
        bots=reports,
        models=_models(store, live),
        mvs=gate,
        switches=_latched(store, start, end),
        baselines=_baselines(played, capital, settings.costs, judge),
        every=baselines.every(feed.panel(), start, end, desk, settings.costs),
        digest=record.digest(store),
        data_hash=feed.data_hash(),
        feed=feed.name,
        seed=settings.seed,
        costs=settings.costs,
        real=feed.real,
        simulated=_simulated(feed, found.closed),
        command=command,
        seconds=seconds,
    )


class _Found(NamedTuple):
    """What is recorded of the desk, or of one bot."""

    lines: list[Line]
    """Sealed decisions, oldest first."""
    pending: int
    closed: list[Trade]
    held: list[Position]
    outcomes: list[Outcome]
    orders: dict[tuple[str, str], int]
    marks: list[Mark]
    examples: dict[tuple[str, str], str]
    """The newest reason in full, by layer and code."""

    def of(self, bot: str) -> Self:
        """Return the part of one bot."""
        lines = [line for line in self.lines if line.bot == bot]
        ids = {line.id for line in lines}
        return self._replace(
            lines=lines,
            closed=[trade for trade in self.closed if trade.bot == bot],
            held=[position for position in self.held if position.bot == bot],
            outcomes=[outcome for outcome in self.outcomes if outcome.decision_id in ids],
            orders={key: n for key, n in self.orders.items() if key[0] == bot},
            marks=[mark for mark in self.marks if mark.bot == bot],
        )


class _Judge(NamedTuple):
    """How things are measured here."""

    seed: int
    verified: Verified

    def rng(self, part: str) -> Generator:
        """Return a generator for each part of its own, so that none depends on another."""
        return np.random.default_rng([self.seed, *part.encode()])


def _read(store: Store, bots: Mapping[str, Bot]) -> _Found:
    every = [line for line in decisions.listing(store, limit=ALL) if line.bot in bots]
    lines = [line for line in reversed(every) if line.status == SEALED]
    kept = state.listing(store, "equity/").values()
    return _Found(
        lines=lines,
        pending=len(every) - len(lines),
        closed=[trade for trade in trades.trades(store) if trade.bot in bots],
        held=[position for position in trades.positions(store) if position.bot in bots],
        outcomes=[o for model in catalog.CATALOG for o in trades.outcomes(store, model)],
        orders=record.opening_orders(store),
        marks=[mark for one in kept if (mark := Mark.model_validate(one.body)).bot in bots],
        examples=_examples(store, lines),
    )


def _examples(store: Store, lines: Sequence[Line]) -> dict[tuple[str, str], str]:
    newest = {(line.layer, line.code): line.id for line in lines if line.layer}
    found = {decision.id: decision for decision in decisions.many(store, list(newest.values()))}
    return {
        (str(layer), str(code)): found[key].reason
        for (layer, code), key in newest.items()
        if key in found
    }


def _bars(panel: Panel, lines: Iterable[Line]) -> list[datetime]:
    """Return the distinct bars that were decided on, oldest first."""
    places = {window.index(panel, asof) for asof in {line.asof for line in lines}}
    return [moment(panel, place) for place in sorted(places)]


def _totals(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the sums by name, largest first, names of equal sums in order."""
    sums: Counter[str] = Counter()
    for name, n in counted:
        sums[name] += n
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _causes(found: _Found) -> tuple[Cause, ...]:
    """Return why decisions were held, the most frequent cause first."""
    counted = Counter((line.layer, str(line.code)) for line in found.lines if line.layer)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(
        Cause(layer=layer, code=code, n=n, example=found.examples.get((layer, code), ""))
        for (layer, code), n in ordered
        if layer is not None
    )


def _bot(
    bot: Bot, own: _Found, start: datetime, judge: _Judge, live: Mapping[str, Forecasts]
) -> BotReport:
    causes = _causes(own)
    curve = _curve(own.marks, bot.capital, start)
    whole = _whole(own)
    gate = measures.mvs([trade.pnl for trade in whole], judge.rng(f"mvs {bot.name}"))
    return BotReport(
        name=bot.name,
        title=bot.title,
        factor=bot.factor,
        decisions=len(own.lines),
        wanted=sum(line.action != Action.HOLD for line in own.lines),
        vetoes=_totals((cause.layer, cause.n) for cause in causes),
        causes=causes,
        orders={status: n for (_, status), n in sorted(own.orders.items())},
        open_positions=len(own.held),
        exits=_totals((trade.why.value, 1) for trade in own.closed),
        money=_money(bot.capital, own),
        record=_record(whole, gate, curve, judge.rng(bot.name)),
        gate=gate,
        forecasts=tuple(
            forecasts
            for model in bot.models
            if (forecasts := _own(live[model], own.outcomes, judge, bot.name)).bins
        ),
        curve=curve,
    )


def _whole(found: _Found) -> list[Trade]:
    """Return one trade per entry that is wholly closed, in how many parts it may have been.

    A half that is sold at 1 R and the rest that is stopped are one decision and one result. To
    count them as two would show a winner and hide what the rest came to.
    """
    still = {position.decision_id for position in found.held}
    parts: dict[str, list[Trade]] = {}
    for trade in found.closed:
        if trade.decision_id not in still:
            parts.setdefault(trade.decision_id, []).append(trade)
    return [_joined(closings) for closings in parts.values()]


def _joined(parts: Sequence[Trade]) -> Trade:
    pnl, risk = fsum(part.pnl for part in parts), fsum(part.risk for part in parts)
    return parts[-1].model_copy(
        update={
            "quantity": sum(part.quantity for part in parts),
            "pnl": pnl,
            "costs": fsum(part.costs for part in parts),
            "risk": risk,
            "r": pnl / risk,
        }
    )


def _money(capital: Dollars, found: _Found) -> Money:
    realised = fsum(trade.pnl for trade in found.closed)
    still = accounting.unrealised(found.held)
    spent = (*(trade.costs for trade in found.closed), *(p.entry_costs for p in found.held))
    costs = fsum(spent)
    return Money(
        capital=capital,
        pnl=realised + still,
        realised=realised,
        open=still,
        costs=costs,
        gross=realised + still + costs,
        gross_wins=fsum(max(0.0, trade.pnl + trade.costs) for trade in _whole(found)),
    )


def _record(closed: Sequence[Trade], gate: Gate, curve: Curve | None, rng: Generator) -> Record:
    pnl = np.array([trade.pnl for trade in closed])
    daily = np.array([]) if curve is None else np.diff(curve.values)
    start = 1.0 if curve is None else curve.values[0]
    return Record(
        n=len(pnl),
        win_rate=measures.win_rate(pnl),
        mean_win=measures.expectancy(pnl[pnl > 0], rng),
        mean_loss=measures.expectancy(pnl[pnl < 0], rng),
        profit_factor=next(c.measured for c in gate.criteria if c.name == "profit_factor"),
        expectancy_r=measures.expectancy([trade.r for trade in closed], rng),
        sharpe=measures.sharpe(daily, rng),
        sortino=measures.sortino(daily, rng),
        max_drawdown=measures.drawdown(daily, start, rng) if len(daily) else None,
        worst_days=measures.cvar(daily / start, rng),
    )


def _curve(marks: Sequence[Mark], capital: Dollars, start: datetime) -> Curve | None:
    """Return the equity at the last mark of each day, after the capital it began with."""
    by_day = {mark.at.date(): mark.equity for mark in sorted(marks, key=lambda m: m.at)}
    if not by_day:
        return None
    days = sorted(by_day)
    before = min(start.date(), days[0]) - DAY
    return Curve(days=(before, *days), values=(capital, *(by_day[day] for day in days)))


def _total(curves: Sequence[Curve | None]) -> Curve | None:
    """Return the sum of the curves; each stands still where it has no mark."""
    whole = [curve for curve in curves if curve is not None]
    if not whole or len(whole) < len(curves):
        return None
    days = sorted({day for curve in whole for day in curve.days})
    summed = np.zeros(len(days))
    for curve in whole:
        place = np.searchsorted(np.array(curve.days), np.array(days), side="right") - 1
        summed += np.array(curve.values)[np.maximum(place, 0)]
    return Curve(days=tuple(days), values=tuple(summed.tolist()))


def _forecasts(model: str, outcomes: Sequence[Outcome], judge: _Judge, part: str = "") -> Forecasts:
    horizon = catalog.entry(model).target.horizon
    said = [outcome for outcome in outcomes if outcome.model == model]
    if not said:
        return Forecasts(model=model, horizon=horizon)
    return Forecasts(
        model=model,
        horizon=horizon,
        scores=dict(judge.verified(said, horizon, judge.rng(f"{part} {model}"))),
        bins=_bins(said),
        versions=len({outcome.version for outcome in said}),
    )


def _own(live: Forecasts, outcomes: Sequence[Outcome], judge: _Judge, part: str) -> Forecasts:
    """Return what one bot was told by a model; of a model that no other bot asks, all there is."""
    if sum(outcome.model == live.model for outcome in outcomes) == live.n:
        return live
    return _forecasts(live.model, outcomes, judge, part)


def _bins(outcomes: Sequence[Outcome]) -> tuple[Bin, ...]:
    """Return groups of equal size by probability. Equal probabilities stay in one group."""
    p = np.array([outcome.probability for outcome in outcomes])
    edges = np.unique(np.quantile(p, np.linspace(0, 1, BINS + 1)[1:-1], method="higher"))
    group = np.searchsorted(edges, p, side="right")
    found = []
    for k in np.unique(group).tolist():
        inside = [outcome for outcome, g in zip(outcomes, group, strict=True) if g == k]
        found.append(
            Bin(
                n=len(inside),
                hits=sum(outcome.happened for outcome in inside),
                predicted=fsum(outcome.probability for outcome in inside) / len(inside),
                sessions=len({outcome.at.date() for outcome in inside}),
            )
        )
    return tuple(found)


def _models(store: Store, live: Mapping[str, Forecasts]) -> dict[str, ModelReport]:
    """Return what is recorded of every model that was ever ruled on or asked."""
    ledger, versions = registry.ledger(store), registry.versions(store)
    reports = {}
    for name, entry in catalog.CATALOG.items():
        rulings = [line for line in ledger if line.model == name]
        own = [version for version in versions if version.model == name]
        if not own and not live[name].n:
            continue
        reports[name] = _model(
            ModelReport(
                name=name,
                title=entry.title,
                target=entry.target.name,
                horizon=entry.target.horizon,
                trained=len(own),
                rulings=_totals((line.ruling.value, 1) for line in rulings),
                served=live[name].versions,
                live=live[name],
                reigns=_reigns(rulings),
            ),
            own,
        )
    return reports


def _model(report: ModelReport, versions: Sequence[Version]) -> ModelReport:
    """Return the report with what is known of the version that answers now, if one does."""
    last = report.reigns[-1] if report.reigns else None
    if last is None or last.until is not None:
        return report
    measured = [v.measures for v in versions if v.version == last.version]
    return report.model_copy(
        update={
            "champion": last.version,
            "since": last.since,
            "held_out": measured[0] if measured else {},
            "gate": last.reason,
        }
    )


def _reigns(rulings: Sequence[Ruled]) -> tuple[Reign, ...]:
    """Return who answered when, oldest first."""
    reigns: list[Reign] = []
    for line in rulings:
        if line.ruling not in (Ruling.PROMOTE, Ruling.ROLLBACK, Ruling.RETIRE):
            continue
        if reigns and reigns[-1].until is None:
            reigns[-1] = reigns[-1].model_copy(update={"until": line.at})
        if line.ruling is not Ruling.RETIRE:
            reigns.append(
                Reign(
                    version=line.version,
                    since=line.at,
                    ruling=line.ruling.value,
                    reason=line.reason,
                )
            )
    return tuple(reigns)


def _latched(store: Store, start: datetime, end: datetime) -> tuple[Latched, ...]:
    thrown = record.latches(store, start, end + DAY)
    counted = Counter((latch.human, latch.code.value, latch.target) for latch in thrown)
    return tuple(
        Latched(code=code, target=target, human=human, n=n)
        for (human, code, target), n in sorted(counted.items(), key=lambda i: (-i[1], i[0]))
    )


def _baselines(
    played: Panel, capital: Dollars, costs: Costs, judge: _Judge
) -> tuple[Baseline, ...]:
    """Return what holding the market over the same window would have made of the same capital."""
    index = played.symbols[0]
    stocks = tuple(symbol for symbol in played.symbols if symbol in STOCKS)
    found = []
    for name, title, symbols in (
        ("index", index, (index,)),
        ("stocks", f"{len(stocks)} stocks in equal parts", stocks),
    ):
        growth = baselines.held(played, symbols, costs)
        if growth is None:
            continue
        first = moment(played, 0).date() - DAY
        days = (first, *(moment(played, place).date() for place in range(len(played))))
        curve = Curve(days=days, values=(capital, *(capital * growth).tolist()))
        daily, rng = np.diff(curve.values), judge.rng(name)
        found.append(
            Baseline(
                name=name,
                title=title,
                curve=curve,
                sharpe=measures.sharpe(daily, rng),
                max_drawdown=measures.drawdown(daily, capital, rng),
            )
        )
    return tuple(found)


def _simulated(feed: Feed, closed: Iterable[Trade]) -> tuple[str, ...]:
    """Return everything that was not real: of the feed, of the broker, of the trades."""
    labels = {trade.simulated for trade in closed if trade.simulated}
    said = " ".join(feed.simulated)
    extra = (label for label in sorted(labels) if label.partition(": ")[2] not in said)
    return (*feed.simulated, f"{PaperBroker.simulated}.", *extra)
