"""Option chains from files: the quotes of every contract on one underlying at one moment.

Two layouts are read, plain or gzipped: the quote table that CBOE's site offers for download, and
the end-of-day table with the columns of `DAILY`, one file a day in a folder or all days in one.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.errors import DataError, ForeignFile
from domain.values import FloatArray, Points
from market import calendar
from market.panel import Times

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE = time(9, 30), time(16)
AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "VIX"})
"""Roots that settle on the opening prints; SPXW and all others settle at the close."""
PARENT = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX"}
YEAR = timedelta(days=365)

HALF = ("Last Sale", "Net", "Bid", "Ask", "Volume", "IV", "Delta", "Gamma", "Open Interest")
CBOE = ("Expiration Date", "Calls", *HALF, "Strike", "Puts", *HALF)
DAILY = (
    "date",
    "spot",
    "expiry",
    "dte",
    "strike",
    "cp",
    "bid",
    "ask",
    "iv",
    "delta",
    "gamma",
    "oi",
)
EXPECTED = (
    "expected was a CBOE quote table (a line that starts with 'Expiration Date', calls left and "
    f"puts right) or an end-of-day table with the columns {','.join(DAILY)}; .csv or .csv.gz"
)
GZIP = b"\x1f\x8b"
LARGEST = 200_000_000
"""Bytes of text. A day of SPX takes 3 million; more than this is no chain, or a bomb."""
MOST_SPOT = 1e7
GLANCE = 4096
"""Bytes in which a chain shows what it is; the longest header seen has 177."""

_TABLE = re.compile(r'^"?Expiration Date', re.MULTILINE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_HOURS |= {"UTC": 0, "GMT": 0, "BST": 1, "CET": 1, "CEST": 2}
_LAST = re.compile(r"Last: *(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")
_CONTRACT = re.compile(r"([A-Z][A-Z0-9.]*?)(\d{6})([CP])(\d{8})")
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::\d{2})?\s*([AP]M)?\s*([A-Z]{2,4})?([+-]\d{1,2})?\b", re.I
)
_DAYS = (
    re.compile(r"(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{1,2})\.? (?P<month>[A-Za-z]{3,9})\.?,? (?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
)


@dataclass(frozen=True, eq=False)
class Chain:
    """Every listed option on one underlying, N contracts.

    Parameters
    ----------
    asof
        UTC. When the quotes were alive: the file's own time, or the last close before it when the
        exchange was shut by then.
    call
        True for calls, False for puts; shape (N,), as all that follows.
    settles
        When each contract settles, UTC, ``datetime64[s]``.
    bid, ask
        Points.
    iv
        Implied volatility, annualised fraction; 0 where there was no quote.
    delta, gamma
        As the file has them; CBOE rounds gamma to four decimals.
    open_interest
        Contracts, as of the morning.
    """

    symbol: str
    asof: datetime
    spot: Points
    call: NDArray[np.bool_]
    strike: FloatArray
    settles: Times
    bid: FloatArray
    ask: FloatArray
    iv: FloatArray
    delta: FloatArray
    gamma: FloatArray
    open_interest: FloatArray

    def __len__(self) -> int:
        return len(self.strike)

    @property
    def mid(self) -> FloatArray:
        """Half-way between bid and ask, in points."""
        return (self.bid + self.ask) / 2

    @property
    def years(self) -> FloatArray:
        """Calendar time to settlement, in years of 365 days; not above 0 once expired."""
        now = np.datetime64(self.asof.astimezone(UTC).replace(tzinfo=None), "s")
        return (self.settles - now) / np.timedelta64(YEAR, "s")


def read(path: Path, symbol: str = "SPX") -> Chain:
    """Read the one chain of a file.

    Parameters
    ----------
    symbol
        Of the underlying, for the end-of-day layout, which does not say. A CBOE table does.

    Raises
    ------
    ForeignFile
        It cannot be read, is cut off, is something else, or holds several days (`days` reads
        those). The message says what was expected.
    """
    chains = _parse(path, symbol)
    if len(chains) > 1:
        raise ForeignFile(f"{path.name} holds {len(chains)} days; one was expected")
    return chains[0]


def recognised(path: Path) -> bool:
    """Whether a file's first lines are those of a chain. Nothing is checked; `read` does that."""
    try:
        with path.open("rb") as file:
            head = file.read(GLANCE)
        if head.startswith(
            GZIP
        ):  # as far as it goes: one that is cut off is a chain that is broken
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, GLANCE)
    except (OSError, zlib.error):
        return False
    text = head.decode("utf-8-sig", "replace")
    return bool(_TABLE.search(text)) or text.lower().startswith(",".join(DAILY))


def parse(raw: bytes, name: str, symbol: str = "SPX") -> list[Chain]:
    """Read the chains in the bytes of a file called `name`, oldest first. Raises as `read` does."""
    return _chains(_text(raw, name), name, symbol)


def days(path: Path, symbol: str = "SPX") -> Iterator[Chain]:
    """Read the chains of a folder, or of a file that holds several days, oldest first per file.

    Files are read one at a time, in the order of their names. Raises as `read` does.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith((".csv", ".csv.gz")))
    if not files:
        raise ForeignFile(f"{path} holds no .csv or .csv.gz file; {EXPECTED}")
    for file in files:
        yield from _parse(file, symbol)


def _parse(path: Path, symbol: str) -> list[Chain]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ForeignFile(f"{path.name} cannot be read ({error}); {EXPECTED}") from error
    return parse(raw, path.name, symbol)


def _chains(text: str, name: str, symbol: str) -> list[Chain]:
    try:
        if table := _TABLE.search(text):
            head, body = text[: table.start()], text[table.start() :]
            return [_quotes(head, _rows(body, CBOE))]
        if text.lower().startswith(",".join(DAILY)):
            rows = _rows(text, DAILY)
            dated = [(day, list(same)) for day, same in groupby(rows, key=lambda row: row[0])]
            if any(later[0] <= earlier[0] for earlier, later in pairwise(dated)):
                raise ForeignFile("its days are out of order")
            return [_daily(same, symbol) for _, same in dated]
    except (DataError, ValueError, csv.Error) as error:
        raise ForeignFile(f"{name}: {error}; {EXPECTED}") from error
    raise ForeignFile(f"{name} is no option chain; {EXPECTED}")


def _text(raw: bytes, name: str) -> str:
    try:
        if raw.startswith(GZIP):
            with gzip.open(io.BytesIO(raw)) as file:
                raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise ForeignFile(f"{name} holds more than {LARGEST:,} bytes; {EXPECTED}")
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ForeignFile(f"{name} cannot be read ({error}); {EXPECTED}") from error


def _rows(text: str, columns: tuple[str, ...]) -> list[list[str]]:
    """Return the fields of each line below the column names; blank lines are left out."""
    names, *lines = csv.reader(io.StringIO(text))
    if tuple(name.strip().lower() for name in names[: len(columns)]) != tuple(
        name.lower() for name in columns
    ):
        raise ForeignFile(f"the columns are {','.join(names)}")
    rows = [line for line in lines if any(line)]
    for number, row in enumerate(rows, start=1):
        if len(row) < len(columns):
            raise ForeignFile(f"row {number} is cut off: {len(row)} fields of {len(columns)}")
    if not rows:
        raise ForeignFile("it holds no contract")
    return rows


def _quotes(head: str, rows: list[list[str]]) -> Chain:
    last = _LAST.search(head)
    if last is None:
        raise ForeignFile("its header has no 'Last: <level>'")
    halves = [_contracts(rows, calls=True), _contracts(rows, calls=False)]
    symbols = {PARENT.get(root, root) for half in halves for root, _, _ in half}
    if len(symbols) > 1:
        raise ForeignFile(f"it mixes contracts on {', '.join(sorted(symbols))}")
    settles = [_settles(root, day) for half in halves for root, day, _ in half]
    strikes = _numbers(rows, (11, 11))
    if not np.allclose(strikes, [strike for half in halves for _, _, strike in half]):
        raise ForeignFile("a strike differs from that in the contract's name")
    return _chain(
        symbols.pop(),
        _alive(_stamp(head)),
        float(last[1].replace(",", "")),
        call=np.repeat([True, False], len(rows)),
        strike=strikes,
        settles=np.array(settles, "datetime64[s]"),
        bid=_numbers(rows, (4, 15)),
        ask=_numbers(rows, (5, 16)),
        iv=_numbers(rows, (7, 18)),
        delta=_numbers(rows, (8, 19)),
        gamma=_numbers(rows, (9, 20)),
        open_interest=_numbers(rows, (10, 21)),
    )


def _daily(rows: list[list[str]], symbol: str) -> Chain:
    day, spot = date.fromisoformat(rows[0][0]), float(rows[0][1])
    if any(row[1] != rows[0][1] for row in rows):
        raise ForeignFile(f"{day} has more than one spot")
    if not {row[5] for row in rows} <= {"C", "P"}:
        raise ForeignFile("cp is neither C nor P")
    # The layout has merged the roots, so that all expiries count as settled at the close.
    settles = [_settles("", row[2]) for row in rows]
    return _chain(
        symbol,
        _alive(datetime.combine(day, CLOSE, NEW_YORK)),
        spot,
        call=np.array([row[5] == "C" for row in rows]),
        strike=_numbers(rows, (4,)),
        settles=np.array(settles, "datetime64[s]"),
        bid=_numbers(rows, (6,)),
        ask=_numbers(rows, (7,)),
        iv=_numbers(rows, (8,)),
        delta=_numbers(rows, (9,)),
        gamma=_numbers(rows, (10,)),
        open_interest=_numbers(rows, (11,)),
    )


def _chain(symbol: str, asof: datetime, spot: float, **columns: Any) -> Chain:
    strikes = columns["strike"]
    if not (np.isfinite(strikes).all() and (strikes > 0).all()):
        raise ForeignFile("a strike is no number above 0")
    if not 0 < spot < MOST_SPOT:
        raise ForeignFile(f"the level of {symbol} is {spot}")
    return Chain(symbol, asof, spot, **columns)


def _contracts(rows: list[list[str]], *, calls: bool) -> list[tuple[str, str, float]]:
    """Return root, expiry and strike of each contract, out of its OCC name."""
    column, right = (1, "C") if calls else (12, "P")
    found = []
    for row in rows:
        name = _CONTRACT.fullmatch(row[column].strip())
        if name is None or name[3] != right:
            kind = "call" if calls else "put"
            raise ForeignFile(f"{row[column]!r} is no {kind} (such as SPXW230207{right}04000000)")
        root, day, _, thousandths = name.groups()
        found.append((root, f"20{day[:2]}-{day[2:4]}-{day[4:]}", int(thousandths) / 1000))
    return found


def _numbers(rows: Sequence[Sequence[str]], columns: tuple[int, ...]) -> FloatArray:
    """Return the columns one below the other; an empty field is NaN."""
    numbers = np.array([float(row[c] or "nan") for c in columns for row in rows])
    if np.isinf(numbers).any():
        raise ForeignFile("a number is infinite")
    return numbers


@lru_cache(4096)
def _settles(root: str, expiry: str) -> np.datetime64:
    at = OPEN if root in AM_SETTLED else CLOSE
    local = datetime.combine(date.fromisoformat(expiry), at, NEW_YORK)
    return np.datetime64(local.astimezone(UTC).replace(tzinfo=None), "s")


def _alive(stamp: datetime) -> datetime:
    """Return `stamp` within a session, else the last close before it."""
    if calendar.session_of(stamp):
        return stamp.astimezone(UTC)
    close = calendar.due(stamp)
    if close is None:
        raise ForeignFile(f"no session had closed by {stamp}")
    return close


def _stamp(head: str) -> datetime:
    """Return the header's time; its wording differs with the reader's browser."""
    day = next((found for pattern in _DAYS if (found := pattern.search(head))), None)
    clock = _CLOCK.search(head)
    if day is None or clock is None:
        raise ForeignFile("its header has no date and time")
    hour, minute, half, zone, offset = clock.groups()
    hours = int(hour) % 12 + 12 * (half.upper() == "PM") if half else int(hour)
    at = time(hours, int(minute))
    return datetime.combine(_day(day), at, _zone(zone, offset))


def _day(found: re.Match[str]) -> date:
    month = found["month"]
    if not month.isdigit() and month[:3].lower() not in _MONTHS:
        raise ForeignFile(f"the month {month!r} of its header is not known")
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    return date(int(found["year"]), number, int(found["day"]))


def _zone(name: str | None, offset: str | None) -> tzinfo:
    if name is None or name.upper() == "ET":
        return NEW_YORK
    if name.upper() not in _HOURS:
        raise ForeignFile(f"the time zone {name!r} of its header is not known")
    return timezone(timedelta(hours=_HOURS[name.upper()] + int(offset or 0)))
