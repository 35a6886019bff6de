"""One file of bars as it lies there, CSV, CSV.gz or Parquet: its symbols, and the rows of each.

A daily file has a column ``date``, an intraday one a column ``timestamp``: the *start* of each bar,
in a zone that the timestamp states itself or that is stated for the file. Columns ``close`` and,
where known, ``open``, ``high``, ``low``, ``volume``, in any case and order; others are ignored. The
symbol stands in a column ``symbol`` or is the file's name (``AAPL.csv``, ``SPY_5m_2024.csv.gz``).
Names in `SERIES` are levels beside the prices and not symbols. The histories of some vendors are
known by their columns (`LAYOUTS`).
"""

import gzip
import re
import warnings
import zlib
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from domain.errors import ForeignFile, SettingsError
from market import chain as quotes
from market.quality import PRICES, Frequency, Kind, Quarantined, clean

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".csv.gz", ".parquet")
SERIES: dict[str, Kind] = {
    "VIX": "volatility",
    "VIX1D": "volatility",
    "VIX9D": "volatility",
    "VIX3M": "volatility",
    "VVIX": "volatility",
    "SKEW": "volatility",
    "GEX_NET": "measure",
    "GEX_FLIP": "measure",
    "GEX_CALL_WALL": "measure",
    "GEX_PUT_WALL": "measure",
    "GEX_MAGNET_1": "measure",
    "GEX_MAGNET_2": "measure",
    "DIX": "measure",
    "PUT_CALL": "measure",
    "PUT_CALL_INDEX": "measure",
    "CHAIN_NET": "measure",
    "CHAIN_CALLS": "measure",
    "CHAIN_PUTS": "measure",
    "CHAIN_PUT_CALL_OI": "measure",
    "CHAIN_IV": "measure",
    "CHAIN_SKEW": "measure",
}
AFTER = frozenset({"DIX", "PUT_CALL", "PUT_CALL_INDEX"})
"""Series that are made after the close whoever wrote the file."""
ALIASES = {"GSPC": "SPX", "INX": "SPX"}
"""Other names for the same thing."""
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.=_-]{0,15}")
NOISE = re.compile(r"\d+(s|m|min|h|d)?|daily|history|intraday|ohlcv?")
"""Parts of a file's name that say something other than the symbol."""
OFFSET = r"(?:Z|[+-]\d\d:?\d\d)$"
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "None", "-"]
LIMIT = 1 << 29
"""Bytes a file may unpack to: half a gigabyte. More is no file of bars but a mistake or a trap."""
EXPECTED = (
    "expected a column 'date' (daily) or 'timestamp' (intraday, start of the bar), a column "
    "'close' and, where known, 'open', 'high', 'low', 'volume' and 'symbol'"
)


class Layout(NamedTuple):
    """A vendor's history, known by its columns, and the series it holds."""

    vendor: str
    columns: frozenset[str]
    series: dict[str, str]
    """Column to series."""


LAYOUTS = (
    Layout(
        "SqueezeMetrics",
        frozenset({"date", "price", "dix", "gex"}),
        {"dix": "DIX", "gex": "GEX_NET"},
    ),
    Layout(
        "AlphaGEX",
        frozenset({"date", "net_gex", "spot", "dollar_vol"}),
        {"net_gex": "GEX_NET"},
    ),
    Layout(
        "CBOE",
        frozenset({"date", "total_pcr", "index_pcr", "equity_pcr"}),
        {"equity_pcr": "PUT_CALL", "index_pcr": "PUT_CALL_INDEX"},
    ),
)


class Part(NamedTuple):
    """The rows of one symbol in one file."""

    symbol: str
    frame: "pd.DataFrame"
    """``time`` (date, or start in UTC) and the prices, in the order of the file."""
    frequency: Frequency
    interval: int
    """Seconds, of intraday bars; else 0."""
    collar: float | None = None
    vendor: str | None = None
    """Whose figures these are, where the layout says so."""
    file: str = ""

    @property
    def after(self) -> bool:
        """Whether a session's value is made after its close."""
        return self.vendor is not None or self.symbol in AFTER

    def clean(self, asof: datetime | None) -> tuple["pd.DataFrame", tuple[Quarantined, ...]]:
        """Return the trusted bars and what was set aside; a collar of its own is for prices."""
        kind = SERIES.get(self.symbol, "price")
        return clean(
            self.frame,
            self.symbol,
            frequency=self.frequency,
            interval=self.interval,
            asof=asof,
            kind=kind,
            collar=self.collar if kind == "price" else None,
        )


def read(file: Path, timezone: str | None = None, collar: float | None = None) -> tuple[Part, ...]:
    """Read one file as it is, one part per symbol, nothing cleaned yet.

    Raises
    ------
    ForeignFile
        It is no file of bars; the message says what was expected and what was found.
    SettingsError
        There is no such time zone.
    """
    name = file.name.lower()
    if not name.endswith(SUFFIXES):
        raise ForeignFile(f"{file.name}: expected a file {', '.join(SUFFIXES)}")
    if not file.is_file():
        raise ForeignFile(f"{file}: no such file or folder")
    if quotes.recognised(file):
        raise ForeignFile(
            f"{file.name}: an option chain, to be taken in with `omega data import`; as bars, "
            f"{EXPECTED}"
        )
    table = _parquet(file) if name.endswith(".parquet") else _csv(file)
    if layout := _layout(table):
        return _vendor(file, table, layout)
    labels = _labels(file, table)
    table = _columns(file, table, labels)
    frequency: Frequency = "intraday" if "timestamp" in table else "daily"
    times = _starts(file, table, timezone) if frequency == "intraday" else _days(file, table)
    frame = _numbers(table).assign(time=times)
    parts = []
    for symbol in sorted(set(labels)):
        own = frame[labels == symbol].reset_index(drop=True)
        seconds = _interval(file, own) if frequency == "intraday" else 0
        parts.append(Part(symbol, own, frequency, seconds, collar, file=file.name))
    return tuple(parts)


def _layout(table: "pd.DataFrame") -> Layout | None:
    plain = {str(name).strip().lower() for name in table.columns}
    return next((one for one in LAYOUTS if one.columns <= plain), None)


def _vendor(file: Path, table: "pd.DataFrame", layout: Layout) -> tuple[Part, ...]:
    import pandas as pd

    plain = [str(name).strip().lower() for name in table.columns]
    twice = sorted({name for name in plain if name in layout.columns and plain.count(name) > 1})
    if twice:
        raise ForeignFile(f"{file.name}: the column {twice[0]!r} is there twice")
    if table.empty:
        raise ForeignFile(f"{file.name}: a header and no rows")
    table = table.set_axis(plain, axis=1)
    days = _days(file, table)
    parts = []
    for column, name in layout.series.items():
        values = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
        frame = pd.DataFrame({"close": values, "time": days})
        parts.append(Part(name, frame, "daily", 0, vendor=layout.vendor, file=file.name))
    return tuple(parts)


def _csv(file: Path) -> "pd.DataFrame":
    import pandas as pd

    zipped = file.name.lower().endswith(".gz")
    try:
        with gzip.open(file) if zipped else file.open("rb") as stream:
            content = stream.read(LIMIT + 1)
        if len(content) > LIMIT:
            raise ForeignFile(f"{file.name}: more than {LIMIT >> 20} MB; split it by year")
        header = [str(name) for name in pd.read_csv(BytesIO(content), nrows=0).columns]
        text = {name: str for name in header if name.strip().lower() not in (*PRICES, "volume")}
        numbers = {name: MISSING for name in header if name not in text}
        with warnings.catch_warnings():
            # Rows longer than the header: the reader would drop what is over and only warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                BytesIO(content),
                dtype=text,
                na_values=numbers,
                keep_default_na=False,
                index_col=False,
                low_memory=False,
            )
    except (OSError, EOFError, zlib.error) as error:
        raise ForeignFile(f"{file.name}: cannot be read ({error}); {EXPECTED}") from error
    except (
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
        pd.errors.EmptyDataError,
    ) as error:
        reason = str(error).strip()
        raise ForeignFile(f"{file.name}: no CSV file ({reason}); {EXPECTED}") from error


def _parquet(file: Path) -> "pd.DataFrame":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as source:
            groups = range(source.metadata.num_row_groups)
            if sum(source.metadata.row_group(i).total_byte_size for i in groups) > LIMIT:
                raise ForeignFile(f"{file.name}: more than {LIMIT >> 20} MB; split it by year")
            table = source.read().to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise ForeignFile(f"{file.name}: no Parquet file ({error}); {EXPECTED}") from error
    return table.reset_index() if table.index.name else table


def _labels(file: Path, table: "pd.DataFrame") -> "pd.Series[str]":
    """Return the symbol of each row: the column, or else the file's name."""
    import pandas as pd

    column = next((c for c in table if str(c).strip().lower() in ("symbol", "ticker")), None)
    if column is None:
        return pd.Series(named(file.name), index=table.index, dtype=object)
    unique = {text: symbol_of(str(text)) for text in table[column].unique()}
    wrong = sorted(str(text) for text, symbol in unique.items() if not SYMBOL.fullmatch(symbol))
    if wrong:
        raise ForeignFile(f"{file.name}: {wrong[0]!r} in the column {column!r} is no symbol")
    return table[column].map(unique)


def symbol_of(text: str) -> str:
    """Return the symbol as this house writes it.

    Examples
    --------
    >>> symbol_of(" ^gspc ")
    'SPX'
    """
    plain = text.strip().upper().lstrip("^")
    return ALIASES.get(plain, plain)


def named(file: str) -> str:
    """Return the symbol that a file's name stands for.

    Examples
    --------
    >>> named("SPY_5m_2024.csv.gz"), named("VIX_History.csv"), named("gex_flip.parquet")
    ('SPY', 'VIX', 'GEX_FLIP')

    Raises
    ------
    ForeignFile
        The name is no symbol.
    """
    stem = next(file[: -len(end)] for end in reversed(SUFFIXES) if file.lower().endswith(end))
    words = [word for word in re.split(r"[_ ]+", stem) if word]
    symbol = symbol_of("_".join(w for w in words if not NOISE.fullmatch(w.lower())))
    if not SYMBOL.fullmatch(symbol):
        raise ForeignFile(f"{file}: name it after its symbol (AAPL.csv), or add a column 'symbol'")
    return symbol


def _columns(file: Path, table: "pd.DataFrame", labels: "pd.Series[str]") -> "pd.DataFrame":
    """Return the columns by their plain names, those that matter only."""
    plain = [str(name).strip().lower() for name in table.columns]
    # A series may keep its level in a column of its own name, as the exchange's own files do.
    own = {label.lower() for label in labels.iloc[:1] if label in SERIES}
    plain = ["close" if name in own and "close" not in plain else name for name in plain]
    wanted = ("date", "timestamp", *PRICES, "volume")
    twice = sorted({name for name in plain if name in wanted and plain.count(name) > 1})
    if twice:
        raise ForeignFile(f"{file.name}: the column {twice[0]!r} is there twice")
    if "close" not in plain or not {"date", "timestamp"} & set(plain):
        raise ForeignFile(f"{file.name}: {EXPECTED}; found {', '.join(plain[:8])}")
    if table.empty:
        raise ForeignFile(f"{file.name}: a header and no rows")
    table = table.set_axis(plain, axis=1)
    return table[[name for name in plain if name in wanted]]


def _numbers(table: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    names = [name for name in (*PRICES, "volume") if name in table]
    return pd.DataFrame(
        {n: pd.to_numeric(table[n], errors="coerce").astype(np.float64) for n in names}
    )


def _days(file: Path, table: "pd.DataFrame") -> "pd.Series[pd.Timestamp]":
    """Return the date of each row; NaT where there is none."""
    import pandas as pd

    text = table["date"].astype(str).str.strip()
    clock = text.str.slice(10, 19).str.strip(" T")
    if not clock.isin(["", "00:00:00", "00:00"]).all():
        raise ForeignFile(
            f"{file.name}: the column 'date' holds times of day; if these are intraday bars, "
            "name it 'timestamp'"
        )
    days = pd.to_datetime(text.str.slice(0, 10), format="%Y-%m-%d", errors="coerce")
    return _some(file, days, text)


def _starts(file: Path, table: "pd.DataFrame", timezone: str | None) -> "pd.Series[pd.Timestamp]":
    """Return the start of each bar in UTC, without a zone; NaT where it cannot be known."""
    import pandas as pd

    stamps = table["timestamp"]
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        return stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    text = stamps.astype(str).str.strip()
    stated = text.str.contains(OFFSET, regex=True)
    if stated.all():
        times = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
        return _some(file, times.dt.tz_localize(None), text)
    if stated.any():
        raise ForeignFile(f"{file.name}: some timestamps state a time zone and others do not")
    if timezone is None:
        raise ForeignFile(
            f"{file.name}: the timestamps state no time zone; state it when importing "
            "(`omega data import --timezone America/New_York`) or write it into them (…-05:00)"
        )
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SettingsError(f"{timezone!r} is no time zone; say e.g. America/New_York") from error
    local = _some(file, pd.to_datetime(text, format="ISO8601", errors="coerce"), text)
    # Local times that daylight saving skips or repeats become NaT, and are set aside as such.
    known = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return known.dt.tz_convert("UTC").dt.tz_localize(None)


def _some(
    file: Path, times: "pd.Series[pd.Timestamp]", text: "pd.Series[str]"
) -> "pd.Series[pd.Timestamp]":
    if times.isna().all():
        raise ForeignFile(
            f"{file.name}: expected dates such as 2018-12-31 (and 09:30:00 behind it in a "
            f"timestamp), found {text.iloc[0]!r}"
        )
    return times


def _interval(file: Path, frame: "pd.DataFrame") -> int:
    """Return the length of the bars in seconds: the most frequent step between two starts."""
    starts = np.unique(frame["time"].dropna().to_numpy().astype("datetime64[s]").astype(np.int64))
    steps, counts = np.unique(np.diff(starts), return_counts=True)
    seconds = int(steps[counts.argmax()]) if len(steps) else 0
    if not 1 <= seconds <= 4 * 3600:
        raise ForeignFile(
            f"{file.name}: bars of {seconds} s; an intraday file has at least two bars, of at most "
            "four hours; name the column of daily bars 'date'"
        )
    return seconds
