"""Signs of life: each worker says that its queue is served, by which code, and on what clock.

A pulse is a message like any other. It waits in the queue behind what was sent before it, so one
that has come through says that everything sent earlier was taken by somebody.
"""

from datetime import datetime, timedelta

from pydantic import AwareDatetime

from domain.values import Value
from storage import state
from storage.engine import Store

KEY = "pulse/"
"""Prefix of the keys that pulses are kept under, by queue and worker."""
ALIVE = timedelta(seconds=60)
"""How long a worker that has given no sign still counts as serving."""


class Pulse(Value):
    """One sign of life, in real time. Of each worker the newest is kept."""

    queue: str
    host: str
    """The worker's name."""
    pid: int
    build: str
    at: AwareDatetime
    """When it came through."""
    wait: float | None
    """Seconds that the message was on its way; None where it did not say when it was sent."""
    skew: float = 0.0
    """Seconds by which the worker's clock is ahead of the database's."""

    @property
    def sent(self) -> datetime | None:
        """When the message was sent; None where it did not say."""
        return None if self.wait is None else self.at - timedelta(seconds=self.wait)


def keep(store: Store, pulse: Pulse) -> None:
    """Remember a pulse as the newest of its worker."""
    state.put(store, f"{KEY}{pulse.queue}/{pulse.host}", pulse.model_dump(mode="json"))


def pulses(store: Store, queue: str | None = None) -> list[Pulse]:
    """Return the newest pulse of every worker there ever was, of one queue or of all."""
    prefix = KEY if queue is None else f"{KEY}{queue}/"
    return [Pulse.model_validate(kept.body) for kept in state.listing(store, prefix).values()]


def newest(store: Store, queue: str) -> Pulse | None:
    """Return the newest pulse of a queue, of whichever worker; None before the first."""
    return max(pulses(store, queue), key=lambda pulse: pulse.at, default=None)


def alive(store: Store, at: datetime) -> list[Pulse]:
    """Return the pulses of those workers that have given one lately."""
    return [pulse for pulse in pulses(store) if pulse.at > at - ALIVE]
