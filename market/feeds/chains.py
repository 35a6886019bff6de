"""Option chains among imported files: what each says of the market, and from when it may be seen.

A chain is seen from the session after its own, whether it is of the close or of noon: its open
interest is the morning's, its quotes come late, and one rule leaves nothing to guess. What it says
is measured once, when it is imported, and kept in ``chains.json`` beside the manifest under the
hash of its file; what is missing there, or is not what was written, is measured anew.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import AwareDatetime, ValidationError

from domain.errors import DataError, ForeignFile
from domain.values import Value
from market import calendar, gex, smile
from market import chain as quotes
from market.chain import Chain
from market.feeds import manifest
from market.feeds.manifest import Entry, Manifest

if TYPE_CHECKING:
    import pandas as pd

DERIVED = "chains.json"
METHOD = 1
"""Raised whenever what is measured from a chain changes; what was kept is then measured anew."""
LEVELS = (
    "CHAIN_NET",
    "CHAIN_CALLS",
    "CHAIN_PUTS",
    "GEX_FLIP",
    "GEX_CALL_WALL",
    "GEX_PUT_WALL",
    "GEX_MAGNET_1",
    "GEX_MAGNET_2",
    "CHAIN_PUT_CALL_OI",
    "CHAIN_IV",
    "CHAIN_SKEW",
)
"""Series that a chain gives. Its net gamma is no vendor's, so it is not called ``GEX_NET``."""
MEASURED = "option chains"
"""What such a series says it was made from."""
OLDEST = 5
"""Sessions for which a chain may be looked at, unless said otherwise: a week."""
AGREED = 0.005
"""Share of the level by which a chain's spot may differ from the bars. 21 chains of SPX agree with
the daily close to the cent, 18 with the last five-minute bar of the day to 0.0022."""
KEPT = 4
"""Chains kept in memory; a day of SPX takes 2 MB and 0.2 s."""


class Day(Value):
    """One chain of a file, and what was measured from it."""

    symbol: str
    asof: AwareDatetime
    """When its quotes were alive."""
    spot: float
    contracts: int
    levels: dict[str, float]
    """By the names in `LEVELS`; what it does not say is left out."""


class Derived(Value):
    """What was measured from every imported file of chains."""

    method: int = METHOD
    files: dict[str, tuple[Day, ...]]
    """By the SHA-256 of the file."""


def days(raw: bytes, name: str, symbol: str) -> tuple[Day, ...]:
    """Measure the chains in the bytes of a file, oldest first.

    Raises `ForeignFile` when it is no file of chains, or a broken one.
    """
    return tuple(_day(chain) for chain in quotes.parse(raw, name, symbol))


def _day(chain: Chain) -> Day:
    found = {name: x for name, x in _levels(chain).items() if x is not None and isfinite(x)}
    return Day(
        symbol=chain.symbol,
        asof=chain.asof,
        spot=chain.spot,
        contracts=len(chain),
        levels=found,
    )


def _levels(chain: Chain) -> dict[str, float | None]:
    month = smile.measure(chain)
    volatility = {"CHAIN_IV": month.atm, "CHAIN_SKEW": month.skew}
    try:
        held = gex.measure(chain)
    except DataError:  # no open interest in it: its quotes may still be good
        return volatility
    return volatility | {
        "CHAIN_NET": held.net,
        "CHAIN_CALLS": held.calls,
        "CHAIN_PUTS": held.puts,
        "GEX_FLIP": held.flip,
        "GEX_CALL_WALL": held.call_wall,
        "GEX_PUT_WALL": held.put_wall,
        "GEX_MAGNET_1": held.magnet_below,
        "GEX_MAGNET_2": held.magnet_above,
        "CHAIN_PUT_CALL_OI": held.put_call_oi,
    }


def load(folder: Path, imported: Manifest) -> dict[str, tuple[Day, ...]]:
    """Return what the imported chains say, by the hash of their file.

    Kept figures count only if the manifest vouches for them; else the chains are measured anew,
    0.4 s for a day of SPX. Nothing is written. Raises `IntegrityError` when a chain has changed.
    """
    kept = _kept(folder, imported)
    found: dict[str, tuple[Day, ...]] = {}
    for entry in held(imported.entries):
        known = kept.get(entry.sha256, ())
        if tuple(day.asof for day in known) != entry.chains:
            known = days(manifest.content(folder, entry), entry.name, entry.symbols[0])
        found[entry.sha256] = known
    return found


def _kept(folder: Path, imported: Manifest) -> Mapping[str, tuple[Day, ...]]:
    file = folder / DERIVED
    if imported.derived is None or not file.is_file():
        return {}
    raw = file.read_bytes()
    if sha256(raw).hexdigest() != imported.derived:
        return {}
    try:
        derived = Derived.model_validate_json(raw)
    except ValidationError:  # written by another version
        return {}
    return derived.files if derived.method == METHOD else {}


def write(folder: Path, files: Mapping[str, tuple[Day, ...]]) -> str:
    """Keep what was measured, whole or not at all, and return the SHA-256 of the file."""
    text = Derived(files=dict(files)).model_dump_json(indent=1) + "\n"
    draft = folder / f".{DERIVED}.part"
    draft.write_text(text)
    draft.replace(folder / DERIVED)
    return sha256(text.encode()).hexdigest()


def held(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that are files of chains."""
    return [entry for entry in entries if entry.kind == "chain"]


class Chains:
    """The imported chains of a folder, point in time.

    Parameters
    ----------
    files
        The file of each chain, by symbol and time.
    days
        What each says.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[tuple[str, datetime], Entry],
        days: Iterable[Day],
    ) -> None:
        self._folder, self._files = folder, files
        self.days = tuple(sorted(days, key=lambda day: (day.symbol, day.asof)))
        self._read = lru_cache(KEPT)(self._reading)

    @classmethod
    def of(cls, folder: Path, imported: Manifest, asof: datetime | None = None) -> "Chains":
        """Return all chains of a manifest, or those of no later than `asof`."""
        said = load(folder, imported)
        pairs = [
            (entry, day)
            for entry in held(imported.entries)
            for day in said[entry.sha256]
            if asof is None or day.asof <= asof
        ]
        files = {(day.symbol, day.asof): entry for entry, day in pairs}
        return cls(folder, files, [day for _, day in pairs])

    def without(self, doubtful: Iterable[Day]) -> "Chains":
        """Return the chains but for some of them."""
        out = {(day.symbol, day.asof) for day in doubtful}
        kept = [day for day in self.days if (day.symbol, day.asof) not in out]
        return Chains(self._folder, self._files, kept)

    def fingerprint(self) -> str:
        """Return the hashes of the files that these chains are in, one a line."""
        return "\n".join(sorted({self._files[day.symbol, day.asof].sha256 for day in self.days}))

    def levels(self, symbol: str) -> dict[str, dict[np.datetime64, float]]:
        """Return each series of a symbol, by session; of two chains in a session the later."""
        found: dict[str, dict[np.datetime64, float]] = {}
        newest = {
            np.datetime64(session(day), "D"): day for day in self.days if day.symbol == symbol
        }
        for own, day in newest.items():
            for name, level in day.levels.items():
                found.setdefault(name, {})[own] = level
        return found

    def chain(self, symbol: str, asof: datetime, sessions: int = OLDEST) -> Chain | None:
        """Return the newest chain that may be seen at `asof`, None if there is none.

        Raises `IntegrityError` when its file is not what was imported.
        """
        here = _number(asof)
        seen = [day for day in self.days if day.symbol == symbol and _number(day.asof) < here]
        if not seen or here - _number(seen[-1].asof) > sessions:
            return None
        return self._read(symbol, seen[-1].asof)

    def _reading(self, symbol: str, asof: datetime) -> Chain:
        entry = self._files[symbol, asof]
        raw = manifest.content(self._folder, entry)
        found = [one for one in quotes.parse(raw, entry.name, symbol) if one.asof == asof]
        if not found:
            raise ForeignFile(f"{entry.name} holds no chain of {asof}; import it again")
        return found[0]


def session(day: Day) -> date:
    """Return the session that a chain was quoted in. Raises `DataError` when it was in none."""
    found = calendar.session_of(day.asof)
    if found is None:
        raise DataError(f"the chain of {day.symbol} at {day.asof} is of no session")
    return found


def doubt(day: Day, frame: "pd.DataFrame") -> str:
    """Say why a chain cannot be of the session it says, or an empty text.

    One that was labelled with another day would be seen too early or too late; one whose spot was
    stale has gammas of another level; and bars that were adjusted do not fit its strikes. So its
    spot must agree with the bars of its symbol: with the close, where it is of the close, else with
    the range of the session, where that is known.
    """
    own = session(day)
    times = frame["time"].to_numpy().astype("datetime64[s]")
    opens, closes = (_stamp(at) for at in (calendar.opens(own), calendar.closes(own)))
    first, last = np.searchsorted(times, opens, "right"), np.searchsorted(times, closes, "right")
    bars = frame.iloc[first:last]
    if _stamp(day.asof) == closes:
        bars = bars[times[first:last] == closes]
        low, high = bars["close"], bars["close"]
    elif {"low", "high"} <= set(bars):
        low, high = bars["low"], bars["high"]
    else:
        return ""
    if bars.empty or not (low.notna().all() and high.notna().all()):
        return ""
    least, most = float(low.min()), float(high.max())
    if least * (1 - AGREED) <= day.spot <= most * (1 + AGREED):
        return ""
    seen = f"{least:,.2f}" if least == most else f"{least:,.2f} to {most:,.2f}"
    return (
        f"a chain with a spot of {day.spot:,.2f} where the bars say {seen}: of another day, stale, "
        "or the bars are adjusted"
    )


def _stamp(moment: datetime) -> np.datetime64:
    return np.datetime64(int(moment.timestamp() // 1), "s")


def _number(moment: datetime) -> int:
    """Return which session had opened last by a moment, counted from the calendar's first."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return int(np.searchsorted(calendar.hours().opens, _stamp(moment), side="right"))
