"""Charts as inline SVG: no script, no file, no font from elsewhere.

Widths are per cent and heights are pixels, so that a chart fills a phone as well as a page and its
text keeps its size. Every chart says in a title and a description what it shows. The colours are
Okabe and Ito's, which the colour-blind can tell apart [1]_; lines differ in their dashes as well.

References
----------
.. [1] M. Okabe and K. Ito, "Color universal design: how to make figures and presentations that
   are friendly to colorblind people" (2008), https://jfly.uni-koeln.de/color/.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from markupsafe import Markup, escape

from orchestrator.summary import Bin
from risk.measures import wilson

INK, PALE, GRID = "#222222", "#8a8a8a", "#e3e3e0"
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#332288", "#882255", "#117733", "#999933"),
)
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 3", "6 2 1 2", "3 5", "1 4")
LAYERS = {
    "safety": "#d55e00",
    "inference": "#0072b2",
    "advisor": "#cc79a7",
    "correlation": "#e69f00",
    "sizing": "#56b4e9",
    "seal": "#7a5195",
    "": "#009e73",
}
"""By the layer that stopped a decision; what became an order has none."""

POINTS = 700
"""Most points of one line: more are finer than a screen."""
TOP, BOTTOM = 14, 22
"""Pixels above and below a plot, for its labels."""


class Line(NamedTuple):
    """One curve of a chart, a value per day."""

    label: str
    days: Sequence[date]
    values: Sequence[float]
    colour: str = INK
    dash: str = ""
    weight: float = 2.0


class Part(NamedTuple):
    """One segment of a bar."""

    label: str
    n: float
    colour: str


def svg(
    key: str, title: str, told: str, height: float, parts: Iterable[str], kind: str = "bar"
) -> Markup:
    """Return a chart as wide as what it stands in; the style sheet knows its kind."""
    return Markup(
        f'<svg class="{kind}" role="img" aria-labelledby="{key}-t {key}-d" '
        f'width="100%" height="{height:g}" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{key}-t">{escape(title)}</title><desc id="{key}-d">{escape(told)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _text(x: str, y: float, text: str, anchor: str = "start", colour: str = PALE) -> str:
    return f'<text x="{x}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _rule(x1: str, y1: float, x2: str, y2: float, colour: str = GRID, more: str = "") -> str:
    return f'<line x1="{x1}" y1="{y1:.1f}" x2="{x2}" y2="{y2:.1f}" stroke="{colour}" {more}/>'


def steps(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers that span an interval, at most about `most` of them.

    Examples
    --------
    >>> steps(-0.07, 0.31)
    [-0.1, 0.0, 0.1, 0.2, 0.3, 0.4]
    """
    rough = max(high - low, 1e-9) / most
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def ticks(first: date, last: date, most: int = 6) -> list[tuple[date, str]]:
    """Return first days of months, at most so many, from years down to single months.

    Examples
    --------
    >>> [label for _, label in ticks(date(2016, 1, 3), date(2018, 12, 31))]
    ['Jul 2016', '2017', 'Jul 2017', '2018', 'Jul 2018']
    >>> [label for _, label in ticks(date(2016, 1, 29), date(2016, 3, 31))]
    ['Feb 2016', 'Mar 2016']
    """
    months = [date(y, m, 1) for y in range(first.year, last.year + 1) for m in range(1, 13)]
    months = [day for day in months if first <= day <= last]
    for step in (1, 2, 3, 6, 12, 24, 60, 120):
        chosen = [day for day in months if (12 * day.year + day.month - 1) % step == 0]
        if len(chosen) <= most:
            break
    if not chosen:
        return [(first, f"{first.day} {first:%b %Y}")]
    return [(day, f"{day:%Y}" if day.month == 1 else f"{day:%b %Y}") for day in chosen]


def thin(values: Sequence[float], most: int = POINTS) -> list[int]:
    """Return which points to draw: of each stretch the least and the greatest, so no peak is lost.

    Examples
    --------
    >>> thin([0, 5, 1, 1, -3, 1], most=4)
    [0, 1, 3, 4, 5]
    """
    n = len(values)
    if n <= most:
        return list(range(n))
    size = ceil(2 * n / most)
    kept = {0, n - 1}
    for start in range(0, n, size):
        stretch = range(start, min(start + size, n))
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    return sorted(kept)


def lines(
    key: str,
    title: str,
    told: str,
    drawn: Sequence[Line],
    shown: Callable[[float], str],
    height: float = 260,
) -> Markup:
    """Return curves over time. `shown` writes the values of the scale."""
    first, last = min(line.days[0] for line in drawn), max(line.days[-1] for line in drawn)
    days = max((last - first).days, 1)
    levels = steps(
        min(0.0, *(min(line.values) for line in drawn)),
        max(0.0, *(max(line.values) for line in drawn)),
    )
    low, high = levels[0], levels[-1]
    room = height - TOP - BOTTOM

    def across(day: date) -> float:
        return 100 * (day - first).days / days

    def down(value: float) -> float:
        return TOP + room * (high - value) / (high - low)

    def paths() -> Iterator[str]:
        for line in drawn:
            points = " ".join(
                f"{across(line.days[k]):.2f},{down(line.values[k]) - TOP:.1f}"
                for k in thin(line.values)
            )
            dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
            yield (
                f'<polyline points="{points}" fill="none" stroke="{line.colour}" '
                f'stroke-width="{line.weight:g}"{dash} stroke-linejoin="round" '
                f'vector-effect="non-scaling-stroke"/>'
            )

    parts = []
    for level in levels:
        heavy = PALE if level == 0 else GRID
        parts += [_rule("0", down(level), "100%", down(level), heavy)]
        parts += [_text("-8", down(level) + 4, shown(level), "end")]
    for day, label in ticks(first, last):
        x = across(day)
        parts += [_rule(f"{x:.2f}%", TOP, f"{x:.2f}%", height - BOTTOM)]
        anchor = "start" if x < 5 else "end" if x > 90 else "middle"
        parts += [_text(f"{x:.2f}%", height - 6, label, anchor)]
    plot = (
        f'<svg x="0" y="{TOP}" width="100%" height="{room:g}" viewBox="0 0 100 {room:g}" '
        f'preserveAspectRatio="none" overflow="visible" aria-hidden="true">{"".join(paths())}</svg>'
    )
    return svg(key, title, told, height, [*parts, plot], "plot")


def swatch(line: Line) -> Markup:
    """Return a sample of a line, for the legend."""
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    return Markup(
        '<svg class="swatch" width="28" height="8" aria-hidden="true">'
        f'<line x1="0" y1="4" x2="28" y2="4" stroke="{line.colour}" '
        f'stroke-width="{line.weight + 0.5:g}"{dash}/></svg>'
    )


def stack(key: str, title: str, told: str, parts: Sequence[Part], height: float = 24) -> Markup:
    """Return one bar made of parts, as wide as what it stands in."""
    whole = sum(part.n for part in parts) or 1.0
    drawn, x = [], 0.0
    for part in parts:
        width = 100 * part.n / whole
        name = f"{part.label}: {part.n:,.0f} ({width:.1f} %)"
        drawn.append(
            f'<rect x="{x:.3f}%" y="0" width="{width:.3f}%" height="{height:g}" '
            f'fill="{part.colour}" stroke="#fff"><title>{escape(name)}</title></rect>'
        )
        x += width
    return svg(key, title, told, height, drawn)


def span(key: str, title: str, told: str, parts: Sequence[Part], scale: float) -> Markup:
    """Return bars to the left and right of zero, one under the other, on a scale of +-`scale`."""
    reach, step = 50.0 / (scale or 1.0), 15
    drawn = [_rule("50%", 0, "50%", step * len(parts), PALE)]
    for row, part in enumerate(parts):
        width = abs(part.n) * reach
        x = 50.0 if part.n >= 0 else 50.0 - width
        drawn.append(
            f'<rect x="{x:.3f}%" y="{row * step + 2}" width="{width:.3f}%" height="{step - 4}" '
            f'fill="{part.colour}"><title>{escape(part.label)}</title></rect>'
        )
    return svg(key, title, told, step * len(parts), drawn)


def reliability(
    key: str, title: str, told: str, bins: Sequence[Bin], base: float, horizon: int
) -> Markup:
    """Return what was predicted against what happened, a dot per group of predictions.

    Whiskers are 95 % intervals that count only every `horizon`-th session as a new one, because
    the sessions between see mostly the same days. The dotted line is the base rate.
    """
    size, edge, top = 230.0, 34.0, 10.0
    side = size - edge - 10
    spans = [_whisker(each, horizon) for each in bins]
    seen = [each.predicted for each in bins] + [base, *(v for pair in spans for v in pair)]
    levels = steps(max(0.0, min(seen)), min(1.0, max(seen)), 4)
    low, high = levels[0], levels[-1]

    def at(value: float) -> float:
        return side * (value - low) / (high - low)

    def x(value: float) -> float:
        return edge + at(value)

    def y(value: float) -> float:
        return top + side - at(value)

    parts = []
    for level in levels:
        label = f"{100 * level:.4g}"
        parts += [_rule(f"{x(level):.1f}", y(low), f"{x(level):.1f}", y(high))]
        parts += [_rule(f"{edge:g}", y(level), f"{edge + side:g}", y(level))]
        parts += [_text(f"{x(level):.1f}", top + side + 14, label, "middle")]
        parts += [_text(f"{edge - 5:g}", y(level) + 4, label, "end")]
    parts += [_rule(f"{x(low):g}", y(low), f"{x(high):g}", y(high), PALE)]
    dotted = 'stroke-dasharray="2 3"'
    parts += [_rule(f"{edge:g}", y(base), f"{edge + side:g}", y(base), COLOURS[1], dotted)]
    most = max(each.n for each in bins)
    for each, (below, above) in zip(bins, spans, strict=True):
        happened, middle = each.hits / each.n, x(each.predicted)
        radius = 2.5 + 3.5 * (each.n / most) ** 0.5
        name = f"{each.n:,} predictions of about {each.predicted:.3f}: {happened:.3f} came true"
        parts += [_rule(f"{middle:.1f}", y(below), f"{middle:.1f}", y(above), COLOURS[0])]
        parts += [
            f'<circle cx="{middle:.1f}" cy="{y(happened):.1f}" r="{radius:.1f}" '
            f'fill="{COLOURS[0]}"><title>{escape(name)}</title></circle>'
        ]
    parts += [_text(f"{edge + side / 2:g}", top + side + 31, "predicted, %", "middle")]
    turned = (
        f'<text transform="translate(9 {top + side / 2:g}) rotate(-90)" text-anchor="middle" '
        f'fill="{PALE}">came true, %</text>'
    )
    drawn = svg(key, title, told, top + side + 36, [*parts, turned])
    # as plain text: markup escapes what is put into it, and `width=&#34;236&#34;` is no width
    return Markup(str(drawn).replace('width="100%"', f'width="{size + 6:g}"', 1))


def _whisker(each: Bin, horizon: int) -> tuple[float, float]:
    independent = max(1, round(each.sessions / horizon))
    return wilson(round(each.hits / each.n * independent), independent)


def lanes(
    key: str,
    title: str,
    told: str,
    rows: Mapping[str, Sequence[tuple[date, date, str]]],
    first: date,
    last: date,
) -> Markup:
    """Return who was in office when: a lane for each name, stretches alternate in shade."""
    step, days = 38, max((last - first).days, 1)

    def across(day: date) -> float:
        return 100 * min(max((day - first).days / days, 0.0), 1.0)

    height = step * len(rows) + BOTTOM
    parts = []
    for day, label in ticks(first, last):
        x = across(day)
        parts += [_rule(f"{x:.2f}%", 0, f"{x:.2f}%", height - BOTTOM)]
        anchor = "start" if x < 5 else "end" if x > 90 else "middle"
        parts += [_text(f"{x:.2f}%", height - 6, label, anchor)]
    for row, (name, stretches) in enumerate(rows.items()):
        y = row * step
        parts += [_text("0", y + 12, name, colour=INK)]
        parts += [_rule("0", y + 24, "100%", y + 24)]
        for k, (since, until, label) in enumerate(stretches):
            x, width = across(since), across(until) - across(since)
            shade = COLOURS[0] if k % 2 else COLOURS[5]
            parts += [
                f'<rect x="{x:.3f}%" y="{y + 18}" width="{width:.3f}%" height="12" '
                f'fill="{shade}"><title>{escape(label)}</title></rect>'
            ]
    return svg(key, title, told, height, parts)


def monthly(days: Sequence[date], values: Sequence[float]) -> dict[tuple[int, int], float]:
    """Return what each month added, as a share of what it began with.

    Examples
    --------
    >>> found = monthly([date(2016, 1, 4), date(2016, 1, 29), date(2016, 2, 1)], [100, 110, 121])
    >>> {month: round(gain, 2) for month, gain in found.items()}
    {(2016, 1): 0.1, (2016, 2): 0.1}
    """
    ends: dict[tuple[int, int], float] = {}
    for day, value in zip(days[1:], values[1:], strict=True):
        ends[day.year, day.month] = value
    levels = [values[0], *ends.values()]
    return {
        month: after / before - 1
        for month, (before, after) in zip(ends, pairwise(levels), strict=True)
    }
