"""A history that another process reads, so that this one never holds what reading it takes.

Whoever decides needs the numbers and not what parsed them: pandas, and the Arrow that it brings
along, are 90 MB of a process that never uses them again: half of what its models and all else take.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, Any

import numpy as np

from domain.settings import Settings
from market import calendar
from market.feeds import catalog
from market.feeds.base import Feed, History
from market.panel import Panel
from market.quality import Quarantined

log = logging.getLogger("omega.feeds")

PATIENCE = 600.0
"""Seconds that reading may take; a folder of half a gigabyte is read in less than one minute."""
COLUMNS = ("times", "open", "high", "low", "close", "volume")


def create(settings: Settings) -> Feed:
    """Return the feed that the settings choose; once asked, its history comes from a process.

    Raises
    ------
    SettingsError
        As `market.feeds.catalog.create`.
    """
    feed = catalog.create(settings)
    feed.elsewhere = lambda: fetched(settings, feed)
    return feed


def fetched(settings: Settings, feed: Feed) -> History:
    """Return what another process has read; where that fails, read it here, and fail as here.

    The numbers are the same to the last bit, for they are written as they lie in memory.
    """
    asked = settings.model_dump_json(include={"feed", "data", "home"})
    with _told("history", asked) as told:
        return feed.load() if told is None else unpacked(told)


def give_hours() -> None:
    """Have another process work out when the exchange is open: that, too, takes pandas.

    What is forked afterwards has it, and shares it.
    """
    with _told("hours", "") as told:
        if told is not None:
            with np.load(told, allow_pickle=False) as arrays:
                calendar.give(calendar.Hours(*(arrays[name] for name in calendar.Hours._fields)))


@contextmanager
def _told(what: str, asked: str) -> Iterator[IO[bytes] | None]:
    """Yield the file that another process has answered in; None, with a warning, if it has not."""
    with tempfile.TemporaryFile() as told:
        command = [sys.executable, "-m", "market.feeds.apart", what]
        try:
            subprocess.run(
                command,
                input=asked.encode(),
                stdout=told,
                stderr=subprocess.PIPE,
                timeout=PATIENCE,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            words = (getattr(error, "stderr", None) or b"").decode(errors="replace").split("\n")
            why = next((line for line in reversed(words) if line.strip()), str(error))
            log.warning("no process of its own read the %s, this one does: %s", what, why)
            yield None
            return
        told.seek(0)
        yield told


def packed(history: History, to: IO[bytes]) -> None:
    """Write a history: its arrays, and the rest as JSON beside them; never a pickle."""
    panels = {"panel": history.panel, "within": history.within}
    there = {name: panel for name, panel in panels.items() if panel is not None}
    rest = {
        "symbols": {name: panel.symbols for name, panel in there.items()},
        "series": {name: list(panel.series) for name, panel in there.items()},
        "quarantined": [entry.model_dump(mode="json") for entry in history.quarantined],
        "frequency": history.frequency,
        "seconds": history.interval.total_seconds(),
        "origins": dict(history.origins),
    }
    arrays = {key: values for name, panel in there.items() for key, values in _arrays(name, panel)}
    np.savez(to, rest=np.frombuffer(json.dumps(rest).encode(), np.uint8), **arrays)


def _arrays(name: str, panel: Panel) -> Iterator[tuple[str, Any]]:
    for column in COLUMNS:
        yield f"{name}.{column}", getattr(panel, column)
    for series, values in panel.series.items():
        yield f"{name}.series.{series}", values


def unpacked(source: IO[bytes]) -> History:
    """Return the history that `packed` has written."""
    with np.load(source, allow_pickle=False) as arrays:
        rest = json.loads(arrays["rest"].tobytes())
        panels = {
            name: Panel(
                symbols=tuple(symbols),
                series={s: arrays[f"{name}.series.{s}"] for s in rest["series"][name]},
                **{column: arrays[f"{name}.{column}"] for column in COLUMNS},
            )
            for name, symbols in rest["symbols"].items()
        }
    return History(
        panel=panels["panel"],
        quarantined=tuple(Quarantined.model_validate(entry) for entry in rest["quarantined"]),
        frequency=rest["frequency"],
        interval=timedelta(seconds=rest["seconds"]),
        within=panels.get("within"),
        origins=rest["origins"],
    )


def main(what: str) -> None:
    """Write the hours, or the history of the feed that standard input names, to standard output."""
    if what == "hours":
        np.savez(sys.stdout.buffer, **calendar.hours()._asdict())
        return
    settings = Settings.model_validate_json(sys.stdin.read())
    packed(catalog.create(settings).load(), sys.stdout.buffer)


if __name__ == "__main__":
    main(sys.argv[1])
