"""A model's card on a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api import render

if TYPE_CHECKING:
    from domain.version import Measure, Version
    from learning.card import Bin, Held, Latency
    from learning.standing import About, Standing
    from storage.registry import Ruled

WIDTH = 40
"""Columns of the calibration plot."""
RIVALS = ("base", "logistic")
WORDS = {
    "brier": "Brier",
    "log_loss": "log loss",
    "auc": "AUC",
    "skill": "skill over base rate",
    "skill_logistic": "skill over logistic",
    "base_rate": "base rate of the hold-out",
    "sessions": "sessions",
    "parity": "largest difference of what serves",
}
"""Measures as people call them, in the order of the card."""


def head(about: "About", standing: "Standing") -> Group:
    """Return what is known of a learner without its ever having learned."""
    facts = render.pairs(
        {
            "predicts that": about.predicts,
            "state": f"{standing.state}: {standing.reason}",
            "needs": ", ".join((*about.requires, *((f"extra {about.extra}",) * bool(about.extra)))),
            "retrained": f"{about.retrain} (exchange time)",
            "limits": about.limits,
        }
    )
    return Group(Text(f"{about.title}  {about.model}", "bold"), Text(about.purpose), Text(), facts)


def version(one: "Version", schema: str) -> Table:
    """Return what one version learned from."""
    return render.pairs(
        {
            "stage": one.stage,
            "learned from": f"{one.n:,} rows, {one.trained_from:%Y-%m-%d} to "
            f"{one.trained_to:%Y-%m-%d}",
            "trained": render.when(one.trained_at),
            "data": one.data_hash,
            "schema": schema,
            "artifact": one.sha256,
            "features": ", ".join(one.features),
            "without": ", ".join(one.absent),
        },
        f"version {one.version}",
    )


def measures(one: "Version", before: "Version | None") -> Table:
    """Return every measure beside what it is held against.

    The champion before was measured on the hold-out of its own time.
    """
    own: Mapping[str, Measure] = one.measures
    theirs: Mapping[str, Measure] = before.measures if before else {}
    names = [n for n in WORDS if n in own]
    names += [n for n in own if n not in WORDS and n not in ("brier_base", "brier_logistic")]
    rows = [
        (
            WORDS.get(name, name),
            str(own[name]),
            *(_value(own.get(f"{name}_{rival}")) if name == "brier" else "" for rival in RIVALS),
            str(theirs[name]) if name in theirs else "",
        )
        for name in names
    ]
    last = f">champion before, {before.version}~" if before else ">no champion before"
    columns = ("measure", ">held out, with its 95 % interval~", ">base rate", ">logistic", last)
    return render.table("", columns, rows)


def _value(found: "Measure | None") -> str:
    return render.NONE if found is None else f"{found.value:.4g}"


def ledger(told: "Sequence[Ruled]") -> Table:
    """Return what was decided about a version."""
    lines = [(render.when(line.at), line.ruling.lower(), line.who, line.reason) for line in told]
    return render.table("", ("when", "ruling", "who", "why~"), lines)


def held(found: "Held", latency: "Latency") -> list[RenderableType]:
    """Return what took a moment: calibration, importance, latency."""
    title = (
        f"Calibration: {found.rows:,} rows of {found.sessions:,} sessions, "
        f"{found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}, that the judged fit had not seen"
    )
    rows = [
        (
            _names(one.features),
            f"{one.rise.value:+.5f}",
            f"[{one.rise.low:+.5f}, {one.rise.high:+.5f}]",
        )
        for one in found.influences
    ]
    columns = ("feature", ">Brier rises by", ">95 % of the repeats")
    took = (
        f"One row is served in {latency.p50:.0f} µs, the slowest of a hundred in "
        f"{latency.p99:.0f} µs (n={latency.n:,}, this machine, now)."
    )
    return [
        plot(found.bins, found.base_rate, title),
        render.table("What the hold-out loses when a feature is permuted", columns, rows),
        Text(took),
    ]


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def plot(bins: "Sequence[Bin]", base: float, title: str) -> Group:
    """Return what was predicted against what came true, a line for each group of predictions."""
    seen = [v for one in bins for v in (one.predicted, one.low, one.high)]
    low, high = min(*seen, base), max(*seen, base)

    def at(value: float) -> int:
        return round((WIDTH - 1) * (value - low) / ((high - low) or 1.0))

    scale = f"{low:.2f}{f'{high:.2f}':>{WIDTH - 4}}"
    rows: list[tuple[Any, ...]] = []
    for one in bins:
        cells = [" "] * WIDTH
        cells[at(one.low) : at(one.high) + 1] = "─" * (at(one.high) + 1 - at(one.low))
        cells[at(base)] = "┊" if cells[at(base)] == " " else "┼"
        cells[at(one.predicted)] = "○"
        cells[at(one.happened)] = "◉" if at(one.happened) == at(one.predicted) else "●"
        figures = (f"{one.predicted:.3f}", f"{one.happened:.3f}", f"{one.n:,}")
        rows.append((*figures, "".join(cells)))
    made = render.table("", (">predicted", ">came true", ">n", scale), rows)
    legend = f"● came true, with its 95 % interval   ○ predicted   ◉ both   ┊ base rate {base:.3f}"
    return Group(Text(title, "bold"), made, Text(legend, "dim"))
