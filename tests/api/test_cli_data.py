"""Data in, and option chains."""

import gzip
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAINS = ROOT.parent / "shared" / "data" / "options" / "cboe"
SPX = CHAINS / "SPX_2023-02-07.csv.gz"
here = pytest.mark.skipif(not SPX.exists(), reason="needs the shared option chains")


def bars(file: Path, *more: str) -> Path:
    days = ["2018-01-02,10", "2018-01-03,11", "2018-01-04,10.5", "2018-01-05,10.8", *more]
    file.write_text("date,close\n" + "\n".join(days) + "\n")
    return file


@here
def test_the_gamma_exposure_of_a_quote_table(fresh) -> None:
    told = fresh("gex", str(SPX), "--json").json
    assert told["flip"] == pytest.approx(4094.9, abs=2)
    assert (told["call_wall"], told["put_wall"]) == (4200, 4000)
    assert told["net"] == pytest.approx(20.16, rel=0.1)
    text = fresh("gex", str(SPX)).out
    for word in ("flip", "4,094.9", "call wall", "4,200.0", "above the flip"):
        assert word in text


@here
def test_a_chain_that_is_cut_off_is_refused_with_what_was_expected(fresh, tmp_path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(SPX.read_bytes()[:20_000])
    half = tmp_path / "half.csv.gz"
    half.write_bytes(gzip.compress(gzip.decompress(SPX.read_bytes())[:100_000]))
    for file in (cut, half):
        said = fresh("gex", str(file))
        assert said.code == 1
        assert "expected was a CBOE quote table" in said.err
        assert said.out == ""


def test_a_foreign_file_is_refused_in_one_sentence(fresh, tmp_path) -> None:
    file = bars(tmp_path / "AAPL.csv")
    said = fresh("gex", str(file), "--json")
    assert said.code == 1
    assert said.json["error"]["kind"] == "ForeignFile"
    assert "expected was" in said.json["error"]["message"]
    assert len(said.err.splitlines()) == 1
    assert fresh("gex", str(tmp_path / "nothing.csv")).code == 1


def test_the_packaged_feed_is_listed_and_clean(fresh) -> None:
    feeds = {feed["name"]: feed for feed in fresh("data", "list", "--json").json["feeds"]}
    assert feeds["packaged"]["bars"] == 1257
    assert feeds["packaged"]["chosen"]
    assert "omega data import" in feeds["files"]["problem"]
    said = fresh("data", "check", "--json")
    assert (said.code, said.json["clean"], said.json["bars"]) == (0, True, 1257)
    assert "Option prices" in fresh("data", "list").out


def test_a_bad_bar_is_set_aside_and_the_check_says_so(fresh, tmp_path) -> None:
    file = bars(tmp_path / "AAPL.csv", "2018-01-08,-3")
    said = fresh("data", "check", str(file))
    assert said.code == 1
    assert "NOT_POSITIVE" in said.out
    assert "2018-01-08" in said.err
    assert fresh("data", "check", str(bars(tmp_path / "MSFT.csv"))).code == 0
    assert fresh("data", "check", str(tmp_path / "nothing")).code == 1


def test_importing_copies_and_a_dry_run_does_not(fresh, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    bars(folder / "AAPL.csv")
    (folder / "notes.csv").write_text("a,b\n1,2\n")
    dry = fresh("data", "import", str(folder), "--dry-run")
    assert dry.code == 0
    assert "would be copied" in dry.out
    assert not (fresh.home / "data").exists()
    done = fresh("data", "import", str(folder), "--json")
    assert done.code == 0
    assert [entry["name"] for entry in done.json["taken"]] == ["AAPL.csv"]
    assert [entry["symbol"] for entry in done.json["refused"]] == ["notes.csv"]
    assert (fresh.home / "data" / "AAPL.csv").exists()
    assert fresh("data", "import", str(tmp_path / "nothing")).code == 1


SQUEEZE = "date,price,dix,gex\n2018-01-02,10,0.4,1e9\n2018-01-03,11,0.41,-2e9\n"
ALPHA = "date,net_gex,spot,dollar_vol\n2018-01-02,-1e9,10,1\n2018-01-03,-2e9,11,1\n"


def test_two_models_of_gamma_are_refused_and_whose_is_there_can_be_seen(
    fresh, tmp_path, monkeypatch
) -> None:
    bars(tmp_path / "SPX.csv")
    (tmp_path / "squeeze.csv").write_text(SQUEEZE)
    (tmp_path / "alpha.csv").write_text(ALPHA)
    both = fresh("data", "import", *(str(tmp_path / f"{n}.csv") for n in ("alpha", "squeeze")))
    assert both.code == 2
    assert "AlphaGEX (alpha.csv)" in both.err
    assert not (fresh.home / "data").exists()
    done = fresh("data", "import", *(str(tmp_path / f"{n}.csv") for n in ("SPX", "squeeze")))
    assert done.code == 0
    assert "SqueezeMetrics" in done.out
    said = fresh("data", "import", str(tmp_path / "alpha.csv"))
    assert said.code == 2
    assert "There already is squeeze.csv of SqueezeMetrics" in said.err
    monkeypatch.setenv("OMEGA_FEED", "files")
    assert "GEX_NET (SqueezeMetrics)" in fresh("data", "list").out
    told = fresh("data", "check", "--json").json
    gex = {one["symbol"]: one["bars"] for one in told["coverage"]}
    assert gex == {"SPX": 4, "DIX": 2, "GEX_NET": 2}
    assert (told["clean"], told["chains"]) == (True, [])


def chain_of(day: str, expiry: str) -> str:
    spot = {"2018-01-02": 10, "2018-01-03": 11, "2018-01-04": 10.5}[day]
    rows = [
        f"{day},{spot},{expiry},30,{strike},{right},1,2,0.2,{delta},0.1,50"
        for strike, right, delta in ((9, "P", -0.2), (9, "C", 0.8), (12, "P", -0.8), (12, "C", 0.2))
    ]
    header = "date,spot,expiry,dte,strike,cp,bid,ask,iv,delta,gamma,oi"
    return "\n".join((header, *rows)) + "\n"


def test_chains_are_checked_before_and_after_they_are_taken_in(
    fresh, tmp_path, monkeypatch
) -> None:
    folder = tmp_path / "spx_chain"
    folder.mkdir()
    for day in ("2018-01-02", "2018-01-03"):
        (folder / f"{day}.csv").write_text(chain_of(day, "2018-02-02"))
    good = fresh("data", "check", str(folder))
    assert good.code == 0
    assert "2 option chains can be used, 0 files cannot." in good.out
    (folder / "2018-01-04.csv").write_text(chain_of("2018-01-04", "2018-02-02")[:-30])
    bad = fresh("data", "check", str(folder), "--json")
    assert (bad.code, bad.json["clean"]) == (1, False)
    assert [one["symbol"] for one in bad.json["refused"]] == ["2018-01-04.csv"]
    taken = fresh("data", "import", str(bars(tmp_path / "SPX.csv")), str(folder))
    assert taken.code == 0
    assert "refused 2018-01-04.csv" in taken.err
    monkeypatch.setenv("OMEGA_FEED", "files")
    told = fresh("data", "check", "--json").json
    assert [one["asof"] for one in told["chains"]] == [
        "2018-01-02T21:00:00Z",
        "2018-01-03T21:00:00Z",
    ]
    assert {one["symbol"]: one["bars"] for one in told["coverage"]}["GEX_CALL_WALL"] == 2
    text = fresh("data", "check").out
    assert "option chains, known from the session after their own" in text
    chain = fresh.home / "data" / "chains" / "SPX" / "2018-01-02T2100Z.csv"
    chain.write_text(chain_of("2018-01-02", "2018-02-09"))
    said = fresh("data", "check")
    assert said.code == 6
    assert "has changed since it was imported" in said.err


def test_a_chain_whose_file_does_not_say_of_what_needs_a_symbol(fresh, tmp_path) -> None:
    file = tmp_path / "download.csv"
    file.write_text(chain_of("2018-01-02", "2018-02-02"))
    said = fresh("data", "import", str(file))
    assert said.code == 1
    assert "say it with --symbol SPX" in said.err
    assert fresh("data", "import", str(file), "--symbol", "SPX").code == 0
    assert (fresh.home / "data" / "chains" / "SPX" / "2018-01-02T2100Z.csv").exists()
