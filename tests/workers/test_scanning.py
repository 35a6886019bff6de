"""A replay that scans within sessions: models of daily history, prices of five minutes."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from domain.decision import Reason
from domain.errors import Refused
from domain.settings import Settings
from domain.values import Action
from learning.feedback import verified
from market import calendar, window
from market.feeds import intake
from market.panel import Panel
from models.catalog import CATALOG
from orchestrator import replay as again
from orchestrator import report
from storage import audit, decisions, engine, registry, state, trades
from storage.engine import Store
from tests.orchestrator.made import packaged
from tests.orchestrator.within import FIVE, five_minutes
from workers.history import Run, replay

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data on this machine")
START, END = date(2016, 5, 26), date(2016, 5, 31)
DAYS = calendar.sessions(START, END)


def rows(panel: Panel, column: int, intraday: bool) -> Iterator[str]:
    yield f"{'timestamp' if intraday else 'date'},open,high,low,close"
    for place, time in enumerate(panel.times):
        moment = time.astype("datetime64[s]").astype(datetime)
        label = f"{moment - FIVE:%Y-%m-%dT%H:%M}Z" if intraday else f"{moment:%Y-%m-%d}"
        bar = (getattr(panel, n)[place, column] for n in ("open", "high", "low", "close"))
        yield ",".join((label, *("" if np.isnan(x) else repr(float(x)) for x in bar)))


class Played(NamedTuple):
    settings: Settings
    run: Run
    told: list[str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    home, source = tmp_path_factory.mktemp("scanning"), tmp_path_factory.mktemp("files")
    panel = window.until(packaged().panel(), calendar.closes(END))
    (source / "SPX.csv").write_text("\n".join(rows(panel, 0, intraday=False)))
    (source / "SPX_5m.csv").write_text("\n".join(rows(five_minutes(DAYS), 0, intraday=True)))
    levels = zip(panel.times.astype("datetime64[D]"), panel.series["VIX"].tolist(), strict=True)
    vix = [f"{day},{level!r}" for day, level in levels]
    (source / "VIX.csv").write_text("\n".join(("date,close", *vix)))
    settings = Settings(home=home, feed="files")
    intake.take(source, settings)
    told: list[str] = []
    run = replay(settings, START, END, ("fortress", "samson", "autotrader"), note=told.append)
    return Played(settings, run, told)


@pytest.fixture
def store(played: Played) -> Iterator[Store]:
    opened = engine.open_store(played.settings)
    yield opened
    opened.close()


def test_every_bar_of_every_session_is_decided_on_with_a_reason_or_a_trade(
    played: Played, store: Store
) -> None:
    lines = decisions.listing(store, limit=10_000)
    assert Counter(line.bot for line in lines) == {"fortress": 3 * 78, "samson": 3 * 78}
    expected = {calendar.opens(day) + (k + 1) * FIVE for day in DAYS for k in range(78)}
    assert {line.asof for line in lines} == expected
    assert all(line.status == "SEALED" for line in lines)
    assert all((line.action == Action.HOLD) is (line.code != Reason.OK) for line in lines)
    assert played.run.runs["scan"] == 3 * 78 + 2
    assert played.run.sessions == 3


def test_features_within_a_session_are_those_of_the_close_before(store: Store) -> None:
    found = decisions.many(store, [line.id for line in decisions.listing(store, limit=10_000)])
    by_close: dict[datetime, set[tuple[object, ...]]] = {}
    prices = set()
    for made in found:
        seen = made.context
        ended = calendar.due(seen.bar)
        assert ended is not None
        regime = None if seen.regime is None else seen.regime.model_dump_json()
        told = (tuple(seen.features.items()), seen.schema_hash, regime)
        if seen.bot.name == "fortress":
            by_close.setdefault(ended, set()).add(told)
            prices.add(seen.price)
        assert seen.surface is not None
        assert (seen.surface.spot, seen.surface.asof) == (seen.price, seen.bar)
    assert len(by_close) == 4
    assert all(len(told) == 1 for told in by_close.values())
    assert len(prices) == 3 * 78


def test_the_record_is_whole_and_decides_the_same_again(store: Store) -> None:
    assert audit.verify(store).ok
    found = decisions.many(store, [line.id for line in decisions.listing(store, limit=10_000)])
    assert again.check(found) == again.Replayed(equal=6 * 78, asked=6 * 78)


def test_positions_open_at_a_bar_and_close_at_one(store: Store) -> None:
    opened = [p.opened_at for p in trades.positions(store)]
    opened += [trade.opened_at for trade in trades.trades(store)]
    assert opened
    for moment in opened:
        day = calendar.session_of(moment)
        assert day is not None
        assert (moment - calendar.opens(day)) % FIVE == timedelta(0)
    for trade in trades.trades(store):
        assert trade.opened_at < trade.closed_at


def test_equity_is_marked_at_every_bar(store: Store) -> None:
    marks = state.listing(store, "equity/fortress/")
    assert len(marks) == 3 * 78


def test_what_is_left_out_is_said(played: Played, store: Store) -> None:
    assert played.told == list(played.run.notes)
    assert "AUTOTRADER is left out: the feed has none of its 20 symbols" in played.told
    lacking = {name for name, entry in CATALOG.items() if entry.target.universe == "stocks"}
    trained = {version.model for version in registry.versions(store)}
    assert trained.isdisjoint(lacking)
    assert {"wisdom", "prophet"} <= trained


def test_a_report_counts_sessions_and_not_bars(played: Played, store: Store) -> None:
    from market.feeds import catalog

    feed = catalog.create(played.settings)
    told = report.summarise(store, feed, played.settings, verified)
    assert (told.sessions, told.decisions) == (3, 6 * 78)
    assert told.window.start == calendar.closes(START)
    assert told.bots["fortress"].curve is not None
    assert len(told.bots["fortress"].curve.days) == 1 + 3
    assert any("Within a session" in sentence for sentence in told.real)
    assert any("Volatility within a session" in sentence for sentence in told.simulated)


def test_bots_of_other_symbols_are_refused_before_anything_is_moved(played: Played) -> None:
    with pytest.raises(Refused, match="the feed has only SPX"):
        replay(played.settings, START, END, ("autotrader",))
    assert not (played.settings.home / "archive").exists()


@REAL
def test_real_five_minutes_are_traded_by_models_of_daily_history(tmp_path: Path) -> None:
    source, day = tmp_path / "source", date(2026, 6, 15)
    for part in ("daily", "daily_window_2026"):
        (source / part).mkdir(parents=True)
        for name in ("spx", "vix", "vix1d", "vix9d", "vix3m"):
            file = f"{part}/{name}.csv"
            (source / file).write_bytes((SHARED / file).read_bytes())
    name = "SPX_5m_2026.csv.gz"
    (source / name).write_bytes((SHARED / "intraday" / name).read_bytes())
    settings = Settings(home=tmp_path / "home", feed="files")
    intake.take(source, settings, "America/New_York")
    run = replay(settings, day, day, ("fortress",))
    assert any("346 sessions are missing since 2024-12-31" in told for told in run.notes)
    store = engine.open_store(settings)
    lines = decisions.listing(store, limit=1_000)
    assert len(lines) == 78
    assert {line.action for line in lines} == {Action.SELL, Action.HOLD}
    found = decisions.many(store, [line.id for line in lines])
    assert again.check(found).different == ()
    closes = {made.context.features["vix"] for made in found}
    assert len(closes) == 2  # of the close before, and at the close of the day itself
    assert audit.verify(store).ok
    store.close()
