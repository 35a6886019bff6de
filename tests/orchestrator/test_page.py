"""The page: one file, nothing to load, no outcome written in advance."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from domain.book import Costs, KillCode
from domain.bot import Factor
from domain.decision import Reason
from domain.examples import CLOSE
from domain.trade import Exit
from domain.version import Measure
from orchestrator import charts, page, prose
from orchestrator.baselines import Every
from orchestrator.summary import (
    Baseline,
    Bin,
    BotReport,
    Cause,
    Curve,
    Forecasts,
    ModelReport,
    Money,
    Record,
    Reign,
    Summary,
    Window,
)
from risk import measures
from storage.registry import Ruling
from trading.competition import Standing

DAYS = tuple(CLOSE.date().replace(day=day) for day in (2, 3, 6))
VOID = {"meta", "br", "hr", "img", "input", "link"}


def money(pnl: float = -1_200.0, capital: float = 100_000.0) -> Money:
    return Money(
        capital=capital,
        pnl=pnl,
        realised=pnl,
        open=0.0,
        costs=300.0,
        gross=pnl + 300.0,
        gross_wins=900.0,
    )


def curve(*values: float) -> Curve:
    return Curve(days=DAYS, values=values)


def forecasts(low: float | None, high: float | None) -> Forecasts:
    skill = Measure(value=0.02, n=400, low=low, high=high)
    scores = {
        "brier": Measure(value=0.14, n=400),
        "brier_base": Measure(value=0.143, n=400),
        "skill": skill,
    }
    bins = (
        Bin(n=200, hits=150, predicted=0.78, sessions=200),
        Bin(n=200, hits=180, predicted=0.88, sessions=200),
    )
    return Forecasts(model="wisdom", horizon=5, scores=scores, bins=bins, versions=3)


def bot(**fields: Any) -> BotReport:
    pnl = [100.0] * 30 + [-420.0] * 10
    plain: dict[str, Any] = {
        "name": "fortress",
        "title": "FORTRESS",
        "factor": Factor.VOLATILITY,
        "decisions": 100,
        "wanted": 40,
        "vetoes": {"sizing": 50, "safety": 10},
        "causes": (
            Cause(layer="sizing", code="NO_EDGE", n=50, example="<script>alert(1)</script>"),
        ),
        "orders": {"filled": 39, "cancelled": 1},
        "open_positions": 0,
        "exits": {"stop": 10, "profit_target": 30},
        "money": money(),
        "record": Record(n=40, win_rate=measures.win_rate(pnl)),
        "gate": measures.mvs(pnl),
        "forecasts": (forecasts(-0.01, 0.05),),
        "curve": curve(100_000.0, 99_000.0, 98_800.0),
    }
    return BotReport(**(plain | fields))


def summary(**fields: Any) -> Summary:
    one = bot()
    plain: dict[str, Any] = {
        "window": Window(start=CLOSE, end=CLOSE.replace(day=6)),
        "env": "replay",
        "sessions": 2,
        "decisions": 100,
        "pending": 0,
        "wanted": 40,
        "vetoes": {"layers": one.vetoes, "codes": {"NO_EDGE": 50, "KILLED": 10}},
        "causes": one.causes,
        "trades": 40,
        "closings": 40,
        "money": one.money,
        "record": one.record,
        "curve": one.curve,
        "bots": {"fortress": one},
        "models": {
            "wisdom": ModelReport(
                name="wisdom",
                title="WISDOM",
                target="survives",
                horizon=5,
                trained=3,
                rulings={"PROMOTE": 2, "HOLD": 1},
                served=3,
                champion="0123456789ab",
                since=CLOSE,
                gate="first champion",
                live=one.forecasts[0],
                reigns=(
                    Reign(version="0123456789ab", since=CLOSE, ruling="PROMOTE", reason="first"),
                ),
            )
        },
        "mvs": one.gate,
        "switches": (),
        "baselines": (
            Baseline(
                name="index",
                title="SPX",
                curve=curve(100_000.0, 110_000.0, 124_000.0),
                sharpe=None,
                max_drawdown=Measure(value=0.1, n=2),
            ),
        ),
        "every": (
            Every(
                bot="fortress",
                horizon=5,
                n=40,
                pnl=-80.0,
                r=Measure(value=-0.002, n=40, low=-0.02, high=0.016),
                unit=Measure(value=-2.0, n=40),
                win_rate=Measure(value=0.9, n=40),
                profit_factor=Measure(value=0.98, n=40),
            ),
        ),
        "digest": "d" * 64,
        "data_hash": "0123456789ab",
        "feed": "packaged",
        "seed": 7,
        "costs": Costs(),
        "real": ("Index closes.",),
        "simulated": ("Option prices.",),
        "command": "omega replay --from 2017-03-03",
        "seconds": 61.0,
    }
    return Summary(**(plain | fields))


class Checker(HTMLParser):
    """Fails on tags that do not close each other, and collects ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.loads: list[str] = []
        self.pictures: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [str(given["id"])] if "id" in given else []
        self.labels += str(given.get("aria-labelledby") or "").split()
        self.loads += [str(given[name]) for name in ("src", "href") if name in given]
        if tag == "svg":
            self.pictures.append(given)
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not any(name.startswith("on") for name in given)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return page.render(summary())


def test_the_page_is_whole_and_loads_nothing(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(link.startswith("#") for link in checker.loads)
    assert {link[1:] for link in checker.loads} <= set(checker.ids)
    assert "url(" not in text
    assert "@import" not in text


def test_every_chart_has_a_text_beside_it_and_ids_are_unique(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.labels) <= set(checker.ids)
    told = [p for p in checker.pictures if p.get("role") == "img"]
    assert len(told) == 4 + 1 + 1 + 1 + 1  # curves, vetoes, costs, calibration, champions
    hidden = [p for p in checker.pictures if "aria-hidden" in p or p.get("class") == "chip"]
    assert len(told) + len(hidden) == len(checker.pictures)


def test_what_is_recorded_is_never_markup(text: str) -> None:
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_what_is_simulated_stands_above_the_first_number_of_a_bot(text: str) -> None:
    assert text.index("Option prices.") < text.index("FORTRESS")
    assert text.index("Index closes.") < text.index("FORTRESS")


def test_the_bots_stand_in_the_order_of_their_places() -> None:
    names = ("fortress", "anchor", "samson")
    bots = {name: bot(name=name, title=name.upper()) for name in names}
    rows = (
        Standing(name="samson", title="SAMSON", strategy="condor", place=1, exposure=0.25),
        Standing(
            name="anchor", title="ANCHOR", strategy="condor", reason="12 trades; 30 are needed"
        ),
    )
    told = page.render(summary(bots=bots, standings=rows))
    table = told[told.index('<section id="bots">') : told.index('<section id="gate">')]
    assert re.findall(r'<th scope="col">(\w+)</th>', table) == ["SAMSON", "ANCHOR", "FORTRESS"]
    places, held = re.findall(
        r"<th scope=\"row\">(?:Place|In the market)<.*?</tr>", table, re.DOTALL
    )
    assert re.findall(r"<td>(.)", places) == [prose.NONE, "1", prose.NONE, prose.NONE]
    assert "12 trades; 30 are needed" in places
    assert f"25.0{prose.SPACE}%" in held


def test_what_reproduces_it_is_on_the_page(text: str) -> None:
    for part in ("omega replay --from 2017-03-03", "d" * 64, "0123456789ab", "61 s"):
        assert part in text


def test_a_page_without_trades_curves_or_models_says_so() -> None:
    empty = money(0.0)
    nothing = bot(
        money=empty.model_copy(update={"costs": 0.0, "gross": 0.0, "gross_wins": 0.0}),
        record=Record(n=0),
        gate=measures.mvs([]),
        forecasts=(),
        curve=None,
        exits={},
        causes=(),
        vetoes={},
    )
    bare = summary(
        bots={"fortress": nothing},
        money=nothing.money,
        record=nothing.record,
        mvs=nothing.gate,
        curve=None,
        causes=(),
        vetoes={"layers": {}, "codes": {}},
        models={},
        every=(),
        baselines=(),
        trades=0,
        closings=0,
    )
    checker = Checker()
    text = page.render(bare)
    checker.feed(text)
    assert "No trade was closed" in text
    assert "The desk came out even." in text
    assert "not measurable" in text
    assert "calibration-" not in text


@pytest.mark.parametrize(
    ("pnl", "said"),
    [(-1_200.0, "lost 1.2"), (1_200.0, "gained 1.2"), (0.4, "came out even")],
)
def test_the_headline_follows_the_numbers(pnl: float, said: str) -> None:
    told = prose.headline(summary(money=money(pnl))).replace(prose.SPACE, " ")
    assert told.startswith(f"The desk {said}")
    assert told.endswith("bought and held, SPX gained 24.0 %.")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.01, 0.05, "adds nothing that could be told from noise"),
        (0.001, 0.05, "better than its base rate"),
        (-0.05, -0.001, "worse than its base rate"),
        (None, None, "too few sessions"),
    ],
)
def test_a_model_is_praised_only_beyond_its_interval(
    low: float | None, high: float | None, said: str
) -> None:
    assert said in prose.verdict(forecasts(low, high))


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (None, "cannot be measured"),
        (Measure(value=1.4, n=12), "too few trades"),
        (Measure(value=1.2, n=90, low=0.8, high=1.7), "may be chance"),
        (Measure(value=1.9, n=90, low=1.3, high=2.7), "more than chance"),
        (Measure(value=0.4, n=90, low=0.2, high=0.7), "a loss that chance does not explain"),
    ],
)
def test_a_profit_factor_is_called_what_its_interval_allows(
    factor: Measure | None, said: str
) -> None:
    assert said in prose.chance(factor)


def test_failed_criteria_are_named_and_passed_ones_are_not() -> None:
    told = prose.gate(summary())
    assert "fails the gate" in told
    assert "on profit and profit factor" in told
    won = measures.mvs([100.0] * 30 + [-50.0] * 10)
    told = prose.gate(summary(mvs=won, bots={"fortress": bot(gate=won)}))
    assert told.startswith("The desk passes the gate for a minimum viable strategy; ")
    assert told.endswith("FORTRESS passed.")


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (prose.CAUSES, Reason),
        (prose.EXITS, Exit),
        (prose.SWITCHES, KillCode),
        (prose.RULINGS, Ruling),
    ],
    ids=["causes", "exits", "switches", "rulings"],
)
def test_every_code_has_its_words(words: dict[str, str], codes: type) -> None:
    assert set(words) == set(codes)


def test_layers_have_names_and_colours_of_their_own() -> None:
    assert set(charts.LAYERS) == {*prose.LAYERS, ""}
    assert len(set(charts.LAYERS.values())) == len(charts.LAYERS)


def test_a_bar_is_as_wide_as_its_parts() -> None:
    parts = [charts.Part("a", 1, "#000"), charts.Part("b", 3, "#111")]
    drawn = charts.stack("k", "t", "d", parts)
    assert re.findall(r'x="([\d.]+)%"[^>]* width="([\d.]+)%"', drawn) == [
        ("0.000", "25.000"),
        ("25.000", "75.000"),
    ]


def test_however_many_bots_there_are_each_has_a_line_of_its_own() -> None:
    lines = [
        page._line("a bot", curve(1.0, 2.0, 3.0), (0.0, 1.0, 2.0), place) for place in range(20)
    ]
    assert len({(line.colour, line.dash) for line in lines}) == 20


def test_a_constant_curve_is_drawn() -> None:
    flat = charts.Line("flat", DAYS, [0.0, 0.0, 0.0])
    drawn = charts.lines("k", "t", "d", [flat], lambda v: f"{v:.0%}")
    assert drawn.count("<polyline") == 1
    assert "nan" not in drawn


@pytest.mark.parametrize("measure", [prose.percent, prose.number, prose.money])
def test_zero_has_no_sign(measure: Callable[[float], str]) -> None:
    assert prose.MINUS not in measure(-0.0001)
    assert prose.MINUS in measure(-77.0)
