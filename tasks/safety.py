"""PROVERBS on the timetable."""

from celery import shared_task

from orchestrator import books
from orchestrator import drill as drills
from orchestrator.desk import desk
from tasks.daily import DAILY


@shared_task(name="safety.sweep", ignore_result=True, on_data=True)
def sweep() -> int:
    """Throw the automatic switches that the books call for; return how many."""
    return books.sweep(desk())


@shared_task(name="safety.sla", ignore_result=True, live=True)
def sla() -> bool:
    """Judge whether decisions come in time; return whether the desk is in degraded mode."""
    return books.punctual(desk()).degraded


@shared_task(name="safety.drill", ignore_result=True, live=True, **DAILY)
def drill() -> bool:
    """Try the kill switch on a bot that never trades; return whether it works."""
    return drills.kill_switch(desk()).passed


@shared_task(name="safety.roll", ignore_result=True, **DAILY)
def roll() -> None:
    """Open the session's books and sample the capital of the day."""
    books.roll(desk())
