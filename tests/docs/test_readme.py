"""What the documents say is so."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from api.cli import app
from bench import rows, tables
from domain.book import Limits
from domain.settings import Settings
from models import catalog
from models.base import Model
from models.onnx import Served
from tests.models.made import samples

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
EVERY = pytest.mark.parametrize("document", DOCUMENTS)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
VERB = re.compile(r"omega(?= |$)")


def commands(document: str, program: str) -> list[str]:
    """Return every command line of a program, without its comment, that a document shows."""
    text = (ROOT / document).read_text(encoding="utf-8")
    fenced = [
        line.strip().removeprefix("$ ")
        for _, body in FENCE.findall(text)
        for line in body.splitlines()
    ]
    lines = [*fenced, *SPAN.findall(FENCE.sub("", text))]
    told = [line.partition("#")[0].strip() for line in lines]
    return [line for line in told if line.split(" ")[0] == program]


def wrong(command: str) -> Iterator[str]:
    """Say what of an ``omega`` command line is not in the application."""
    place: Any = get_command(app)
    options = {opt for param in place.params for opt in param.opts}
    words = command.split()[1:]
    while words and hasattr(place, "commands") and not words[0].startswith("--"):
        verb = words.pop(0)
        if verb not in place.commands:
            yield f"{command}: there is no {verb!r}, there are {', '.join(place.commands)}"
            return
        place = place.commands[verb]
        options |= {opt for param in place.params for opt in param.opts} | {"--help"}
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in options:
            yield f"{command}: there is no {word!r}"


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    assert tables.fresh(README) == README, "run `make docs`"


def test_a_table_that_is_not_that_of_the_code_is_found_and_written_anew() -> None:
    stale = README.replace("| `wisdom` | WISDOM |", "| `wisdom` | Solomon |")
    assert stale != README
    assert tables.fresh(stale) == README


def test_a_readme_without_a_table_is_refused() -> None:
    with pytest.raises(SystemExit, match="has the tables"):
        tables.fresh(README.replace("<!-- table:bots -->", ""))


def test_check_compares_and_writes_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.tables", "--check"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("OMEGA_")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (ROOT / "README.md").read_text(encoding="utf-8") == README


@EVERY
def test_every_make_target_that_is_named_exists(document: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {command.split()[1] for command in commands(document, "make")}
    assert named <= set(targets)


@EVERY
def test_every_omega_command_that_is_named_exists(document: str) -> None:
    assert [what for command in commands(document, "omega") for what in wrong(command)] == []


def test_commands_are_found_and_judged() -> None:
    assert {"make run", "make test"} <= set(commands("README.md", "make"))
    assert "omega trail verify" in commands("README.md", "omega")
    assert list(wrong("omega trail verify --bot x")) == []
    assert len(list(wrong("omega trail burn"))) == 1
    assert list(wrong("omega kill --bot x --gently")) == [
        "omega kill --bot x --gently: there is no '--gently'"
    ]


def test_both_commands_and_the_output_stand_within_thirty_lines() -> None:
    head = "\n".join(README.splitlines()[:30])
    assert re.search(r"^\$ make run\b.*^\$ make test\b.*<!-- output:run -->", head, re.M | re.S)


def test_the_bench_table_has_the_rows_that_are_measured() -> None:
    block = re.search(r"<!-- bench -->\n(.*?)<!-- /bench -->", README, re.DOTALL)
    assert block
    shown = [line.split("|")[1].strip() for line in block[1].splitlines() if line.startswith("|")]
    assert tuple(shown[2:]) == rows.NAMES


def test_the_scaling_tables_are_those_that_are_measured() -> None:
    block = re.search(r"<!-- scaling -->\n(.*?)<!-- /scaling -->", README, re.DOTALL)
    assert block
    found = [text.splitlines() for text in re.findall(r"(?:^\|.*\n)+", block[1], re.M)]
    cells = [[[cell.strip() for cell in row.split("|")[1:-1]] for row in one] for one in found]
    services, checks, plans = cells
    assert tuple(row[0] for row in services[2:]) == rows.SERVICES
    assert tuple(checks[0]) == rows.CHECKS
    assert tuple(plans[0]) == rows.PLANS
    assert {len(row) for row in plans} == {len(rows.PLANS)}


@EVERY
def test_every_link_leads_to_a_file(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in local if not (ROOT / link).exists()] == []


@EVERY
def test_every_path_that_is_named_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"var"}
    named = [span for span in SPAN.findall(text) if re.fullmatch(r"[\w./]+(\.py|/)", span)]
    inside = [span for span in named if span.split("/")[0] in folders]
    assert inside or document == "CHANGELOG.md"
    assert [span for span in inside if not (ROOT / span).exists()] == []


@EVERY
def test_every_setting_that_is_named_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    known = {f"OMEGA_{name.upper()}" for name in Settings.model_fields}
    known |= {f"OMEGA_LIMITS__{name.upper()}" for name in Limits.model_fields}
    assert set(re.findall(r"OMEGA_[A-Z_]*[A-Z]", text)) <= known


def test_the_model_of_the_readme_learns_and_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = [body for kind, body in FENCE.findall(README) if kind == "python"]
    assert len([line for line in source.splitlines() if line]) <= 6
    found: dict[str, Any] = {"__name__": "patient"}
    exec(source, found)
    kind: type[Model] = found["Patient"]
    assert f'`"{kind.name}": Entry("models.patient:Patient"),`' in README
    entry = catalog.CATALOG["xgb"]
    monkeypatch.setattr(type(entry), "load", lambda self: kind)
    model = catalog.create("xgb")
    X, y = samples(model)
    artifact = model.fit(X, y).export()
    assert artifact.model == "patient"
    Served(artifact).self_test()
