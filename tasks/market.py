"""Seeing the market: which decisions are due."""

from celery import Task, shared_task

from orchestrator import canvas
from orchestrator.desk import desk
from tasks.sending import published


@shared_task(name="market.scan", bind=True, ignore_result=True, on_data=True)
def scan(self: Task, bots: list[str] | None = None) -> int:
    """Write a pending row for every bot and symbol with a new bar, then publish them.

    Returns how many were due. The rows come first: what the broker loses, the reaper finds.
    """
    due = desk().scan(bots)
    published(lambda: canvas.publish(due, in_one=self.app.conf.omega_fused))
    return len(due)
