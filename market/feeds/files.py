"""Bars out of your own files: CSV, CSV.gz or Parquet, one file or a folder of them.

A folder may hold daily bars and bars within sessions, of the same symbols or of others: what is
learned counts sessions, what is traded sees the bars within them. A symbol beside daily ones that
has only bars within sessions gets the daily bars that these add up to.

What vendors write (`market.feeds.rows.LAYOUTS`) and what is measured from option chains is made
after a session's close, and every bar sees the session before its own.
A level in a file of your own counts as known at the close of its date.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domain.errors import ForeignFile
from market.chain import Chain
from market.feeds import chains, join, manifest, sessions
from market.feeds.base import Feed, History
from market.feeds.rows import SERIES, SUFFIXES, Part, read
from market.quality import Defect, Frequency, Quarantined

if TYPE_CHECKING:
    import pandas as pd

OWN = "a file of your own"
KINDS: tuple[Frequency, Frequency] = ("daily", "intraday")


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
