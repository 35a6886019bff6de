"""The figures of a bot or of the desk, computed from what is recorded of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from domain.bot import Bot
from domain.trade import Outcome, Trade
from domain.values import Action, Dollars
from domain.version import Measure
from models import catalog
from orchestrator.books import Mark
from orchestrator.recorded import Recorded
from orchestrator.summary import Bin, BotReport, Cause, Curve, Forecasts, Money, Record
from risk import measures
from risk.measures import Gate
from trading import accounting
from trading.competition import Entrant, Seeded

Verified = Callable[[Sequence[Outcome], int, Generator], Mapping[str, Measure]]
"""`learning.feedback.verified`: how the promotion gate measures what came true."""

DAY = timedelta(days=1)
BINS = 8
"""Groups of equal size that a calibration plot makes of the predictions."""


class Judge(NamedTuple):
    """How things are measured here."""

    seed: int
    verified: Verified

    def rng(self, part: str) -> Generator:
        """Return a generator for each part of its own, so that none depends on another."""
        return seeded(self.seed)(part)


def seeded(seed: int) -> Seeded:
    """Return a function that makes a generator for each part of its own."""
    return lambda part: np.random.default_rng([seed, *part.encode()])


def bot_report(
    bot: Bot, own: Recorded, start: datetime, judge: Judge, live: Mapping[str, Forecasts]
) -> BotReport:
    """Return the session of one bot.

    Parameters
    ----------
    own
        The part of the record that is the bot's.
    start
        The first bar that the desk decided on: its curve begins a day before.
    live
        What came true of each model, whoever asked it.
    """
    held, whole = causes(own), own.whole
    curve = curve_of(own.marks, bot.capital, start)
    gate = measures.mvs([trade.pnl for trade in whole], judge.rng(f"mvs {bot.name}"))
    return BotReport(
        name=bot.name,
        title=bot.title,
        factor=bot.factor,
        decisions=len(own.lines),
        wanted=sum(line.action != Action.HOLD for line in own.lines),
        vetoes=totals((cause.layer, cause.n) for cause in held),
        causes=held,
        orders={status: n for (_, status), n in sorted(own.orders.items())},
        open_positions=len(own.held),
        exits=totals((trade.why.value, 1) for trade in own.closed),
        money=money(bot.capital, own),
        record=record(whole, gate, curve, judge.rng(bot.name)),
        gate=gate,
        forecasts=tuple(
            said
            for model in bot.models
            if (said := _own(live[model], own.outcomes, judge, bot.name)).bins
        ),
        curve=curve,
    )


def totals(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the sums by name, largest first, names of equal sums in order."""
    sums: Counter[str] = Counter()
    for name, n in counted:
        sums[name] += n
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def causes(found: Recorded) -> tuple[Cause, ...]:
    """Return why decisions were held, the most frequent cause first."""
    counted = Counter((line.layer, str(line.code)) for line in found.lines if line.layer)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(
        Cause(layer=layer, code=code, n=n, example=found.examples.get((layer, code), ""))
        for (layer, code), n in ordered
        if layer is not None
    )


def money(capital: Dollars, found: Recorded) -> Money:
    """Return what became of the capital, open positions at their marks."""
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
        gross_wins=fsum(max(0.0, trade.pnl + trade.costs) for trade in found.whole),
    )


def record(closed: Sequence[Trade], gate: Gate, curve: Curve | None, rng: Generator) -> Record:
    """Return what the whole trades and the daily equity are worth; no curve, no daily measure."""
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


def curve_of(marks: Sequence[Mark], capital: Dollars, start: datetime) -> Curve | None:
    """Return the equity at the last mark of each day, after the capital it began with."""
    by_day = {mark.at.date(): mark.equity for mark in sorted(marks, key=lambda m: m.at)}
    if not by_day:
        return None
    days = sorted(by_day)
    before = min(start.date(), days[0]) - DAY
    return Curve(days=(before, *days), values=(capital, *(by_day[day] for day in days)))


def entrant(bot: Bot, own: Recorded, curve: Curve | None) -> Entrant:
    """Return what the competition judges a bot by."""
    return Entrant(
        name=bot.name,
        title=bot.title,
        strategy=bot.strategy,
        days=() if curve is None else curve.days,
        equity=() if curve is None else curve.values,
        closed=tuple(own.closed),
        held=tuple(own.held),
    )


def summed(curves: Sequence[Curve | None]) -> Curve | None:
    """Return the sum of the curves; each stands still where it has no mark."""
    whole = [curve for curve in curves if curve is not None]
    if not whole or len(whole) < len(curves):
        return None
    days = sorted({day for curve in whole for day in curve.days})
    values = np.zeros(len(days))
    for curve in whole:
        place = np.searchsorted(np.array(curve.days), np.array(days), side="right") - 1
        values += np.array(curve.values)[np.maximum(place, 0)]
    return Curve(days=tuple(days), values=tuple(values.tolist()))


def forecasts(model: str, outcomes: Sequence[Outcome], judge: Judge, part: str = "") -> Forecasts:
    """Return what came true of all that one model said; `part` is whose, if not the desk's."""
    horizon = catalog.entry(model).target.horizon
    said = [outcome for outcome in outcomes if outcome.model == model]
    if not said:
        return Forecasts(model=model, horizon=horizon)
    return Forecasts(
        model=model,
        horizon=horizon,
        scores=dict(judge.verified(said, horizon, judge.rng(f"{part} {model}"))),
        bins=bins(said),
        versions=len({outcome.version for outcome in said}),
    )


def _own(live: Forecasts, outcomes: Sequence[Outcome], judge: Judge, part: str) -> Forecasts:
    """Return what one bot was told by a model; of a model that no other bot asks, all there is."""
    if sum(outcome.model == live.model for outcome in outcomes) == live.n:
        return live
    return forecasts(live.model, outcomes, judge, part)


def bins(outcomes: Sequence[Outcome]) -> tuple[Bin, ...]:
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
