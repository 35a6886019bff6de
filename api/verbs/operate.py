"""What the desk is made of, when it does what, and the page about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from api import opening, render
from api.verbs.common import Json, Out

if TYPE_CHECKING:
    from domain.settings import Settings
    from orchestrator.summary import Summary


def bots(
    name: Annotated[str | None, typer.Argument(help="One bot, with all that it is.")] = None,
    json: Json = False,
) -> None:
    """List the bots: what they trade, whom they ask, what they may risk."""
    from trading.bots.catalog import BOTS, find

    if name is not None:
        one = find(name.lower())
        if json:
            render.emit(one)
        else:
            facts = {key: _plain(value) for key, value in one.model_dump(mode="json").items()}
            render.show(render.spaced(render.pairs(facts, one.title)))
        return
    if json:
        render.emit({"bots": BOTS})
        return
    rows = [
        (
            Text.assemble(bot.name, (f"\n{bot.strategy}", "dim")),
            bot.symbols[0] if len(bot.symbols) == 1 else f"{len(bot.symbols)} stocks",
            "\n".join(bot.structures or bot.sides),
            bot.horizon,
            "\n".join(bot.models),
            render.dollars(bot.capital),
            f"{100 * bot.risk_per_trade:g} %",
        )
        for bot in BOTS.values()
    ]
    columns = ("bot", "trades~", "by", ">horizon", "asks", ">capital", ">risk")
    render.show(render.spaced(render.table("", columns, rows, leading=1)))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def schedule(ctx: typer.Context, json: Json = False) -> None:
    """Show the timetable: what runs when, and when next, in exchange time and in UTC."""
    from datetime import timedelta

    from market import calendar
    from market.calendar import TIMETABLE
    from orchestrator.session import next_slot
    from workers.app import create

    at = opening.now()
    table = create(opening.settings(ctx)).conf.beat_schedule
    entries: list[dict[str, Any]] = []
    for name, entry in table.items():
        due = next_slot(entry["schedule"], at)
        entries.append(
            {
                "name": name,
                "task": entry["task"],
                "kwargs": entry["kwargs"],
                "when": _when(entry["schedule"]),
                "queue": entry["options"]["queue"],
                "expires_seconds": entry["options"]["expires"],
                "next_exchange": None if due is None else due.astimezone(TIMETABLE).isoformat(),
                "next_utc": None if due is None else due.isoformat(),
            }
        )
    opens = calendar.roll(at)
    if json:
        render.emit({"timezone": str(TIMETABLE), "next_session": opens, "schedule": entries})
        return
    rows = [
        (
            entry["name"],
            entry["task"],
            entry["when"],
            entry["queue"],
            _clock(entry["next_exchange"], "%a %m-%d %H:%M"),
            _clock(entry["next_utc"], "%m-%d %H:%M"),
            f"{timedelta(seconds=entry['expires_seconds'])}",
        )
        for entry in entries
    ]
    columns = ("entry", "task~", "when~", "queue", "next, exchange", "UTC", ">expires")
    said = f"Exchange time is {TIMETABLE}. The next session opens {render.when(opens)}."
    render.show(render.spaced(render.table("", columns, rows), said))


def _when(schedule: Any) -> str:
    """Return a crontab as its five fields, and a pulse as its period."""
    text = repr(schedule)
    if text.startswith("<crontab: "):
        return text.removeprefix("<crontab: ").partition(" (")[0]
    return f"every {schedule.run_every.total_seconds():g} s"


def _clock(text: str | None, form: str) -> str:
    from datetime import datetime

    return render.NONE if text is None else datetime.fromisoformat(text).strftime(form)


def report(
    ctx: typer.Context,
    to: Out = None,
    look: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    json: Json = False,
) -> None:
    """Make the page about the session anew, from the record."""
    chosen = opening.settings(ctx)
    with render.progress("summing up") as told:
        told(0.0, "reading the record")
        summary = summarise(chosen, command="omega report")
        told(0.8, "drawing")
        file = write(summary, chosen, to)
        told(1.0, "")
    if json:
        render.emit(summary.brief() | {"report": str(file)})
    else:
        render.show(str(file))
    if look:
        typer.launch(str(file))


def summarise(chosen: "Settings", command: str, seconds: float | None = None) -> "Summary":
    """Return what the record of the home comes to."""
    from learning.feedback import verified
    from orchestrator import report as reports
    from storage.engine import open_store

    store = open_store(chosen)
    try:
        feed = opening.feed(chosen)
        return reports.summarise(store, feed, chosen, verified, command=command, seconds=seconds)
    finally:
        store.close()


def write(summary: "Summary", chosen: "Settings", to: Path | None) -> Path:
    """Write the page, whole or not at all; the same record goes to the same file."""
    from orchestrator import page

    window = summary.window
    name = f"{window.start:%Y%m%d}-{window.end:%Y%m%d}-{summary.digest[:8]}.html"
    file = to or chosen.home / "reports" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.part")
    fresh.write_text(page.render(summary), encoding="utf-8")
    fresh.replace(file)
    return file
