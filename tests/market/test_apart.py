"""A history that another process has read: the same numbers, and none of what reading takes."""

import json
import logging
import subprocess
import sys
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ForeignFile
from domain.settings import Settings
from market import calendar
from market.feeds import apart, catalog, intake
from market.feeds.base import Feed
from market.feeds.files import Files
from market.panel import Panel
from tests.market.test_feeds_chains import BARS, DAYS, SESSIONS, eod, quoted, source
from tests.market.test_feeds_files import daily, five_minutes

READING = ("pandas", "pyarrow", "exchange_calendars")


def asked(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def both(settings: Settings) -> tuple[Feed, Feed]:
    return catalog.create(settings), apart.create(settings)


def assert_same(one: Panel, other: Panel) -> None:
    assert (one.symbols, sorted(one.series)) == (other.symbols, sorted(other.series))
    for field in fields(Panel):
        value = getattr(one, field.name)
        if isinstance(value, np.ndarray):
            read = getattr(other, field.name)
            assert (read.dtype, read.tobytes()) == (value.dtype, value.tobytes())
    for name, levels in one.series.items():
        assert other.series[name].tobytes() == levels.tobytes()


def test_the_packaged_history_is_the_same_to_the_last_bit() -> None:
    here, there = both(Settings())
    assert_same(here.panel(), there.panel())
    assert here.data_hash() == there.data_hash()
    assert there.symbols[0] == "SPX"


def test_a_process_that_has_it_and_the_hours_has_none_of_what_reads_them() -> None:
    code = (
        "import sys; from datetime import date; from domain.settings import Settings;"
        "from market import calendar; from market.feeds import apart; apart.give_hours();"
        "apart.create(Settings()).panel(); calendar.closes(date(2018, 12, 31));"
        f"print([name for name in {READING} if name in sys.modules])"
    )
    assert asked(code) == "[]"


def test_the_hours_are_those_of_the_library() -> None:
    code = (
        "import json; from market import calendar; from market.feeds import apart;"
        "apart.give_hours(); print(json.dumps([a.astype(int).tolist() for a in calendar.hours()]))"
    )
    given = json.loads(asked(code))
    assert [hours.astype(int).tolist() for hours in calendar.hours()] == given


def test_whoever_has_the_hours_keeps_them() -> None:
    known = calendar.hours()
    calendar.give(calendar.Hours(*(column[:1] for column in known)))
    try:
        assert calendar.hours() is known
        assert calendar.closes(SESSIONS[0]) == calendar.closes(date(2018, 11, 19))
    finally:
        calendar.give(known)


def test_files_with_bars_within_sessions_and_what_was_set_aside_come_whole(tmp_path: Path) -> None:
    (tmp_path / "ACME.csv").write_text(daily())
    (tmp_path / "ACME_5m.csv").write_text(five_minutes("2018-11-20", "14:30", 78, "Z"))
    (tmp_path / "notes.csv").write_text("hello\nworld\n")
    here, there = both(Settings(feed="files", data=tmp_path))
    assert_same(here.panel(), there.panel())
    inside = here.within(), there.within()
    assert inside[0] is not None
    assert inside[1] is not None
    assert_same(inside[0], inside[1])
    assert (here.interval, here.frequency) == (there.interval, there.frequency)
    assert here.quarantined() == there.quarantined() != ()
    assert here.real == there.real
    assert here.data_hash() == there.data_hash()


@pytest.mark.parametrize("spot", [None, 2764.0], ids=["trusted", "doubtful"])
def test_chains_of_a_history_read_elsewhere_are_those_that_agree_with_its_bars(
    tmp_path: Path, spot: float | None
) -> None:
    settings = Settings(home=tmp_path / "home", feed="files")
    (tmp_path / "SPX.csv").write_text(BARS)
    more = tmp_path / "spx_chain.csv"
    more.write_text(eod(quoted(SESSIONS[3], spot)))
    intake.take([tmp_path / "SPX.csv", more, source(tmp_path, SESSIONS[1:2])], settings)
    here, there = both(settings)
    assert isinstance(here, Files)
    assert isinstance(there, Files)
    assert len(there.quoted) == (2 if spot is None else 1)
    assert there.quoted == here.quoted
    assert there.origins == here.origins != {}
    assert there.real == here.real
    assert there.data_hash() == here.data_hash()


def test_what_cannot_be_read_there_fails_as_it_does_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "notes.csv").write_text("hello\nworld\n")
    feed = apart.create(Settings(feed="files", data=tmp_path))
    with caplog.at_level(logging.WARNING), pytest.raises(ForeignFile, match="expected a column"):
        feed.panel()
    [record] = caplog.records
    assert "no process of its own read the history" in record.message
    assert "expected a column" in record.message


def test_a_process_that_cannot_start_costs_memory_and_no_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    (tmp_path / "ACME.csv").write_text(daily())
    with caplog.at_level(logging.WARNING):
        panel = apart.create(Settings(feed="files", data=tmp_path)).panel()
    assert len(panel) == len(DAYS)
    assert "this one does" in caplog.text
