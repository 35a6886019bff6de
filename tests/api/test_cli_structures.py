"""The nine structures on the command line: out of a chain, simulated, and ranked by a view."""

from pathlib import Path

import pytest

from tests.market.chains import SPOT, contracts
from trading.structures.catalog import NINE

CHAIN = Path(__file__).parents[2].parent / "shared/data/options/cboe/SPX_2023-02-07.csv.gz"


@pytest.fixture
def quoted(tmp_path: Path) -> Path:
    """A day of SPX in the end-of-day layout."""
    return written(tmp_path / "2023-02-07.csv", {})


def written(path: Path, asks: dict[tuple[str, float], float]) -> Path:
    rows = ["date,spot,expiry,dte,strike,cp,bid,ask,iv,delta,gamma,oi"]
    for row in contracts():
        right, strike = "C" if row["call"] else "P", row["strike"]
        ask = asks.get((right, strike), row["ask"])
        quote = f"{strike},{right},{row['bid']:.4f},{ask:.4f}"
        rows.append(f"2023-02-07,{SPOT},2023-02-14,7,{quote},0.16,0.5,0.002,100")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_all_nine_are_priced_out_of_a_chain(fresh, quoted: Path) -> None:
    told = fresh("structures", "--chain", str(quoted), "--json").json
    assert (told["symbol"], told["spot"], told["horizon"]) == ("SPX", 2400.0, 5.0)
    assert told["expires"] == "2023-02-14T21:00:00Z"
    assert told["simulated"] == ""
    assert (told["refused"], told["ranked"]) == ({}, None)
    assert [one["structure"] for one in told["structures"]] == list(NINE)
    for one in told["structures"]:
        for name in ("entry", "natural", "costs", "max_loss"):
            assert one[name]["per_contract"] == pytest.approx(100 * one[name]["per_share"])
        greeks = one["greeks"]
        for name in ("delta", "gamma", "theta", "vega"):
            assert greeks["per_contract"][name] == pytest.approx(100 * greeks["per_share"][name])
        assert (one["max_gain"] is None) == (not one["max_gain_is_bounded"])
        assert 0 < one["implied_probability"] < 1
        assert all(leg["bid"] <= leg["mid"] <= leg["ask"] for leg in one["legs"])
    straddle = told["structures"][-1]
    assert [(leg["right"], leg["strike"]) for leg in straddle["legs"]] == [
        ("put", 2405.0),
        ("call", 2405.0),
    ]
    text = fresh("structures", "--chain", str(quoted)).out
    for said in ("iron_butterfly", "+1 2405 put, +1 2405 call", "unbounded", "theta", "natural"):
        assert said in text
    assert "simulated" not in text


def test_without_a_chain_they_are_simulated_and_say_so(fresh) -> None:
    told = fresh("structures", "spx", "--horizon", "10", "--json").json
    assert told["simulated"].startswith("simulated: Black-76")
    assert (told["horizon"], told["expires"]) == (10, None)
    assert told["spot"] == pytest.approx(2506.85)
    assert len(told["structures"]) == 9
    assert {one["natural"] for one in told["structures"]} == {None}
    assert "simulated: Black-76" in fresh("structures").out


def test_a_view_ranks_them(fresh, quoted: Path) -> None:
    words = ("structures", "--chain", str(quoted), "--view", "0.6", "0.2")
    ranked = fresh(*words, "--json").json["ranked"]
    best, *rest = ranked["candidates"]
    assert len(rest) == 4
    assert (best["direction"], best["stake"] > 0) == ("bullish", True)
    assert {one["structure"] for one in (best, rest[0])} == {"bull_call", "bull_put"}
    assert any(one["stake"] == 0 and one["reason"] for one in rest)
    text = fresh(*words, "--size", "0.03").out
    assert "By this view" in text
    assert "per dollar at risk, after costs" in text


def test_what_is_not_quoted_is_refused_and_the_rest_is_shown(fresh, tmp_path: Path) -> None:
    path = written(tmp_path / "quotes.csv", {("C", 2460.0): 0.0})
    told = fresh("structures", "--chain", str(path), "--json").json
    why = "SPX 2023-02-14: the 2460 call has no ask"
    assert told["refused"] == {"iron_condor": why, "bear_call": why}
    assert len(told["structures"]) == 7
    said = fresh("structures", "--chain", str(path))
    assert f"bear_call refused: {why}" in said.err
    assert said.code == 0


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--view", "0.7", "0.6"), 2, "at most 1 together"),
        (("--view", "-0.1", "0.6"), 2, "two probabilities"),
        (("--size", "0.02"), 2, "give --view RISE FALL with it"),
        (("AAPL",), 2, "options are simulated on SPX alone"),
        (("--horizon", "0"), 2, "horizon"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    fresh, words: tuple[str, ...], code: int, why: str
) -> None:
    said = fresh("structures", *words)
    assert (said.code, said.out) == (code, "")
    assert why in said.err


def test_a_file_that_is_no_chain_is_refused(fresh, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,close\n2023-02-07,4164\n")
    said = fresh("structures", "--chain", str(path))
    assert (said.code, said.out) == (1, "")
    assert "expected was a CBOE quote table" in said.err


@pytest.mark.skipif(not CHAIN.exists(), reason="needs the shared option chains")
def test_a_real_chain(fresh) -> None:
    told = fresh("structures", "--chain", str(CHAIN), "--view", "0.6", "0.2", "--json").json
    assert (told["spot"], told["expires"]) == (4164.0, "2023-02-14T21:00:00Z")
    assert [one["entry"]["per_share"] for one in told["structures"]] == pytest.approx(
        [9.05, 4.80, 4.25, -22.15, -21.25, -45.15, -43.45, 34.20, -88.60]
    )
    said = fresh("structures", "SPY", "--chain", str(CHAIN))
    assert (said.code, said.out) == (2, "")
    assert "is a chain on SPX, not on SPY" in said.err
