"""Every feed there is.

To add a feed, write ``market/feeds/<name>.py`` and add a line here, and one in `create` when it
needs settings. The line alone gives it a place in ``omega data list`` and the contract tests.
"""

from importlib import import_module

from pydantic import AwareDatetime, Field

from domain.errors import ForeignFile, IntegrityError, SettingsError
from domain.settings import Settings
from domain.values import Value
from market.feeds import intake
from market.feeds.base import Feed
from market.quality import Frequency, utc

CATALOG: dict[str, str] = {
    "packaged": "market.feeds.packaged:Packaged",
    "playback": "market.feeds.playback:Playback",
    "files": "market.feeds.files:Files",
}


class Source(Value):
    """One feed of the catalog as these settings see it."""

    name: str
    title: str
    chosen: bool
    problem: str | None = None
    """Why it cannot be used, and what to do; None when it can."""
    frequency: Frequency | None = None
    symbols: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    origins: dict[str, str] = Field(default_factory=dict)
    """Who made a series, where it is a vendor or was measured from chains."""
    bars: int | None = None
    first: AwareDatetime | None = None
    last: AwareDatetime | None = None
    quarantined: int | None = None
    data_hash: str | None = None
    real: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()


def feed_class(name: str) -> type[Feed]:
    """Return the class behind a name of the catalog. Imports it only now."""
    if name not in CATALOG:
        raise SettingsError(f"feed: no feed {name!r}; there are {', '.join(CATALOG)}")
    module, _, attribute = CATALOG[name].partition(":")
    found: type[Feed] = getattr(import_module(module), attribute)
    return found


def create(settings: Settings) -> Feed:
    """Return the feed that the settings choose, not loaded yet.

    ``files`` reads `Settings.data`, or what was imported into the home when that is empty.

    Raises
    ------
    SettingsError
        The catalog has no such feed, or ``files`` has no files.
    """
    return _create(settings.feed, settings)


def _create(name: str, settings: Settings) -> Feed:
    kind = feed_class(name)
    if name != "files":
        return kind()
    from market.feeds.files import Files

    path = settings.data or intake.folder_of(settings)
    if not path.exists():
        raise SettingsError(
            f"data: {path} does not exist; set OMEGA_DATA to a file or folder of bars, or import "
            "one with `omega data import PATH`"
        )
    return Files(path)


def describe(settings: Settings) -> tuple[Source, ...]:
    """Return every feed of the catalog, with what it holds or why it cannot be used."""
    return tuple(_describe(name, settings) for name in CATALOG)


def _describe(name: str, settings: Settings) -> Source:
    plain = Source(name=name, title=feed_class(name).title, chosen=name == settings.feed)
    try:
        feed = _create(name, settings)
        panel = feed.panel()
    except (ForeignFile, IntegrityError, SettingsError) as error:
        return plain.model_copy(update={"problem": str(error)})
    from market.feeds.files import Files

    return Source(
        **plain.model_dump(include={"name", "title", "chosen"}),
        frequency=feed.frequency,
        symbols=feed.symbols,
        series=tuple(sorted(panel.series)),
        origins=feed.origins if isinstance(feed, Files) else {},
        bars=len(panel),
        first=utc(panel.times[0]),
        last=utc(panel.times[-1]),
        quarantined=len(feed.quarantined()),
        data_hash=feed.data_hash(),
        real=feed.real,
        simulated=feed.simulated,
    )
