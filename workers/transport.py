"""Redis and RabbitMQ as transports that survive what their servers do.

kombu 5.7 asks a channel for its server's address after the connection was lost, finds None and
raises `AttributeError`, on which a worker with late acknowledgements ends (5 of 6 kills). Raised as
what it is, a lost connection, the worker connects again (8 of 8). To be removed when kombu raises
it itself.

RabbitMQ refuses a name, a password or a virtual host with an error that kombu counts among those of
a channel and hands on as it is. Raised as a lost connection, as Redis's is, everybody who asks is
told in one line, and a worker tries again: a node that comes up refuses so too, for a moment.
"""

from typing import Any

from amqp.exceptions import AccessRefused, NotAllowed, RecoverableConnectionError
from kombu.transport import pyamqp
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


class Rabbit(pyamqp.Transport):
    """RabbitMQ, by whom to be refused is to have no connection."""

    def establish_connection(self) -> pyamqp.Connection:
        try:
            return super().establish_connection()  # type: ignore[no-untyped-call]
        except (AccessRefused, NotAllowed) as error:
            raise RecoverableConnectionError(error.reply_text) from error
