"""What a feed is: a whole, clean history on one time axis, and what was set aside on the way."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.errors import DataError
from domain.market import Bar
from market import calendar
from market.feeds import sessions
from market.feeds.sessions import Rows
from market.panel import Panel, Unit
from market.quality import Defect, Frequency, Quarantined

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

WHOLE = (Defect.GAP, Defect.DISAGREES)
"""What is wrong with a session as a whole, and with no bar of it."""
SILENT = (Defect.OFF_SESSION, Defect.STALE, *WHOLE)
"""What does not say that a bar is missing."""


class History(NamedTuple):
    """What a feed has loaded."""

    panel: Panel
    quarantined: tuple[Quarantined, ...] = ()
    frequency: Frequency = "daily"
    interval: timedelta = timedelta(days=1)
    """Length of an intraday bar."""
    within: Panel | None = None
    """Bars within sessions, of `interval`, beside a daily panel; its series are those that are
    printed within sessions too. None where there are none."""
    origins: Mapping[str, str] = {}
    """Whose figures a series holds, where somebody else's."""


class Feed(ABC):
    """A source of market data.

    A feed loads once, when it is first asked, and never changes afterwards. Everything it holds is
    history; whoever takes a decision cuts it with `market.window`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for ``omega data list``."""
    elsewhere: Callable[[], History] | None = None
    """Where the history comes from if this process is not to read it: see `market.feeds.apart`."""

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
        return self.load() if self.elsewhere is None else self.elsewhere()

    def panel(self) -> Panel:
        """Return the whole clean history. `Panel.times` are closes, UTC.

        Daily wherever there are daily bars: features, labels and horizons count its bars.
        """
        return self._history.panel

    def within(self) -> Panel | None:
        """Return the bars within sessions that stand beside the daily ones; None without them."""
        return self._history.within

    def by(self, unit: Unit) -> Panel:
        """Return the panel that counts such bars.

        Of bars within sessions it is that of `sessions.joined`; the daily one, which lacks MINUTE
        and so whatever is made of it, where the index has no such bars.
        """
        return self.panel() if unit == "session" else self._joined

    @cached_property
    def _joined(self) -> Panel:
        panel, within = self.panel(), self.within()
        if within is None or panel.symbols[0] not in within.symbols:
            return panel
        return sessions.joined(panel, within)

    @property
    def interval(self) -> timedelta:
        """Return how long an intraday bar lasts; a day where there are none."""
        return self._history.interval

    def scans(self, symbol: str) -> bool:
        """Return whether a symbol has bars within sessions beside its daily ones."""
        within = self.within()
        return within is not None and symbol in within.symbols

    def newest(self, asof: datetime) -> datetime:
        """Return the close of the newest bar of any symbol by `asof`, within a session or daily.

        Raises `DataError` before the first.
        """
        place = int(np.searchsorted(self._moments, _second(asof), side="right"))
        if not place:
            raise DataError(f"no bar had closed by {asof}; the history starts later")
        return datetime.fromtimestamp(int(self._moments[place - 1]), UTC)

    def moments(self, after: datetime, until: datetime) -> list[datetime]:
        """Return when bars of any symbol closed, later than `after` and by `until`, rising."""
        ends = [_second(after), _second(until)]
        start, stop = np.searchsorted(self._moments, ends, side="right").tolist()
        return [datetime.fromtimestamp(s, UTC) for s in self._moments[start:stop].tolist()]

    @cached_property
    def _moments(self) -> NDArray[np.int64]:
        own, within = sessions.seconds(self.panel().times), self.within()
        return own if within is None else np.union1d(own, sessions.seconds(within.times))

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
        """Return the first 12 hex digits of the SHA-256 of every number in the panels."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        content, within = sha256(), self.within()
        _digest(content, self.frequency, self.panel())
        if within is not None:
            _digest(content, f"{self.interval.total_seconds():g}", within)
        return content.hexdigest()[:12]

    @cached_property
    def _rows(self) -> dict[str, Rows]:
        """Per symbol: when it has a close, and in which row of which panel."""
        return {s: sessions.rows(s, self.panel(), self.within()) for s in self.symbols}

    def _column(self, symbol: str) -> int:
        try:
            return self.panel().column(symbol)
        except KeyError:
            raise DataError(
                f"the feed {self.name!r} has no {symbol!r}; it has {', '.join(self.symbols)}"
            ) from None

    def bar(self, symbol: str, asof: datetime) -> Bar | None:
        """Return the newest bar of a symbol that had closed by `asof`; None before its first.

        While a session is on it is the last bar within it, where the symbol has such bars.
        Raises `DataError` for a symbol that the feed does not have.
        """
        self._column(symbol)
        rows = self._rows[symbol]
        known = int(np.searchsorted(rows.seconds, _second(asof), side="right"))
        if not known:
            return None
        return sessions.bar(symbol, self.panel(), self.within(), rows, known - 1)

    def entry(self, symbol: str, placed: datetime, now: datetime) -> tuple[datetime, float] | None:
        """Return when and where an order for a symbol that scans meets the market, by `now`.

        At the open of the first bar within a session that begins when it was placed or later. None
        while there is none, and for a symbol that has only daily bars.
        """
        within = self.within()
        if within is None or not self.scans(symbol):
            return None
        return sessions.entry(symbol, within, self.interval, _aware(placed), _aware(now))

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
        first = self.entry(symbol, session_open, session_open)
        if first is not None and first[0] == session_open:
            return first[1]
        close = calendar.closes(session)
        if self.frequency == "intraday":
            close = min(close, session_open + self._history.interval)
        stamp = np.datetime64(int(close.timestamp()), "s")
        row = int(np.searchsorted(panel.times, stamp))
        if row == len(panel) or panel.times[row] != stamp:
            return None
        return sessions.number(panel.open[row, column])

    def issues(self, symbol: str, asof: datetime) -> tuple[str, ...]:
        """Return what is wrong with this symbol's bars since its newest good one, as codes.

        Only bars that should have closed by `asof` speak, so a replay knows what the day knew. Bars
        of hours in which the exchange is closed are no news. What is wrong with a whole session, a
        gap before it or two closes that disagree, speaks until the next one has ended. A symbol
        that scans is STALE without the daily bar of the last session: what its features are then
        made of is older than they say.
        """
        newest, ended = self.bar(symbol, asof), calendar.due(_aware(asof))
        moments, defects = self._bad.get(symbol, ([], []))
        start = bisect_right(moments, newest.at) if newest else 0
        found = set(defects[start : bisect_right(moments, asof)])
        found |= {defect for at, defect in self._odd.get(symbol, ()) if at == ended}
        if self.scans(symbol) and ended is not None and not self._daily(symbol, ended):
            found.add(Defect.STALE.value)
        return tuple(sorted(found))

    def _daily(self, symbol: str, close: datetime) -> bool:
        """Return whether a symbol has the daily bar of a session's close."""
        rows, second = self._rows[symbol], _second(close)
        place = int(np.searchsorted(rows.seconds, second))
        return (
            place < len(rows.seconds)
            and int(rows.seconds[place]) == second
            and int(rows.daily[place]) != sessions.NONE
        )

    @cached_property
    def _odd(self) -> dict[str, list[tuple[datetime, str]]]:
        """Per symbol: closes of sessions with which something is wrong as a whole, and what."""
        found: dict[str, list[tuple[datetime, str]]] = {}
        for entry in self.quarantined():
            if entry.at is not None and entry.defect in WHOLE:
                found.setdefault(entry.symbol, []).append((entry.at, entry.defect.value))
        return found

    @cached_property
    def _bad(self) -> dict[str, tuple[list[datetime], list[str]]]:
        """Per symbol: when its quarantined bars closed, rising, and what is wrong with each."""
        found: dict[str, list[tuple[datetime, str]]] = {}
        for entry in self.quarantined():
            if entry.at is not None and entry.defect not in SILENT:
                found.setdefault(entry.symbol, []).append((entry.at, entry.defect.value))
        split = {symbol: list(zip(*sorted(bars), strict=True)) for symbol, bars in found.items()}
        return {symbol: (list(at), list(defects)) for symbol, (at, defects) in split.items()}


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment


def _second(moment: datetime) -> int:
    return int(_aware(moment).timestamp() // 1)


def _digest(content: "Hash", kind: str, panel: Panel) -> None:
    content.update("\n".join((kind, *panel.symbols, *sorted(panel.series))).encode())
    content.update(panel.times.astype("datetime64[s]").astype("<i8").tobytes())
    for values in (panel.open, panel.high, panel.low, panel.close, panel.volume):
        content.update(np.ascontiguousarray(values, "<f8").tobytes())
    for name in sorted(panel.series):
        content.update(np.ascontiguousarray(panel.series[name], "<f8").tobytes())
