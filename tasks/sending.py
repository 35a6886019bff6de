"""Publishing what the record has accepted."""

import logging
from collections.abc import Callable

from kombu.exceptions import OperationalError

log = logging.getLogger("omega.tasks")


def published(send: Callable[[], object]) -> bool:
    """Send what is in the record already, and return whether the broker took it.

    A broker that is away is no failure of the task: the reaper publishes it when one is back.
    """
    try:
        send()
    except OperationalError as error:
        log.warning("not published, the reaper will: %s", error)
        return False
    return True
