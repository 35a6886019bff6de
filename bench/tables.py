"""The tables of the README that say what is in the code: ``make docs`` writes them in place."""

import re
import sys
from collections.abc import Callable, Iterable
from inspect import getdoc
from pathlib import Path
from typing import Any

from domain.book import Limits
from domain.bot import Bot
from market.features.catalog import CATALOG as FEATURES
from market.features.catalog import GROUPS
from market.feeds.catalog import CATALOG as FEEDS
from models.catalog import CATALOG as MODELS
from risk.guardrails import GUARDRAILS
from trading.bots import catalog as bots
from trading.bots.catalog import BOTS
from trading.brokers.catalog import CATALOG as BROKERS
from trading.strategies.catalog import CATALOG as STRATEGIES
from trading.structures.catalog import CATALOG as STRUCTURES
from workers.app import app

README = Path(__file__).parents[1] / "README.md"
FEW = 10
"""Entries of a catalog that are listed where it is named; more have a table of their own."""
BLOCK = re.compile(r"(<!-- table:([a-z]+) -->\n).*?(<!-- /table -->)", re.DOTALL)
NUMBERED = re.compile(r"(.*?)(\d*)")
"""A name and the number that it ends with."""


def table(columns: str, rows: Iterable[tuple[object, ...]]) -> str:
    heads = columns.split("|")
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def said(thing: Any) -> str:
    """Return the first sentence of a docstring, which may go on over a line."""
    return " ".join((getdoc(thing) or "").split("\n\n")[0].split())


def code(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def ranges(names: Iterable[str]) -> str:
    """Return names for a table, those of a numbered family as its first and its last.

    A family counts up by one under one stem, and has more than `FEW` members.
    """
    families: list[list[str]] = []
    for name in names:
        found = NUMBERED.fullmatch(name)
        stem, number = found.groups() if found else (name, "")
        if number and families and families[-1][-1] == f"{stem}{int(number) - 1}":
            families[-1].append(name)
        else:
            families.append([name])
    return " ".join(f"`{f[0]}` … `{f[-1]}`" if len(f) > FEW else code(f) for f in families)


def cron(schedule: Any) -> str:
    return f"`{repr(schedule).removeprefix('<crontab: ').partition(' (')[0]}`"


def models() -> str:
    rows = (
        (f"`{name}`", m.title, m.target.words, len(m.features), f"`{m.retrain}`")
        for name, m in MODELS.items()
    )
    return table("model|title|predicts that|features|retrained", rows)


def desk() -> str:
    def row(bot: Bot) -> tuple[object, ...]:
        module = sys.modules[f"{bots.__name__.rpartition('.')[0]}.{bot.name}"]
        symbols = bot.symbols[0] if len(bot.symbols) == 1 else f"{len(bot.symbols)} stocks"
        risk = f"{100 * bot.risk_per_trade:g} %"
        by = bot.structures or bot.sides
        return (said(module), symbols, code(by), code(bot.models), f"${bot.capital:,.0f}", risk)

    columns = "bot|trades|by|asks|capital|risk a trade, at most"
    return table(columns, (row(bot) for bot in BOTS.values()))


def schedule() -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, entry in app.conf.beat_schedule.items():
        options = entry["options"]
        seconds = options["expires"]
        late = f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
        late = late if seconds < 3600 else f"{seconds / 3600:.0f} h"
        what = said(app.tasks[entry["task"]].run)
        rows.setdefault((cron(entry["schedule"]), options["queue"], late, what), []).append(name)
    columns = "entry|when|queue|expires|does"
    return table(columns, ((code(names), *row) for row, names in rows.items()))


def guardrails() -> str:
    rows = ((f"`{name}`", said(rule)) for name, rule in GUARDRAILS.items())
    return table("guardrail|does", rows)


def limits() -> str:
    def shown(name: str, value: float) -> str:
        plain = isinstance(value, int) or name == "max_correlation"
        return f"`{name}` {value:g}" if plain else f"`{name}` {100 * value:g} %"

    return " · ".join(shown(name, value) for name, value in Limits())


def features() -> str:
    def row(module: Any) -> tuple[object, ...]:
        group = module.__name__.rpartition(".")[2]
        own = [f for f in FEATURES.values() if f.group == group]
        needs = sorted({need for f in own for need in f.needs})
        return (group, len(own), ", ".join(needs) or "the calendar", ranges(f.name for f in own))

    rows = [row(module) for module in GROUPS]
    return table(f"group|{len(FEATURES)} in all|made of|features", rows)


def seams() -> str:
    rows = (
        ("model", "`models/base.py`", "`models/catalog.py`", MODELS),
        ("bot", "`domain/bot.py`", "`trading/bots/catalog.py`", BOTS),
        ("strategy", "`trading/strategies/base.py`", "`trading/strategies/catalog.py`", STRATEGIES),
        (
            "structure",
            "`trading/structures/base.py`",
            "`trading/structures/catalog.py`",
            STRUCTURES,
        ),
        ("feature", "`market/features/base.py`", "`market/features/catalog.py`", FEATURES),
        ("feed", "`market/feeds/base.py`", "`market/feeds/catalog.py`", FEEDS),
        ("broker", "`trading/brokers/base.py`", "`trading/brokers/catalog.py`", BROKERS),
        ("guardrail", "`risk/guardrails.py`", "`risk/guardrails.py`", GUARDRAILS),
    )
    return table(
        "seam|contract|catalog|in it",
        (
            (*row, code(names) if len(names) < FEW else f"{len(names)}, below")
            for *row, names in rows
        ),
    )


TABLES: dict[str, Callable[[], str]] = {
    "bots": desk,
    "features": features,
    "guardrails": guardrails,
    "limits": limits,
    "models": models,
    "schedule": schedule,
    "seams": seams,
}


def fresh(text: str) -> str:
    """Return the README with every table as the code has it now."""
    found = [match.group(2) for match in BLOCK.finditer(text)]
    if sorted(found) != sorted(TABLES):
        raise SystemExit(f"README.md has the tables {sorted(found)}, not {sorted(TABLES)}")
    return BLOCK.sub(lambda m: m.group(1) + TABLES[m.group(2)]() + "\n" + m.group(3), text)


def main() -> None:
    old = README.read_text(encoding="utf-8")
    new = fresh(old)
    if "--check" in sys.argv[1:]:
        if new != old:
            raise SystemExit("the tables of README.md are not those of the code: run `make docs`")
    elif new != old:
        README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
