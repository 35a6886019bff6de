"""What the processes of a fleet say: one JSON object to a line, or plain words on a terminal.

Celery's records and ours come out alike. Inside a task every line carries the task's name and id,
and the ids of the decisions it is about.
"""

import logging
import os
import sys
from logging.handlers import WatchedFileHandler
from types import TracebackType
from typing import Any

import structlog
from celery import Task
from celery.signals import celeryd_after_setup, task_postrun, task_prerun
from celery.utils.log import get_multiprocessing_logger
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from domain.settings import without_passwords

ROLE = "DESK_ROLE"
"""Variable in which a worker leaves its role for its children: a spawned one knows nothing else."""

FIRST = ("time", "level", "logger", "event", "role", "task", "task_id")
"""What every line begins with."""


def configure(role: str, level: int | str, file: str | None = None) -> None:
    """Have everything this process logs written like this; what was set up before is gone.

    Parameters
    ----------
    role
        Named in every line: ``decision``, ``beat``.
    level
        Least level that is written, as a number or by its name.
    file
        Where to; stderr if None.
    """

    def named(_: object, __: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    said: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        TimeStamper(fmt="iso", utc=True, key="time"),
        named,
    ]
    handler = WatchedFileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*said, celery_said],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                format_exc_info,
                masked,
                *_rendering(terminal=not file and sys.stderr.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper() if isinstance(level, str) else level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *said,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    pool = get_multiprocessing_logger()
    pool.handlers[:], pool.propagate = [], True
    pool.setLevel(logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    task_prerun.connect(begun)
    task_postrun.connect(ended)
    celeryd_after_setup.connect(hush)


def _rendering(terminal: bool) -> list[Processor]:
    if terminal:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=plain)]
    return [_in_order, JSONRenderer()]


def _in_order(_: object, __: str, event: EventDict) -> EventDict:
    return {key: event.pop(key) for key in FIRST if key in event} | dict(event)


def celery_said(_: object, __: str, event: EventDict) -> EventDict:
    """Name the task of one of Celery's records, and leave out what it was given and returned.

    A batch of drafts is 100 kB; the record of them is the database, and the log only has to say
    where to look.
    """
    record = event["_record"]
    told = getattr(record, "data", None)
    if not isinstance(told, dict) or "id" not in told:
        return event
    event.setdefault("task", told.get("name"))
    event.setdefault("task_id", told["id"])
    if "runtime" in told:
        event["event"], event["seconds"] = "task succeeded", round(told["runtime"], 6)
    elif record.name == "celery.worker.strategy":
        event["event"] = "task received"
    return event


def masked(_: object, __: str, event: EventDict) -> EventDict:
    """Take the passwords out of the URLs in a record."""
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def begun(task_id: str = "", task: Task | None = None, args: Any = (), **_: Any) -> None:
    """Name the task, and the decisions it is about, in every line until it has ended."""
    about = {"decisions": found} if (found := ids(args)) else {}
    name = task.name if task is not None else None
    structlog.contextvars.bind_contextvars(task=name, task_id=task_id, **about)


def ended(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


def hush(**_: Any) -> None:
    """Let a spawned child say only what is grave until it comes here: it says it in plain text."""
    os.environ["_MP_FORK_LOGLEVEL_"] = str(logging.ERROR)


def ids(args: Any) -> list[str]:
    """Return the ids of a batch of drafts; none if it is anything else. Validates nothing.

    Examples
    --------
    >>> ids(([{"id": "fortress-SPX-20260105T2100Z", "said": "{}"}],))
    ['fortress-SPX-20260105T2100Z']
    >>> ids(("decision",)), ids(([{"no": "draft"}],))
    ([], [])
    """
    batch = args[0] if args else None
    if not isinstance(batch, list):
        return []
    return [str(draft["id"]) for draft in batch if isinstance(draft, dict) and "id" in draft]


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("omega").critical("this process ends", exc_info=(kind, error, trace))


if __name__ == "__main__":
    # Flower never asks how to log: it takes the handlers that are there when it starts.
    from celery.__main__ import main

    from workers import logs

    logs.configure("flower", "WARNING")
    main()
