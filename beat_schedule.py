"""What runs when: the whole timetable on one page.

Times are the exchange's (America/Chicago). Everything that the desk does is a `crontab`: beat
forgets how far an interval had run whenever it restarts, a crontab does not. What goes by real
time, whatever time the desk has, is a `pulse`; history knows no such thing, so a replay leaves it
out. Everything expires before it would run again, so a backlog is skipped instead of replayed.
Where two entries fall on the same minute, the one that stands first here is sent first: fills
before marks, marks before guardrails, and a scan last of all.

The same table drives the live system, the page that shows it, and every replay of history.
"""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab
from celery.schedules import schedule as interval

from models.catalog import CATALOG

SECONDS, MINUTES, HOURS = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def entry(task: str, cron: str, queue: str, expires: timedelta, **kwargs: Any) -> dict[str, Any]:
    """Return one beat entry."""
    options = {"queue": queue, "expires": expires.total_seconds()}
    schedule = crontab.from_string(cron)
    return {"task": task, "schedule": schedule, "kwargs": kwargs, "options": options}


def pulse(task: str, period: timedelta, queue: str, **kwargs: Any) -> dict[str, Any]:
    """Return an entry that goes by real time."""
    options = {"queue": queue, "expires": period.total_seconds()}
    return {"task": task, "schedule": interval(period), "kwargs": kwargs, "options": options}


TOGETHER = "0 18 * * sun"
"""What is retrained then is one round. When the last of it has ended, all champions are validated:
that follows from their end, and not from a time by which one hopes that they have ended."""

SCHEDULE = (
    {
        "roll": entry("safety.roll", "25 8 * * mon-fri", "upkeep", 4 * MINUTES),
        "execute": entry("trading.execute", "* 8-15 * * mon-fri", "decision", 50 * SECONDS),
        "mark": entry("trading.mark", "* 8-15 * * mon-fri", "decision", 50 * SECONDS),
        "sweep": entry("safety.sweep", "* 8-15 * * mon-fri", "upkeep", 50 * SECONDS),
        "scan": entry("market.scan", "*/5 8-15 * * mon-fri", "decision", 4 * MINUTES),
        "reap": pulse("upkeep.reap", 2 * SECONDS, "upkeep"),
        "sla": pulse("safety.sla", 5 * SECONDS, "upkeep"),
        "pulse-decision": pulse("upkeep.pulse", 2 * SECONDS, "decision", of="decision"),
        "pulse-training": pulse("upkeep.pulse", 5 * SECONDS, "training", of="training"),
        "pulse-upkeep": pulse("upkeep.pulse", 5 * SECONDS, "upkeep", of="upkeep"),
        "drill": entry("safety.drill", "10 8 * * mon", "upkeep", 30 * MINUTES),
        "train-missing": entry("learning.missing", "0 8 * * mon-fri", "training", HOURS),
        "feedback": entry("learning.feedback", "0 16 * * mon-fri", "training", 6 * HOURS),
        "checkpoint": entry("upkeep.checkpoint", "30 16 * * mon-fri", "upkeep", 6 * HOURS),
        "backup": entry("upkeep.backup", "0 2 * * *", "upkeep", 6 * HOURS),
    }
    | {
        f"retrain-{name}": entry(
            "learning.train", model.retrain, "training", 12 * HOURS, model=name
        )
        for name, model in CATALOG.items()
        if model.retrain != TOGETHER
    }
    | {
        "retrain-together": entry(
            "learning.together",
            TOGETHER,
            "training",
            12 * HOURS,
            models=[name for name, model in CATALOG.items() if model.retrain == TOGETHER],
        ),
    }
)

IN_ORDER = ("roll", "execute", "mark", "sweep", "scan")
"""One book-keeping: of these, what falls due together is one chain, in this order.

All of them write accounts; side by side in two workers, one would undo what the other has done."""
