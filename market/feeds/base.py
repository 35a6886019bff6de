"""What a feed is: a whole, clean history on one time axis, and what was set aside on the way."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from math import isfinite
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.errors import DataError
from domain.market import Bar
from market import calendar
from market.panel import Panel
from market.quality import Defect, Frequency, Quarantined


class History(NamedTuple):
    """What a feed has loaded."""

    panel: Panel
    quarantined: tuple[Quarantined, ...] = ()
    frequency: Frequency = "daily"
    interval: timedelta = timedelta(days=1)
    """Length of an intraday bar."""


class Feed(ABC):
    """A source of market data.

    A feed loads once, when it is first asked, and never changes afterwards. Everything it holds is
    history; whoever takes a decision cuts it with `market.window`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for ``omega data list``."""

    @abstractmethod
    def load(self) -> History:
        """Read, clean and join the whole history.

        Raises
        ------
        ForeignFile
            What was found is not what was expected; the message says what was.
        """

    @property
    @abstractmethod
    def real(self) -> tuple[str, ...]:
        """Sentences for the report: what in this feed was traded, quoted or printed."""

    @property
    @abstractmethod
    def simulated(self) -> tuple[str, ...]:
        """Sentences for the report: what must be simulated because this feed has no data for it."""

    @cached_property
    def _history(self) -> History:
        return self.load()

    def panel(self) -> Panel:
        """Return the whole clean history. `Panel.times` are closes, UTC."""
        return self._history.panel

    def quarantined(self) -> tuple[Quarantined, ...]:
        """Return what was set aside, with its reasons."""
        return self._history.quarantined

    @property
    def frequency(self) -> Frequency:
        """Return ``daily`` or ``intraday``."""
        return self._history.frequency

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return what has prices here; the panel's columns."""
        return self.panel().symbols

    def data_hash(self) -> str:
        """Return the first 12 hex digits of the SHA-256 of every number in the panel."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        panel = self.panel()
        content = sha256(
            "\n".join((self.frequency, *panel.symbols, *sorted(panel.series))).encode()
        )
        content.update(panel.times.astype("datetime64[s]").astype("<i8").tobytes())
        for values in (panel.open, panel.high, panel.low, panel.close, panel.volume):
            content.update(np.ascontiguousarray(values, "<f8").tobytes())
        for name in sorted(panel.series):
            content.update(np.ascontiguousarray(panel.series[name], "<f8").tobytes())
        return content.hexdigest()[:12]

    @cached_property
    def _rows(self) -> dict[str, tuple[NDArray[np.intp], NDArray[np.int64]]]:
        """Per symbol: the rows that have a close, and their times in seconds since 1970."""
        panel = self.panel()
        seconds = panel.times.astype("datetime64[s]").astype(np.int64)
        known = [np.flatnonzero(np.isfinite(column)) for column in panel.close.T]
        pairs = [(rows, seconds[rows]) for rows in known]
        return dict(zip(panel.symbols, pairs, strict=True))

    def _column(self, symbol: str) -> int:
        try:
            return self.panel().column(symbol)
        except KeyError:
            raise DataError(
                f"the feed {self.name!r} has no {symbol!r}; it has {', '.join(self.symbols)}"
            ) from None

    def bar(self, symbol: str, asof: datetime) -> Bar | None:
        """Return the newest bar of a symbol that had closed by `asof`; None before its first.

        Raises `DataError` for a symbol that the feed does not have.
        """
        panel, column = self.panel(), self._column(symbol)
        rows, seconds = self._rows[symbol]
        known = int(np.searchsorted(seconds, int(_aware(asof).timestamp() // 1), side="right"))
        if not known:
            return None
        row = int(rows[known - 1])
        return Bar(
            symbol=symbol,
            at=datetime.fromtimestamp(int(seconds[known - 1]), UTC),
            open=_known(panel.open[row, column]),
            high=_known(panel.high[row, column]),
            low=_known(panel.low[row, column]),
            close=float(panel.close[row, column]),
        )

    def opening(self, symbol: str, session_open: datetime) -> float | None:
        """Return where a symbol opened in the session that starts at `session_open`.

        The one number of a bar that is known before the bar has closed. None where the feed has
        only closes, or no first bar of that session.

        Raises
        ------
        DataError
            No session starts then, or the feed does not have the symbol.
        """
        panel, column = self.panel(), self._column(symbol)
        session = calendar.session_of(session_open)
        if session is None or calendar.opens(session) != session_open:
            raise DataError(f"no session of {calendar.EXCHANGE} opens at {session_open}")
        close = calendar.closes(session)
        if self.frequency == "intraday":
            close = min(close, session_open + self._history.interval)
        stamp = np.datetime64(int(close.timestamp()), "s")
        row = int(np.searchsorted(panel.times, stamp))
        if row == len(panel) or panel.times[row] != stamp:
            return None
        return _known(panel.open[row, column])

    def issues(self, symbol: str, asof: datetime) -> tuple[str, ...]:
        """Return what is wrong with this symbol's bars since its newest good one, as codes.

        Only bars that should have closed by `asof` speak, so a replay knows what the day knew. Bars
        of hours in which the exchange is closed are no news.
        """
        newest = self.bar(symbol, asof)
        moments, defects = self._bad.get(symbol, ([], []))
        start = bisect_right(moments, newest.at) if newest else 0
        return tuple(sorted(set(defects[start : bisect_right(moments, _aware(asof))])))

    @cached_property
    def _bad(self) -> dict[str, tuple[list[datetime], list[str]]]:
        """Per symbol: when its quarantined bars closed, rising, and what is wrong with each."""
        found: dict[str, list[tuple[datetime, str]]] = {}
        for entry in self.quarantined():
            if entry.at is not None and entry.defect not in (Defect.OFF_SESSION, Defect.STALE):
                found.setdefault(entry.symbol, []).append((entry.at, entry.defect.value))
        split = {symbol: list(zip(*sorted(bars), strict=True)) for symbol, bars in found.items()}
        return {symbol: (list(at), list(defects)) for symbol, (at, defects) in split.items()}


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment


def _known(value: np.float64) -> float | None:
    return float(value) if isfinite(value) else None
