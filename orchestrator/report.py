"""What a session came to: everything a report shows, computed from what is recorded.

Nothing in here is kept anywhere else and nothing is remembered between two calls: the same record
over the same prices gives the same summary, whoever asks and however often.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np

from domain.book import Costs
from domain.bot import Bot
from domain.errors import Refused
from domain.settings import Settings
from domain.trade import Trade
from domain.values import Dollars
from domain.version import Version
from market import window
from market.feeds.base import Feed
from market.panel import Panel
from market.universe import STOCKS
from models import catalog
from orchestrator import baselines, figures, recorded
from orchestrator.figures import Judge, Verified
from orchestrator.sight import moment
from orchestrator.summary import (
    Baseline,
    Curve,
    Forecasts,
    Latched,
    ModelReport,
    Reign,
    Summary,
    Window,
)
from risk import measures
from storage import record, registry
from storage.engine import Store
from storage.registry import Ruled, Ruling
from trading import competition
from trading.bots.catalog import BOTS
from trading.brokers.paper import PaperBroker
from trading.competition import Entrant, Seeded, Standing

DAY = timedelta(days=1)
INDEX = "index"
"""The baseline that the bots are held against."""


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
    found = recorded.read(store, bots)
    if not found.lines:
        raise Refused("no decision is recorded; run `omega replay` or `omega decide` first")
    bars = recorded.bars(feed, found.lines)
    start, end = bars[0], bars[-1]
    desk = {name: bot for name, bot in bots.items() if any(found.of(name).lines)}
    judge = Judge(settings.seed, verified)
    live = {model: figures.forecasts(model, found.outcomes, judge) for model in catalog.CATALOG}
    reports = {
        name: figures.bot_report(bot, found.of(name), start, judge, live)
        for name, bot in desk.items()
    }
    capital = sum(report.money.capital for report in reports.values())
    curve = figures.summed([report.curve for report in reports.values()])
    causes, whole = figures.causes(found), found.whole
    gate = measures.mvs([trade.pnl for trade in whole], judge.rng("mvs"))
    played = window.between(feed.panel(), start, end)
    held = _baselines(played, capital, settings.costs, judge.rng)
    entrants = [
        figures.entrant(bot, found.of(name), reports[name].curve) for name, bot in desk.items()
    ]
    return Summary(
        window=Window(start=start, end=end),
        env="/".join(sorted({line.env for line in found.lines})),
        sessions=len({bar.date() for bar in bars}),
        decisions=len(found.lines),
        pending=found.pending,
        wanted=sum(report.wanted for report in reports.values()),
        vetoes={
            "layers": figures.totals((cause.layer, cause.n) for cause in causes),
            "codes": figures.totals((cause.code, cause.n) for cause in causes),
        },
        causes=causes,
        trades=len(whole),
        closings=len(found.closed),
        money=figures.money(capital, found),
        record=figures.record(whole, gate, curve, judge.rng("desk")),
        curve=curve,
        bots=reports,
        standings=_ranked(entrants, held, judge.rng),
        models=_models(store, live),
        mvs=gate,
        switches=_latched(store, start, end),
        baselines=held,
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


def standings(
    store: Store,
    feed: Feed,
    settings: Settings,
    bots: Mapping[str, Bot] = BOTS,
    since: date | None = None,
    until: date | None = None,
) -> tuple[Standing, ...]:
    """Return the bots as if all had had the same capital, best first; last, the index held.

    Parameters
    ----------
    since, until
        First and last session that count, both included; None for all that is recorded.

    Raises
    ------
    Refused
        Nothing is recorded, or nothing in the window.
    """
    found = recorded.read(store, bots)
    days = {mark.at.date() for mark in found.marks}
    if not days or not found.lines:
        raise Refused("no session is recorded; run `omega replay`, or let the desk trade one")
    if not any((since or day) <= day <= (until or day) for day in days):
        raise Refused(f"no session in the window; the record has {min(days)} to {max(days)}")
    bars = recorded.bars(feed, found.lines)
    entrants = []
    for name, bot in bots.items():
        own = found.of(name)
        if own.lines:
            curve = figures.curve_of(own.marks, bot.capital, bars[0])
            entrants.append(figures.entrant(bot, own, curve))
    rng = figures.seeded(settings.seed)
    played = window.between(feed.panel(), bars[0], bars[-1])
    held = _baselines(played, 1.0, settings.costs, rng)
    return _ranked(entrants, held, rng, since, until)


def _ranked(
    entrants: Sequence[Entrant],
    held: Sequence[Baseline],
    rng: Seeded,
    since: date | None = None,
    until: date | None = None,
) -> tuple[Standing, ...]:
    index = [
        competition.measured(
            Entrant(
                name=each.name,
                title=f"{each.title}, held",
                days=each.curve.days,
                equity=each.curve.values,
            ),
            since,
            until,
            rng,
        ).model_copy(update={"exposure": 1.0, "reason": "what anybody could have done instead"})
        for each in held
        if each.name == INDEX
    ]
    return (*competition.rank(entrants, since, until, rng), *index)


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
                rulings=figures.totals((line.ruling.value, 1) for line in rulings),
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


def _baselines(played: Panel, capital: Dollars, costs: Costs, rng: Seeded) -> tuple[Baseline, ...]:
    """Return what holding the market over the same window would have made of the same capital."""
    index = played.symbols[0]
    stocks = tuple(symbol for symbol in played.symbols if symbol in STOCKS)
    found = []
    for name, title, symbols in (
        (INDEX, index, (index,)),
        ("stocks", f"{len(stocks)} stocks in equal parts", stocks),
    ):
        growth = baselines.held(played, symbols, costs)
        if growth is None:
            continue
        first = moment(played, 0).date() - DAY
        days = (first, *(moment(played, place).date() for place in range(len(played))))
        curve = Curve(days=days, values=(capital, *(capital * growth).tolist()))
        daily, own = np.diff(curve.values), rng(name)
        found.append(
            Baseline(
                name=name,
                title=title,
                curve=curve,
                sharpe=measures.sharpe(daily, own),
                max_drawdown=measures.drawdown(daily, capital, own),
            )
        )
    return tuple(found)


def _simulated(feed: Feed, closed: Iterable[Trade]) -> tuple[str, ...]:
    """Return everything that was not real: of the feed, of the broker, of the trades."""
    labels = {trade.simulated for trade in closed if trade.simulated}
    said = " ".join(feed.simulated)
    extra = (label for label in sorted(labels) if label.partition(": ")[2] not in said)
    return (*feed.simulated, f"{PaperBroker.simulated}.", *extra)
