"""The learners' pages are those of the code, and no page claims what its interval does not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import cards
from domain.settings import load
from domain.version import Measure
from learning import trainer
from learning.validation import Health, Row, Validation
from market.feeds.packaged import Packaged
from models import availability
from models.catalog import CATALOG
from orchestrator.sight import moment

EVERY = pytest.mark.parametrize("name", CATALOG)
SETTINGS = load(environ={})
WALKED = cards.WALKED.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def packaged() -> Packaged:
    return Packaged()


def text(name: str) -> str:
    page = cards.PAGES / f"{name}.md"
    assert page.is_file(), "run `make cards`"
    return page.read_text(encoding="utf-8")


def lines(section: str) -> Iterator[list[str]]:
    """Yield the cells of each line of one walk-forward table, its head left out."""
    block = cards.kept(WALKED, section)
    for line in block.splitlines():
        if line.startswith("| ["):
            yield [cell.strip() for cell in line.strip("|").split("|")]


@EVERY
def test_what_a_page_says_of_the_class_is_what_the_class_says(name: str) -> None:
    assert text(name).startswith(cards.static(name) + "\n"), "run `make cards`"


@EVERY
def test_a_page_is_of_the_data_that_ships(name: str, packaged: Packaged) -> None:
    shown = text(name)
    found = cards.data_hash(name, availability.bars(name, packaged), SETTINGS)
    if found:
        assert f"Data `{found}`" in shown, "run `make cards`"
        assert (cards.PAGES / f"{name}.svg").is_file()
        assert f"]({name}.svg)" in shown
    else:
        assert "Not measured: " in shown
        assert not (cards.PAGES / f"{name}.svg").exists()


def test_a_page_is_of_the_same_data_where_its_library_is_not_installed(
    packaged: Packaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = [name for name in CATALOG if CATALOG[name].load().extra]
    there = {name: cards.data_hash(name, packaged.panel(), SETTINGS) for name in deep}
    for extra in availability.LIBRARIES:
        monkeypatch.setitem(availability.LIBRARIES, extra, "no_such_library")
    assert deep
    assert {name: cards.data_hash(name, packaged.panel(), SETTINGS) for name in deep} == there
    assert "" not in there.values()


def test_there_is_a_page_for_every_learner_and_for_nothing_else() -> None:
    pages = {page.stem for page in cards.PAGES.glob("*.md")}
    assert pages == {*CATALOG, "README"}
    assert {plot.stem for plot in cards.PAGES.glob("*.svg")} <= set(CATALOG)
    listed = re.findall(r"^\| \[`([^`]+)`\]", text("README"), re.MULTILINE)
    assert sorted(listed) == sorted(CATALOG)


@pytest.mark.parametrize("section", ["packaged", "long", "within"])
def test_nothing_is_said_to_help_whose_interval_covers_zero(section: str) -> None:
    rows = list(lines(section))
    bars = {name for name in CATALOG if CATALOG[name].target.unit == "bar"}
    all_of_it = bars if section == "within" else CATALOG
    assert sorted(row[0].split("`")[1] for row in rows) == sorted(all_of_it)
    claimed = 0
    for row in rows:
        skill, logistic, verdict = row[-3:]
        bounds = [re.search(r"\[(-?[\d.]+), (-?[\d.]+)\]", cell) for cell in (skill, logistic)]
        lows = [float(found[1]) if found else -1.0 for found in bounds]
        assert ("beats the base rate" in verdict) == (lows[0] > 0), row
        assert ("and the logistic regression" in verdict) == (min(lows) > 0), row
        claimed += lows[0] > 0
    assert claimed < len(rows)


def test_a_table_says_of_which_data_it_is_and_not_where_that_lay(packaged: Packaged) -> None:
    assert f"{cards.window(packaged)}." in cards.kept(WALKED, "packaged"), "run `make cards`"
    long = cards.kept(WALKED, "long").splitlines()[1]
    assert re.match(r"SPX, .*VIX.*; daily, \d{4}-\d\d-\d\d to .*, hash `[0-9a-f]{12}`\.$", long)
    for page in (WALKED, *(file.read_text() for file in cards.PAGES.iterdir())):
        assert not re.search(r"/(work|tmp|home|Users)/|[A-Z]:\\", page)


def test_every_link_of_the_pages_leads_to_a_file() -> None:
    for page in (cards.WALKED, *cards.PAGES.glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), (page.name, link)


def test_the_same_data_and_seed_give_the_same_page(packaged: Packaged) -> None:
    name, panel = "prophet", packaged.panel()
    walked = Validation(model=name, health=Health.UNKNOWN, sentence="X could not be measured: y")
    one, two = (cards.page(name, p, SETTINGS, walked) for p in (panel, replace(panel, memo={})))
    assert one == two
    assert one[1].startswith("<svg ")
    assert "Not measured: y." in one[0]


def test_the_numbers_of_a_page_are_those_of_a_training(packaged: Packaged) -> None:
    """Of one of the quick ones; to one in ten thousand, for processors differ in the last bits."""
    panel, costs = packaged.panel(), SETTINGS.costs
    trained = trainer.train("pattern", panel, moment(panel, -1), SETTINGS.seed, costs)
    shown = re.search(r"^\| Brier \| ([\d.]+) ", text("pattern"), re.MULTILINE)
    assert shown
    brier = trained.version.measures["brier"].value
    assert float(shown[1]) == pytest.approx(brier, abs=1e-4), "run `make cards`"


def judged(skill: tuple[float, float, float], logistic: tuple[float, float, float]) -> Validation:
    measures = {
        name: Measure(value=value, low=low, high=high, n=900)
        for name, (value, low, high) in (("skill", skill), ("skill_logistic", logistic))
    }
    health = Health.ADDS if skill[1] > 0 else Health.WORSE if skill[2] < 0 else Health.NOTHING
    total = Row(label="all", trained_on=900, measures=measures)
    return Validation(model="wisdom", health=health, sentence="", total=total)


@pytest.mark.parametrize(
    ("skill", "logistic", "words"),
    [
        ((0.01, -0.01, 0.03), (0.05, 0.04, 0.06), "adds nothing to the base rate: "),
        ((-0.03, -0.05, -0.01), (0.05, 0.04, 0.06), "worse than the base rate"),
        ((0.06, 0.05, 0.07), (0.01, -0.01, 0.03), "beats the base rate, and is not better than a "),
        ((0.06, 0.05, 0.07), (0.05, 0.04, 0.06), "beats the base rate and the logistic regression"),
        ((0.06, 0.05, 0.07), (-0.05, -0.06, -0.04), "base rate, and is worse than a logistic"),
        ((0.02, 0.001, 0.04), (0.0, -0.1, 0.1), "; with 20 learners tried, that may be chance"),
    ],
)
def test_a_verdict_says_no_more_than_its_intervals(
    skill: tuple[float, float, float], logistic: tuple[float, float, float], words: str
) -> None:
    assert words in cards.plain(judged(skill, logistic), trials=20)


def test_what_is_not_given_is_left_as_it_was() -> None:
    blocks = {name: cards.BLOCK.format(name, f"{name}\n\nbefore") for name in ("long", "within")}
    old = cards.document("a", blocks["long"], blocks["within"])
    assert {name: cards.kept(old, name) for name in blocks} == blocks
    assert "Not measured yet" in cards.kept("", "long")


def test_a_model_is_judged_where_what_it_is_about_is_known(packaged: Packaged, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    panel = packaged.panel()
    values = panel.series["VIX"].copy()
    values[:500] = float("nan")
    late = replace(panel, series=panel.series | {"LATE": values}, memo={})
    monkeypatch.setattr(CATALOG["wisdom"].load(), "requires", ("LATE",))
    assert len(cards.about(late, "wisdom")) == len(panel) - 500
    assert cards.about(late, "prophet") is late


def test_a_longer_history_is_read_from_those_of_its_files_that_are_there(tmp_path: Path) -> None:
    for name in ("spx", "vix", "other"):
        rows = "".join(f"2018-01-0{d},{20 + d}\n" for d in (2, 3, 4, 5))
        (tmp_path / f"{name}.csv").write_text(f"date,close\n{rows}")
    feed = cards.longer(tmp_path)
    assert (feed.symbols, list(feed.panel().series)) == (("SPX",), ["VIX"])
    assert cards.window(feed).startswith("SPX, VIX; daily, 2018-01-02 to 2018-01-05, 4 sessions")


def test_every_plot_is_a_picture_by_itself() -> None:
    plots = list(cards.PAGES.glob("*.svg"))
    assert plots
    for plot in plots:
        root = ElementTree.parse(plot).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.attrib["width"]) > 0
        assert float(root.attrib["height"]) > 0
        assert len(root.findall("{http://www.w3.org/2000/svg}circle")) > 1
