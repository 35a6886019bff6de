"""Bars out of your own files: CSV, CSV.gz or Parquet, one file or a folder of them.

A folder may hold daily bars and bars within sessions, of the same symbols or of others: what is
learned counts sessions, what is traded sees the bars within them. A symbol beside daily ones that
has only bars within sessions gets the daily bars that these add up to.

A daily file has a column ``date``, an intraday one a column ``timestamp``: the *start* of each bar,
in a zone that the timestamp states itself or that is stated for the file. Columns ``close`` and,
where known, ``open``, ``high``, ``low``, ``volume``, in any case and order; others are ignored. The
symbol stands in a column ``symbol`` or is the file's name (``AAPL.csv``, ``SPY_5m_2024.csv.gz``).
Names in `SERIES` are levels beside the prices and not symbols.

The histories of some vendors are known by their columns (`LAYOUTS`). Those, and what is measured
from option chains, are made after a session's close, and every bar sees the session before its own.
A level in a file of your own counts as known at the close of its date.
"""

import gzip
import re
import warnings
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from domain.errors import ForeignFile, SettingsError
from market import chain as quotes
from market.chain import Chain
from market.feeds import chains, join, manifest, sessions
from market.feeds.base import Feed, History
from market.quality import PRICES, Defect, Frequency, Kind, Quarantined, clean

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
OWN = "a file of your own"
ALIASES = {"GSPC": "SPX", "INX": "SPX"}
"""Other names for the same thing."""
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.=_-]{0,15}")
NOISE = re.compile(r"\d+(s|m|min|h|d)?|daily|history|intraday|ohlcv?")
"""Parts of a file's name that say something other than the symbol."""
KINDS: tuple[Frequency, Frequency] = ("daily", "intraday")
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


class Files(Feed):
    """A file or a folder of bars.

    Parameters
    ----------
    path
        A file, or a folder that is searched with its subfolders. A folder with a manifest holds
        imported files: their hashes are checked, and a file that was not imported is not read.
    timezone
        Zone of timestamps that state none, e.g. ``America/New_York``. Nothing is assumed: without
        it such a file is refused, since an hour's error would let decisions see the future.
    asof
        Moment the data is read for; None to take the files as history.

    Notes
    -----
    In a folder, a file that is something else is set aside with the reason FOREIGN; a single file,
    or a folder without one usable symbol, raises `ForeignFile`.
    """

    name = "files"
    title = "your own bars: CSV, CSV.gz or Parquet, daily or intraday"

    def __init__(
        self, path: Path, timezone: str | None = None, asof: datetime | None = None
    ) -> None:
        self.path, self.timezone, self.asof = path, timezone, asof

    @property
    def real(self) -> tuple[str, ...]:
        series = ", ".join(x for x in self.panel().series if x not in self.origins) or "none"
        within = self.within()
        beside = ""
        if within is not None:
            minutes = self.interval // timedelta(minutes=1)
            beside = f", and bars of {minutes} min of {', '.join(within.symbols)}"
        return (
            f"Prices of {', '.join(self.symbols)} and series ({series}), {self.frequency}{beside}, "
            f"as found in {self.path.name}; whether they are real is for whoever made the files.",
            *self._whose(),
            *sessions.told(self.within(), self.quarantined()),
        )

    def _whose(self) -> Iterable[str]:
        for vendor in sorted(set(self.origins.values()) - {chains.MEASURED}):
            names = [name for name, whose in self.origins.items() if whose == vendor]
            yield (
                f"{_listed(names)}: as {vendor} made {'it' if len(names) == 1 else 'them'}, after "
                "each close, so that a bar knows the session before its own."
            )
        for symbol in dict.fromkeys(day.symbol for day in self.quoted):
            own = [day.asof for day in self.quoted if day.symbol == symbol]
            names = [name for name, whose in self.origins.items() if whose == chains.MEASURED]
            told = ""
            if names and symbol == self.symbols[0]:
                told = f" {_listed(names)} are measured from them."
            number = "1 chain" if len(own) == 1 else f"{len(own)} chains"
            yield (
                f"Option quotes of {symbol}: {number}, {min(own):%Y-%m-%d} to "
                f"{max(own):%Y-%m-%d}, known from the session after their own.{told}"
            )

    @property
    def simulated(self) -> tuple[str, ...]:
        quoted = (
            "what is traded takes none from a quote"
            if self.quoted
            else "no option quote is in this data"
        )
        return (
            f"Option prices: {quoted}; they are simulated "
            "(Black-76, SPX+VIX term structure, skew).",
            *sessions.assumed(self.within()),
        )

    @property
    def origins(self) -> dict[str, str]:
        """Return whose figures a series holds, where it is not a file of your own."""
        return dict(self._history.origins)

    @property
    def quoted(self) -> tuple[chains.Day, ...]:
        """Return every imported option chain that can be trusted, by symbol and time."""
        return self._seen.days if self._seen else ()

    def data_hash(self) -> str:
        """Return 12 hex digits of every number in the panel and of every option chain."""
        plain = super().data_hash()
        if not self.quoted or self._seen is None:
            return plain
        return sha256(f"{plain}\n{self._seen.fingerprint()}".encode()).hexdigest()[:12]

    def chain(self, symbol: str, asof: datetime, sessions: int = chains.OLDEST) -> Chain | None:
        """Return the newest option chain of a symbol that may be seen at `asof`.

        A chain may be seen from the session after its own, and for `sessions` sessions; its own
        `Chain.asof` says how old it is. None when there is none. It is read when first asked for.

        Raises
        ------
        IntegrityError
            Its file is not what was imported.
        """
        return self._seen.chain(symbol, asof, sessions) if self._seen else None

    @cached_property
    def _seen(self) -> chains.Chains | None:
        """The imported chains that agree with the bars: reading sets aside those that do not."""
        if self._imported is None or not chains.held(self._imported.entries):
            return None
        bad = {(entry.symbol, entry.at) for entry in self.quarantined()}
        every = chains.Chains.of(self.path, self._imported, self.asof)
        return every.without(day for day in every.days if (_chain_of(day), day.asof) in bad)

    @cached_property
    def _imported(self) -> manifest.Manifest | None:
        """What was imported into the folder, checked against its hashes; None: nothing was."""
        imported = manifest.read(self.path) if self.path.is_dir() else None
        if imported is not None:
            manifest.verify(self.path, imported)
        return imported

    def load(self) -> History:
        parts, foreign = self._parts()
        priced = [part for part in parts if part.symbol not in SERIES]
        frequency, interval = _one_axis(self.path, priced)
        length, quarantined = timedelta(seconds=interval), list(foreign)
        daily, intraday = (self._merged(priced, kind, quarantined) for kind in KINDS)
        if not (daily or intraday):
            raise ForeignFile(f"{self.path}: nothing usable in it. {summary(quarantined)}")
        seen, doubtful = self._trusted(intraday | daily)
        parts = [part for part in parts if part.symbol in SERIES]
        first = min(intraday | daily, key=order)
        parts += [] if seen is None else _measured(seen, first)
        if doubt := mixed((part.symbol, part.vendor, part.file) for part in parts):
            raise ForeignFile(f"{self.path}: {doubt}")
        origins = {part.symbol: part.vendor for part in parts if part.vendor}
        slow, fast = (self._levels(parts, kind, quarantined) for kind in KINDS)
        quarantined += doubtful
        if not (daily and intraday):
            panel = join.union(daily or intraday, fast | slow)
            odd = tuple(sessions.gaps(panel)) if frequency == "daily" else ()
            return History(panel, (*quarantined, *odd), frequency, length, origins=origins)
        alone = {symbol: frame for symbol, frame in intraday.items() if symbol not in daily}
        every = daily | {symbol: sessions.whole(bars, interval) for symbol, bars in alone.items()}
        panel = join.union({s: every[s] for s in sorted(every, key=order)}, fast | slow)
        within = join.union(intraday, fast)
        odd = (*sessions.gaps(panel), *sessions.disagreements(panel, within))
        return History(panel, (*quarantined, *odd), "daily", length, within, origins)

    def _levels(
        self, parts: Sequence[Part], kind: Frequency, quarantined: list[Quarantined]
    ) -> dict[str, join.Levels]:
        """Return the series of one frequency."""
        makes = {part.symbol: part for part in parts if part.frequency == kind}
        return {
            name: join.Levels(frame, kind, makes[name].interval, makes[name].after)
            for name, frame in self._merged(parts, kind, quarantined).items()
        }

    def _merged(
        self, parts: Sequence[Part], kind: Frequency, quarantined: list[Quarantined]
    ) -> dict[str, "pd.DataFrame"]:
        """Return the trusted rows of each symbol that has any, and add what was set aside."""
        frames: dict[str, pd.DataFrame] = {}
        parts = [part for part in parts if part.frequency == kind]
        for symbol in sorted({part.symbol for part in parts}, key=order):
            frame, bad = merged([part for part in parts if part.symbol == symbol], self.asof)
            quarantined += bad
            if not frame.empty:
                frames[symbol] = frame
        return frames

    def _trusted(
        self, frames: dict[str, "pd.DataFrame"]
    ) -> tuple[chains.Chains | None, list[Quarantined]]:
        """Return the imported chains that agree with the bars of their symbol, and the others."""
        if self._imported is None or not chains.held(self._imported.entries):
            return None, []
        every = chains.Chains.of(self.path, self._imported, self.asof)
        bars = [day for day in every.days if day.symbol in frames]
        doubts = [(day, chains.doubt(day, frames[day.symbol])) for day in bars]
        doubtful = [
            Quarantined(symbol=_chain_of(day), defect=Defect.CONFLICT, detail=why, at=day.asof)
            for day, why in doubts
            if why
        ]
        return every.without(day for day, why in doubts if why), doubtful

    def _parts(self) -> tuple[list[Part], list[Quarantined]]:
        if not self.path.is_dir():
            return list(read(self.path, self.timezone)), []
        imported = self._imported
        parts: list[Part] = []
        foreign: list[Quarantined] = []
        for file in found(self.path):
            name = file.relative_to(self.path).as_posix()
            try:
                if imported is None:
                    parts += read(file, self.timezone)
                else:
                    entry = imported.entry(name)
                    if entry.kind == "chain":
                        continue
                    parts += read(file, entry.timezone, entry.collar)
            except ForeignFile as error:
                foreign.append(Quarantined(symbol=name, defect=Defect.FOREIGN, detail=str(error)))
        if not parts:
            raise ForeignFile(f"{self.path}: no usable file of bars in it. {summary(foreign)}")
        return parts, foreign


def _chain_of(day: chains.Day) -> str:
    """Return what a chain is called among what was set aside: no symbol has a space."""
    return f"{day.symbol} chain"


def _measured(seen: chains.Chains, first: str) -> list[Part]:
    """Return what the chains of the first symbol say, as series."""
    return [
        _part(name, list(levels), list(levels.values()))
        for name, levels in seen.levels(first).items()
    ]


def _part(name: str, days: list[np.datetime64], values: list[float]) -> Part:
    import pandas as pd

    frame = pd.DataFrame({"close": np.array(values), "time": np.array(days, "datetime64[s]")})
    return Part(name, frame, "daily", 0, vendor=chains.MEASURED, file="chains")


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def order(symbol: str) -> tuple[bool, str]:
    """Return the key that symbols are sorted by: the S&P 500 first, and then the alphabet."""
    return symbol != "SPX", symbol


def benchmark(symbols: Iterable[str]) -> str | None:
    """Return which of these will be the panel's first symbol; None if none has prices."""
    return min((symbol for symbol in symbols if symbol not in SERIES), key=order, default=None)


def mixed(held: Iterable[tuple[str, str | None, str]]) -> str:
    """Say which series would come from two makers, each named with its file; empty if none would.

    Every maker of gamma figures has its own model. Over the 1,258 sessions of 2020-2024 those of
    two correlate by 0.69, and one is negative on 14 % of them, the other on 56 %: a history of both
    would change its meaning where they meet.

    Parameters
    ----------
    held
        Name of a series or symbol, maker or None, and file.

    Examples
    --------
    >>> mixed([("GEX_NET", "AlphaGEX", "a.csv"), ("GEX_NET", None, "b.csv")])
    'GEX_NET would be both of AlphaGEX (a.csv) and of a file of your own (b.csv), never mixed'
    """
    makers: dict[str, dict[str, str]] = {}
    for name, vendor, file in held:
        if name in SERIES:
            makers.setdefault(name, {}).setdefault(vendor or OWN, file)
    for name, files in makers.items():
        if len(files) > 1:
            shown = [f"of {maker} ({file})" for maker, file in files.items()]
            return f"{name} would be both {_listed(shown)}, never mixed"
    return ""


def summary(quarantined: Sequence[Quarantined]) -> str:
    """Return the first three reasons in one line."""
    shown = "; ".join(
        entry.detail if entry.defect is Defect.FOREIGN else f"{entry.symbol}: {entry.detail}"
        for entry in quarantined[:3]
    )
    return shown + (f"; and {len(quarantined) - 3} more" if len(quarantined) > 3 else "")


def found(folder: Path) -> list[Path]:
    """Return the data files of a folder and its subfolders, sorted; hidden ones are left out."""
    files = (
        file
        for file in folder.rglob("*")
        if file.name.lower().endswith(SUFFIXES)
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )
    return sorted(files)


def merged(
    parts: Sequence[Part], asof: datetime | None
) -> tuple["pd.DataFrame", tuple[Quarantined, ...]]:
    """Return the trusted bars of one symbol out of one or several files, and what was set aside.

    Several files are cleaned each for itself, then once more together, oldest first: where they
    overlap, what they agree on is REPEATED and what they differ in is in CONFLICT.
    """
    import pandas as pd

    first, *rest = parts
    if not rest:
        return first.clean(asof)
    if {(part.frequency, part.interval) for part in rest} != {(first.frequency, first.interval)}:
        raise ForeignFile(f"{first.symbol} comes in bars of different lengths: keep one of them")
    frames: list[pd.DataFrame] = []
    quarantined: list[Quarantined] = []
    for part in parts:
        kept, bad = part.clean(None)
        frames.append(part.frame.loc[kept.index])
        quarantined += bad
    whole = pd.concat(frames, ignore_index=True).sort_values("time", kind="stable")
    collars = [part.collar for part in parts if part.collar is not None]
    together = first._replace(frame=whole.reset_index(drop=True), collar=max(collars, default=None))
    frame, bad = together.clean(asof)
    return frame, (*quarantined, *(entry.model_copy(update={"row": None}) for entry in bad))


def _one_axis(path: Path, parts: Sequence[Part]) -> tuple[Frequency, int]:
    """Return what the symbols' bars have in common: daily wherever some are, and one length within.

    Series may differ, they are joined as of.
    """
    if not parts:
        raise ForeignFile(f"{path}: only series in it (VIX and the like), no symbol with prices")
    lengths = {part.interval: part.symbol for part in parts if part.frequency == "intraday"}
    if len(lengths) > 1:
        shown = ", ".join(f"{symbol} {n // 60} min" for n, symbol in lengths.items())
        raise ForeignFile(
            f"{path}: bars of different lengths within sessions ({shown}); one folder, one length"
        )
    daily = any(part.frequency == "daily" for part in parts)
    return "daily" if daily else "intraday", next(iter(lengths), 0)


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
