"""Chains out of files, and files that are none."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ForeignFile
from market import chain

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "options"
real = pytest.mark.skipif(not DATA.exists(), reason="real chains are not here")

COLUMNS = (
    "Expiration Date,Calls,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest,Strike,"
    "Puts,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"
)
HEAD = 'S&P 500 Index,Last: 4164,Change: 52.92\n"Date: February 7, 2023 at 3:34 PM EST",Bid: 1\n'


def row(contract: str, strike: float) -> str:
    call, put = contract.replace("?", "C"), contract.replace("?", "P")
    return (
        f"Fri Feb 10 2023,{call},5,0,4.5,5.5,1,0.2,0.5,0.004,100,{strike},"
        f"{put},6,0,5.5,6.5,1,0.21,-0.5,0.005,200"
    )


ROWS = (row("SPX230217?04100000", 4100), row("SPXW230217?04150500", 4150.5))
TABLE = "\n".join([HEAD + COLUMNS, *ROWS]) + "\n"
DAILY = "date,spot,expiry,dte,strike,cp,bid,ask,iv,delta,gamma,oi\n" + "".join(
    f"{day},{spot},2018-12-28,5,2500.0,{cp},10,12,0.3,0.5,0.001,7\n"
    for day, spot in (("2018-12-21", 2416.62), ("2018-12-24", 2351.1))
    for cp in "CP"
)


def write(folder: Path, text: str | bytes, name: str = "quotes.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_quote_table_is_calls_then_puts_in_the_order_of_its_rows(tmp_path: Path) -> None:
    read = chain.read(write(tmp_path, TABLE))
    assert (read.symbol, read.spot, len(read)) == ("SPX", 4164.0, 4)
    assert read.asof == datetime(2023, 2, 7, 20, 34, tzinfo=UTC)
    assert read.call.tolist() == [True, True, False, False]
    assert read.strike.tolist() == [4100.0, 4150.5, 4100.0, 4150.5]
    assert read.mid.tolist() == [5.0, 5.0, 6.0, 6.0]
    assert read.iv.tolist() == [0.2, 0.2, 0.21, 0.21]
    assert read.delta.tolist() == [0.5, 0.5, -0.5, -0.5]
    assert read.gamma.tolist() == [0.004, 0.004, 0.005, 0.005]
    assert read.open_interest.tolist() == [100, 100, 200, 200]


def test_spx_settles_at_the_open_and_spxw_at_the_close(tmp_path: Path) -> None:
    read = chain.read(write(tmp_path, TABLE))
    assert read.settles[:2].astype(str).tolist() == ["2023-02-17T14:30:00", "2023-02-17T21:00:00"]
    hours = read.years[:2] * 365 * 24
    assert hours.tolist() == pytest.approx([9 * 24 + 17 + 56 / 60, 10 * 24 + 26 / 60])


def test_summer_expiries_settle_an_hour_earlier_in_utc(tmp_path: Path) -> None:
    [july] = {
        str(t) for t in chain.read(write(tmp_path, TABLE.replace("2302", "2307"))).settles[1:2]
    }
    assert july == "2023-07-17T20:00:00"


@pytest.mark.parametrize(
    ("wording", "asof"),
    [
        ("June 11, 2022, 8:47 PM EDT", "2022-06-10 20:00"),  # a Saturday: Friday's close
        ("July 12, 2022, 11:55 AM EDT", "2022-07-12 15:55"),
        ("February 7, 2023 at 5:34 PM EST", "2023-02-07 21:00"),
        ("February 7, 2023 at 8:00 AM EST", "2023-02-06 21:00"),
        ("7 February 2023 at 17:34 GMT", "2023-02-07 17:34"),
        ("7 Feb 2023, 12:34 GMT-5", "2023-02-07 17:34"),
        ("2023-02-07 12:34 ET", "2023-02-07 17:34"),
        ("2023-02-07 12:34", "2023-02-07 17:34"),
        ("Feb 7, 2023, 12:15:10 PM EST", "2023-02-07 17:15"),
        ("November 24, 2023 at 4:31 PM EST", "2023-11-24 18:00"),  # a half day
        ("July 4, 2023 at 12:00 PM EDT", "2023-07-03 17:00"),  # a holiday after a half day
    ],
)
def test_the_time_is_the_header_s_or_the_last_close(
    tmp_path: Path, wording: str, asof: str
) -> None:
    path = write(tmp_path, TABLE.replace("February 7, 2023 at 3:34 PM EST", wording))
    assert chain.read(path).asof == datetime.fromisoformat(asof).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\n" + text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("Last: 4164", '"Last: 4,164.00"').replace('""', '"'),
        lambda text: text.replace("Bid: 1\n", "Bid: 1,,,,,,\n"),
        lambda text: text.replace("200\n", "200,\n"),
    ],
    ids=["blank line", "byte order mark", "CRLF", "blank end", "thousands", "padded", "comma"],
)
def test_tables_that_differ_in_form_alone_read_alike(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    same, other = (chain.read(write(tmp_path, text)) for text in (TABLE, change(TABLE)))
    assert (same.spot, same.asof) == (other.spot, other.asof)
    assert same.strike.tolist() == other.strike.tolist()
    assert same.open_interest.tolist() == other.open_interest.tolist()


def test_gzip_is_recognised_by_its_content(tmp_path: Path) -> None:
    packed = gzip.compress(TABLE.encode(), mtime=0)
    assert len(chain.read(write(tmp_path, packed, "quotes.csv.gz"))) == 4
    assert len(chain.read(write(tmp_path, packed, "quotes.csv"))) == 4


def test_an_empty_number_is_unknown_and_not_zero(tmp_path: Path) -> None:
    read = chain.read(write(tmp_path, TABLE.replace("0.004,100,4100,", ",,4100,")))
    assert np.isnan(read.gamma[0])
    assert np.isnan(read.open_interest[0])


FOREIGN = {
    "empty": "",
    "prose": "Dear desk, please find attached.",
    "another table": "date,open,high,low,close\n2023-02-07,1,2,0,1\n",
    "no contracts": HEAD + COLUMNS + "\n",
    "other columns": TABLE.replace("Gamma", "Vega"),
    "cut in a row": TABLE[:-60],
    "cut in a name": TABLE.replace("SPXW230217P04150500", "SPXW2302"),
    "halves swapped": TABLE.replace("0C0", "0X0").replace("7C0", "7P0"),
    "two underlyings": TABLE.replace("SPXW", "SPY"),
    "strike of another": TABLE.replace(",4100,", ",4200,"),
    "no level": TABLE.replace("Last: 4164", "Last: n/a"),
    "level of 0": TABLE.replace("Last: 4164", "Last: 0"),
    "no date": TABLE.replace("February 7, 2023 at 3:34 PM EST", "n/a"),
    "unknown month": TABLE.replace("February 7", "Februar 7").replace("Feb", "Xyz"),
    "unknown zone": TABLE.replace("EST", "IST"),
    "29 February": TABLE.replace("February 7", "February 29"),
    "before the calendar": TABLE.replace("February 7, 2023", "February 7, 1923"),
    "a word for a number": TABLE.replace("0.21", "high"),
    "infinite": TABLE.replace("0.21", "inf"),
    "decimal comma": TABLE.replace("4.5,", '"4,5",'),
    "NUL bytes": TABLE.replace("0.21", "0.2\x001"),
    "binary": bytes(range(256)) * 40,
    "broken gzip": b"\x1f\x8b" + bytes(range(200)),
    "cut gzip": gzip.compress(TABLE.encode())[:-40],
    "end-of-day, cut": DAILY[:-30],
    "end-of-day, no rows": DAILY[:58] + "\n",
    "end-of-day, strange right": DAILY.replace(",C,", ",X,"),
    "end-of-day, two spots": DAILY.replace("2416.62", "2400.0", 1),
    "end-of-day, days in disorder": DAILY.replace("2018-12-21", "2018-12-26"),
    "end-of-day, strike of 0": DAILY.replace("2500.0", "0"),
    "end-of-day, no date": DAILY.replace("2018-12-21", "yesterday"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_with_what_was_expected(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, FOREIGN[kind])
    with pytest.raises(ForeignFile, match=r"quotes\.csv.*expected was a CBOE quote table"):
        list(chain.days(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="expected was"):
        chain.read(tmp_path / "nowhere.csv")


def test_a_gzip_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "LARGEST", 1000)
    with pytest.raises(ForeignFile, match="more than 1,000 bytes"):
        chain.read(write(tmp_path, gzip.compress(b"0" * 100_000)))


@given(st.data())
def test_a_damaged_table_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw = bytearray(data.draw(st.sampled_from([TABLE, DAILY])).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = write(tmp_path_factory.getbasetemp(), bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    try:
        read = list(chain.days(path))
    except ForeignFile:
        return
    assert all(len(day) and (day.strike > 0).all() for day in read)


def test_end_of_day_tables_are_read_day_by_day(tmp_path: Path) -> None:
    friday, monday = chain.days(write(tmp_path, DAILY), "SPX")
    assert friday.asof == datetime(2018, 12, 21, 21, tzinfo=UTC)
    assert monday.asof == datetime(2018, 12, 24, 18, tzinfo=UTC)  # Christmas Eve, a half day
    assert (friday.spot, monday.spot, monday.symbol) == (2416.62, 2351.1, "SPX")
    assert monday.call.tolist() == [True, False]
    assert monday.settles.astype(str).tolist() == ["2018-12-28T21:00:00"] * 2


def test_several_days_are_not_one(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="2 days"):
        chain.read(write(tmp_path, DAILY))


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    head, *rows = DAILY.splitlines(keepends=True)
    write(tmp_path, head + "".join(rows[2:]), "2018-12-24.csv")
    write(tmp_path, gzip.compress((head + "".join(rows[:2])).encode()), "2018-12-21.csv.gz")
    write(tmp_path, "not a chain", "README.md")
    assert [day.spot for day in chain.days(tmp_path)] == [2416.62, 2351.1]


def test_a_folder_without_chains_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="holds no"):
        list(chain.days(tmp_path))


@real
def test_the_reference_file_is_read_whole() -> None:
    read = chain.read(DATA / "cboe" / "SPX_2023-02-07.csv.gz")
    assert (len(read), int((read.open_interest > 0).sum())) == (18_962, 14_322)
    assert (read.symbol, read.spot) == ("SPX", 4164.0)
    assert read.asof == datetime(2023, 2, 7, 21, tzinfo=UTC)


@real
def test_spy_is_read_under_its_own_name() -> None:
    read = chain.read(DATA / "cboe" / "SPY_2023-09-14.csv.gz")
    assert (read.symbol, read.spot, len(read)) == ("SPY", 450.81, 7292)


@real
def test_a_file_of_many_days_is_read_day_by_day() -> None:
    days = list(chain.days(DATA / "vix_chain_2026.csv.gz", "VIX"))
    assert len(days) == 18
    assert sum(map(len, days)) == 19_757


def test_a_chain_is_recognised_by_its_first_lines(tmp_path: Path) -> None:
    packed = gzip.compress(TABLE.encode(), mtime=0)
    for text in (TABLE, DAILY, packed, packed[:-9], TABLE[:600]):
        assert chain.recognised(write(tmp_path, text))
    for text in ("date,close\n2018-11-20,1\n", "", b"\x1f\x8b", b"\x00\xff" * 99, packed[:12]):
        assert not chain.recognised(write(tmp_path, text))
    assert not chain.recognised(tmp_path)
    assert not chain.recognised(tmp_path / "nothing.csv")
