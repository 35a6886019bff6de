"""Keeping the record whole."""

from celery import Task, shared_task

from orchestrator import canvas
from orchestrator.desk import desk
from storage import audit
from storage import backup as backups


@shared_task(name="upkeep.reap", bind=True, ignore_result=True, on_data=True)
def reap(self: Task) -> int:
    """Publish again what is pending and in time; seal the rest as HOLD, EXPIRED."""
    again = desk().reap()
    canvas.publish(again, in_one=self.app.conf.omega_fused)
    return len(again)


@shared_task(name="upkeep.checkpoint", ignore_result=True)
def checkpoint() -> None:
    """Sign the head of every audit chain, in a file apart: a chain alone misses a cut tail."""
    audit.checkpoint(desk().store, desk().clock.now())


@shared_task(name="upkeep.backup", ignore_result=True, live=True)
def backup() -> None:
    """Keep a whole copy of a SQLite database beside it. A replay keeps one at its end."""
    backups.backup(desk().store)
