"""A replay: the whole desk over history, its own timetable in virtual time, safety and costs on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time
from time import perf_counter
from typing import Any, NamedTuple

from celery import Celery

from domain.book import Costs, Switch
from domain.bot import Bot
from domain.clock import VirtualClock
from domain.errors import Refused
from domain.settings import Settings
from domain.values import Env
from domain.version import Version
from learning import loop, trainer
from learning.trainer import Report, Trained
from market import calendar
from market.feeds import catalog as feeds
from market.feeds.base import Feed
from market.feeds.sessions import warnings
from market.panel import Panel
from models.availability import lacking
from models.base import Artifact
from models.catalog import CATALOG
from orchestrator import session
from orchestrator.desk import Desk
from storage import home, switches
from tasks.learning import TOO_LITTLE, UNAVAILABLE
from trading.bots.catalog import BOTS, find
from workers import ahead, supervise
from workers.app import create
from workers.lifecycle import bound, open_desk

Progress = Callable[[float, str], None]
"""Told how far it is, 0 to 1, and at which day."""


class Run(NamedTuple):
    """What a replay was: its window, how often each entry of the timetable ran, and how long."""

    start: date
    end: date
    sessions: int
    runs: Mapping[str, int]
    seconds: float
    archived: str
    """Where the record that was there before is now; empty if there was none."""
    notes: tuple[str, ...] = ()
    """What was left out of it, and what its history lacks, in sentences."""


def replay(
    settings: Settings,
    start: date,
    end: date,
    bots: Sequence[str] = (),
    progress: Progress = lambda share, day: None,
    note: Callable[[str], None] = lambda sentence: None,
    deep: bool = False,
) -> Run:
    """Train on what is known before `start`, then play the timetable to `end`.

    The home is left holding this run's record and nothing else. What it held before is moved
    aside whole, except switches that a person set: those stay set, however the replay ends.

    Parameters
    ----------
    note
        Told, before anything is played, of every bot and model that is left out, and of what the
        history lacks.
    deep
        Ask and retrain the members that need the extra of that name, too: minutes for each month.

    Raises
    ------
    Refused
        There is no such bot, or the feed has the prices of none of them, or the window holds no
        session of the feed, or a fleet is up in this home; nothing was moved then.
        Or it leaves too little to train on before it.
    """
    with supervise.alone(settings.home):
        return _replay(settings, start, end, bots, progress, note, deep)


def _replay(
    settings: Settings,
    start: date,
    end: date,
    bots: Sequence[str],
    progress: Progress,
    note: Callable[[str], None],
    deep: bool,
) -> Run:
    began = perf_counter()
    feed, notes = feeds.create(settings), list[str]()

    def tell(sentence: str) -> None:
        notes.append(sentence)
        note(sentence)

    days = _days(feed.panel(), start, end)
    chosen = _traded({name: find(name) for name in bots} or BOTS, feed, tell)
    if not deep:
        chosen = _shallow(chosen, tell)
    for sentence in warnings(feed, start, end):
        tell(sentence)
    archived, latches = home.archive(settings)
    clock = VirtualClock(datetime.combine(start, time(), calendar.TIMETABLE).astimezone(UTC))
    until = datetime.combine(end, time(23, 59), calendar.TIMETABLE).astimezone(UTC)
    with ExitStack() as stack:
        desk = stack.enter_context(bound(open_desk(settings, clock, Env.REPLAY, feed)))
        desk.bots = chosen
        app = _eager(settings)
        send = _sender(app)
        slots = [(model, clock.now()) for model in CATALOG] + _trainings(app, clock.now(), until)
        due = [(m, at) for m, at in slots if m in desk.asked and not lacking(m, feed, at)]
        shelf = stack.enter_context(ahead.shelf(settings, due))
        stack.enter_context(_trained_by(shelf))
        arrivals = _arrivals(feed, days)
        first, whole = arrivals[0], (arrivals[-1] - arrivals[0]).total_seconds() or 1.0

        def told(task: str, kwargs: Mapping[str, Any]) -> None:
            send(task, kwargs)
            if task == "market.scan":
                done = (clock.now() - first).total_seconds() / whole
                progress(min(max(done, 0.0), 1.0), f"{clock.now():%Y-%m-%d}")

        on_data = frozenset(name for name, task in app.tasks.items() if hasattr(task, "on_data"))
        live = {name for name, task in app.tasks.items() if hasattr(task, "live")}
        table = {n: e for n, e in app.conf.beat_schedule.items() if e["task"] not in live}
        with _kept(desk, latches):
            progress(0.0, f"training on what is known before {start}")
            _train(send, start, chosen, tell)
            send("safety.roll", {})
            runs = session.play(table, clock, until, told, arrivals, on_data)
        send("upkeep.checkpoint", {})
        send("upkeep.backup", {})
    seconds = perf_counter() - began
    return Run(start, end, len(days), dict(runs), seconds, str(archived or ""), tuple(notes))


@contextmanager
def _kept(desk: Desk, latches: Sequence[Switch]) -> Iterator[None]:
    """Set what a person had set again when the replay is over, even if it fails."""
    try:
        yield
    finally:
        for latch in latches:
            switches.throw(desk.store, latch)


def _train(
    send: Callable[[str, Mapping[str, Any]], Any],
    start: date,
    bots: Mapping[str, Bot],
    tell: Callable[[str], None],
) -> None:
    """Train every model that a bot asks on what is known before the first day.

    One that cannot be trained is told, and its bots hold. Refused is a window before which there is
    too little for every one of them.
    """
    little, trained = list[str](), False
    for model in CATALOG:
        if not any(model in bot.models for bot in bots.values()):
            continue
        came = send("learning.train", {"model": model})
        trained |= came["ruling"] not in (TOO_LITTLE, UNAVAILABLE)
        if came["ruling"] == TOO_LITTLE:
            little.append(f"to train {model}: {came['reason']}")
        elif came["ruling"] == UNAVAILABLE:
            tell(came["reason"])
    if little and not trained:
        raise Refused(f"there is too little before {start} {little[0]}")
    for reason in little:
        tell(f"too little is known {reason}")


def _traded(bots: Mapping[str, Bot], feed: Feed, tell: Callable[[str], None]) -> dict[str, Bot]:
    """Return the bots that the feed has prices for, each with those of its symbols."""
    there, kept = set(feed.symbols), dict[str, Bot]()
    for name, bot in bots.items():
        own = tuple(symbol for symbol in bot.symbols if symbol in there)
        if not own:
            tell(f"{bot.title} is left out: the feed has none of its {len(bot.symbols)} symbols")
            continue
        if len(own) < len(bot.symbols):
            tell(
                f"{bot.title} trades {len(own)} of its {len(bot.symbols)} symbols: no more are here"
            )
        kept[name] = bot if own == bot.symbols else bot.model_copy(update={"symbols": own})
    if not kept:
        raise Refused(
            f"the feed has only {', '.join(feed.symbols)}, which none of the bots trades; import "
            "bars of what they trade, or choose others with --bots"
        )
    return kept


def _shallow(bots: Mapping[str, Bot], tell: Callable[[str], None]) -> dict[str, Bot]:
    """Return the bots without the models that take minutes to train, which nobody then asks."""
    deep = {name for name, entry in CATALOG.items() if entry.load().extra}
    left = {model for bot in bots.values() for model in bot.models if model in deep}
    if left:
        tell(f"{', '.join(sorted(left))} are left out: a replay asks them with --deep")
    return {
        name: bot.model_copy(update={"models": tuple(m for m in bot.models if m not in deep)})
        for name, bot in bots.items()
    }


def _arrivals(feed: Feed, days: Sequence[date]) -> list[datetime]:
    """Return when market data arrives: openings, closes, and the end of each bar between them.

    Without the first opening: what closed before it was decided on the day before, or never.
    """
    found = {t for day in days for t in (calendar.opens(day), calendar.closes(day))}
    if feed.within() is not None:
        for day in days:
            found.update(feed.moments(calendar.opens(day), calendar.closes(day)))
    return sorted(found)[1:]


def _days(panel: Panel, start: date, end: date) -> list[date]:
    """Return the sessions of the window that the feed has bars of."""
    times = panel.times
    days = [day for day in calendar.sessions(start, end) if _within(times, day)]
    if not days:
        first, last = times[0].item().date(), times[-1].item().date()
        raise Refused(f"the feed has no session from {start} to {end}; it has {first} to {last}")
    return days


def _within(times: Any, day: date) -> bool:
    return bool(times[0].item().date() <= day <= times[-1].item().date())


def _eager(settings: Settings) -> Celery:
    """Return an application that runs every task where it is called.

    Virtual time has no queue to wait in. All layers run in one task: that a canvas decides the
    same is what the parity tests are for.
    """
    app = create(settings)
    app.conf.update(task_always_eager=True, task_eager_propagates=True, omega_fused=True)
    app.set_current()
    return app


def _trainings(app: Celery, start: datetime, until: datetime) -> list[ahead.Slot]:
    """Return every training of the timetable, in the order in which they fall due."""
    due = [
        (moment, place, model)
        for place, entry in enumerate(app.conf.beat_schedule.values())
        if entry["task"] in ("learning.train", "learning.together")
        for moment in session.every(entry["schedule"], start, until)
        for model in entry["kwargs"].get("models", [entry["kwargs"].get("model")])
    ]
    return [(model, moment) for moment, _, model in sorted(due, key=lambda one: one[:2])]


@contextmanager
def _trained_by(shelf: ahead.Shelf) -> Iterator[None]:
    """Take trainings from the shelf; what was not ordered is trained here."""

    def train(name: str, panel: Panel, asof: datetime, seed: int, costs: Costs) -> Trained:
        done = shelf.take(name, asof)
        if done is None:
            return trainer.train(name, panel, asof, seed, costs)
        artifact, version, report = done
        return Trained(
            Artifact.from_bytes(artifact),
            Version.model_validate_json(version),
            Report.model_validate_json(report),
        )

    token = loop.elsewhere.set(train)
    try:
        yield
    finally:
        loop.elsewhere.reset(token)


def _sender(app: Celery) -> Callable[[str, Mapping[str, Any]], Any]:
    def send(task: str, kwargs: Mapping[str, Any]) -> Any:
        return app.tasks[task].apply(kwargs=dict(kwargs), throw=True).result

    return send
