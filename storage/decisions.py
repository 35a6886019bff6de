"""The decisions: pending before they are published, sealed once, never changed.

Sealing is the one gate to an order. In a single transaction it reads the switches and the open
exposures again, asks for admission, writes the decision, reserves its risk, writes the order, its
message and the audit record. Of two workers that seal at once, one comes first, and the other
sees what it reserved.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import Connection, Select, case, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from domain.book import Exposure, Switches
from domain.decision import Context, Draft, Effect, OmegaDecision, Reason, Verdict
from domain.errors import IntegrityError, OmegaError, Refused
from domain.trade import Order
from domain.values import Action, canonical
from storage import audit, dead, exposure, outbox, switches, tables
from storage.engine import Store, reading, writing
from storage.orders import opening

Admit = Callable[[Draft, Switches, tuple[Exposure, ...]], Verdict]
"""Looks at a draft, the switches and every open exposure; may veto or shrink, never enlarge."""

PENDING, SEALED = "PENDING", "SEALED"
_TABLE = tables.decisions
# Written out, for a partial index is not used where a parameter could say something else.
_IS_PENDING = _TABLE.c.status == literal_column(f"'{PENDING}'")
_SEALED = select(_TABLE.c.id, _TABLE.c.body, _TABLE.c.sha256).where(_TABLE.c.status == SEALED)
_COUNTED = ("bot", "symbol", "status", "env", "action", "code", "layer")


class Line(NamedTuple):
    """One decision in a list; the columns without the body. None until it is sealed."""

    id: str
    bot: str
    symbol: str
    asof: AwareDatetime
    status: str
    env: str
    action: str | None
    code: str | None
    layer: str | None
    quantity: int | None
    probability: float | None
    sealed_at: AwareDatetime | None


class _Closed(NamedTuple):
    """A decision and the text of it that is stored."""

    decision: OmegaDecision
    body: str
    sha: str


def pend(store: Store, contexts: Sequence[Context], at: AwareDatetime) -> list[str]:
    """Write down that these decisions are due, and return the ids that are new.

    Done before anything is published, so that no decision is ever only in the broker. An id that
    is already known, pending or sealed, changes nothing.

    Parameters
    ----------
    at
        Now, in real time: they are about to be sent.
    """
    if not contexts:
        return []
    rows = [
        _columns(context)
        | {"status": PENDING, "body": context.model_dump_json(), "created_at": context.asof}
        | {"sent_at": at}
        for context in sorted(contexts, key=lambda context: context.id)
    ]
    with writing(store) as conn:
        new = tables.insert(conn, _TABLE).on_conflict_do_nothing().returning(_TABLE.c.id)
        fresh = set(conn.execute(new, rows).scalars())
    return [context.id for context in contexts if context.id in fresh]


def _columns(context: Context) -> dict[str, Any]:
    return {
        "id": context.id,
        "bot": context.bot.name,
        "symbol": context.symbol,
        "bar": context.bar,
        "asof": context.asof,
        "deadline": context.deadline,
        "env": context.env.value,
    }


def seal(
    store: Store,
    drafts: Sequence[Draft],
    admit: Admit,
    at: AwareDatetime,
    took: Mapping[str, float] | None = None,
) -> list[OmegaDecision]:
    """Close a batch of drafts in one transaction, and return the decisions in the same order.

    A draft whose decision is already sealed gives the recorded one and changes nothing. One that
    is past its deadline becomes a HOLD. One that wants a quantity is admitted first, with every
    reservation of the desk in view, those of this batch included.

    Parameters
    ----------
    admit
        Asked while the desk's row is held, so it must be quick and pure. If it raises an
        `OmegaError`, the decision is a HOLD.
    at
        Now.
    took
        Seconds that each was under way, by id, where that is known; kept beside the decision.

    Raises
    ------
    Transient
        Another writer kept it waiting too long. Nothing was written; the drafts can be sealed
        again.
    """
    if not drafts:
        return []
    batch: dict[str, Draft] = {}
    for draft in drafts:
        batch.setdefault(draft.context.id, draft)
    early = {key: _close(draft, at) for key, draft in batch.items() if not draft.quantity}
    with writing(store) as conn:
        desk = _Desk(conn) if len(early) < len(batch) else None
        audit.lock(conn, [draft.context.bot.name for draft in batch.values()])
        done = _recorded(conn, list(batch))
        new = dict(early)
        for key, draft in batch.items():
            if desk is not None and key not in early and key not in done:
                new[key] = desk.close(draft, admit, at)
        fresh = [new[key] for key in sorted(new.keys() - done.keys())]
        _write(conn, store, fresh, at, took or {})
    return [done.get(d.context.id) or new[d.context.id].decision for d in drafts]


class _Desk:
    """The switches and exposures as the sealing transaction sees them, the desk's row held."""

    def __init__(self, conn: Connection) -> None:
        switches.lock(conn)
        self.switches = switches.current(conn)
        self.exposures = exposure.current(conn)

    def close(self, draft: Draft, admit: Admit, at: AwareDatetime) -> _Closed:
        """Admit and close one draft, and remember what it reserves."""
        closed = _close(draft, at, lambda late: self._ask(late, admit))
        self.exposures += tuple(_reservations([closed.decision]))
        return closed

    def _ask(self, draft: Draft, admit: Admit) -> Verdict:
        if not self.switches.readable:
            return _veto(Reason.SWITCHES_UNREADABLE, "the kill switches cannot be read")
        if draft.proposal is None or draft.action is Action.HOLD:
            return _veto(Reason.FAILED, f"{draft.quantity} units of nothing that was proposed")
        try:
            verdict = admit(draft, self.switches, self.exposures)
        except OmegaError as error:
            return _veto(Reason.FAILED, f"{type(error).__name__}: {error}")
        if verdict.quantity is not None and verdict.quantity > draft.quantity:
            return _veto(Reason.FAILED, f"{draft.quantity} -> {verdict.quantity}: may not enlarge")
        return verdict


def _veto(code: Reason, reason: str) -> Verdict:
    return Verdict(layer="seal", effect=Effect.VETO, code=code, reason=reason)


def _close(
    draft: Draft, at: AwareDatetime, ask: Callable[[Draft], Verdict] | None = None
) -> _Closed:
    deadline = draft.context.deadline
    if at > deadline and not draft.vetoed:
        draft = draft.add(_veto(Reason.EXPIRED, f"{at - deadline} past its deadline"))
    elif ask is not None:
        draft = draft.add(ask(draft))
    decision = OmegaDecision.seal(draft)
    body = canonical(decision)
    return _Closed(decision, body, sha256(body.encode()).hexdigest())


def _recorded(conn: Connection, ids: Sequence[str]) -> dict[str, OmegaDecision]:
    return _read(conn, _SEALED.where(_TABLE.c.id.in_(ids)))


def _read(conn: Connection, query: Select[Any]) -> dict[str, OmegaDecision]:
    return {key: _parse(key, body, sha) for key, body, sha in conn.execute(query)}


def _parse(key: str, body: str, sha: str | None) -> OmegaDecision:
    if sha256(body.encode()).hexdigest() != sha:
        raise IntegrityError(f"decision {key} was changed after it was sealed: omega trail verify")
    return OmegaDecision.model_validate_json(body)


def _reservations(sealed: Sequence[OmegaDecision]) -> Iterator[Exposure]:
    for decision in sealed:
        proposal = decision.proposal
        if decision.quantity and proposal is not None:
            yield Exposure(
                id=decision.id,
                bot=decision.bot,
                symbol=decision.symbol,
                factor=proposal.factor,
                side=proposal.side,
                risk=decision.quantity * proposal.max_loss,
            )


def _write(
    conn: Connection,
    store: Store,
    closed: Sequence[_Closed],
    at: AwareDatetime,
    took: Mapping[str, float],
) -> None:
    if not closed:
        return
    sealed = [decision for decision, _, _ in closed]
    rows = [_row(one, at) | {"took": took.get(one.decision.id)} for one in closed]
    conn.execute(_upsert(conn.dialect.name), rows)
    exposure.reserve(conn, list(_reservations(sealed)), at)
    orders = [Order.of(decision) for decision in sealed if decision.quantity]
    opening(conn, orders)
    outbox.add(conn, outbox.EXECUTE, [{"order": order.id} for order in orders], at)
    entries = [
        audit.Entry(row["bot"], "decision", audit.sealed_facts(row, row["sha256"]), row["id"])
        for row in rows
    ]
    audit.extend(conn, store, entries, at)


@cache
def _upsert(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that seals: inserts, or fills in what is pending. Cached: 1 ms."""
    new = tables.insert_of(dialect, _TABLE)
    kept = {"id", "bot", "attempts", "sent_at"}
    changed = {c.name: new.excluded[c.name] for c in _TABLE.c if c.name not in kept}
    return new.on_conflict_do_update(
        index_elements=["id"], set_=changed, where=_TABLE.c.status == PENDING
    )


def _row(closed: _Closed, at: AwareDatetime) -> dict[str, Any]:
    decision, body, sha = closed
    veto = decision.draft.veto
    return _columns(decision.context) | {
        "status": SEALED,
        "action": decision.action.value,
        "code": decision.code.value,
        "layer": veto.layer if veto else None,
        "quantity": decision.quantity,
        "probability": decision.probability,
        "body": body,
        "sha256": sha,
        "created_at": decision.context.asof,
        "sealed_at": at,
    }


class Ended(NamedTuple):
    """What is recorded of a decision that could not be taken."""

    decision: OmegaDecision
    failed: bool
    """False where it was sealed before: somebody had taken it after all."""


def fail(
    store: Store,
    context: Context,
    error: str,
    at: AwareDatetime,
    work: dead.Work | None = None,
) -> Ended:
    """Seal a decision that could not be taken as a HOLD that says so, unless it is sealed.

    Parameters
    ----------
    work
        What to keep among the dead letters: in the same transaction, and only if this sealed it.
        None where no person needs to look at it.
    """
    with writing(store) as conn:
        audit.lock(conn, [context.bot.name])
        known = _recorded(conn, [context.id]).get(context.id)
        if known is not None:
            return Ended(known, failed=False)
        closed = _close(Draft(context=context).add(_veto(Reason.FAILED, error)), at)
        _write(conn, store, [closed], at, {})
        if work is not None:
            dead.add(conn, store, work, error, at)
    return Ended(closed.decision, failed=True)


class Pending(NamedTuple):
    """A decision that is due."""

    context: Context
    attempts: int
    """How often it was published again."""
    sent_at: AwareDatetime
    """When it was put on its way last, in real time."""


_PENDING = select(_TABLE.c.body, _TABLE.c.attempts, _TABLE.c.sent_at).where(_IS_PENDING)


def _pending(row: Any) -> Pending:
    context = Context.model_validate_json(row.body)
    return Pending(context, row.attempts, row.sent_at or context.asof)


def unsealed(store: Store) -> list[Pending]:
    """Return what is pending, oldest deadline first."""
    with reading(store) as conn:
        rows = conn.execute(_PENDING.order_by(_TABLE.c.deadline, _TABLE.c.id)).all()
    return [_pending(row) for row in rows]


def pending(store: Store, ids: Sequence[str]) -> list[Pending]:
    """Return those of these decisions that are pending."""
    if not ids:
        return []
    with reading(store) as conn:
        rows = conn.execute(_PENDING.where(_TABLE.c.id.in_(ids))).all()
    return [_pending(row) for row in rows]


def waiting(store: Store) -> tuple[int, AwareDatetime | None]:
    """Return how many decisions are pending, and the `asof` of the oldest of them."""
    query = select(func.count(), func.min(_TABLE.c.asof)).where(_IS_PENDING)
    with reading(store) as conn:
        number, oldest = conn.execute(query).one()
    return number, oldest


def again(store: Store, ids: Sequence[str], at: AwareDatetime) -> None:
    """Count one more attempt of what is still pending: it was put on its way again at `at`."""
    if not ids:
        return
    counted = update(_TABLE).where(_TABLE.c.id.in_(ids), _IS_PENDING)
    with writing(store) as conn:
        conn.execute(counted.values(attempts=_TABLE.c.attempts + 1, sent_at=at))


def latency(store: Store, since: AwareDatetime, *seconds: float) -> tuple[int, tuple[int, ...]]:
    """Count the sealed decisions that were sent since a moment, and how many took too long.

    Returns
    -------
    number, counts
        Of all of them, and of those that took longer than each of `seconds`.
    """
    took = _TABLE.c.took
    longer = [func.coalesce(func.sum(case((took > one, 1), else_=0)), 0) for one in seconds]
    query = select(func.count(), *longer).where(_TABLE.c.sent_at >= since, took.is_not(None))
    with reading(store) as conn:
        number, *counts = conn.execute(query).one()
    return number, tuple(counts)


def known(store: Store, ids: Sequence[str]) -> dict[str, str]:
    """Return the status of those decisions that there are, by id."""
    query = select(_TABLE.c.id, _TABLE.c.status).where(_TABLE.c.id.in_(ids))
    with reading(store) as conn:
        return {row.id: row.status for row in conn.execute(query)}


def asked(store: Store, bot: str, symbol: str, bar: AwareDatetime) -> int:
    """Count the decisions of a bot about one bar of one symbol, to number the next question."""
    query = select(func.count()).where(
        _TABLE.c.bot == bot, _TABLE.c.symbol == symbol, _TABLE.c.bar == bar
    )
    with reading(store) as conn:
        return conn.execute(query).scalar_one()


def status(store: Store, key: str) -> str | None:
    """Return ``PENDING`` or ``SEALED``; None where the id is unknown."""
    return known(store, [key]).get(key)


def get(store: Store, key: str) -> OmegaDecision:
    """Return a sealed decision.

    Raises
    ------
    Refused
        The id is unknown or still pending.
    IntegrityError
        Its body was changed.
    """
    found = many(store, [key])
    if not found:
        raise Refused(f"no sealed decision {key!r}; `omega trail list` shows them")
    return found[0]


def many(store: Store, ids: Sequence[str]) -> list[OmegaDecision]:
    """Return sealed decisions in the order asked for, without those that are none."""
    with reading(store) as conn:
        found = _recorded(conn, ids)
    return [found[key] for key in ids if key in found]


def listing(
    store: Store,
    bot: str | None = None,
    symbol: str | None = None,
    action: str | None = None,
    code: str | None = None,
    since: AwareDatetime | None = None,
    limit: int = 100,
) -> list[Line]:
    """Return the newest decisions, pending ones too, newest first."""
    query = select(*(_TABLE.c[name] for name in Line._fields))
    for name, wanted in (("bot", bot), ("symbol", symbol), ("action", action), ("code", code)):
        if wanted is not None:
            query = query.where(_TABLE.c[name] == wanted)
    if since is not None:
        query = query.where(_TABLE.c.asof >= since)
    with reading(store) as conn:
        rows = conn.execute(query.order_by(_TABLE.c.asof.desc(), _TABLE.c.id).limit(limit)).all()
    return [Line(*row) for row in rows]


def sample(store: Store, n: int, seed: int) -> list[OmegaDecision]:
    """Return up to n sealed decisions, the same ones for the same seed and database."""
    with reading(store) as conn:
        ids = conn.scalars(select(_TABLE.c.id).where(_TABLE.c.status == SEALED)).all()
    drawn = sorted(ids, key=lambda key: sha256(f"{seed}|{key}".encode()).digest())[:n]
    return many(store, sorted(drawn))


def count_by(
    store: Store, *columns: str, since: AwareDatetime | None = None
) -> dict[tuple[str | None, ...], int]:
    """Count decisions by bot, symbol, status, env, action, code or layer (of the veto).

    Examples
    --------
    ``count_by(store, "bot", "layer")`` says which layer stopped how many decisions of which bot;
    the layer is None where nothing did.
    """
    if unknown := set(columns) - set(_COUNTED):
        raise Refused(f"cannot count by {sorted(unknown)}; choose from {', '.join(_COUNTED)}")
    grouped = [_TABLE.c[name] for name in columns]
    query = select(*grouped, func.count()).group_by(*grouped)
    if since is not None:
        query = query.where(_TABLE.c.asof >= since)
    with reading(store) as conn:
        return {tuple(row[:-1]): row[-1] for row in conn.execute(query)}


def taken(store: Store, after: AwareDatetime | None, until: AwareDatetime) -> list[OmegaDecision]:
    """Return the sealed decisions on bars later than `after`, up to and with `until`."""
    query = _SEALED.where(_TABLE.c.bar <= until)
    if after is not None:
        query = query.where(_TABLE.c.bar > after)
    with reading(store) as conn:
        return list(_read(conn, query.order_by(_TABLE.c.bar, _TABLE.c.id)).values())
