"""The packaged history, served as if it happened now."""

from market.feeds.packaged import Packaged


class Playback(Packaged):
    """The same bars as `packaged`; the desk's clock is `market.playback`'s."""

    name = "playback"
    title = "the packaged history as if it happened now, a session every few seconds"

    @property
    def simulated(self) -> tuple[str, ...]:
        return (
            "Time: sessions of 2014-2018 are played back, one every few seconds.",
            *super().simulated,
        )
