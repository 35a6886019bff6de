"""Histories of vendors: known by their columns, of one maker each, and a session late."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ForeignFile, Refused
from domain.settings import Settings
from market import calendar
from market.features import compute
from market.feeds import catalog, intake
from market.feeds.files import Files
from market.quality import Defect

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
here = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data on this machine")
DAYS = [day.isoformat() for day in calendar.sessions(date(2018, 11, 19), date(2018, 12, 7))]


def table(header: str, *columns: object, days: list[str] = DAYS) -> str:
    """Return a file of one row a day; a column is a number, or a function of the row's number."""
    rows = (
        ",".join([day, *(str(c(i) if callable(c) else c) for c in columns)])
        for i, day in enumerate(days)
    )
    return "\n".join((header, *rows)) + "\n"


BARS = table("date,close", lambda i: 2700 + i)
SQUEEZE = table(
    "date,price,dix,gex", 2700, lambda i: 0.4 + i / 100, lambda i: (-1) ** i * 1e9 * (i + 1)
)
ALPHA = table("date,net_gex,spot,dollar_vol", lambda i: -5e8 - i, 270, 1e10)
RATIOS = table(
    "date,total_pcr,index_pcr,etp_pcr,equity_pcr,vix_pcr,spx_spxw_pcr",
    1.0,
    lambda i: 1.2 + i / 10,
    1.1,
    lambda i: 0.6 + i / 100,
    0.5,
    1.3,
)
OWN = table("date,close", lambda i: -1.0 - i)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", feed="files")


def folder(tmp_path: Path, **texts: str) -> Path:
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    for name, text in texts.items():
        (source / f"{name}.csv").write_text(text)
    return source


def test_a_layout_is_known_by_its_columns_whatever_the_file_is_called(
    tmp_path: Path, settings: Settings
) -> None:
    taken = intake.take(folder(tmp_path, SPX=BARS, a=SQUEEZE, b=RATIOS), settings).taken
    assert {entry.name: (entry.symbols, entry.vendor) for entry in taken} == {
        "SPX.csv": (("SPX",), None),
        "a.csv": (("DIX", "GEX_NET"), "SqueezeMetrics"),
        "b.csv": (("PUT_CALL", "PUT_CALL_INDEX"), "CBOE"),
    }
    feed = catalog.create(settings)
    assert feed.symbols == ("SPX",)
    assert set(feed.panel().series) == {"DIX", "GEX_NET", "PUT_CALL", "PUT_CALL_INDEX"}


def test_a_daily_bar_knows_the_figure_of_the_session_before(tmp_path: Path) -> None:
    panel = Files(folder(tmp_path, SPX=BARS, a=SQUEEZE, b=RATIOS)).panel()
    gex, dix = panel.series["GEX_NET"], panel.series["DIX"]
    assert np.isnan(gex[0])
    assert gex[1:].tolist() == [(-1) ** i * 1e9 * (i + 1) for i in range(len(DAYS) - 1)]
    np.testing.assert_allclose(dix[1:], [0.4 + i / 100 for i in range(len(DAYS) - 1)])
    np.testing.assert_allclose(panel.series["PUT_CALL"][1:4], [0.6, 0.61, 0.62])
    np.testing.assert_allclose(panel.series["PUT_CALL_INDEX"][1:4], [1.2, 1.3, 1.4])


@pytest.mark.parametrize("name", ["gex", "dix", "equity_pcr", "index_pcr"])
def test_a_planted_number_cannot_be_seen_at_its_own_close(tmp_path: Path, name: str) -> None:
    """A fortune told at the close: no bar up to its own may differ by it, and the next one must."""
    texts = {"SPX": BARS, "a": SQUEEZE, "b": RATIOS}
    before = Files(folder(tmp_path, **texts)).panel()
    for key, text in texts.items():
        header, *rows = text.splitlines()
        if name in header.split(","):
            row = rows[6].split(",")
            row[header.split(",").index(name)] = "777"
            rows[6] = ",".join(row)
            texts[key] = "\n".join((header, *rows)) + "\n"
    after = Files(folder(tmp_path, **texts)).panel()
    for series in before.series:
        changed = np.flatnonzero(before.series[series][1:] != after.series[series][1:]) + 1
        assert set(changed) <= {7}
    assert sum(after.series[series][7] == 777 for series in after.series) == 1


def test_bars_within_a_session_know_the_figure_of_the_session_before(
    tmp_path: Path, settings: Settings
) -> None:
    stamps = [f"{day} {clock}" for day in DAYS[3:5] for clock in ("09:30", "09:35", "12:55")]
    rows = [f"{stamp}:00-05:00,{100 + i}" for i, stamp in enumerate(stamps)]
    source = folder(tmp_path, SPX="\n".join(("timestamp,close", *rows)), a=SQUEEZE)
    intake.take(source, settings)
    seen = catalog.create(settings).panel().series["GEX_NET"]
    assert seen.tolist() == [3e9] * 3 + [-4e9] * 3  # of the sessions 2 and 3


def test_a_session_without_a_figure_leaves_the_next_one_unknown(tmp_path: Path) -> None:
    lines = SQUEEZE.splitlines()
    del lines[1 + 5]
    panel = Files(folder(tmp_path, SPX=BARS, a="\n".join(lines))).panel()
    assert np.flatnonzero(np.isnan(panel.series["GEX_NET"])).tolist() == [0, 6]
    row = compute.history(panel, ["gex_regime_positive"])["gex_regime_positive"][:, 0]
    assert np.flatnonzero(np.isnan(row)).tolist() == [0, 6]


def test_a_level_in_a_file_of_your_own_is_known_at_the_close_of_its_date(tmp_path: Path) -> None:
    feed = Files(folder(tmp_path, SPX=BARS, GEX_NET=OWN, GEX_FLIP=BARS))
    assert feed.panel().series["GEX_NET"][3] == -4.0
    assert feed.panel().series["GEX_FLIP"][3] == 2703.0
    assert feed.origins == {}


def test_a_ratio_in_a_file_of_your_own_is_made_after_the_close_too(tmp_path: Path) -> None:
    panel = Files(folder(tmp_path, SPX=BARS, PUT_CALL=BARS, DIX=BARS)).panel()
    for name in ("PUT_CALL", "DIX"):
        np.testing.assert_array_equal(panel.series[name][:3], [np.nan, 2700.0, 2701.0])


MAKERS = {"SqueezeMetrics": SQUEEZE, "AlphaGEX": ALPHA, "a file of your own": OWN}


@pytest.mark.parametrize("second", MAKERS)
@pytest.mark.parametrize("first", MAKERS)
def test_two_makers_of_one_series_are_never_mixed(
    tmp_path: Path, settings: Settings, first: str, second: str
) -> None:
    name = {"a file of your own": "GEX_NET"}
    source = folder(tmp_path, SPX=BARS, **{name.get(first, "one"): MAKERS[first]})
    intake.take(source, settings)
    before = (settings.home / "data" / "manifest.json").read_bytes()
    held = catalog.create(settings).panel().series["GEX_NET"]
    other = tmp_path / "other"
    other.mkdir()
    file = other / f"{name.get(second, 'two')}.csv"
    file.write_text(MAKERS[second])
    if first == second:
        intake.take(file, settings)
        np.testing.assert_array_equal(catalog.create(settings).panel().series["GEX_NET"], held)
        return
    with pytest.raises(Refused, match="never mixed") as refused:
        intake.take(file, settings)
    assert refused.value.exit_code == 2
    assert f"There already is {name.get(first, 'one')}.csv of {first}." in str(refused.value)
    assert second in str(refused.value)
    assert (settings.home / "data" / "manifest.json").read_bytes() == before
    assert not (settings.home / "data" / file.name).exists()
    np.testing.assert_array_equal(catalog.create(settings).panel().series["GEX_NET"], held)


def test_one_maker_does_not_take_the_place_of_another(tmp_path: Path, settings: Settings) -> None:
    intake.take(folder(tmp_path, SPX=BARS, gex=SQUEEZE), settings)
    with pytest.raises(Refused, match=r"There already is gex.csv of SqueezeMetrics"):
        intake.take(folder(tmp_path, gex=ALPHA) / "gex.csv", settings)
    assert catalog.create(settings).panel().series["GEX_NET"][1] == 1e9


def test_one_import_of_both_takes_nothing(tmp_path: Path, settings: Settings) -> None:
    source = folder(tmp_path, SPX=BARS, a=SQUEEZE, b=ALPHA)
    for given in (source, [source / "SPX.csv", source / "a.csv", source / "b.csv"]):
        with pytest.raises(Refused, match=r"SqueezeMetrics \(a.csv\).*AlphaGEX \(b.csv\)"):
            intake.take(given, settings)
    assert not settings.home.exists()


def test_a_folder_of_both_is_no_feed(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match=r"SqueezeMetrics \(a.csv\).*AlphaGEX \(b.csv\)"):
        Files(folder(tmp_path, SPX=BARS, a=SQUEEZE, b=ALPHA)).panel()


def test_whose_figures_they_are_can_be_seen(tmp_path: Path, settings: Settings) -> None:
    intake.take(folder(tmp_path, SPX=BARS, VIX=OWN.replace("-", ""), a=ALPHA, b=RATIOS), settings)
    [source] = [one for one in catalog.describe(settings) if one.name == "files"]
    assert source.origins == {"GEX_NET": "AlphaGEX", "PUT_CALL": "CBOE", "PUT_CALL_INDEX": "CBOE"}
    told = " ".join(source.real)
    assert "GEX_NET: as AlphaGEX made it" in told
    assert "knows the session before its own" in told


def test_what_is_no_number_is_set_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = SQUEEZE.splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ",n/a"
    feed = Files(folder(tmp_path, SPX=BARS, a="\n".join(lines)))
    assert [(e.symbol, e.defect) for e in feed.quarantined()] == [("GEX_NET", Defect.NOT_A_NUMBER)]
    assert np.isnan(feed.panel().series["GEX_NET"][3])
    assert feed.panel().series["DIX"][3] == pytest.approx(0.42)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,price,dix,gex\n", "a header and no rows"),
        ("date,price,dix,gex,GEX\n2018-11-19,1,2,3,4\n", "'gex' is there twice"),
        ("date,price,dix,gex\nnever,1,2,3\n", "expected dates"),
        ("date,price,dix\n2018-11-19,1,2\n", "expected a column 'date'"),
    ],
)
def test_a_vendor_s_file_that_is_broken_is_refused(
    tmp_path: Path, settings: Settings, text: str, said: str
) -> None:
    with pytest.raises(ForeignFile, match=said):
        intake.take(folder(tmp_path, a=text) / "a.csv", settings)
    assert not settings.home.exists()


@here
def test_the_two_real_histories_are_not_mixed(settings: Settings) -> None:
    daily = SHARED / "daily"
    taken = intake.take([daily / "spx.csv", daily / "dix_gex.csv"], settings).taken
    assert (taken[1].vendor, taken[1].usable) == ("SqueezeMetrics", 2 * 3440)
    with pytest.raises(Refused, match=r"There already is dix_gex.csv of SqueezeMetrics"):
        intake.take(daily / "alphagex_spy_gamma.csv", settings)
    panel = catalog.create(settings).panel()
    at = int(np.flatnonzero(panel.times.astype("datetime64[D]") == np.datetime64("2023-02-07"))[0])
    assert panel.series["GEX_NET"][at + 1] == pytest.approx(3.1785e9, rel=1e-4)
    assert panel.series["GEX_NET"][at] == pytest.approx(2.0778e9, rel=1e-4)
    known = panel.series["GEX_NET"][np.isfinite(panel.series["GEX_NET"])]
    assert len(known) == 3440 - 1  # the last one is for a session that is not there
    assert (known < 0).mean() == pytest.approx(0.0957, abs=0.0001)


@here
def test_the_other_real_history_is_negative_on_most_days(settings: Settings) -> None:
    daily = SHARED / "daily"
    intake.take([daily / "spx.csv", daily / "alphagex_spy_gamma.csv"], settings)
    feed = catalog.create(settings)
    known = feed.panel().series["GEX_NET"][np.isfinite(feed.panel().series["GEX_NET"])]
    assert (known < 0).mean() == pytest.approx(0.5593, abs=0.0001)
    with pytest.raises(Refused, match="of AlphaGEX"):
        intake.take(daily / "dix_gex.csv", settings)
