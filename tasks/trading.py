"""Orders into fills, positions into trades."""

from celery import shared_task

from orchestrator import books
from orchestrator.desk import desk


@shared_task(name="trading.execute", ignore_result=True, on_data=True)
def execute() -> int:
    """Fill the open orders for which a price has come; return how many were filled."""
    return books.execute(desk())


@shared_task(name="trading.mark", ignore_result=True, on_data=True)
def mark() -> int:
    """Mark every position to the newest bar and take the exits that are due; return how many.

    Exits reduce, so no switch and no limit is asked.
    """
    return books.mark(desk())
