"""The audit chain: append-only, one chain per bot, every record signed over the one before it.

A chain proves order and content of what it holds. That its end was not cut off is proven by
checkpoints: signed heads in a file of their own, best copied to where the database's owner cannot
write.
"""

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Row,
    Select,
    String,
    Table,
    and_,
    bindparam,
    func,
    select,
    type_coerce,
)

from domain.decision import OmegaDecision
from domain.errors import IntegrityError, Refused
from domain.trade import Fill, Order, Trade
from domain.values import Value, canonical
from domain.version import Version
from storage import keys, tables
from storage.engine import Store, reading, writing

DESK = "desk"
"""The chain of what concerns every bot: kills, promotions, changes of limits and settings."""
GENESIS = "0" * 64
CHECKPOINTS = "checkpoints.jsonl"
_NEWEST = (
    select(tables.audit.c.seq, tables.audit.c.hash)
    .where(tables.audit.c.bot == bindparam("chain"))
    .order_by(tables.audit.c.seq.desc())
    .limit(1)
)
_ROWS: dict[str, tuple[Table, type[Value]]] = {
    "fill": (tables.fills, Fill),
    "trade": (tables.trades, Trade),
}


class Entry(NamedTuple):
    """What is to be recorded. `ref` is the id of the row it is about, empty if there is none."""

    bot: str
    kind: str
    body: Mapping[str, Any]
    ref: str = ""


class Record(Value):
    """One link of a chain, as it is stored."""

    bot: str
    seq: int
    prev: str
    hash: str
    kind: str
    ref: str
    body: dict[str, Any]
    at: AwareDatetime


class Fault(Value):
    """The first thing found wrong. `seq` is None where it is not one record of the chain."""

    bot: str
    seq: int | None
    what: str

    def __str__(self) -> str:
        where = self.bot if self.seq is None else f"{self.bot} {self.seq}"
        return f"{where}: {self.what}"


class Verified(Value):
    """What was proven, or the first fault."""

    chains: int
    records: int
    decisions: int
    checkpoints: int
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        return self.fault is None


class Checkpoint(Value):
    """The head of one chain at one moment, signed.

    A ``restored`` one says that a backup was brought back: from here on the chain goes on at
    `seq`, and earlier checkpoints beyond it are a known loss.
    """

    kind: Literal["checkpoint", "restored"] = "checkpoint"
    bot: str
    seq: int
    hash: str
    at: str
    mac: str


class _Broken(Exception):
    """Carries the first fault out of the checks."""

    def __init__(self, bot: str, seq: int | None, what: str) -> None:
        super().__init__(what)
        self.fault = Fault(bot=bot, seq=seq, what=what)


def lock(conn: Connection, bots: Sequence[str]) -> None:
    """Wait until these chains are ours until the transaction ends.

    Always in the order of their names, so that two batches never wait for each other. SQLite has
    one writer anyway.
    """
    if conn.dialect.name == "sqlite":
        return
    for bot in sorted(set(bots)):
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"chain {bot}", 0))))


def head(conn: Connection, bot: str) -> tuple[int, str]:
    """Return number and hash of the newest record of a chain; (0, GENESIS) before the first."""
    row = conn.execute(_NEWEST, {"chain": bot}).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def heads(store: Store) -> dict[str, tuple[int, str]]:
    """Return number and hash of the newest record of every chain, by its name."""
    audit = tables.audit
    ends = select(audit.c.bot, func.max(audit.c.seq).label("seq")).group_by(audit.c.bot).subquery()
    query = select(audit.c.bot, audit.c.seq, audit.c.hash).join(
        ends, and_(audit.c.bot == ends.c.bot, audit.c.seq == ends.c.seq)
    )
    with reading(store) as conn:
        return {row.bot: (row.seq, row.hash) for row in conn.execute(query.order_by(audit.c.bot))}


def extend(conn: Connection, store: Store, entries: Sequence[Entry], at: AwareDatetime) -> None:
    """Append records, each to the chain of its bot, within the transaction of `conn`."""
    lock(conn, [entry.bot for entry in entries])
    heads: dict[str, tuple[int, str]] = {}
    moment, rows = tables.stamp(at), []
    for entry in entries:
        if "|" in entry.bot or "|" in entry.kind:
            raise Refused(f"{entry.bot} {entry.kind}: no bar may stand in the name of a chain")
        last, prev = heads.get(entry.bot) or head(conn, entry.bot)
        seq, body = last + 1, canonical(entry.body)
        signed = keys.sign(store.key, "v1", entry.bot, seq, prev, moment, entry.kind, body)
        heads[entry.bot] = seq, signed
        rows.append(
            {"bot": entry.bot, "seq": seq, "prev": prev, "hash": signed, "kind": entry.kind}
            | {"ref": entry.ref, "body": body, "at": moment}
        )
    if rows:
        conn.execute(tables.insert(conn, tables.audit), rows)


def append(store: Store, bot: str, kind: str, body: Mapping[str, Any], at: AwareDatetime) -> None:
    """Record something that happened outside any other transaction, with who and why in `body`."""
    with writing(store) as conn:
        extend(conn, store, [Entry(bot, kind, body)], at)


def records(
    store: Store, bot: str, kind: str | None = None, limit: int | None = None
) -> list[Record]:
    """Return the newest records of a chain, oldest first."""
    newest = (
        select(tables.audit)
        .where(tables.audit.c.bot == bot)
        .order_by(tables.audit.c.seq.desc())
        .limit(limit)
    )
    if kind is not None:
        newest = newest.where(tables.audit.c.kind == kind)
    with reading(store) as conn:
        rows = conn.execute(newest).mappings().all()
    return [Record(**{**row, "body": json.loads(row["body"])}) for row in reversed(rows)]


def sealed_facts(row: Mapping[str, Any], sha: str) -> dict[str, Any]:
    """Return what the chain keeps of a decision: the hash of its body, and every column beside it.

    So a column that no longer repeats the body is found as surely as a changed body.
    """
    repeated = ("id", "symbol", "env", "action", "code", "layer", "quantity", "probability")
    moments = ("bar", "asof", "deadline")
    return (
        {name: row[name] for name in repeated}
        | {name: _text(row[name]) for name in moments}
        | {"sha256": sha}
    )


def _text(moment: Any) -> str:
    return moment if isinstance(moment, str) else tables.stamp(moment)


def verify(store: Store, bot: str | None = None) -> Verified:
    """Prove the chains, and every row they tell of, or name the first fault.

    Checks, in this order: every signature and link, and the decision each record is about, body
    and columns; fills and trades; decisions, fills and trades that no chain knows; opening orders
    against their decisions; versions of models and their champions, which the desk's chain tells
    of; the ends of the chains against the checkpoint file.

    Parameters
    ----------
    store
        Open it with `storage.engine.connect` when `open_store` refuses.
    bot
        One chain only; None for all.
    """
    counts = {"chains": 0, "records": 0, "decisions": 0, "checkpoints": 0}
    fault = None
    with reading(store) as conn:
        try:
            _check_chains(conn, store, bot, counts)
            for kind in _ROWS:
                _check_rows(conn, kind, bot)
            _check_strangers(conn, bot)
            _check_orders(conn, bot)
            if bot in (None, DESK):
                _check_versions(conn)
            _check_ends(conn, store, bot, counts)
        except _Broken as broken:
            fault = broken.fault
    return Verified(**counts, fault=fault)


def _linked(kind: str, table: Table, bot: str | None) -> Select[Any]:
    """Return the query of audit records, each followed by the row it is about as stored.

    Moments stay text, and rows are read by position: with names it takes half as long again.
    """
    audit = tables.audit
    query = (
        select(*audit.c, *_columns(table))
        .outerjoin_from(audit, table, and_(audit.c.kind == kind, table.c.id == audit.c.ref))
        .order_by(audit.c.bot, audit.c.seq)
    )
    return query if bot is None else query.where(audit.c.bot == bot)


def _columns(table: Table) -> list[ColumnElement[Any]]:
    """Return the columns as stored: a moment that is none any more can still be read."""
    return [
        type_coerce(column, String) if isinstance(column.type, tables.Moment) else column
        for column in table.c
    ]


def _stream(conn: Connection, query: Select[Any]) -> CursorResult[*tuple[Any, ...]]:
    """Read a thousand rows at a time; use it in a `with`, which closes the server's cursor."""
    return conn.execute(query, execution_options={"yield_per": 1000})


def _check_chains(conn: Connection, store: Store, bot: str | None, counts: dict[str, int]) -> None:
    chain, expected, before = None, 0, GENESIS
    with _stream(conn, _linked("decision", tables.decisions, bot)) as rows:
        for row in rows:
            name, seq, prev, signed_as, kind, ref, body, at = row[:8]
            if name != chain:
                chain, expected, before = name, 0, GENESIS
                counts["chains"] += 1
            expected += 1
            if seq != expected:
                raise _Broken(name, expected, f"it is missing; the next one is {seq}")
            if prev != before:
                raise _Broken(name, seq, "it does not name the record before it")
            if keys.sign(store.key, "v1", name, seq, prev, at, kind, body) != signed_as:
                raise _Broken(name, seq, "its hash is not the one of its content")
            before = signed_as
            counts["records"] += 1
            if kind == "decision":
                _check_decision(name, seq, ref, body, at, _about(row, tables.decisions))
                counts["decisions"] += 1


def _about(row: Row[*tuple[Any, ...]], table: Table) -> dict[str, Any]:
    """Return the row that a record is about; its id is None where there is none."""
    return dict(zip(table.c.keys(), row[len(tables.audit.c) :], strict=True))


def _check_decision(
    bot: str, seq: int, ref: str, told: str, at: str, stored: dict[str, Any]
) -> None:
    if stored["id"] is None:
        raise _Broken(bot, seq, f"the decision {ref} it is about is gone")
    sha = sha256(stored["body"].encode()).hexdigest()
    if sha != stored["sha256"]:
        raise _Broken(bot, seq, f"the body of decision {ref} was changed")
    # What a record says without repeating it: whose chain it is in, and when it was written.
    own = {"bot": bot, "status": "SEALED", "created_at": stored["asof"], "sealed_at": at}
    if canonical(sealed_facts(stored, sha)) != told or stored | own != stored:
        raise _Broken(bot, seq, f"the row of decision {ref} is not the one that was sealed")


def _check_rows(conn: Connection, kind: str, bot: str | None) -> None:
    table, value = _ROWS[kind]
    with _stream(conn, _linked(kind, table, bot).where(tables.audit.c.kind == kind)) as rows:
        for row in rows:
            stored = _about(row, table)
            if stored["id"] is None:
                raise _Broken(row.bot, row.seq, f"the {kind} {row.ref} it is about is gone")
            try:
                same = canonical(value.model_validate(stored)) == row.body
            except ValidationError:
                same = False
            if not same:
                raise _Broken(row.bot, row.seq, f"the {kind} {row.ref} was changed")


def _check_strangers(conn: Connection, bot: str | None) -> None:
    """Find rows that were written past the chain."""
    audit, decisions = tables.audit, tables.decisions
    for kind, table in (("decision", decisions), *((k, t) for k, (t, _) in _ROWS.items())):
        known = select(audit.c.seq).where(audit.c.ref == table.c.id, audit.c.kind == kind)
        query = select(table.c.id, decisions.c.bot).where(~known.exists()).limit(1)
        if table is decisions:
            query = query.where(decisions.c.status == "SEALED")
        else:
            query = query.join_from(table, decisions, table.c.decision_id == decisions.c.id)
        if bot is not None:
            query = query.where(decisions.c.bot == bot)
        row = conn.execute(query).first()
        if row is not None:
            raise _Broken(row.bot, None, f"no record tells of {kind} {row.id}")


def _check_orders(conn: Connection, bot: str | None) -> None:
    """Find opening orders that are not what their decision says."""
    orders, decisions = tables.orders, tables.decisions
    query = (
        select(orders.c.id, orders.c.bot, orders.c.body, decisions.c.body.label("sealed"))
        .join(decisions, decisions.c.id == orders.c.decision_id)
        .where(orders.c.intent == "open")
        .order_by(orders.c.id)
    )
    with _stream(conn, query if bot is None else query.where(orders.c.bot == bot)) as rows:
        for row in rows:
            try:
                order = Order.of(OmegaDecision.model_validate_json(row.sealed))
                same = canonical(order) == row.body
            except (Refused, ValidationError):
                same = False
            if not same:
                raise _Broken(row.bot, None, f"order {row.id} is not what its decision says")


def version_facts(body: str) -> dict[str, str]:
    """Return what the desk's chain keeps of a version beside its name: the hash of its body."""
    return {"body_sha256": sha256(body.encode()).hexdigest()}


_MOVES = {"promote": True, "rollback": True, "retire": False}
"""Kinds of records that move a champion: to the version they name, or to none."""


def _check_versions(conn: Connection) -> None:
    """Find versions that are not what the desk's chain told of them, or are gone; and champions.

    A record of an older build has no hash, and proves nothing about the version it names. The
    champion of a model is the one that the chain moved it to last, and no other.
    """
    audit, versions = tables.audit, tables.versions
    found = conn.execute(select(*_columns(versions)))
    stored = [dict(zip(versions.c.keys(), row, strict=True)) for row in found]
    rows = {(row["model"], row["version"]): row for row in stored}
    told = select(audit.c.seq, audit.c.kind, audit.c.body).where(audit.c.bot == DESK)
    champions: dict[str, str] = {}
    last = 0
    with _stream(conn, told.order_by(audit.c.seq)) as records:
        for seq, kind, text in records:
            body, last = json.loads(text), seq
            if kind in _MOVES:
                champions.pop(body["model"], None)
                champions |= {body["model"]: body["version"]} if _MOVES[kind] else {}
            if "body_sha256" not in body:
                continue
            row = rows.get((body["model"], body["version"]))
            if row is None:
                what = f"the version {body['model']} {body['version']} it is about is gone"
                raise _Broken(DESK, seq, what)
            if body | version_facts(row["body"]) != body or not _repeated(row):
                what = f"the version {body['model']} {body['version']} was changed"
                raise _Broken(DESK, seq, what)
    pointed = {row.model: row.version for row in conn.execute(select(tables.pointers))}
    for model in sorted(champions.keys() | pointed.keys()):
        if champions.get(model) != pointed.get(model):
            known, now = champions.get(model), pointed.get(model)
            what = f"the champion of {model} is {now}, and up to here the chain knows of {known}"
            raise _Broken(DESK, last or None, what)


def _repeated(row: Mapping[str, Any]) -> bool:
    """Return whether the columns of a version repeat its body. Its stage alone moves on."""
    born = Version.model_validate_json(row["body"])
    return (row["sha256"], row["trained_at"]) == (born.sha256, tables.stamp(born.trained_at))


def checkpoint(store: Store, at: AwareDatetime) -> list[Checkpoint]:
    """Sign the head of every chain that has grown, and write it to the checkpoint file.

    The file is written first: after a crash between the two it knows more than the database,
    which is no fault; the other way round it would look shortened.
    """
    audit, kept = tables.audit, tables.checkpoints
    ends = select(audit.c.bot, func.max(audit.c.seq).label("seq")).group_by(audit.c.bot).subquery()
    heads = (
        select(audit.c.bot, audit.c.seq, audit.c.hash)
        .join(ends, and_(audit.c.bot == ends.c.bot, audit.c.seq == ends.c.seq))
        .outerjoin(kept, and_(kept.c.bot == audit.c.bot, kept.c.seq == audit.c.seq))
        .where(kept.c.bot.is_(None))
        .order_by(audit.c.bot)
    )
    with writing(store) as conn:
        lock(conn, ["checkpoints"])
        grown = [signed(store, row.bot, row.seq, row.hash, at) for row in conn.execute(heads)]
        keep(store, grown)
        if grown:
            rows = [line.model_dump(exclude={"mac", "kind"}) for line in grown]
            conn.execute(tables.insert(conn, kept), rows)
    return grown


def signed(
    store: Store,
    bot: str,
    seq: int,
    head_hash: str,
    at: AwareDatetime,
    kind: Literal["checkpoint", "restored"] = "checkpoint",
) -> Checkpoint:
    """Return the checkpoint of one head."""
    moment = tables.stamp(at)
    mac = keys.sign(store.key, "v1", kind, bot, seq, head_hash, moment)
    return Checkpoint(kind=kind, bot=bot, seq=seq, hash=head_hash, at=moment, mac=mac)


def keep(store: Store, lines: Sequence[Checkpoint]) -> None:
    """Append checkpoints to the file, on the disk when this returns."""
    if not lines:
        return
    with (store.home / CHECKPOINTS).open("a") as out:
        out.writelines(canonical(line) + "\n" for line in lines)
        out.flush()
        os.fsync(out.fileno())


def kept_lines(store: Store) -> list[Checkpoint]:
    """Read the checkpoint file.

    Raises
    ------
    IntegrityError
        A line is no checkpoint, or is not signed with our key.
    """
    file = store.home / CHECKPOINTS
    lines = []
    for number, text in enumerate(file.read_text().splitlines() if file.exists() else [], 1):
        try:
            line = Checkpoint.model_validate_json(text)
        except ValidationError as error:
            raise IntegrityError(f"{file}, line {number} is no checkpoint") from error
        if line.mac != keys.sign(
            store.key, "v1", line.kind, line.bot, line.seq, line.hash, line.at
        ):
            raise IntegrityError(f"{file}, line {number} is not signed with our key")
        lines.append(line)
    return lines


def _check_ends(conn: Connection, store: Store, bot: str | None, counts: dict[str, int]) -> None:
    """Hold the chains against the checkpoints, and those of the file against the database's."""
    audit, kept = tables.audit, tables.checkpoints
    try:
        lines = kept_lines(store)
    except IntegrityError as error:
        raise _Broken(bot or DESK, None, str(error)) from error
    for line in binding(lines):
        if bot is not None and line.bot != bot:
            continue
        counts["checkpoints"] += 1
        if line.seq == 0:
            continue
        last, _ = head(conn, line.bot)
        if last < line.seq:
            gone = (
                f"records {last + 1} to {line.seq} are gone; the checkpoint of {line.at} had them"
            )
            raise _Broken(line.bot, last + 1, gone)
        found = conn.scalar(
            select(audit.c.hash).where(audit.c.bot == line.bot, audit.c.seq == line.seq)
        )
        if found != line.hash:
            raise _Broken(line.bot, line.seq, f"it is not what the checkpoint of {line.at} saw")
    written = {(line.bot, line.seq, line.hash) for line in lines}
    for row in conn.execute(select(kept).order_by(kept.c.bot, kept.c.seq)):
        if (row.bot, row.seq, row.hash) not in written and bot in (None, row.bot):
            raise _Broken(row.bot, row.seq, f"its checkpoint of {row.at} is gone from the file")


def binding(lines: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Return the checkpoints that must hold: all but those that a restored backup lost."""
    holding: list[Checkpoint] = []
    for line in lines:
        if line.kind == "restored":
            holding = [old for old in holding if old.bot != line.bot or old.seq <= line.seq]
        holding.append(line)
    return holding
