"""What runs once a day and has to happen."""

from typing import Any

from domain.errors import Transient

DAILY: dict[str, Any] = {
    "autoretry_for": (Transient,),
    "max_retries": 5,
    "retry_backoff": 5,
    "retry_backoff_max": 80,
    "retry_jitter": False,
}
"""Tried again after 5, 10, 20, 40 and 80 seconds: a day without its roll, its checkpoint or its
backup would go by before the timetable asks once more. Together they are less than the four minutes
in which a roll has to come. What falls due again within minutes is not tried again: the next one
does what this one left. There is no jitter, for there is nobody else to keep out of step with."""
