"""Redis as a transport that survives a crash of the server.

kombu 5.7 asks a channel for its server's address after the connection was lost, finds None and
raises `AttributeError`, on which a worker with late acknowledgements ends (5 of 6 kills). Raised as
what it is, a lost connection, the worker connects again (8 of 8). To be removed when kombu raises
it itself.
"""

from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as Lost


class Channel(kombu_redis.Channel):
    """A channel that says so when its connection is gone."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or getattr(self.connection, "client", None) is None:
            raise Lost("the channel belongs to a connection that was lost")
        found: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return found


class Transport(kombu_redis.Transport):
    """Redis with such channels."""

    Channel = Channel
