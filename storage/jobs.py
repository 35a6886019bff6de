"""Jobs: long work that one process does at a time, counted, and found again when that one dies.

The truth about a training is here and not in the queue. It is accepted here before it is published,
so that none is only in the broker. Who begins it takes a lease and keeps it alive while it works; a
second message for the same work finds the lease and goes. When a lease runs out its process is
dead, and the work is put on its way again, three times in all. What a process writes is fenced by
the number of its beginning: one that was only slow, and was replaced meanwhile, writes nothing.
"""

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Connection, select

from domain.clock import Clock
from domain.errors import InsufficientData, OmegaError, Refused, Transient, Unavailable
from domain.values import Value
from storage import engine, state, tables
from storage.engine import Store

PREFIX = "job/"
LASTS = timedelta(seconds=30)
"""How long a process that died still counts as at work."""
ATTEMPTS = 3
"""How often a job is put on its way in all."""
TRAINING, VALIDATION = "train", "validate"
"""Kinds of jobs, which their names begin with. Of validations there is one."""
GIVEN_UP = f"put on its way {ATTEMPTS} times, and it never came to an end"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Stands(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    """Accepted, or to be done again since its process died; a message is on its way."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    """Its data is not in the feed; nothing failed, and trying again changes nothing."""


OVER = (Stands.DONE, Stands.FAILED, Stands.UNAVAILABLE)


class Job(Value):
    """One piece of work by its name, as it stands. Times are real."""

    name: str
    kwargs: dict[str, Any]
    """What is asked of the task."""
    stands: Stands
    since: AwareDatetime
    """When it came to stand so."""
    attempts: int = 0
    token: int = 0
    """Rises with every beginning: of two who believe they do it, the higher one does."""
    message: str = ""
    """Id of the message that began it; one that is delivered again has the same."""
    owner: str = ""
    until: AwareDatetime | None = None
    """When its lease runs out."""
    why: str = ""

    @property
    def kind(self) -> str:
        """`TRAINING` or `VALIDATION`."""
        return self.name.partition("/")[0]


class Busy(Refused):
    """Somebody is at it, or it was done already, or somebody else does it by now."""


class Exhausted(OmegaError):
    """A job whose processes die, however often it is tried."""


def training(model: str) -> str:
    """Return the name of the job that trains a model."""
    return f"{TRAINING}/{model}"


def get(store: Store, name: str) -> Job | None:
    """Return a job as it stands; None if it was never accepted."""
    kept = state.get(store, PREFIX + name)
    return None if kept is None else Job.model_validate(kept.body)


def accept(store: Store, name: str, kwargs: Mapping[str, Any], at: datetime) -> bool:
    """Accept a job, which is to be published next; False if it is under way: once is enough."""
    kept = state.get(store, PREFIX + name)
    before = None if kept is None else Job.model_validate(kept.body)
    if before is not None and (before.stands is Stands.WAITING or _alive(before, at)):
        return False
    token = 0 if before is None else before.token
    job = Job(
        name=name, kwargs=dict(kwargs), stands=Stands.WAITING, since=at, attempts=1, token=token
    )
    try:
        _put(store, job, kept)
    except Transient:
        return False  # somebody accepted the same at this moment
    return True


def begin(
    store: Store, name: str, message: str, kwargs: Mapping[str, Any], owner: str, at: datetime
) -> Job:
    """Begin a job and return it, its lease taken.

    Raises
    ------
    Busy
        Somebody is at it, or this very message was worked off before.
    Exhausted
        It was put on its way `ATTEMPTS` times, and whoever began it died.
    """
    kept = state.get(store, PREFIX + name)
    before = None if kept is None else Job.model_validate(kept.body)
    attempts, token = 1, 1
    if before is not None:
        if _alive(before, at):
            raise Busy(f"{name}: {before.owner} is at it since {before.since:%H:%M:%SZ}")
        over = before.stands in OVER
        if over and before.message == message:
            raise Busy(f"{name}: this message was worked off at {before.since:%H:%M:%SZ}")
        attempts, token = 1 if over else before.attempts, before.token + 1
        attempts += before.stands is Stands.RUNNING  # whoever was at it died; this is another try
        if attempts > ATTEMPTS:
            _put(store, _stands(before, Stands.FAILED, at, GIVEN_UP), kept)
            raise Exhausted(f"{name}: {GIVEN_UP}")
    job = Job(
        name=name,
        kwargs=dict(kwargs),
        stands=Stands.RUNNING,
        since=at,
        attempts=attempts,
        token=token,
        message=message,
        owner=owner,
        until=at + LASTS,
    )
    try:
        _put(store, job, kept)
    except Transient as error:
        raise Busy(f"{name}: somebody was quicker") from error
    return job


def _alive(job: Job, at: datetime) -> bool:
    return job.stands is Stands.RUNNING and job.until is not None and job.until > at


def _stands(job: Job, stands: Stands, at: datetime, why: str = "") -> Job:
    return job.model_copy(update={"stands": stands, "since": at, "why": why, "until": None})


def _put(store: Store, job: Job, kept: state.Kept | None) -> None:
    body = job.model_dump(mode="json")
    state.put(store, PREFIX + job.name, body, 0 if kept is None else kept.revision)


def mine(conn: Connection, job: Job) -> None:
    """Raise `Busy` unless the job is still this beginning's, in the transaction of `conn`."""
    table = tables.state
    query = select(table.c.body).where(table.c.key == PREFIX + job.name).with_for_update()
    body = conn.scalar(query)
    now = None if body is None else Job.model_validate(json.loads(body))
    if now is None or now.token != job.token or now.stands is not Stands.RUNNING:
        raise Busy(f"{job.name} was taken over; what this process found out is thrown away")


def _change(store: Store, job: Job, change: Mapping[str, Any]) -> bool:
    """Change a job that is still this beginning's, whoever else changes it at the same moment."""
    while True:
        kept = state.get(store, PREFIX + job.name)
        now = None if kept is None else Job.model_validate(kept.body)
        if now is None or now.token != job.token or now.stands is not Stands.RUNNING:
            return False
        try:
            _put(store, now.model_copy(update=change), kept)
        except Transient:
            continue
        return True


def died(store: Store, name: str, message: str, at: datetime) -> None:
    """Say that the process died that had taken a message: nobody need wait to find out."""
    job = get(store, name)
    if job is not None and job.message == message:
        _change(store, job, {"until": at})
    elif job is not None and job.stands is Stands.WAITING:
        # It had not begun. Of two messages for it the other may begin now, which is all the better.
        kept = state.get(store, PREFIX + name)
        if kept is not None and Job.model_validate(kept.body) == job:
            _put(store, job.model_copy(update={"since": LONG_AGO}), kept)


def lost(store: Store, at: datetime, through: datetime) -> list[Job]:
    """Find the jobs that came to no end, and return them as they stand now.

    WAITING ones have to be published again; FAILED ones were, as often as that is done.

    Parameters
    ----------
    through
        What was sent before this moment has been taken from the queue by somebody. A job that was
        published before and has not begun was lost on the way, or killed who took it.
    """
    found = []
    for key, kept in state.listing(store, PREFIX).items():
        job = Job.model_validate(kept.body)
        dead = job.stands is Stands.RUNNING and not _alive(job, at)
        if not (dead or (job.stands is Stands.WAITING and job.since < through)):
            continue
        if job.attempts < ATTEMPTS:
            after = _stands(job, Stands.WAITING, at)
            after = after.model_copy(update={"attempts": job.attempts + 1})
        else:
            after = _stands(job, Stands.FAILED, at, GIVEN_UP)
        try:
            state.put(store, key, after.model_dump(mode="json"), kept.revision)
        except Transient:
            continue  # it has begun at this moment
        found.append(after)
    return found


@contextmanager
def working(
    store: Store, name: str, message: str, kwargs: Mapping[str, Any], wall: Clock
) -> Iterator[Job]:
    """Do a job: begin it, keep its lease alive, fence what is written, and say what became of it.

    A process that is stuck keeps its lease, for that is what time limits are for; one that is dead
    does not. What is `Transient` leaves the job to who tries again.

    Raises
    ------
    Busy, Exhausted
        As `begin` does; or, from any writing transaction inside, that it was taken over.
    """
    job = begin(store, name, message, kwargs, f"{socket.gethostname()}:{os.getpid()}", wall.now())
    try:
        with _kept(store, job, wall), engine.fenced(lambda conn: mine(conn, job)):
            yield job
    except (Busy, Transient):
        _change(store, job, {"until": wall.now()})
        raise
    except (Unavailable, InsufficientData) as lacking:
        _ended(store, job, Stands.UNAVAILABLE, wall.now(), str(lacking))
        raise
    except BaseException as error:
        _ended(store, job, Stands.FAILED, wall.now(), f"{type(error).__name__}: {error}")
        raise
    _ended(store, job, Stands.DONE, wall.now())


def _ended(store: Store, job: Job, stands: Stands, at: datetime, why: str = "") -> None:
    _change(store, job, {"stands": stands, "since": at, "why": why, "until": None})


@contextmanager
def _kept(store: Store, job: Job, wall: Clock) -> Iterator[None]:
    """Keep a lease alive from a thread."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(LASTS.total_seconds() / 3):
            try:
                if not _change(store, job, {"until": wall.now() + LASTS}):
                    return
            except Transient:
                continue  # the database is busy; there are two more tries before it runs out

    thread = threading.Thread(target=keep, name=f"lease-{job.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
