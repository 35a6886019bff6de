"""The registry of models: every version, which one is champion, and who decided that, when, why."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import Connection, Select, delete, select, update

from domain.errors import ModelError, Refused
from domain.values import Value, canonical
from domain.version import Stage, Version
from storage import artifacts, tables
from storage.audit import DESK, Entry, extend, version_facts
from storage.engine import Store, reading, writing

_VERSIONS, _POINTERS, _LEDGER = tables.versions, tables.pointers, tables.ledger


class Ruling(StrEnum):
    """What was decided about a version."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    """Not now; the champion stays."""
    REJECT = "REJECT"
    ROLLBACK = "ROLLBACK"
    """An earlier champion is champion again."""
    RETIRE = "RETIRE"
    """The model has no champion, and is not asked, until one is promoted."""


_MOVES = (Ruling.PROMOTE, Ruling.ROLLBACK, Ruling.RETIRE)


class Why(Value):
    """Who decided, and for which reason, on which measures."""

    who: str
    reason: str
    measures: dict[str, Any] = Field(default_factory=dict)


class Ruled(Value):
    """One line of the ledger."""

    id: int
    model: str
    version: str
    ruling: Ruling
    reason: str
    measures: dict[str, Any]
    who: str
    at: AwareDatetime


def register(store: Store, version: Version) -> bool:
    """Add a trained version as it is; False if it is known. Its artifact must be stored first.

    The desk's chain tells of it, so that the row cannot be changed unnoticed.
    """
    artifacts.get(store, version.sha256)
    row = {name: getattr(version, name) for name in ("model", "version", "sha256", "trained_at")}
    row |= {"stage": version.stage.value, "body": (body := canonical(version))}
    told = {name: row[name] for name in ("model", "version", "sha256")} | version_facts(body)
    with writing(store) as conn:
        new = tables.insert(conn, _VERSIONS).values(row).on_conflict_do_nothing()
        if conn.execute(new.returning(_VERSIONS.c.version)).first() is None:
            return False
        extend(conn, store, [Entry(DESK, "register", told)], version.trained_at)
    return True


def versions(store: Store, model: str | None = None) -> list[Version]:
    """Return the versions, newest training first."""
    query = select(_VERSIONS).order_by(_VERSIONS.c.trained_at.desc(), _VERSIONS.c.version)
    if model is not None:
        query = query.where(_VERSIONS.c.model == model)
    with reading(store) as conn:
        return _versions(conn, query)


def tried(store: Store, model: str) -> set[str]:
    """Return the names of every version of a model that was ever registered."""
    query = select(_VERSIONS.c.version).where(_VERSIONS.c.model == model)
    with reading(store) as conn:
        return set(conn.scalars(query))


def _versions(conn: Connection, query: Select[Any]) -> list[Version]:
    return [
        Version.model_validate_json(row.body).model_copy(update={"stage": Stage(row.stage)})
        for row in conn.execute(query)
    ]


def get(store: Store, model: str, version: str) -> Version:
    """Return one version; `ModelError` if it is not registered."""
    with reading(store) as conn:
        return _one(conn, model, version)


def _one(conn: Connection, model: str, version: str) -> Version:
    key = (_VERSIONS.c.model == model) & (_VERSIONS.c.version == version)
    found = _versions(conn, select(_VERSIONS).where(key))
    if not found:
        raise ModelError(f"{model} has no version {version!r}; `omega models list` shows them")
    return found[0]


def champion(store: Store, model: str) -> Version | None:
    """Return the version that answers for a model, or None."""
    with reading(store) as conn:
        now = _pointer(conn, model)
        return None if now is None else _one(conn, model, now)


def _pointer(conn: Connection, model: str) -> str | None:
    return conn.scalar(select(_POINTERS.c.version).where(_POINTERS.c.model == model))


def epoch(store: Store) -> int:
    """Return a number that rises whenever any champion changes: cheap to ask before every batch."""
    with reading(store) as conn:
        return conn.execute(_epoch()).scalar_one()


def _epoch() -> Select[int]:
    return select(tables.counters.c.value).where(tables.counters.c.name == "registry")


def promote(
    store: Store, model: str, version: str, expected: str | None, why: Why, at: AwareDatetime
) -> int:
    """Make a version the champion and return the new epoch.

    Parameters
    ----------
    expected
        The champion it was judged against, None for none. Whoever promoted meanwhile has won.

    Raises
    ------
    Refused
        The champion is another one by now, or is this very version.
    ModelError, IntegrityError
        The version or its artifact is not there, or is not what its hash says.
    """
    return _move(store, model, version, expected, Ruling.PROMOTE, why, at)


def rollback(store: Store, model: str, expected: str, why: Why, at: AwareDatetime) -> str:
    """Make the champion before `expected` champion again and return its version.

    Raises
    ------
    Refused
        There was none (then `retire` stops the model), or the champion is another one by now.
    """
    back = earlier(store, model)
    if back is None:
        raise Refused(f"{model} has no earlier champion; `retire` takes {expected} out of service")
    _move(store, model, back, expected, Ruling.ROLLBACK, why, at)
    return back


def earlier(store: Store, model: str) -> str | None:
    """Return the version that a rollback would go back to, or None."""
    past = [line for line in ledger(store, model) if line.ruling in _MOVES]
    stack: list[str] = []
    for line in past:
        if line.version in stack:
            del stack[stack.index(line.version) :]
        if line.ruling is not Ruling.RETIRE:
            stack.append(line.version)
    return stack[-2] if len(stack) > 1 else None


def retire(store: Store, model: str, expected: str, why: Why, at: AwareDatetime) -> int:
    """Take the champion out of service without another one; returns the new epoch."""
    return _move(store, model, None, expected, Ruling.RETIRE, why, at)


def _move(
    store: Store,
    model: str,
    to: str | None,
    expected: str | None,
    ruling: Ruling,
    why: Why,
    at: AwareDatetime,
) -> int:
    """Point a model at another version: compare and set, ledger, audit and epoch in one go."""
    if to is not None:
        artifacts.get(store, get(store, model, to).sha256)
    with writing(store) as conn:
        risen = conn.execute(_epoch().with_for_update()).scalar_one() + 1
        now = _pointer(conn, model)
        if now != expected:
            raise Refused(f"the champion of {model} is {now}, not {expected}: compare again")
        if to == now:
            raise Refused(f"{model} {to} is the champion already")
        if to is None:
            conn.execute(delete(_POINTERS).where(_POINTERS.c.model == model))
        else:
            point = tables.insert(conn, _POINTERS).values(model=model, version=to, revision=risen)
            moved = {"version": to, "revision": risen}
            conn.execute(point.on_conflict_do_update(index_elements=["model"], set_=moved))
            _stage(conn, model, to, Stage.CHAMPION)
        if now is not None:
            _stage(conn, model, now, Stage.RETIRED)
        counted = tables.counters.c.name == "registry"
        conn.execute(update(tables.counters).where(counted).values(value=risen))
        _note(conn, store, model, to or str(now), ruling, why, at)
    return risen


def _stage(conn: Connection, model: str, version: str, stage: Stage) -> None:
    key = (_VERSIONS.c.model == model) & (_VERSIONS.c.version == version)
    conn.execute(update(_VERSIONS).where(key).values(stage=stage.value))


def _note(
    conn: Connection,
    store: Store,
    model: str,
    version: str,
    ruling: Ruling,
    why: Why,
    at: AwareDatetime,
) -> None:
    line = {"model": model, "version": version, "ruling": ruling.value}
    line |= {"who": why.who, "reason": why.reason}
    row = line | {"measures": canonical(why.measures), "at": at}
    conn.execute(tables.insert(conn, _LEDGER), row)
    key = (_VERSIONS.c.model == model) & (_VERSIONS.c.version == version)
    stored = conn.scalar(select(_VERSIONS.c.body).where(key)) or ""
    body: Mapping[str, Any] = line | {"measures": why.measures} | version_facts(stored)
    extend(conn, store, [Entry(DESK, ruling.value.lower(), body)], at)


def rule(
    store: Store, model: str, version: str, ruling: Ruling, why: Why, at: AwareDatetime
) -> None:
    """Record that a version was held back or rejected; `promote` records what it does itself."""
    if ruling in _MOVES:
        raise Refused(f"{ruling} moves the champion: call promote, rollback or retire")
    with writing(store) as conn:
        if _one(conn, model, version).stage is Stage.CANDIDATE and ruling is Ruling.REJECT:
            _stage(conn, model, version, Stage.REJECTED)
        _note(conn, store, model, version, ruling, why, at)


def ledger(store: Store, model: str | None = None) -> list[Ruled]:
    """Return every ruling, oldest first."""
    query = select(_LEDGER).order_by(_LEDGER.c.id)
    if model is not None:
        query = query.where(_LEDGER.c.model == model)
    with reading(store) as conn:
        rows = conn.execute(query).mappings().all()
    return [Ruled(**{**row, "measures": json.loads(row["measures"])}) for row in rows]
