"""A card for every learner, and the walk-forward tables: ``make cards``.

Everything is measured on the packaged data, which ships with the lock, so that who installs it gets
the same numbers. The second table is of a longer history and the third of bars within sessions;
neither is ours to hand on: they are written anew where their folders are given (``make cards
MARKET=FOLDER WITHIN=FOLDER``), and otherwise left as they are.
Same data, same seed, same pages: what depends on the machine or on the moment is not on them.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from bench.tables import code, table
from domain.errors import OmegaError
from domain.settings import Settings, load
from domain.version import Measure, Version
from learning import card, trainer, validation
from learning.card import Held, Influence
from learning.dataset import labelled
from learning.promotion import beats_base
from learning.standing import About
from learning.validation import Health, Validation
from market.feeds.base import Feed
from market.feeds.files import Files
from market.feeds.packaged import Packaged
from market.panel import Panel
from models import availability
from models.catalog import CATALOG
from orchestrator import charts
from orchestrator.sight import moment
from orchestrator.summary import Bin

DOCS = Path(__file__).parents[1] / "docs"
PAGES, WALKED = DOCS / "models", DOCS / "walkforward.md"
LONG = ("spx", "vix", "vix9d", "vix3m", "vvix", "skew", "dix_gex")
"""Files of the longer history, those of them that are there."""
BLOCK = "<!-- table:{0} -->\n{1}\n<!-- /table -->"
GENERATED = "<!-- Written by `make cards`. What stands here is changed in the code. -->"
NONE, UNMEASURED = "\N{EN DASH}", " could not be measured: "
FONT = 'font-family="system-ui, sans-serif" font-size="10"'


def number(value: float | None, digits: int = 4) -> str:
    """Return a number; what rounds to nothing has no sign."""
    return NONE if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def measure(found: Measure | None, digits: int = 4) -> str:
    if found is None:
        return NONE
    if found.low is None or found.high is None:
        return number(found.value, digits)
    bounds = f"[{number(found.low, digits)}, {number(found.high, digits)}]"
    return f"{number(found.value, digits)} {bounds}"


def day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"


def window(feed: Feed) -> str:
    """Return what data a table is of: names, window, hash; never where it lay."""
    panel = feed.panel()
    first, last = (day(moment(panel, place)) for place in (0, -1))
    stocks = len(panel.symbols) - 1
    names = [panel.symbols[0], *sorted(panel.series)]
    names += [f"{stocks} stocks ({', '.join(panel.symbols[1:])})"] if stocks else []
    length = f"daily, {first} to {last}, {len(panel):,} sessions"
    return f"{', '.join(names)}; {length}, hash `{feed.data_hash()}`"


def window_within(feed: Files) -> str:
    """Return what bars within sessions a table is of, and what is known beside them."""
    panel = feed.by("bar")
    first, last = (day(moment(panel, place)) for place in (0, -1))
    known = np.isfinite(panel.series.get("GEX_FLIP", np.nan)).sum()
    length = f"bars of {feed.interval.seconds // 60} min, {first} to {last}, {len(panel):,} of them"
    return f"{panel.symbols[0]}; {length}, {known:,} with a chain, hash `{feed.data_hash()}`"


# pages


def data_hash(name: str, panel: Panel, settings: Settings) -> str:
    """Return the hash of what a model learns from, or "" where it can learn nothing.

    The data of one that cannot be trained for want of a library is there all the same.
    """
    asof, entry = moment(panel, -1), CATALOG[name]
    if not availability.lacking_extra(entry.load().extra) and availability.unavailable(
        name, panel, asof
    ):
        return ""
    return labelled(panel, entry.target, entry.features, asof, settings.costs).hash


def static(name: str) -> str:
    """Return the part of a page that is in the class of the learner, and nothing else."""
    about = About.of(name)
    needs = [*code(about.requires).split(), *([f"the extra `{about.extra}`"] * bool(about.extra))]
    rows: list[tuple[object, ...]] = [
        ("predicts that", about.predicts),
        ("retrained", f"`{about.retrain}`, exchange time"),
        ("needs", ", ".join(needs) or "nothing that could be missing"),
        (
            f"{len(about.features)} features",
            " ".join(spanned(f) for f in card.families(about.features)),
        ),
    ]
    parts = [f"# {about.title}", GENERATED, about.purpose, table(f"`{name}`|", rows)]
    return "\n\n".join([*parts, *([f"**Known limits.** {about.limits}"] * bool(about.limits))])


def page(name: str, panel: Panel, settings: Settings, walked: Validation) -> tuple[str, str]:
    """Return a learner's page and its calibration plot, empty where it could not be trained."""
    asof = moment(panel, -1)
    heading = "## On the packaged data"
    try:
        trained = trainer.train(name, panel, asof, settings.seed, settings.costs, thorough=True)
        version = trained.version
        seen = card.held(name, version, panel, settings.seed, settings.costs)
    except OmegaError as error:
        return "\n\n".join([static(name), heading, f"Not measured: {error}."]) + "\n", ""
    horizon = CATALOG[name].target.horizon
    drawn = calibration(name, seen, horizon)
    learned = (
        f"Learned from {version.n:,} rows of {day(version.trained_from)} to "
        f"{day(version.trained_to)}, judged on {seen.rows:,} rows of the last {seen.sessions} "
        f"sessions ({day(seen.since)} to {day(seen.until)}), which the judged fit had not seen. "
        f"Data `{version.data_hash}`, schema `{trained.artifact.schema_hash}`, "
        f"version `{version.version}`."
    )
    absent = f"Without {code(version.absent)}, which the data does not have."
    parts = [
        *(static(name), heading, learned, *([absent] * bool(version.absent))),
        *(measures(version), "## Calibration", f"![Calibration of {name}]({name}.svg)"),
        calibrated(seen, horizon),
        *("## What the hold-out loses when a feature is permuted", importance(seen.influences)),
        *("## Walked forward", f"{sentence(plain(walked))} [All learners](../walkforward.md)."),
        f"Again: `omega train {name}`, then `omega models show {name} --card`, which also measures "
        "how long one row takes on your machine.",
    ]
    return "\n\n".join(parts) + "\n", drawn


def measures(version: Version) -> str:
    """Return every measure beside what it must beat."""
    own = version.measures
    rows: list[tuple[object, ...]] = []
    for name in ("brier", "log_loss", "auc", "skill", "skill_logistic", "base_rate"):
        if name in own:
            rivals = [own.get(f"{name}_{r}") if name == "brier" else None for r in RIVALS]
            against = (number(r.value) if r else "" for r in rivals)
            rows.append((WORDS[name], measure(own[name]), *against, f"{own[name].n:,}"))
    rows.append(
        (
            "largest difference of what serves",
            f"{own['parity'].value:.0e}",
            "",
            "",
            f"{own['parity'].n:,}",
        )
    )
    return table("held out|with its 95 % interval|base rate|logistic regression|n", rows)


RIVALS = ("base", "logistic")
WORDS = {
    "brier": "Brier",
    "log_loss": "log loss",
    "auc": "AUC",
    "skill": "skill over the base rate",
    "skill_logistic": "skill over the logistic regression",
    "base_rate": "base rate of the hold-out",
}


def calibrated(seen: Held, horizon: int) -> str:
    rows = [
        (
            number(b.predicted, 3),
            f"{number(b.happened, 3)} [{number(b.low, 3)}, {number(b.high, 3)}]",
            f"{b.n:,}",
            b.sessions,
        )
        for b in seen.bins
    ]
    told = f"Intervals count every {horizon}th session as one." if horizon > 1 else ""
    shown = table("predicted|came true, with its 95 % interval|n|sessions", rows)
    return f"{shown}\n\n{told}".strip()


def importance(found: Sequence[Influence]) -> str:
    rows = [
        (
            spanned(one.features),
            number(one.rise.value, 5),
            f"[{number(one.rise.low, 5)}, {number(one.rise.high, 5)}]",
        )
        for one in found
    ]
    told = (
        f"Blocks of sessions are permuted {card.REPEATS} times; the interval holds 95 % of the "
        "repeats, and says nothing of how another year would have come out."
    )
    return f"{table('feature|Brier rises by|of the repeats', rows)}\n\n{told}"


def spanned(names: Sequence[str]) -> str:
    return f"`{names[0]}`" if len(names) == 1 else f"`{names[0]}` … `{names[-1]}`"


def calibration(name: str, seen: Held, horizon: int) -> str:
    """Return the plot as a file of its own: on paper, for a page may be dark."""
    bins = [Bin(n=b.n, hits=b.hits, predicted=b.predicted, sessions=b.sessions) for b in seen.bins]
    told = f"Predicted against what came true, {seen.rows:,} held-out rows"
    drawn = str(
        charts.reliability(name, f"Calibration of {name}", told, bins, seen.base_rate, horizon)
    )
    head, _, rest = drawn.partition("</desc>")
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return f"{head.replace('<svg ', f'<svg {FONT} ', 1)}</desc>{paper}{rest}\n"


# the walk-forward


class Walk(NamedTuple):
    """The walk-forward of every learner on one history."""

    data: str
    found: dict[str, Validation]


def walk(feed: Feed, settings: Settings) -> Walk:
    """Walk every learner forward, through as much as is known of what it is about."""
    return Walk(window(feed), _validated(CATALOG, feed, settings))


def walk_within(feed: Files, settings: Settings) -> Walk:
    """Walk those learners forward that count bars."""
    names = [name for name in CATALOG if CATALOG[name].target.unit == "bar"]
    return Walk(window_within(feed), _validated(names, feed, settings))


def _validated(names: Iterable[str], feed: Feed, settings: Settings) -> dict[str, Validation]:
    found = {}
    for name in names:
        own, began = about(availability.bars(name, feed), name), perf_counter()
        asof = moment(own, -1)
        found[name] = validation.validate(name, own, asof, settings.seed, settings.costs)
        told(f"{perf_counter() - began:6.1f} s  {found[name].sentence}")
    return found


def about(panel: Panel, name: str) -> Panel:
    """Return the part of a history in which all that a model is about is known.

    A series that begins late is left out of a long history, because it is unknown in more than
    half of the rows. A model that is about it would then be judged without it.
    """
    series = [panel.series[s] for s in CATALOG[name].requires if s in panel.series]
    known = [np.flatnonzero(np.isfinite(values)) for values in series]
    first = max((int(rows[0]) for rows in known if len(rows)), default=0)
    return panel.rows(first, len(panel)) if first else panel


def plain(walked: Validation, trials: int = 1) -> str:
    """Return a verdict in plain words.

    Nothing is said to help whose interval covers zero. Of what lies above it is said whether it
    still would with the interval widened for as many learners as were tried, and whether a
    logistic regression does as well.
    """
    if walked.total is None:
        return f"not measured: {walked.sentence.partition(UNMEASURED)[2]}"
    if walked.health is not Health.ADDS:
        return {
            Health.NOTHING: "adds nothing to the base rate: the interval covers zero",
            Health.WORSE: "worse than the base rate",
            Health.UNKNOWN: "unknown: too few sessions for an interval",
        }[walked.health]
    m = walked.total.measures
    words = f"beats the base rate{beside(m['skill_logistic'])}"
    if trials > 1 and not beats_base(m["skill"], trials):
        words += f"; with {trials} learners tried, that may be chance"
    return words


def beside(logistic: Measure) -> str:
    """Return how one that beats the base rate stands beside a logistic regression."""
    if logistic.low is not None and logistic.low > 0:
        return " and the logistic regression"
    if logistic.high is not None and logistic.high < 0:
        return ", and is worse than a logistic regression"
    return ", and is not better than a logistic regression"


def sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def walked(found: dict[str, Validation], unit: str = "sessions") -> str:
    """Return the table of a walk-forward."""
    measured = sum(one.total is not None for one in found.values())
    rows: list[tuple[object, ...]] = []
    for name, one in found.items():
        link = f"[`{name}`](models/{name}.md)"
        if one.total is None or one.since is None or one.until is None:
            rows.append((link, *(NONE,) * 8, plain(one)))
            continue
        m = one.total.measures
        rows.append(
            (
                link,
                f"{one.years[0].label} to {one.years[-1].label}",
                f"{m['brier'].n:,}",
                f"{m['sessions'].value:,.0f}",
                number(m["brier"].value),
                number(m["brier_base"].value),
                number(m["brier_logistic"].value),
                measure(m["skill"]),
                measure(m["skill_logistic"]),
                plain(one, measured),
            )
        )
    spans = "years" if unit == "sessions" else "months"
    columns = f"learner|{spans}|n|{unit}|Brier|base rate|logistic|skill over base rate"
    return table(f"{columns}|skill over logistic|verdict", rows)


TEXT = """# Every learner, walked forward

{generated}

Each calendar year is predicted by a fit that learned from everything before it and nothing after,
purged and embargoed (`learning/walkforward.py`), and so are the two that it has to beat: the base
rate of the years before, of each strike distance where there are several, and a logistic regression
on the same features. All years together give the verdict. Skill is one minus the ratio of two Brier
scores: above zero is better. Intervals are 95 %, from blocks of whole sessions. Where an interval
covers zero, the learner is not said to help.

The first table is of data that ships with the lock: `omega validate` gives it again, year by year.
The second is of a longer history, which is not ours to hand on; a folder with files of these names
gives it again (`make cards MARKET=FOLDER`). A learner that is about a series which begins later is
walked forward from there; what else is unknown in more than half of the rows is left out.

The third is of those that count bars within sessions, each month by what was known before it
(`make cards WITHIN=FOLDER`, the `data` folder of a home with such bars and option chains). Rows of
one session share its levels of gamma, of which its intervals know nothing: read them as too narrow.

## The packaged data

{packaged}

## A longer history

{long}

## Within sessions

{within}
"""


def document(packaged: str, long: str, within: str) -> str:
    return TEXT.format(generated=GENERATED, packaged=packaged, long=long, within=within)


def section(name: str, walk: Walk, unit: str = "sessions") -> str:
    return BLOCK.format(name, f"{walk.data}.\n\n{walked(walk.found, unit)}")


def kept(text: str, name: str) -> str:
    """Return a section of the document as it stands."""
    found = re.search(BLOCK.format(name, "(.*?)"), text, re.DOTALL)
    return found[0] if found else BLOCK.format(name, "Not measured yet.")


def longer(folder: Path) -> Feed:
    """Return the feed of a longer history: the files of `LONG` that a folder has."""
    files = [folder / f"{name}.csv" for name in LONG]
    with tempfile.TemporaryDirectory() as place:
        for file in files:
            if file.is_file():
                (Path(place) / file.name).symlink_to(file.resolve())
        feed = Files(Path(place))
        feed.panel()
    return feed


def index(found: dict[str, Validation]) -> str:
    rows = [
        (f"[`{name}`]({name}.md)", CATALOG[name].title, CATALOG[name].target.words, plain(one))
        for name, one in found.items()
    ]
    parts = [
        *("# The learners", GENERATED),
        "A card for each: what it is for, what it learned from, how it did on what it had not "
        "seen, beside the base rate and a logistic regression. "
        "[All walked forward](../walkforward.md).",
        table("learner|title|predicts that|on the packaged data", rows),
    ]
    return "\n\n".join(parts) + "\n"


def told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(market: str, within: str) -> None:
    """Write every page anew; a section whose folder is "" stays as it is."""
    settings = load(environ={})
    packaged = Packaged()
    PAGES.mkdir(parents=True, exist_ok=True)
    short = walk(packaged, settings)
    for name, one in short.found.items():
        text, drawn = page(name, availability.bars(name, packaged), settings, one)
        (PAGES / f"{name}.md").write_text(text, encoding="utf-8")
        plot = PAGES / f"{name}.svg"
        plot.unlink(missing_ok=True)
        if drawn:
            plot.write_text(drawn, encoding="utf-8")
        told(f"{name}: written")
    (PAGES / "README.md").write_text(index(short.found), encoding="utf-8")
    old = WALKED.read_text(encoding="utf-8") if WALKED.exists() else ""
    long, bars = kept(old, "long"), kept(old, "within")
    if market:
        long = section("long", walk(longer(Path(market)), settings))
    if within:
        bars = section("within", walk_within(Files(Path(within)), settings), "bars")
    WALKED.write_text(document(section("packaged", short), long, bars), encoding="utf-8")


if __name__ == "__main__":
    write(*sys.argv[1:3])
