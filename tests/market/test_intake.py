"""Importing: validated first, then copied whole, with a manifest; or refused."""

import json
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from domain.errors import ForeignFile, IntegrityError, Refused
from domain.settings import Settings
from market import calendar
from market.feeds import catalog, intake, manifest
from market.quality import Defect

DAYS = [day.isoformat() for day in calendar.sessions(date(2018, 11, 19), date(2018, 12, 7))]
BARS = "\n".join(("date,close", *(f"{day},{100 + i}" for i, day in enumerate(DAYS)))) + "\n"
INTRADAY = "timestamp,close\n2018-11-20 09:30:00,1\n2018-11-20 09:35:00,1.1\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", feed="files")


def folder(tmp_path: Path, **texts: str) -> Path:
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    for name, text in texts.items():
        (source / f"{name}.csv").write_text(text)
    return source


def test_what_was_imported_is_what_the_feed_reads(tmp_path: Path, settings: Settings) -> None:
    source = folder(tmp_path, ACME=BARS.replace("100", "-1"), vix=BARS)
    taken = intake.take(source, settings)
    acme, vix = taken.taken
    assert (acme.name, acme.symbols, acme.rows, acme.usable) == ("ACME.csv", ("ACME",), 13, 12)
    assert acme.quarantined == {Defect.NOT_POSITIVE: 1}
    assert acme.sha256 == sha256((source / "ACME.csv").read_bytes()).hexdigest()
    assert acme.first == datetime(2018, 11, 20, 21, tzinfo=UTC)
    assert acme.last == datetime(2018, 12, 7, 21, tzinfo=UTC)
    assert vix.symbols == ("VIX",)
    feed = catalog.create(settings)
    assert feed.symbols == ("ACME",)
    assert list(feed.panel().series) == ["VIX"]
    assert manifest.read(settings.home / "data") == manifest.Manifest(entries=taken.taken)


def test_the_zone_is_remembered(tmp_path: Path, settings: Settings) -> None:
    source = folder(tmp_path, SPY=INTRADAY)
    with pytest.raises(ForeignFile, match="state no time zone"):
        intake.take(source, settings)
    assert not settings.home.exists()
    intake.take(source, settings, "America/New_York")
    feed = catalog.create(settings)
    assert str(feed.panel().times[0]) == "2018-11-20T14:35:00"


def test_a_wider_collar_is_remembered(tmp_path: Path, settings: Settings) -> None:
    rows = [f"{day},{100 if i < 7 else 300}.{i}" for i, day in enumerate(DAYS)]
    source = folder(tmp_path, ACME="\n".join(("date,close", *rows)))
    assert intake.take(source, settings).taken[0].quarantined == {Defect.JUMP: 6}
    assert intake.take(source, settings, collar=2.5).taken[0].quarantined == {}
    assert len(catalog.create(settings).panel()) == 13


def test_foreign_files_are_refused_and_named(tmp_path: Path, settings: Settings) -> None:
    source = folder(tmp_path, ACME=BARS, notes="hello\nworld\n")
    taken = intake.take(source, settings)
    assert [entry.symbol for entry in taken.refused] == ["notes.csv"]
    assert sorted(p.name for p in (settings.home / "data").iterdir()) == [
        "ACME.csv",
        "manifest.json",
    ]


@pytest.mark.parametrize(
    "text", ["hello\nworld\n", "date,close\n2018-11-20,-1\n2018-11-21,x\n", "date,close\n"]
)
def test_nothing_usable_imports_nothing(tmp_path: Path, settings: Settings, text: str) -> None:
    source = folder(tmp_path, ACME=text)
    for path in (source, source / "ACME.csv"):
        with pytest.raises(ForeignFile):
            intake.take(path, settings)
    assert not settings.home.exists()


def test_an_empty_folder_imports_nothing(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ForeignFile, match="nothing usable"):
        intake.take(folder(tmp_path), settings)


def test_a_dry_run_writes_nothing(tmp_path: Path, settings: Settings) -> None:
    taken = intake.take(folder(tmp_path, ACME=BARS), settings, dry_run=True)
    assert (len(taken.taken), taken.written) == (1, False)
    assert not settings.home.exists()


def test_importing_twice_changes_nothing_and_newer_data_replaces(
    tmp_path: Path, settings: Settings
) -> None:
    source = folder(tmp_path, ACME=BARS)
    first = intake.take(source, settings)
    assert intake.take(source, settings) == first
    folder(tmp_path, ACME=BARS.replace("100", "100.5"))
    again = intake.take(source / "ACME.csv", settings)
    assert again.replaced == ("ACME.csv",)
    assert catalog.create(settings).panel().close[0, 0] == 100.5


def test_a_second_import_adds_to_the_first(tmp_path: Path, settings: Settings) -> None:
    source = folder(tmp_path, ACME=BARS)
    intake.take(source, settings)
    folder(tmp_path, VIX=BARS)
    intake.take(source / "VIX.csv", settings)
    assert list(catalog.create(settings).panel().series) == ["VIX"]


def test_subfolders_are_kept_apart(tmp_path: Path, settings: Settings) -> None:
    source = folder(tmp_path, ACME=BARS)
    (source / "more").mkdir()
    (source / "more" / "ACME.csv").write_text(BARS.replace("2018-1", "2017-1"))
    taken = intake.take(source, settings)
    assert [entry.name for entry in taken.taken] == ["ACME.csv", "more/ACME.csv"]
    assert str(catalog.create(settings).panel().times[0]).startswith("2017-11-20")


def test_daily_bars_and_bars_within_sessions_share_a_home(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take(folder(tmp_path, ACME=BARS), settings)
    (tmp_path / "SPY.csv").write_text(INTRADAY)
    intake.take(tmp_path / "SPY.csv", settings, "America/New_York")
    feed = catalog.create(settings)
    assert feed.frequency == "daily"
    assert (feed.scans("SPY"), feed.scans("ACME")) == (True, False)


def test_bars_of_two_lengths_within_sessions_need_homes_of_their_own(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "SPY.csv").write_text(INTRADAY)
    intake.take(tmp_path / "SPY.csv", settings, "America/New_York")
    before = (settings.home / "data" / "manifest.json").read_text()
    (tmp_path / "QQQ.csv").write_text(INTRADAY.replace("09:35", "09:45"))
    with pytest.raises(Refused, match=r"bars of 5 min \(SPY.csv\).*a home of its own"):
        intake.take(tmp_path / "QQQ.csv", settings, "America/New_York")
    assert (settings.home / "data" / "manifest.json").read_text() == before
    assert not (settings.home / "data" / "QQQ.csv").exists()


def test_what_is_already_home_is_not_imported(tmp_path: Path, settings: Settings) -> None:
    intake.take(folder(tmp_path, ACME=BARS), settings)
    with pytest.raises(Refused, match="already in"):
        intake.take(settings.home / "data", settings)


def test_a_file_that_changed_or_went_since_its_import_is_found(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take(folder(tmp_path, ACME=BARS), settings)
    file = settings.home / "data" / "ACME.csv"
    file.write_text(BARS.replace("105", "106"))
    with pytest.raises(IntegrityError, match="has changed since it was imported"):
        catalog.create(settings).panel()
    file.unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        catalog.create(settings).panel()
    [problem] = [s.problem for s in catalog.describe(settings) if s.name == "files"]
    assert problem is not None
    assert "import it again" in problem
    (settings.home / "data" / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="damaged"):
        catalog.create(settings).panel()


def test_a_file_that_was_put_beside_imported_ones_is_not_read(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take(folder(tmp_path, ACME=BARS), settings)
    (settings.home / "data" / "EVIL.csv").write_text(BARS)
    feed = catalog.create(settings)
    assert feed.symbols == ("ACME",)
    assert [(e.symbol, e.defect) for e in feed.quarantined()] == [("EVIL.csv", Defect.FOREIGN)]


def test_the_future_does_not_count(tmp_path: Path, settings: Settings) -> None:
    asof = datetime(2018, 11, 20, 12, tzinfo=UTC)
    taken = intake.take(folder(tmp_path, ACME=BARS), settings, asof=asof)
    assert taken.taken[0].usable == 1
    assert taken.taken[0].quarantined == {Defect.FUTURE: 12}


def named(tmp_path: Path, folder: str, text: str) -> Path:
    """Return a folder of its own that holds an ``ACME.csv``."""
    made = tmp_path / folder
    made.mkdir()
    (made / "ACME.csv").write_text(text)
    return made


EARLY, LATE = (
    "\n".join(BARS.splitlines()[:7]) + "\n",
    "date,close\n" + BARS[BARS.index("2018-12") :],
)


@pytest.mark.parametrize(("first", "second"), [(EARLY, LATE), (LATE, EARLY)])
def test_a_file_that_goes_on_where_its_namesake_ended_is_kept_beside_it(
    tmp_path: Path, settings: Settings, first: str, second: str
) -> None:
    one, two = named(tmp_path, "one", first), named(tmp_path, "two", second)
    assert [entry.name for entry in intake.take(one, settings).taken] == ["ACME.csv"]
    done = intake.take(two, settings)
    assert ([entry.name for entry in done.taken], done.replaced) == (["two/ACME.csv"], ())
    panel = catalog.create(settings).panel()
    held = {str(day) for day in panel.times.astype("datetime64[D]")}
    assert held == {line[:10] for line in (EARLY + LATE).splitlines() if line.startswith("2")}
    for again in (one, two, two / "ACME.csv", [one, two]):
        assert intake.take(again, settings).replaced == ()
    assert catalog.create(settings).panel().close.tolist() == panel.close.tolist()


def test_a_file_that_overlaps_its_namesake_replaces_it(tmp_path: Path, settings: Settings) -> None:
    intake.take(named(tmp_path, "one", EARLY), settings)
    done = intake.take(named(tmp_path, "two", BARS.replace("100", "100.5")), settings)
    assert done.replaced == ("ACME.csv",)
    assert catalog.create(settings).panel().close[0, 0] == 100.5


def test_of_two_namesakes_in_one_import_neither_is_lost(tmp_path: Path, settings: Settings) -> None:
    given = [named(tmp_path, "one", EARLY), named(tmp_path, "two", BARS)]
    done = intake.take(given, settings)
    assert [entry.name for entry in done.taken] == ["ACME.csv", "two/ACME.csv"]
    feed = catalog.create(settings)
    assert len(feed.panel()) == 13
    assert {entry.defect for entry in feed.quarantined()} == {Defect.REPEATED}
    assert intake.take(given, settings) == done


def test_a_third_namesake_of_the_same_folder_is_refused(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "deep").mkdir()
    given = [
        named(tmp_path, "one", EARLY),
        named(tmp_path, "two", LATE),
        named(tmp_path / "deep", "two", BARS),
    ]
    with pytest.raises(Refused, match=r"has the name of another file, two/ACME.csv; rename it"):
        intake.take(given, settings)
    assert not settings.home.exists()


def test_several_files_are_taken_in_together_or_not_at_all(
    tmp_path: Path, settings: Settings
) -> None:
    source = folder(tmp_path, ACME=BARS, VIX=BARS, notes="hello\nworld\n")
    (tmp_path / "GEX_NET.csv").write_text(BARS)
    (tmp_path / "gex.csv").write_text("date,price,dix,gex\n2018-11-20,2641.9,0.4,1e9\n")
    with pytest.raises(Refused, match="a home of its own"):
        intake.take([source, tmp_path / "GEX_NET.csv", tmp_path / "gex.csv"], settings)
    assert not settings.home.exists()
    given = [source / f"{name}.csv" for name in ("ACME", "VIX", "ACME", "notes")]
    done = intake.take(given, settings)
    assert [entry.name for entry in done.taken] == ["ACME.csv", "VIX.csv"]
    assert [entry.symbol for entry in done.refused] == ["notes.csv"]


def test_a_manifest_from_before_there_were_chains_is_read(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take(folder(tmp_path, ACME=BARS), settings)
    file = settings.home / "data" / "manifest.json"
    told = json.loads(file.read_text())
    del told["derived"]
    for entry in told["entries"]:
        for name in ("kind", "vendor", "chains"):
            del entry[name]
    file.write_text(json.dumps(told))
    assert len(catalog.create(settings).panel()) == 13
