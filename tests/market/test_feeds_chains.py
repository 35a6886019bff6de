"""Imported option chains: from when they are seen, and that they are what was imported."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ForeignFile, IntegrityError, Refused
from domain.settings import Settings
from market import calendar, chain, gex, smile
from market.features import compute
from market.feeds import catalog, chains, intake, manifest
from market.feeds.files import Files
from market.quality import Defect
from tests.market.test_chain import HEAD, TABLE

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
here = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data on this machine")
SESSIONS = calendar.sessions(date(2018, 11, 19), date(2018, 12, 7))
DAYS = [day.isoformat() for day in SESSIONS]
BARS = "\n".join(("date,close", *(f"{day},{2700 + i}" for i, day in enumerate(DAYS)))) + "\n"


def quoted(day: date, spot: float | None = None, wall: int = 2750) -> str:
    """Return the rows of one end-of-day chain, most of whose calls are held at `wall`."""
    spot = 2700.0 + SESSIONS.index(day) if spot is None else spot
    expiry = (calendar.ahead(calendar.closes(day), 21)).date()
    rows = []
    for strike in range(2550, 2860, 10):
        delta = 0.5 - (strike - spot) / 400
        iv = 0.2 - (strike - spot) / 4000
        held = 9000 if strike == wall else 100
        common = f"{day},{spot},{expiry},30,{strike:.1f}"
        rows.append(f"{common},C,10,12,{iv:.4f},{delta:.4f},0.003,{held}")
        rows.append(
            f"{common},P,10,12,{iv:.4f},{delta - 1:.4f},0.003,{200 if strike < spot else 90}"
        )
    return "\n".join(rows) + "\n"


def eod(*days: str) -> str:
    return ",".join(chain.DAILY) + "\n" + "".join(days)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", feed="files")


def source(tmp_path: Path, days: list[date], name: str = "spx_chain_2018") -> Path:
    """Return a folder of one chain a day, each with a call wall of its own."""
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    for day in days:
        text = eod(quoted(day, wall=2700 + 10 * SESSIONS.index(day)))
        with gzip.open(folder / f"{day}.csv.gz", "wt") as stream:
            stream.write(text)
    return folder


def bars(tmp_path: Path) -> Path:
    file = tmp_path / "SPX.csv"
    file.write_text(BARS)
    return file


def at(day: date, clock: str = "close") -> datetime:
    return calendar.closes(day) if clock == "close" else calendar.opens(day)


def feed_of(settings: Settings) -> Files:
    feed = catalog.create(settings)
    assert isinstance(feed, Files)
    return feed


def test_a_folder_of_chains_is_taken_in_with_hashes(tmp_path: Path, settings: Settings) -> None:
    folder = source(tmp_path, SESSIONS[1:4])
    taken = intake.take([bars(tmp_path), folder], settings)
    assert [entry.name for entry in taken.taken] == [
        "SPX.csv",
        "chains/SPX/2018-11-20T2100Z.csv.gz",
        "chains/SPX/2018-11-21T2100Z.csv.gz",
        "chains/SPX/2018-11-23T1800Z.csv.gz",
    ]
    one = taken.taken[1]
    assert (one.kind, one.symbols, one.usable) == ("chain", ("SPX",), 62)
    assert one.chains == (one.first,) == (datetime(2018, 11, 20, 21, tzinfo=UTC),)
    home = settings.home / "data"
    assert manifest.fingerprint(home / one.name) == one.sha256
    assert manifest.fingerprint(folder / "2018-11-20.csv.gz") == one.sha256
    held = manifest.read(home)
    assert held is not None
    assert held.derived == manifest.fingerprint(home / "chains.json")
    assert intake.take([bars(tmp_path), folder], settings).replaced == ()


def test_what_a_chain_says_is_known_in_the_next_session_alone(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take([bars(tmp_path), source(tmp_path, [SESSIONS[1], SESSIONS[4]])], settings)
    feed = feed_of(settings)
    panel = feed.panel()
    assert set(panel.series) == set(chains.LEVELS) == set(feed.origins)
    wall = panel.series["GEX_CALL_WALL"]
    assert np.flatnonzero(np.isfinite(wall)).tolist() == [2, 5]
    assert wall[[2, 5]].tolist() == [2710.0, 2740.0]
    for name in chains.LEVELS:
        assert np.flatnonzero(np.isfinite(panel.series[name])).tolist() == [2, 5]


def test_the_series_are_what_the_chain_measures(tmp_path: Path, settings: Settings) -> None:
    folder = source(tmp_path, SESSIONS[1:2])
    intake.take([bars(tmp_path), folder], settings)
    panel = feed_of(settings).panel()
    read = chain.read(folder / "2018-11-20.csv.gz")
    held, month = gex.measure(read), smile.measure(read)
    assert {name: x[2] for name, x in panel.series.items()} == {
        "CHAIN_NET": held.net,
        "CHAIN_CALLS": held.calls,
        "CHAIN_PUTS": held.puts,
        "GEX_FLIP": held.flip,
        "GEX_CALL_WALL": 2710.0,
        "GEX_PUT_WALL": held.put_wall,
        "GEX_MAGNET_1": held.magnet_below,
        "GEX_MAGNET_2": 2710.0,
        "CHAIN_PUT_CALL_OI": held.put_call_oi,
        "CHAIN_IV": pytest.approx(20.0, abs=0.01),
        "CHAIN_SKEW": month.skew,
    }


def test_a_planted_wall_cannot_be_seen_at_its_own_close(tmp_path: Path, settings: Settings) -> None:
    folder = source(tmp_path, SESSIONS[:6])
    intake.take([bars(tmp_path), folder], settings)
    before = feed_of(settings).panel()
    (folder / f"{SESSIONS[3]}.csv.gz").write_bytes(
        gzip.compress(eod(quoted(SESSIONS[3], wall=2850)).encode())
    )
    assert intake.take(folder, settings).replaced == ("chains/SPX/2018-11-23T1800Z.csv.gz",)
    after = feed_of(settings).panel()
    for name in before.series:
        same = (before.series[name] == after.series[name]) | np.isnan(before.series[name])
        assert set(np.flatnonzero(~same)) <= {4}
    assert (before.series["GEX_CALL_WALL"][4], after.series["GEX_CALL_WALL"][4]) == (2730, 2850)


@pytest.mark.parametrize("clock", ["11:55 AM EST", "4:31 PM EST", "11:59 PM EST"])
def test_a_snapshot_of_any_hour_is_seen_from_the_next_session(
    tmp_path: Path, settings: Settings, clock: str
) -> None:
    text = TABLE.replace("February 7, 2023 at 3:34 PM EST", f"November 20, 2018 at {clock}")
    text = text.replace("Last: 4164", "Last: 2701")
    file = tmp_path / "spx_quotedata.csv"
    file.write_text(text.replace("230217", "181219"))
    intake.take([bars(tmp_path), file], settings)
    feed = feed_of(settings)
    first = at(SESSIONS[2], "open")
    assert feed.chain("SPX", at(SESSIONS[1])) is None
    assert feed.chain("SPX", first - timedelta(seconds=1)) is None
    seen = feed.chain("SPX", first)
    assert seen is not None
    assert (seen.spot, seen.asof.date()) == (2701.0, SESSIONS[1])
    assert np.flatnonzero(np.isfinite(feed.panel().series["CHAIN_NET"])).tolist() == [2]


def test_the_newest_chain_that_may_be_seen_is_the_one_that_is_given(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take([bars(tmp_path), source(tmp_path, [SESSIONS[1], SESSIONS[3]])], settings)
    feed = feed_of(settings)
    seen = [feed.chain("SPX", at(day)) for day in SESSIONS]
    days = [one and SESSIONS.index(one.asof.date()) for one in seen]
    assert days == [None, None, 1, 1, 3, 3, 3, 3, 3, None, None, None, None]
    assert feed.chain("SPX", at(SESSIONS[10]), sessions=7) is not None
    assert feed.chain("SPX", at(SESSIONS[3]), sessions=1) is None
    assert feed.chain("ACME", at(SESSIONS[4])) is None
    with pytest.raises(ValueError, match="no time zone"):
        feed.chain("SPX", datetime(2018, 11, 21))  # noqa: DTZ001


def test_a_chain_is_read_once_while_it_is_in_use(tmp_path: Path, settings: Settings) -> None:
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[:8])], settings)
    feed = feed_of(settings)
    first = feed.chain("SPX", at(SESSIONS[1]))
    assert feed.chain("SPX", at(SESSIONS[1], "open")) is first
    for day in SESSIONS[2:7]:
        feed.chain("SPX", at(day))
    again = feed.chain("SPX", at(SESSIONS[1]))
    assert again is not first
    assert again is not None
    assert first is not None
    assert again.asof == first.asof


def test_a_chain_that_was_tampered_with_is_refused(tmp_path: Path, settings: Settings) -> None:
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[1:3])], settings)
    loaded = feed_of(settings)
    loaded.panel()
    file = settings.home / "data" / "chains" / "SPX" / "2018-11-20T2100Z.csv.gz"
    assert loaded.chain("SPX", at(SESSIONS[3])) is not None
    file.write_bytes(gzip.compress(eod(quoted(SESSIONS[1], wall=2850)).encode()))
    with pytest.raises(IntegrityError, match="has changed since it was imported"):
        loaded.chain("SPX", at(SESSIONS[2]))
    with pytest.raises(IntegrityError, match="has changed since it was imported"):
        feed_of(settings).panel()
    file.unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        feed_of(settings).panel()
    with pytest.raises(IntegrityError, match="is gone"):
        loaded.chain("SPX", at(SESSIONS[2]))


@pytest.mark.parametrize("damage", ["tampered", "gone", "garbage", "older", "unvouched"])
def test_figures_that_are_not_those_of_the_chain_are_measured_anew(
    tmp_path: Path, settings: Settings, damage: str
) -> None:
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[1:2])], settings)
    home = settings.home / "data"
    derived, said = home / "chains.json", (home / "chains.json").read_text()
    truth = feed_of(settings).data_hash()
    if damage == "gone":
        derived.unlink()
    elif damage == "unvouched":
        held = manifest.read(home)
        assert held is not None
        manifest.write(home, held.model_copy(update={"derived": None}))
    else:
        told = json.loads(said)
        [days] = told["files"].values()
        days[0]["levels"]["GEX_FLIP"] = 1.0
        told["method"] -= damage == "older"
        derived.write_text("{" if damage == "garbage" else json.dumps(told))
    if damage == "older":  # by another version, and vouched for
        held = manifest.read(home)
        assert held is not None
        sha = manifest.fingerprint(derived)
        manifest.write(home, held.model_copy(update={"derived": sha}))
    feed = feed_of(settings)
    assert feed.panel().series["GEX_FLIP"][2] > 2000
    assert feed.data_hash() == truth


def test_kept_figures_are_believed_and_no_chain_is_measured_at_load(
    tmp_path: Path, settings: Settings
) -> None:
    """Measuring a chain takes as long as loading all the bars; 22 are measured once, at import."""
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[1:2])], settings)
    home = settings.home / "data"
    told = json.loads((home / "chains.json").read_text())
    [days] = told["files"].values()
    days[0]["levels"]["GEX_FLIP"] = 1234.0
    (home / "chains.json").write_text(json.dumps(told))
    held = manifest.read(home)
    assert held is not None
    sha = manifest.fingerprint(home / "chains.json")
    manifest.write(home, held.model_copy(update={"derived": sha}))
    assert feed_of(settings).panel().series["GEX_FLIP"][2] == 1234.0


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_a_chain_that_is_cut_off_is_refused(tmp_path: Path, settings: Settings, cut: float) -> None:
    folder = source(tmp_path, SESSIONS[1:3])
    whole = (folder / "2018-11-20.csv.gz").read_bytes()
    (folder / "2018-11-20.csv.gz").write_bytes(whole[: int(len(whole) * cut)])
    half = gzip.decompress((folder / "2018-11-21.csv.gz").read_bytes())
    (folder / "2018-11-22.csv").write_bytes(half[: int(len(half) * cut)])
    taken = intake.take([bars(tmp_path), folder], settings)
    assert [entry.name for entry in taken.taken] == [
        "SPX.csv",
        "chains/SPX/2018-11-21T2100Z.csv.gz",
    ]
    assert [(e.symbol, e.defect) for e in taken.refused] == [
        ("2018-11-20.csv.gz", Defect.FOREIGN),
        ("2018-11-22.csv", Defect.FOREIGN),
    ]
    with pytest.raises(ForeignFile, match="expected was a CBOE quote table"):
        intake.take(folder / "2018-11-20.csv.gz", settings)
    assert len(feed_of(settings).quoted) == 1


def test_a_chain_must_say_what_it_is_of(tmp_path: Path, settings: Settings) -> None:
    folder = source(tmp_path, SESSIONS[1:2], name="downloads")
    with pytest.raises(ForeignFile, match="say it with --symbol"):
        intake.take(folder / "2018-11-20.csv.gz", settings)
    assert not settings.home.exists()
    [entry] = intake.take(folder / "2018-11-20.csv.gz", settings, symbol="spx").taken
    assert entry.symbols == ("SPX",)


def test_many_days_may_come_in_one_file_and_be_of_another_index(
    tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "vix_chain_2018.csv"
    file.write_text(eod(quoted(SESSIONS[1]), quoted(SESSIONS[2], 2710.0)))
    entry = intake.take([bars(tmp_path), file], settings).taken[1]
    assert entry.name == "chains/VIX/2018-11-20T2100Z_2018-11-21T2100Z.csv"
    feed = feed_of(settings)
    assert feed.panel().series == {}  # the panel's first symbol is SPX: these are not its levels
    assert feed.origins == {}
    second = feed.chain("VIX", at(SESSIONS[3]))
    assert second is not None
    assert second.spot == 2710.0


def test_two_chains_of_one_moment_are_refused(tmp_path: Path, settings: Settings) -> None:
    folder = source(tmp_path, SESSIONS[1:3])
    intake.take([bars(tmp_path), folder], settings)
    before = (settings.home / "data" / "manifest.json").read_bytes()
    both = tmp_path / "spx_chain.csv"
    both.write_text(eod(quoted(SESSIONS[2]), quoted(SESSIONS[3])))
    with pytest.raises(Refused, match="two chains of SPX at 2018-11-21 21:00Z"):
        intake.take(both, settings)
    assert (settings.home / "data" / "manifest.json").read_bytes() == before


def test_of_two_snapshots_of_a_session_the_later_speaks(tmp_path: Path, settings: Settings) -> None:
    for name, clock, spot in (("a", "11:55 AM", 4100), ("b", "3:55 PM", 4164)):
        day = f"November 20, 2018 at {clock} EST"
        text = TABLE.replace("February 7, 2023 at 3:34 PM EST", day).replace("4164", str(spot))
        (tmp_path / f"{name}.csv").write_text(text.replace("230217", "181219"))
    intake.take([bars(tmp_path), tmp_path / "b.csv", tmp_path / "a.csv"], settings)
    feed = feed_of(settings)
    assert len(feed.quoted) == 2
    late = feed.chain("SPX", at(SESSIONS[2]))
    assert late is not None
    assert late.spot == 4164
    known = feed.panel().series["CHAIN_NET"][2]
    assert known == gex.measure(late).net


@pytest.mark.parametrize(("spot", "trusted"), [(2701.0, True), (2714.0, True), (2715.0, False)])
def test_a_chain_whose_spot_is_not_the_close_of_its_day_is_set_aside(
    tmp_path: Path, settings: Settings, spot: float, trusted: bool
) -> None:
    """A chain under the date of the day before it would let a decision see a day ahead."""
    file = tmp_path / "spx_chain.csv"
    file.write_text(eod(quoted(SESSIONS[1], spot)))
    intake.take([bars(tmp_path), file], settings)
    feed = feed_of(settings)
    assert bool(feed.quoted) == trusted
    assert (feed.chain("SPX", at(SESSIONS[2])) is not None) == trusted
    assert ("GEX_FLIP" in feed.panel().series) == trusted
    said = [(entry.symbol, entry.defect, entry.at) for entry in feed.quarantined()]
    assert said == ([] if trusted else [("SPX chain", Defect.CONFLICT, at(SESSIONS[1]))])
    assert feed.issues("SPX", at(SESSIONS[1])) == ()  # the bars are as good as they were


@pytest.mark.parametrize(
    ("spot", "bars_known", "trusted"),
    [(2637, True, True), (2636, True, False), (2764, True, False), (2764, False, True)],
)
def test_a_chain_of_noon_must_lie_within_the_day(
    tmp_path: Path, settings: Settings, spot: int, bars_known: bool, trusted: bool
) -> None:
    day = "November 20, 2018 at 11:55 AM EST"
    text = TABLE.replace("February 7, 2023 at 3:34 PM EST", day).replace("4164", str(spot))
    (tmp_path / "quotes.csv").write_text(text.replace("230217", "181219"))
    file = bars(tmp_path)
    if bars_known:
        rows = [f"{day},2700,2750,2650,{2700 + i}" for i, day in enumerate(DAYS)]
        file.write_text("\n".join(("date,open,high,low,close", *rows)))
    intake.take([file, tmp_path / "quotes.csv"], settings)
    assert bool(feed_of(settings).quoted) == trusted


def test_what_is_quoted_is_part_of_what_the_data_is(tmp_path: Path, settings: Settings) -> None:
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[1:2])], settings)
    before = feed_of(settings)
    other = eod(quoted(SESSIONS[1], wall=2710)).replace(",10,12,", ",10,13,")
    (tmp_path / "spx_chain.csv").write_text(other)
    again = settings.model_copy(update={"home": tmp_path / "again"})
    intake.take([bars(tmp_path), tmp_path / "spx_chain.csv"], again)
    after = feed_of(again)
    assert {name: x.tolist() for name, x in before.panel().rows(2, 3).series.items()} == {
        name: x.tolist() for name, x in after.panel().rows(2, 3).series.items()
    }
    assert before.data_hash() != after.data_hash()


def test_a_chain_of_tomorrow_is_refused(tmp_path: Path, settings: Settings) -> None:
    folder = source(tmp_path, SESSIONS[1:3])
    taken = intake.take([bars(tmp_path), folder], settings, asof=at(SESSIONS[1]))
    assert [entry.symbol for entry in taken.refused] == ["2018-11-21.csv.gz"]
    assert "later than now" in taken.refused[0].detail


def test_a_level_of_your_own_and_one_of_chains_are_not_mixed(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "GEX_FLIP.csv").write_text(BARS)
    folder = source(tmp_path, SESSIONS[1:2])
    intake.take([bars(tmp_path), folder], settings)
    with pytest.raises(Refused, match="GEX_FLIP would be both of"):
        intake.take(tmp_path / "GEX_FLIP.csv", settings)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    intake.take([bars(tmp_path), tmp_path / "GEX_FLIP.csv"], other)
    with pytest.raises(Refused, match=r"There already is GEX_FLIP.csv of a file of your own"):
        intake.take(folder, other)


def test_a_chain_s_own_net_is_no_vendor_s(tmp_path: Path, settings: Settings) -> None:
    rows = [f"{day},2700,0.4,{1e9 + i}" for i, day in enumerate(DAYS)]
    (tmp_path / "dix.csv").write_text("\n".join(("date,price,dix,gex", *rows)))
    folder = source(tmp_path, SESSIONS[1:2])
    intake.take([bars(tmp_path), tmp_path / "dix.csv", folder], settings)
    panel = feed_of(settings).panel()
    assert panel.series["GEX_NET"][1:3].tolist() == [1e9, 1e9 + 1]
    assert abs(panel.series["CHAIN_NET"][2]) < 1000


def test_a_chain_without_open_interest_has_volatility_and_no_gamma(
    tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "spx_chain.csv"
    lines = eod(quoted(SESSIONS[1])).splitlines()
    bare = [line.rsplit(",", 1)[0] + ",0" for line in lines[1:]]
    file.write_text("\n".join((lines[0], *bare)) + "\n")
    intake.take([bars(tmp_path), file], settings)
    panel = feed_of(settings).panel()
    assert set(panel.series) == {"CHAIN_IV", "CHAIN_SKEW"}
    assert not [name for name in compute.newest(panel)["SPX"] if name.startswith("gex")]


def test_what_is_read_for_a_moment_holds_no_later_chain(tmp_path: Path, settings: Settings) -> None:
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[1:4])], settings)
    feed = Files(settings.home / "data", asof=at(SESSIONS[2]))
    assert [day.asof for day in feed.quoted] == [at(SESSIONS[1]), at(SESSIONS[2])]


def test_chains_serve_bars_within_the_session_too(tmp_path: Path, settings: Settings) -> None:
    stamps = [f"{day} {clock}" for day in DAYS[1:3] for clock in ("09:30", "09:35", "15:55")]
    rows = [f"{stamp}:00-05:00,{2700 + i}" for i, stamp in enumerate(stamps)]
    (tmp_path / "SPX_5m.csv").write_text("\n".join(("timestamp,close", *rows)))
    intake.take([tmp_path / "SPX_5m.csv", source(tmp_path, SESSIONS[1:2])], settings)
    feed = feed_of(settings)
    assert feed.frequency == "intraday"
    np.testing.assert_array_equal(feed.panel().series["GEX_CALL_WALL"], [np.nan] * 3 + [2710.0] * 3)


def test_chains_alone_are_no_feed(tmp_path: Path, settings: Settings) -> None:
    intake.take(source(tmp_path, SESSIONS[1:2]), settings)
    with pytest.raises(ForeignFile, match="no usable file of bars"):
        feed_of(settings).panel()


def test_what_the_feed_has_of_chains_is_said_in_sentences(
    tmp_path: Path, settings: Settings
) -> None:
    intake.take([bars(tmp_path), source(tmp_path, SESSIONS[1:3])], settings)
    feed = feed_of(settings)
    [told] = [text for text in feed.real if text.startswith("Option quotes")]
    assert told.startswith(
        "Option quotes of SPX: 2 chains, 2018-11-20 to 2018-11-21, known from the session after "
        "their own. "
    )
    assert "GEX_FLIP" in told
    assert "no option quote" not in feed.simulated[0]


def test_a_table_that_says_its_symbol_needs_no_name(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "quotes.csv"
    file.write_text(TABLE)
    assert HEAD in TABLE
    [entry] = intake.take(file, settings, symbol="NDX").taken
    assert entry.name == "chains/SPX/2023-02-07T2034Z.csv"


@here
def test_the_reference_chain_is_seen_on_the_eighth_and_not_on_the_seventh(
    settings: Settings,
) -> None:
    daily, options = SHARED / "daily", SHARED / "options"
    names = [daily / f"{name}.csv" for name in ("spx", "vix", "dix_gex")]
    intake.take([*names, options / "cboe"], settings)
    feed = feed_of(settings)
    panel = feed.panel()
    dates = panel.times.astype("datetime64[D]")
    own, after = (int(np.searchsorted(dates, np.datetime64(f"2023-02-0{d}"))) for d in (7, 8))
    for name in chains.LEVELS:
        assert np.isnan(panel.series[name][own])
        assert np.isfinite(panel.series[name][after])
    assert panel.series["GEX_FLIP"][after] == pytest.approx(4094.9, abs=0.1)
    assert panel.series["GEX_CALL_WALL"][after] == 4200
    assert panel.series["GEX_PUT_WALL"][after] == 4000
    row = compute.newest(panel.rows(0, after + 1))["SPX"]
    close = panel.close[after, 0]
    assert row["gex_distance_to_flip_pct"] == pytest.approx(
        100 * (close - 4094.9) / close, abs=0.01
    )
    before = compute.newest(panel.rows(0, own + 1))["SPX"]
    assert "gex_distance_to_flip_pct" not in before
    assert "gex_normalized" in before
    assert feed.chain("SPX", at(date(2023, 2, 7))) is None
    seen = feed.chain("SPX", at(date(2023, 2, 8)))
    assert seen is not None
    assert len(seen) == 18_962
    assert {day.symbol for day in feed.quoted} == {"SPX", "SPY"}


@here
def test_all_real_history_goes_into_one_home(settings: Settings) -> None:
    daily = SHARED / "daily"
    names = ("spx", "vix", "vix9d", "vix3m", "skew", "dix_gex", "put_call")
    given = [
        *(daily / f"{name}.csv" for name in names),
        SHARED / "daily_window_2026",
        SHARED / "options" / "spx_chain_2026",
    ]
    first = intake.take(given, settings)
    assert not first.refused
    assert len({entry.name for entry in first.taken}) == len(first.taken) == 7 + 6 + 18
    feed = feed_of(settings)
    assert len(feed.panel()) == 8817 + 34
    assert {entry.defect for entry in feed.quarantined()} <= {"GAP"}
    assert np.isfinite(feed.panel().series["GEX_NET"]).sum() == 3439 + 33
    assert np.isfinite(feed.panel().series["GEX_FLIP"]).sum() == 17
    assert intake.take(given, settings) == first  # again, and nothing is replaced
    assert intake.take(SHARED / "daily_window_2026", settings).replaced == ()
    assert len(feed_of(settings).panel()) == 8817 + 34
