"""A session over history: the same timetable, tasks and layers as live, in virtual time."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from api import opening, render
from api.verbs import operate
from api.verbs.common import DryRun, Json, Out
from domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from domain.settings import Settings
    from orchestrator.summary import BotReport, Forecasts, ModelReport, Summary
    from risk.measures import Criterion, Gate

FIRST, LAST = date(2016, 1, 4), date(2018, 12, 31)
BROAD = 100
"""Columns of a terminal on which two bots stand side by side."""


def _day(name: str, told: str) -> Any:
    return typer.Option(name, parser=_read, metavar="YYYY-MM-DD", help=told)


def _read(text: str | date) -> date:
    """Return the day; Typer hands in the default as it is."""
    return text if isinstance(text, date) else date.fromisoformat(text)


def replay(  # noqa: PLR0913 -- options
    ctx: typer.Context,
    start: Annotated[date, _day("--from", "First session.")] = FIRST,
    end: Annotated[date, _day("--to", "Last session.")] = LAST,
    bots: Annotated[
        list[str] | None, typer.Option("--bots", help="Only these; repeat, or with commas.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A file or folder of bars instead of the set feed.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the set one.")] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="N-HiTS and PatchTST too: minutes for each month.")
    ] = False,
    to: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train on what is known before, trade the sessions, and write a page about it.

    What the home held before is moved into its archive, whole; switches that a person set stay.
    """
    chosen = _chosen(opening.settings(ctx), data, seed)
    names = _named(bots)
    sessions = _sessions(chosen, start, end)
    if dry_run:
        _plan(chosen, start, end, sessions, names, json)
        return
    from workers import history

    with render.progress("replay") as told:
        run = history.replay(chosen, start, end, names, told, render.note, deep)
        told(1.0, "summing up")
    command = f"omega replay --from {start} --to {end} --seed {chosen.seed}"
    command += f" --bots {','.join(names)}" if names else ""
    command += " --deep" if deep else ""
    summary = operate.summarise(chosen, command, run.seconds)
    file = operate.write(summary, chosen, to)
    if json:
        extra = {"seconds": round(run.seconds, 3), "report": str(file), "archived": run.archived}
        extra |= {"notes": run.notes}
        render.emit(summary.brief() | extra)
    else:
        session(summary, file)
        if run.archived:
            render.note(f"the record that was here before lies in {run.archived}")


def _chosen(settings: "Settings", data: Path | None, seed: int | None) -> "Settings":
    changed: dict[str, Any] = {} if seed is None else {"seed": seed}
    if data is not None:
        if not data.exists():
            raise Refused(f"--data {data}: there is no such file or folder")
        changed |= {"feed": "files", "data": data}
    return settings.model_copy(update=changed)


def _named(bots: list[str] | None) -> tuple[str, ...]:
    from trading.bots.catalog import find

    words = [word for given in bots or () for word in given.split(",") if word]
    return tuple(dict.fromkeys(find(word.strip().lower()).name for word in words))


def _sessions(chosen: "Settings", start: date, end: date) -> int:
    """Return how many sessions the window has, before anything in the home is moved.

    Raises
    ------
    Refused
        The window is empty, or the feed has nothing in it.
    """
    from market import calendar

    if end < start:
        raise Refused(f"--from {start} lies after --to {end}")
    times = opening.feed(chosen).panel().times
    first, last = times[0].item().date(), times[-1].item().date()
    days = [day for day in calendar.sessions(start, end) if first <= day <= last]
    if not days:
        raise Refused(f"the feed has no session from {start} to {end}; it has {first} to {last}")
    return len(days)


def _plan(
    chosen: "Settings", start: date, end: date, sessions: int, names: tuple[str, ...], json: bool
) -> None:
    from storage import engine
    from trading.bots.catalog import BOTS

    file = engine.file_of(engine.location(chosen))
    told = {
        "from": start,
        "to": end,
        "sessions": sessions,
        "bots": list(names or BOTS),
        "feed": chosen.feed,
        "seed": chosen.seed,
        "home": str(chosen.home),
        "would_archive": bool(file and file.exists()),
        "dry_run": True,
    }
    if json:
        render.emit(told)
    else:
        told |= {"bots": ", ".join(names or BOTS)}
        render.show(render.pairs({k: v for k, v in told.items() if k != "dry_run"}))
        render.note("dry run: nothing was played")


def session(summary: "Summary", file: Path) -> None:
    """Print what a session came to: the same sentences and numbers as the page."""
    from orchestrator import prose

    bots = [_bot(bot) for bot in summary.bots.values()]
    head = Text(prose.headline(summary), style="bold")
    span = Text(
        f"{prose.span(summary)}, {summary.sessions:,} sessions, {summary.decisions:,} decisions, "
        f"{summary.trades:,} trades",
        style="dim",
    )
    models = render.table(
        "Models: what came true of all that they said",
        ("model", ">trained", ">served", ">Brier~", ">base rate", ">skill~", "verdict~"),
        [_model(model) for model in summary.models.values()],
    )
    findings = Table.grid(padding=(0, 1))
    for sentence in prose.findings(summary):
        findings.add_row(Text("·", style="dim"), Text(sentence))
    facts = {
        "the gate": _gate(summary.mvs),
        "real": "\n".join(summary.real),
        "simulated": "\n".join(summary.simulated),
        "digest": summary.digest,
        "took": "" if summary.seconds is None else f"{summary.seconds:,.1f} s",
        "report": Text(str(file), style="bold"),
    }
    render.show(render.spaced(head, span, *_beside(bots), models, findings, render.pairs(facts)))


def _beside(bots: "Sequence[Table]") -> "Sequence[RenderableType]":
    if render.console().width < BROAD:
        return bots
    rows = []
    for left in range(0, len(bots), 2):
        pair = Table.grid(padding=(0, 4), expand=True)
        pair.add_column(ratio=1)
        pair.add_column(ratio=1)
        pair.add_row(*bots[left : left + 2])
        rows.append(pair)
    return rows


def _bot(bot: "BotReport") -> Table:
    record, money = bot.record, bot.money
    vetoes = ", ".join(f"{layer} {n:,}" for layer, n in bot.vetoes.items())
    worst = record.max_drawdown
    net = Text(render.dollars(money.pnl), style="green" if money.pnl > 0 else "red")
    net.append(f"  {100 * money.gain:+.2f} % of {render.dollars(money.capital)}", style="")
    net.append(f", costs {render.dollars(money.costs)}", style="")
    return render.pairs(
        {
            "decisions": f"{bot.decisions:,}, {bot.wanted:,} of them wanted to trade",
            "vetoes": vetoes or "none",
            "trades": f"{record.n:,}" + (f", {bot.open_positions} open" * bool(bot.open_positions)),
            "win rate": render.measure(record.win_rate, 1, 100, " %"),
            "net P&L": net,
            "max drawdown": render.NONE if worst is None else render.percent(worst.value),
            "profit factor": render.measure(record.profit_factor, 2),
            "Brier": "\n".join(_brier(one) for one in bot.forecasts) or render.NONE,
            "gate": _gate(bot.gate),
        },
        bot.title,
    )


def _brier(said: "Forecasts") -> str:
    scores = said.scores
    if "brier" not in scores or "brier_base" not in scores:
        return f"{said.model} {render.NONE}"
    ours, base = scores["brier"].value, scores["brier_base"].value
    return f"{said.model} {ours:.4f}, base rate {base:.4f}"


def _model(model: "ModelReport") -> tuple[Any, ...]:
    from orchestrator import prose

    scores = model.live.scores
    return (
        model.name,
        f"{model.trained:,}",
        f"{model.served:,}",
        render.short(scores.get("brier"), 4),
        render.number(scores["brier_base"].value) if "brier_base" in scores else render.NONE,
        render.short(scores.get("skill"), 3),
        prose.verdict(model.live),
    )


def _gate(gate: "Gate") -> Text:
    """Return what a gate says, in a line: passed, or everything it failed on."""
    from orchestrator.prose import CRITERIA

    if gate.passed:
        return Text("minimum viable strategy: passed", style="green")
    missed = [f"{CRITERIA[c.name]} {_missed(c)}" for c in gate.criteria if not c.passed]
    return Text.assemble(("failed", "red"), f" on {', '.join(missed)}")


def _missed(criterion: "Criterion") -> str:
    if criterion.measured is None:
        return "unknown"
    value = criterion.measured.value
    told = {
        "trades": f"{value:,.0f} of 30",
        "pnl": render.dollars(value),
        "win_rate": render.percent(value),
    }
    return told.get(criterion.name, f"{value:.2f}")
