"""What the processes of a fleet say: a JSON object to a line, with the task and its decisions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.made import ASKED
from tests.workers.live import Place, eventually, place
from workers import logs, roles, servers

LINE = ("time", "level", "logger", "event", "role")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("logs") / "home") as made:
        yield made


def lines(here: Place, name: str) -> list[dict[str, Any]]:
    """Return what was said, whole lines only; a line that is no JSON is an error."""
    text = here.said(name).read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def test_every_line_of_a_worker_is_json_and_names_the_task_and_its_decisions(here: Place) -> None:
    here.start("decision", roles.worker("decision", 2))
    key = here.pulse("decision")
    here.app.send_task("upkeep.pulse", queue="decision")
    here.app.send_task("market.scan", queue="decision")

    def sealed() -> bool:
        done = [x for x in lines(here, "decision") if "seconds" in x]
        last = [x for x in done if x.get("task") == "decision.limits"]
        return sum(len(x["decisions"]) for x in last) == ASKED  # of two batches, in two children

    assert eventually(sealed)
    assert here.stop("decision") == 0
    said = lines(here, "decision")
    assert all(tuple(line)[:5] == LINE for line in said)
    assert {line["role"] for line in said} == {"decision"}
    pulse = [line for line in said if line.get("task_id") == key]
    assert [line["event"] for line in pulse] == ["task received", "task succeeded"]
    assert {line["task"] for line in pulse} == {"upkeep.pulse"}
    steps = [x for x in said if x["event"] == "task succeeded" and "decisions" in x]
    for layer in ("safety", "inference", "advisor", "limits"):
        batches = [step["decisions"] for step in steps if step["task"] == f"decision.{layer}"]
        assert sum(map(len, batches)) == ASKED
        assert "fortress-SPX-20151231T2100Z" in {key for batch in batches for key in batch}
    for step in steps:
        assert step["task"].startswith("decision.")
        assert set(step) == {*LINE, "task", "task_id", "decisions", "seconds"}, "no payload"
    [failed] = [line for line in said if line["level"] == "error"]
    assert failed["task"] == "upkeep.pulse"
    assert "missing 1 required positional argument" in failed["exception"]
    assert "s3cret" not in here.said("decision").read_text()


def test_spawned_children_know_their_role(here: Place) -> None:
    here.start("training", roles.worker("training"))
    key = here.pulse("training")
    assert eventually(
        lambda: (
            [x["event"] for x in lines(here, "training") if x.get("task_id") == key]
            == ["task received", "task succeeded"]
        )
    )
    assert here.stop("training") == 0
    assert {line["role"] for line in lines(here, "training")} == {"training"}


def test_beat_and_flower_speak_alike(here: Place) -> None:
    here.start("beat", roles.beat())
    here.start("flower", roles.flower(servers.free_port(), "INFO"))
    assert eventually(lambda: any(x["event"] == "sends" for x in lines(here, "beat")))
    assert eventually(lambda: bool(lines(here, "flower")))
    assert here.stop("beat") == 0
    here.stop("flower")  # whose own handler raises SystemExit wherever it happens to be
    for name in ("beat", "flower"):
        said = lines(here, name)
        assert all(tuple(line)[:5] == LINE for line in said)
        assert {line["role"] for line in said} == {name}
        assert "s3cret" not in here.said(name).read_text()
    [sent, *_] = [line for line in lines(here, "beat") if line["event"] == "sends"]
    assert (sent["logger"], sent["entries"]) == ("omega.beat", ["train-missing"])


def test_the_level_that_is_set_comes_before_the_command_s(here: Place) -> None:
    here.start("beat", roles.beat(), OMEGA_LOG_LEVEL="debug")
    assert eventually(lambda: any(x["event"] == "sends" for x in lines(here, "beat")))
    assert any(x["level"] == "debug" for x in lines(here, "beat"))
    assert here.stop("beat") == 0


def test_a_file_holds_the_same_lines(here: Place, tmp_path: Path) -> None:
    file = tmp_path / "beat.log"
    here.start("beat", [*roles.beat(), "-f", str(file)])
    assert eventually(lambda: file.exists() and '"beat holds the lease"' in file.read_text())
    assert here.stop("beat") == 0
    assert {json.loads(line)["role"] for line in file.read_text().splitlines()} == {"beat"}


def test_passwords_are_masked_wherever_they_stand() -> None:
    script = """
import logging
from workers import logs
import structlog
logs.configure("decision", "INFO")
url = "postgresql+psycopg://desk:p@ss/word@host:5432/omega"
logging.getLogger("a").warning("no %s", url)
structlog.get_logger("b").warning("x", where={"urls": [url, "redis://h/0?password=p@ss/word"]})
raise ValueError(url)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "p@ss" not in done.stderr
    assert "word@" not in done.stderr
    plain, bound, uncaught = (json.loads(line) for line in done.stderr.splitlines())
    assert plain["event"] == "no postgresql+psycopg://desk:***@host:5432/omega"
    assert bound["where"]["urls"][1] == "redis://h/0?password=***"
    assert uncaught["level"] == "critical"
    assert "ValueError: postgresql+psycopg://desk:***@host" in uncaught["exception"]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (([{"id": "a"}, {"id": "b"}],), ["a", "b"]),
        (([{"no": "draft"}, 5, {"context": None}],), []),
        (("decision",), []),
        ((), []),
        (None, []),
    ],
)
def test_ids_come_from_a_batch_and_nothing_is_validated(args: Any, found: list[str]) -> None:
    assert logs.ids(args) == found


def test_a_terminal_is_told_in_plain_words() -> None:
    script = """
import sys
class Terminal:
    def isatty(self): return True
    def write(self, text): sys.__stdout__.write(text)
    def flush(self): sys.__stdout__.flush()
sys.stderr = Terminal()
from workers import logs
import logging
logs.configure("decision", logging.INFO)
logging.getLogger("omega").info("ready")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "ready" in done.stdout
    assert not done.stdout.startswith("{")
