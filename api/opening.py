"""What a verb starts from: the settings, the record, the desk, the time and who is asking."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from domain.settings import Settings
    from market.feeds.base import Feed
    from orchestrator.desk import Desk
    from storage.engine import Store


class Chosen(NamedTuple):
    """What was said before the verb."""

    home: Path | None = None


def settings(ctx: typer.Context) -> "Settings":
    """Return the settings in force, with the home that was given on the command line.

    Raises
    ------
    SettingsError
        A key is wrong; the message names the right one.
    """
    from domain.settings import load

    found, chosen = load(), ctx.find_object(Chosen) or Chosen()
    if chosen.home is not None:
        found = found.model_copy(update={"home": chosen.home})
    return _joined(found)


def _joined(found: "Settings") -> "Settings":
    """Take broker and feed from the fleet that is up in this home, where they are not set."""
    from workers import supervise

    told = supervise.found(found.home)
    if told is None:
        return found
    known = {name: value for name, value in told.items() if name in type(found).model_fields}
    unset = {name: value for name, value in known.items() if name not in found.model_fields_set}
    return found.model_copy(update=unset)


@contextmanager
def store(ctx: typer.Context) -> Iterator["Store"]:
    """Open the record."""
    from storage.engine import open_store

    opened = open_store(settings(ctx))
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def desk(chosen: "Settings") -> Iterator["Desk"]:
    """Open the desk and make it this process's own.

    Packaged history ends years ago. Asked about now, everything in it would be stale, so there
    the clock stands at the newest close, and what is decided is marked as playback. Where a fleet
    plays history back, the time is the fleet's.
    """
    from domain.clock import VirtualClock
    from domain.values import Env
    from orchestrator.sight import moment
    from workers.lifecycle import bound, open_desk

    with bound(open_desk(chosen)) as opened:
        if opened.feed.name == "packaged" and opened.env is Env.PLAYBACK:
            opened.clock = VirtualClock(moment(opened.feed.panel(), -1))
        yield opened


def playing(opened: "Desk") -> str:
    """Return the sentence that says what time it is for a desk on packaged history, or nothing."""
    from domain.values import Env
    from orchestrator.playback import Playing

    if opened.env is not Env.PLAYBACK:
        return ""
    now = f"{opened.clock.now():%Y-%m-%d %H:%MZ}"
    if isinstance(opened.clock, Playing):
        ended = ", its end" if opened.clock.clock().ended else ""
        return f"playback: history as if it happened now, which is {now}{ended}"
    return f"playback: packaged history, the clock stands at its newest close, {now}"


def feed(chosen: "Settings") -> "Feed":
    """Return the feed that the settings choose."""
    from market.feeds import catalog

    return catalog.create(chosen)


def now() -> datetime:
    """Return the time of day, by which people act whatever the desk's clock says."""
    from domain.clock import WallClock

    return WallClock().now()


def login() -> str:
    """Return who is at the keyboard; the number of the user where the system knows no name."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
