"""How things look on a terminal: tables, a decision as a waterfall, progress, and JSON."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from math import fsum
from threading import Event
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from domain.decision import Context, OmegaDecision, Prediction, Proposal, Verdict
    from domain.version import Measure

BAR = 12
"""Cells of the longest bar."""
AGAIN = 2.0
"""Seconds between two looks."""
WIDE = 120
"""Columns where nobody's terminal says how many there are."""
NONE = "\N{EN DASH}"
LAYERS = ("safety", "inference", "advisor", "correlation", "sizing", "seal")
MARKS = {"pass": ("●", "green"), "adjust": ("◐", "yellow"), "veto": ("✕", "red")}
STYLES = {"active": "green", "reducing": "yellow", "halted": "red"}
BUYS = {"buy": "green", "sell": "cyan", "hold": "yellow"}

Progress = Callable[[float, str], None]
"""Told how far it is, 0 to 1, and what is being done."""


def console(stream: TextIO | None = None) -> Console:
    """Return a console on stdout, or on the stream; wide where it is no terminal."""
    stream = stream or sys.stdout
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(file=stream, highlight=False, width=fixed, emoji=False, markup=False)


def show(*parts: RenderableType) -> None:
    """Print for a person, on stdout."""
    out = console()
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    with out.capture() as said:
        out.print(*parts, sep="\n")
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in said.get().splitlines())


def emit(value: Any) -> None:
    """Print one JSON object on stdout: one line, or indented where a person reads it."""
    from pydantic_core import to_jsonable_python

    indent = 2 if sys.stdout.isatty() else None
    plain = to_jsonable_python(value)
    text = json.dumps(plain, indent=indent, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")


def seen(look: Callable[[], Any], draw: Callable[[Any], RenderableType], json: bool) -> None:
    """Look once, and print what is there: as JSON, or drawn for a person."""
    emit(look()) if json else show(draw(look()))


def watched(look: Callable[[], Any], draw: Callable[[Any], RenderableType], json: bool) -> None:
    """Look every two seconds until Ctrl-C: drawn in place on a terminal, one after another else."""
    tick, out = Event(), console()
    with suppress(KeyboardInterrupt):
        if json or not out.is_terminal:
            while True:
                seen(look, draw, json)
                sys.stdout.flush()
                tick.wait(AGAIN)
        with Live(draw(look()), console=out, auto_refresh=False) as live:
            while not tick.wait(AGAIN):
                live.update(draw(look()), refresh=True)


def note(text: str) -> None:
    """Say something beside the answer, on stderr."""
    if text:
        console(sys.stderr).print(Text(text, style="dim"))


def complain(text: str) -> None:
    """Say what went wrong, on stderr, in one sentence."""
    said = Text.assemble(("omega: ", "bold red"), " ".join(text.split()))
    console(sys.stderr).print(said, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], **more: Any) -> Table:
    """Return a plain table.

    A column whose name starts with ``>`` is set to the right; one that ends with ``~`` gives way,
    in several lines, where the terminal is narrow.
    """
    made = Table(
        title=title or None,
        title_style="bold",
        title_justify="left",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        **more,
    )
    for column in columns:
        right = column.startswith(">")
        name = column.lstrip(">").rstrip("~")
        made.add_column(
            name, justify="right" if right else "left", no_wrap=name == column.lstrip(">")
        )
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text | Table) else Text(str(cell)) for cell in row))
    return made


def pairs(facts: Mapping[str, Any], title: str = "") -> Table:
    """Return two columns, names dim on the left; what has no value is left out."""
    made = Table.grid(padding=(0, 2))
    made.title, made.title_style, made.title_justify = title or None, "bold", "left"
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None and value != "":
            made.add_row(name, value if isinstance(value, Text | Table) else Text(str(value)))
    return made


def spaced(*parts: RenderableType) -> Group:
    """Return the parts one below the other, a blank line before each."""
    return Group(*(Padding(part, (1, 0, 0, 0), expand=False) for part in parts))


def when(moment: datetime | None) -> str:
    """Return a moment to the minute, UTC."""
    return NONE if moment is None else f"{moment:%Y-%m-%d %H:%MZ}"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number, or a dash where there is none.

    Examples
    --------
    >>> number(1234.5, 1), number(None) == NONE
    ('1,234.5', True)
    """
    return NONE if value is None else f"{value:,.{digits}f}"


def dollars(value: float) -> str:
    """Return whole dollars with a sign.

    Examples
    --------
    >>> dollars(-1234.4), dollars(0.2)
    ('-$1,234', '$0')
    """
    text = f"${abs(value):,.0f}"
    return f"-{text}" if value < 0 and text != "$0" else text


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as per cent, or a dash."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def measure(found: "Measure | None", digits: int = 3, scale: float = 1.0, unit: str = "") -> str:
    """Return a measure with its interval and its sample size, or a dash.

    Examples
    --------
    >>> from domain.version import Measure
    >>> measure(Measure(value=0.5, n=40, low=0.35, high=0.65), 2)
    '0.50 [0.35, 0.65] n=40'
    """
    if found is None:
        return NONE
    told = f"{scale * found.value:,.{digits}f}{unit}"
    if found.low is not None and found.high is not None:
        told += f" [{scale * found.low:,.{digits}f}, {scale * found.high:,.{digits}f}]"
    return f"{told} n={found.n:,}"


def short(found: "Measure | None", digits: int = 3) -> str:
    """Return a measure with its interval alone."""
    return measure(found, digits).partition(" n=")[0]


def mode(value: str) -> Text:
    """Return a mode in its colour: ACTIVE, REDUCING or HALTED."""
    return Text(value.upper(), style=f"bold {STYLES.get(value, 'red')}")


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show how far something is, on stderr: a bar on a terminal, else a line every 10 %."""
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[title]}"),
        BarColumn(bar_width=36, complete_style="cyan", finished_style="green"),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.description}"),
    )
    with Bar(*columns, console=console(sys.stderr), transient=False) as bar:
        task = bar.add_task("", total=1.0, title=title)
        yield lambda share, doing: bar.update(task, completed=share, description=doing)


def _lines(title: str) -> Progress:
    told = -1

    def tell(share: float, doing: str) -> None:
        nonlocal told
        if int(share * 10 + 1e-9) > told:
            told = int(share * 10 + 1e-9)
            sys.stderr.write(f"{title} {10 * told:3d} %  {doing}\n")
            sys.stderr.flush()

    return tell


def plain(made: "OmegaDecision") -> dict[str, Any]:
    """Return a decision as ``--json`` prints it: what is recorded, and what follows from it."""
    even = [] if made.proposal is None else _break_evens(made.proposal)
    return made.model_dump(mode="json") | {"hash": made.hash, "break_evens": even}


def decision(made: "OmegaDecision") -> Group:
    """Return a decision with the verdict of every layer, in the order in which they spoke."""
    from market import calendar

    context = made.context
    head = Text.assemble(
        (f"{context.bot.title} {made.symbol}  ", "bold"),
        (made.action.upper(), f"bold {BUYS[made.action]}"),
        f"  {made.quantity}" if made.quantity else "",
        (f"  {made.code}" if made.code != "OK" else "", "bold red"),
    )
    regime, within = context.regime, calendar.begun(context.bar)
    facts = pairs(
        {
            "decision": made.id,
            "bar": f"{when(context.bar)}, decided {when(context.asof)}, {context.env}",
            "features": _of(context) if within else "",
            "price": number(context.price, 2),
            "regime": "" if regime is None else f"{regime.name}, {regime.bars} bars",
            "probability": "" if made.probability is None else number(made.probability),
            "hash": made.hash[:16],
        }
    )
    said = {verdict.layer: verdict for verdict in made.draft.verdicts}
    if made.draft.predictions:
        told = [_prediction(p) for p in made.draft.predictions]
        columns = ("model", "version", ">p", ">90 % interval", ">base rate", "~")
        models = table("", columns, told)
        return Group(head, facts, Text(), waterfall(said), Text(), models, *_offer(made.proposal))
    return Group(head, facts, Text(), waterfall(said), *_offer(made.proposal))


def waterfall(said: "Mapping[str, Verdict]") -> Table:
    """Return one line for each layer: what it did, its code, why, and on which numbers."""
    made = Table.grid(padding=(0, 2))
    for style in ("", "", "", ""):
        made.add_column(style=style, no_wrap=True)
    made.columns[-1].no_wrap = False
    for layer in LAYERS:
        verdict = said.get(layer)
        if verdict is None:
            made.add_row(*(Text(t, style="dim") for t in ("·", layer, "", "not asked")))
            continue
        mark, colour = MARKS[verdict.effect]
        why = Text(verdict.reason or "no objection", style="" if verdict.reason else "dim")
        evidence = "  ".join(f"{name} {_figure(x)}" for name, x in verdict.evidence.items())
        if evidence:
            why.append(f"\n{evidence}", style="dim")
        code = "" if verdict.code == "OK" else str(verdict.code)
        made.add_row(Text(mark, style=colour), Text(layer), Text(code, style=colour), why)
    return made


def _figure(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _prediction(said: "Prediction") -> tuple[str, ...]:
    base = said.facts.get("base_rate")
    version = NONE if said.probability is None and said.version == "none" else said.version
    return (
        said.model,
        version,
        number(said.probability),
        _between(said),
        number(base),
        said.reason,
    )


def _between(said: "Prediction") -> str:
    if said.low is None or said.high is None:
        return NONE
    return f"[{number(said.low)}, {number(said.high)}]"


def _of(context: "Context") -> str:
    """Say how old the features are of what is decided within a session."""
    from market import calendar

    of = f"of the close of {when(calendar.due(context.bar))}"
    bars = any(name.startswith("bar_") for name in context.features)
    return f"{of}, and of this bar" if bars else of


def why(made: "OmegaDecision") -> Group:
    """Return what each model said, and what every feature added to it, the largest first."""
    return spaced(*(part for said in made.draft.predictions for part in _explained(made, said)))


def _explained(made: "OmegaDecision", said: "Prediction") -> Iterator[RenderableType]:
    facts, telling = said.facts, said.why
    far = facts.get("novelty")
    limit = f"a usual day is about 1, beyond {number(facts.get('novelty_limit'), 2)} it abstains"
    yield pairs(
        {
            "version": NONE if said.version == "none" else said.version,
            "probability": number(said.probability) if said.probability is not None else "",
            "90 % interval": _between(said) if said.low is not None else "",
            "base rate": number(facts["base_rate"]) if "base_rate" in facts else "",
            "unlike what it learned": "" if far is None else f"{number(far, 2)}; {limit}",
            "abstains": said.reason,
        },
        title=said.model,
    )
    if telling is None:
        return
    known, parts = made.context.features, telling.parts
    widest = max(map(abs, parts.values()), default=1.0)
    rows = [
        (name, _figure(known[name]) if name in known else "", f"{part:+.4f}", _bar(part / widest))
        for name, part in sorted(parts.items(), key=lambda item: -abs(item[1]))
    ]
    if telling.rest:
        rows.append(("all others", "", f"{telling.rest:+.4f}", Text()))
    yield table("", ("feature", ">value", ">adds", ""), rows)
    if telling.kind == "shap":
        odds = telling.base + fsum(parts.values()) + telling.rest
        end = f"{telling.base:+.4f} of which nothing is known, makes {odds:+.4f}"
        yield Text(f"added to log-odds before calibration: {end}", style="dim")
    else:
        end = f"at its median; all at their medians make {telling.base:.4f}"
        yield Text(f"what the probability would lose with the feature {end}", style="dim")


def _bar(share: float) -> Text:
    """Return a bar of one to twelve cells, in the colour of the sign."""
    cells = max(1, round(BAR * abs(share)))
    return Text("\N{FULL BLOCK}" * cells, style="green" if share > 0 else "red")


def _offer(proposal: "Proposal | None") -> tuple[RenderableType, ...]:
    if proposal is None:
        return ()
    legs = ", ".join(leg.words for leg in proposal.legs)
    kind = "credit" if proposal.entry > 0 else "pays"
    if proposal.structure == "future":
        kind = "at"
    gain = proposal.max_gain
    won = "" if gain is None else f"{'-' * (gain < 0)}${abs(gain):,.2f} a unit, after costs"
    facts = {
        "proposal": f"{proposal.structure}, {proposal.horizon} sessions",
        "legs": legs,
        kind: f"{abs(proposal.entry):,.2f} a unit",
        "at most lost": f"${proposal.max_loss:,.2f} a unit, costs of ${proposal.costs:,.2f} in it",
        "at most won": won,
        "breaks even at": " and ".join(number(spot, 2) for spot in _break_evens(proposal)),
        "": "",
        "label": proposal.simulated,
    }
    return (Text(), pairs(facts))


def _break_evens(proposal: "Proposal") -> list[float]:
    """Return the spots at expiry where it neither wins nor loses, costs counted; none of shares."""
    from trading.structures.base import break_evens

    net = proposal.entry - proposal.costs / proposal.multiplier
    return list(break_evens(proposal.legs, net))
