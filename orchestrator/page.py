"""The session report as one HTML file that needs nothing beside it."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from domain.decision import Reason
from domain.trade import Exit
from domain.values import Dollars
from domain.version import Measure
from orchestrator import charts, prose
from orchestrator.charts import Line, Part
from orchestrator.prose import interval, money, number, percent
from orchestrator.summary import BotReport, Curve, Money, Record, Summary
from risk.measures import Criterion, Gate
from trading.competition import Standing

PAGES = Path(__file__).with_name("pages")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CAUSES_SHOWN = 12
SHADES = 4
"""Steps in the tint of a monthly result."""


class Cell(NamedTuple):
    """One number of a table, with what qualifies it in small type underneath."""

    main: str
    small: str = ""
    mood: str = ""
    """A class of the style sheet."""


class Row(NamedTuple):
    """One line of a table."""

    label: str
    cells: list[Cell]
    note: str = ""


NOTHING = Cell(prose.NONE)


def render(summary: Summary) -> str:
    """Return the report: one HTML file, UTF-8, without script and without anything to load."""
    return _template().render(
        s=summary,
        layers=charts.LAYERS,
        colours=charts.COLOURS,
        ink=charts.INK,
        prose=prose,
        sections=_sections(summary),
        equity=_equity(summary),
        portfolios=_portfolios(summary),
        months=_months(summary),
        placed=_placed(summary),
        bots=_bots(summary),
        gates=_gates(summary),
        vetoes=_vetoes(summary),
        causes=_causes(summary),
        every=_every(summary),
        costs=_costs(summary),
        models=_models(summary),
        calibration=_calibration(summary),
        reigns=_reigns(summary),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _sections(summary: Summary) -> list[tuple[str, str]]:
    """Return the anchors and titles of what there is to show."""
    shown = {
        "equity": ("Equity and drawdown", summary.curve is not None),
        "months": ("Month by month", summary.curve is not None),
        "bots": ("The bots", True),
        "gate": ("The gate", True),
        "vetoes": ("Why it held", bool(summary.causes)),
        "baselines": ("Without any choice", bool(summary.every)),
        "costs": ("What trading cost", True),
        "models": ("The models", bool(summary.models)),
        "safety": ("Kill switches", True),
        "again": ("The same again", True),
        "words": ("Words", True),
    }
    return [(anchor, title) for anchor, (title, there) in shown.items() if there]


def _measured(measure: Measure | None, digits: int = 2, scale: float = 1.0, unit: str = "") -> Cell:
    """Return a measure with its interval and sample size."""
    if measure is None:
        return NOTHING
    bounds = interval(measure, digits, scale)
    small = f"{bounds} n={measure.n:,}".strip()
    return Cell(f"{number(scale * measure.value, digits)}{unit}", small)


def _share(measure: Measure | None) -> Cell:
    return _measured(measure, 1, 100.0, f"{prose.SPACE}%")


def _mood(value: float) -> str:
    return "good" if value > 0 else "bad" if value < 0 else ""


def _line(label: str, curve: Curve, values: Sequence[float], place: int) -> Line:
    if not place:
        return Line(label, curve.days, values, charts.INK, "", 2.4)
    turn, colour = divmod(place - 1, len(charts.COLOURS))
    dashes = charts.DASHES[(place + turn) % len(charts.DASHES)]
    return Line(label, curve.days, values, charts.COLOURS[colour], dashes, 1.6)


def _growth(curve: Curve) -> list[float]:
    return [value / curve.values[0] - 1 for value in curve.values]


def _axis(value: float) -> str:
    return percent(value, 0 if abs(100 * value - round(100 * value)) < 1e-6 else 1)


class Figure(NamedTuple):
    """A chart with its heading and the legend of its lines."""

    title: str
    note: str
    chart: Markup
    legend: list[tuple[Markup, str, str]] = []  # noqa: RUF012 -- never written to
    """Sample, label and last value of each line."""


def _rises(key: str, title: str, note: str, lines: list[Line], height: float) -> Figure:
    return _drawn(key, title, note, lines, [percent(line.values[-1]) for line in lines], height)


def _falls(key: str, title: str, note: str, lines: list[Line], height: float) -> Figure:
    return _drawn(key, title, note, lines, [percent(min(line.values)) for line in lines], height)


def _drawn(
    key: str, title: str, note: str, lines: list[Line], told_of: list[str], height: float
) -> Figure:
    ends = [f"{line.label} {value}" for line, value in zip(lines, told_of, strict=True)]
    first, last = lines[0].days[0], lines[0].days[-1]
    told = f"{note} From {first} to {last}: {', '.join(ends)}."
    chart = charts.lines(key, title, told, lines, _axis, height)
    legend = [
        (charts.swatch(line), line.label, value) for line, value in zip(lines, told_of, strict=True)
    ]
    return Figure(title, note, chart, legend)


def _equity(summary: Summary) -> list[Figure]:
    """Return equity and drawdown: of the desk beside the market, then of every bot."""
    if summary.curve is None:
        return []
    whole = [("The desk", summary.curve)] + [
        (f"{b.title}, held", b.curve) for b in summary.baselines
    ]
    bots = [(bot.title, bot.curve) for bot in summary.bots.values() if bot.curve is not None]
    own = [("The desk", summary.curve), *bots]
    rises = [_line(name, curve, _growth(curve), k) for k, (name, curve) in enumerate(whole)]
    alone = [_line(name, curve, _growth(curve), k) for k, (name, curve) in enumerate(own)]
    falls = [_line(name, curve, curve.drawdowns, k) for k, (name, curve) in enumerate(whole)]
    falls_alone = [_line(name, curve, curve.drawdowns, k) for k, (name, curve) in enumerate(own)]
    return [
        _rises(
            "equity",
            "Profit and loss",
            "Share of the starting capital at every close, open positions at their marks; beside "
            "each name, its end.",
            rises,
            300,
        ),
        _falls(
            "falls",
            "Drawdown",
            "Distance below the highest equity so far; beside each name, the deepest.",
            falls,
            200,
        ),
        _rises(
            "bots-equity",
            "Profit and loss by bot",
            "Each as a share of its own starting capital. Mind the scale.",
            alone,
            230,
        ),
        _falls(
            "bots-falls",
            "Drawdown by bot",
            "Each below its own highest equity so far. Mind the scale.",
            falls_alone,
            230,
        ),
    ]


def _portfolios(summary: Summary) -> list[Row]:
    rows = []
    if summary.curve is not None:
        record = summary.record
        rows.append(_portfolio("The desk", summary.money.gain, record.max_drawdown, record.sharpe))
    rows += [_portfolio(b.title, b.curve.gain, b.max_drawdown, b.sharpe) for b in summary.baselines]
    return rows


def _portfolio(name: str, gain: float, fall: Measure | None, sharpe: Measure | None) -> Row:
    return Row(name, [Cell(percent(gain), mood=_mood(gain)), _share(fall), _measured(sharpe)])


class Year(NamedTuple):
    """One line of the monthly table."""

    year: str
    name: str
    months: list[Cell]
    whole: Cell
    last: bool


def _months(summary: Summary) -> list[Year]:
    if summary.curve is None:
        return []
    named = [("desk", summary.curve)]
    named += [(b.title, b.curve) for b in summary.baselines[:1]]
    found = [(name, charts.monthly(c.days, c.values), c) for name, c in named]
    most = [max((abs(gain) for gain in gains.values()), default=0.0) for _, gains, _ in found]
    years = sorted({year for _, gains, _ in found for year, _ in gains})
    return [
        Year(
            str(year),
            name,
            [_tinted(gains.get((year, month)), top) for month in range(1, 13)],
            _tinted(_year(curve, year), 0.0),
            name == named[-1][0],
        )
        for year in years
        for (name, gains, curve), top in zip(found, most, strict=True)
    ]


def _tinted(gain: float | None, top: float) -> Cell:
    if gain is None:
        return Cell("")
    shade = min(SHADES, int(SHADES * abs(gain) / top * 0.999) + 1) if top and gain else 0
    tint = f"{'up' if gain > 0 else 'down'}{shade}" if shade else ""
    return Cell(number(100 * gain, 1), mood=tint)


def _year(curve: Curve, year: int) -> float | None:
    before = [v for day, v in zip(curve.days, curve.values, strict=True) if day.year < year]
    inside = [v for day, v in zip(curve.days, curve.values, strict=True) if day.year == year]
    if not inside:
        return None
    return inside[-1] / (before[-1] if before else curve.values[0]) - 1


def _bots(summary: Summary) -> list[Row]:
    """Return the table of the bots: measures down, the desk and the bots across."""
    bots, rows = _placed(summary), {row.name: row for row in summary.standings}
    standings = [rows.get(bot.name) for bot in bots]
    whole = (summary.money, summary.record)
    each = [whole, *((bot.money, bot.record) for bot in bots)]
    return [
        Row("Place", [NOTHING, *map(_place, standings)], "at equal capital; losers by their loss"),
        Row("Decisions", [Cell(f"{n:,}") for n in (summary.decisions, *_of(bots, "decisions"))]),
        Row("Orders", [_ordered(bots), *(_ordered([bot]) for bot in bots)]),
        Row("Trades", [Cell(f"{record.n:,}") for _, record in each], "entries that are closed"),
        Row("In the market", [NOTHING, *map(_exposed, standings)], "share of the sessions"),
        Row("Net profit", [_net(m) for m, _ in each], "after all costs, open positions marked"),
        Row("Costs", [_spent(m) for m, _ in each], "small: share of what winners brought"),
        Row("Winners", [_share(r.win_rate) for _, r in each]),
        Row("Mean winner", [_dollars(r.mean_win) for _, r in each]),
        Row("Mean loser", [_dollars(r.mean_loss) for _, r in each]),
        Row("Profit factor", [_measured(r.profit_factor) for _, r in each]),
        Row("Expectancy, R", [_measured(r.expectancy_r, 3) for _, r in each], "per trade"),
        Row("Max drawdown", [_share(r.max_drawdown) for _, r in each]),
        Row("Sharpe ratio", [_measured(r.sharpe) for _, r in each], "daily equity, a year"),
        Row("Sortino ratio", [_measured(r.sortino) for _, r in each], "daily equity, a year"),
        Row("Brier, base rate's", [NOTHING, *map(_brier, bots)], "of what decides, less is better"),
        Row("Closed by", [NOTHING, *(Cell("", _exits(bot)) for bot in bots)], "parts counted"),
    ]


def _placed(summary: Summary) -> list[BotReport]:
    """Return the bots in the order in which they stand; those that do not, at the end."""
    order = [row.name for row in summary.standings]
    return sorted(
        summary.bots.values(),
        key=lambda bot: order.index(bot.name) if bot.name in order else len(order),
    )


def _place(row: Standing | None) -> Cell:
    if row is None:
        return NOTHING
    return Cell(prose.NONE if row.place is None else f"{row.place}", row.reason)


def _exposed(row: Standing | None) -> Cell:
    return NOTHING if row is None or row.exposure is None else Cell(percent(row.exposure))


def _of(bots: Sequence[BotReport], field: str) -> Iterator[int]:
    return (getattr(bot, field) for bot in bots)


def _ordered(bots: Sequence[BotReport]) -> Cell:
    left = {
        "cancelled": sum(bot.orders.get("cancelled", 0) for bot in bots),
        "still open": sum(bot.open_positions for bot in bots),
    }
    small = ", ".join(f"{n:,} {what}" for what, n in left.items() if n)
    return Cell(f"{sum(bot.wanted for bot in bots):,}", small)


def _net(made: Money) -> Cell:
    return Cell(money(made.pnl), percent(made.gain, 2), _mood(made.pnl))


def _spent(made: Money) -> Cell:
    share = made.cost_share
    return Cell(money(made.costs), percent(share) if share is not None else "")


def _dollars(measure: Measure | None) -> Cell:
    return NOTHING if measure is None else Cell(money(measure.value), f"n={measure.n:,}")


def _brier(bot: BotReport) -> Cell:
    scored = [(f.model, f.scores["brier"], f.scores["brier_base"]) for f in bot.deciders]
    if not scored:
        return NOTHING
    told = [f"{number(ours.value, 4)}, {number(base.value, 4)}" for _, ours, base in scored]
    names = ", ".join(f"{model} n={ours.n:,}" for model, ours, _ in scored)
    return Cell("; ".join(told), names, "exits")


def _exits(bot: BotReport) -> str:
    return ", ".join(f"{prose.EXITS[Exit(why)]} {n:,}" for why, n in bot.exits.items())


def _gates(summary: Summary) -> list[tuple[str, bool, list[Cell]]]:
    gates: list[tuple[str, Gate]] = [("The desk", summary.mvs)]
    gates += [(bot.title, bot.gate) for bot in summary.bots.values()]
    return [
        (name, gate.passed, [_criterion(criterion) for criterion in gate.criteria])
        for name, gate in gates
    ]


def _criterion(criterion: Criterion) -> Cell:
    mood = "pass" if criterion.passed else "fail"
    measure = criterion.measured
    if measure is None:
        return Cell("not measurable", mood=mood)
    if criterion.name == "trades":
        return Cell(f"{measure.n:,}", mood=mood)
    if criterion.name == "pnl":
        bounds = ""
        if measure.low is not None and measure.high is not None:
            bounds = f"[{money(measure.low)},{prose.SPACE}{money(measure.high)}]"
        return Cell(money(measure.value), bounds, mood)
    cell = _share(measure) if criterion.name == "win_rate" else _measured(measure)
    return cell._replace(mood=mood)


def _vetoes(summary: Summary) -> list[tuple[str, str, Markup]]:
    """Return a bar for each bot: which layer stopped how many of its decisions."""
    return [(bot.title, f"{bot.decisions:,}", _stacked(bot)) for bot in summary.bots.values()]


def _stacked(bot: BotReport) -> Markup:
    parts = [
        Part(title, bot.vetoes[layer], charts.LAYERS[layer])
        for layer, title in prose.LAYERS.items()
        if bot.vetoes.get(layer)
    ]
    rest = bot.decisions - bot.wanted - sum(bot.vetoes.values())
    parts += [Part("Held without a veto", rest, charts.PALE)] if rest else []
    parts += [Part("Became an order", bot.wanted, charts.LAYERS[""])]
    told = ", ".join(f"{part.label} {part.n:,.0f}" for part in parts)
    title = f"{bot.title}: what became of {bot.decisions:,} decisions"
    return charts.stack(f"vetoes-{bot.name}", title, told, parts)


def _causes(summary: Summary) -> list[dict[str, str]]:
    return [
        {
            "layer": prose.LAYERS.get(cause.layer, cause.layer),
            "colour": charts.LAYERS.get(cause.layer, charts.PALE),
            "why": prose.CAUSES[Reason(cause.code)],
            "code": cause.code,
            "n": f"{cause.n:,}",
            "share": prose.share_of(cause.n, summary.decisions),
            "example": cause.example,
        }
        for cause in summary.causes[:CAUSES_SHOWN]
    ]


def _every(summary: Summary) -> list[Row]:
    """Return taking every trade, and beneath it what the bot made of it."""
    rows = []
    for name, bot in summary.bots.items():
        taken = [each for each in summary.every if each.bot == name]
        for each in taken:
            days = "1 session" if each.horizon == 1 else f"{each.horizon} sessions"
            cells = [
                Cell(f"{each.n:,}"),
                _share(each.win_rate),
                _measured(each.profit_factor),
                _measured(each.r, 3),
            ]
            rows.append(Row(f"{bot.title}, every close, {days}", cells))
        if taken:
            rows.append(_chosen(bot, bot.record, prose.beside(bot, taken[0])))
    return rows


def _chosen(bot: BotReport, record: Record, verdict: str) -> Row:
    cells = [
        Cell(f"{record.n:,}"),
        _share(record.win_rate),
        _measured(record.profit_factor),
        _measured(record.expectancy_r, 3),
    ]
    return Row(f"{bot.title}, as it traded", cells, verdict)


class Cost(NamedTuple):
    """One bot's way from what it earned to what it kept."""

    title: str
    gross: str
    costs: str
    net: str
    share: str
    chart: Markup


def _costs(summary: Summary) -> list[Cost]:
    bots = summary.bots.values()
    scale = max((max(abs(b.money.gross), b.money.costs, abs(b.money.pnl)) for b in bots), default=1)
    return [_cost(bot, scale) for bot in bots]


def _cost(bot: BotReport, scale: Dollars) -> Cost:
    made = bot.money
    gross, costs, net = money(made.gross), money(made.costs), money(made.pnl)
    parts = [
        Part(f"Before costs {gross}", made.gross, charts.COLOURS[5]),
        Part(f"Costs {costs}", -made.costs, charts.COLOURS[4]),
        Part(f"Kept {net}", made.pnl, charts.INK),
    ]
    told = "; ".join(part.label for part in parts)
    chart = charts.span(f"costs-{bot.name}", f"{bot.title}: costs", told, parts, scale)
    share = made.cost_share
    return Cost(bot.title, gross, costs, net, percent(share) if share else prose.NONE, chart)


def _models(summary: Summary) -> list[dict[str, Any]]:
    rows = []
    for model in summary.models.values():
        live = model.live
        base = live.scores.get("brier_base")
        rows.append(
            {
                "title": prose.called(model.title),
                "target": prose.target(model),
                "trained": f"{model.trained:,}",
                "rulings": ", ".join(
                    f"{n:,} {prose.RULINGS[ruling]}" for ruling, n in model.rulings.items()
                ),
                "served": f"{model.served:,}",
                "champion": model.champion or "",
                "since": f"{model.since:%Y-%m-%d}" if model.since else "",
                "brier": _measured(live.scores.get("brier"), 4),
                "base": Cell(number(base.value, 4)) if base else NOTHING,
                "skill": _measured(live.skill, 3),
                "auc": _measured(live.scores.get("auc"), 3),
                "verdict": prose.verdict(live),
                "gate": model.gate,
            }
        )
    return rows


def _calibration(summary: Summary) -> list[tuple[str, str, Markup]]:
    return [
        (
            prose.called(model.title),
            f"n={model.live.n:,} in {len(model.live.bins)} groups",
            _reliability(f"calibration-{model.name}", model.title, model.live),
        )
        for model in summary.models.values()
        if model.live.n
    ]


def _reliability(key: str, title: str, live: Any) -> Markup:
    told = "; ".join(
        f"of {each.n:,} predictions near {each.predicted:.3f}, {each.hits / each.n:.3f} came true"
        for each in live.bins
    )
    base = sum(each.hits for each in live.bins) / live.n
    name = f"{title}: predicted against what came true"
    return charts.reliability(key, name, told, live.bins, base, live.horizon)


def _reigns(summary: Summary) -> Markup | None:
    first, last = summary.window.start.date(), summary.window.end.date()
    rows: dict[str, list[tuple[date, date, str]]] = {}
    for model in summary.models.values():
        stretches = [
            (
                max(reign.since.date(), first),
                min(reign.until.date() if reign.until else last, last),
                f"{reign.version} since {reign.since:%Y-%m-%d}: {reign.reason}",
            )
            for reign in model.reigns
            if reign.until is None or reign.until.date() > first
        ]
        many = "1 champion" if len(stretches) == 1 else f"{len(stretches)} champions"
        rows[f"{prose.called(model.title)}: {many}"] = stretches
    if not rows:
        return None
    return charts.lanes("reigns", "Champions over time", "; ".join(rows), rows, first, last)
