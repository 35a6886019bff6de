"""The tables: one schema on SQLite and on PostgreSQL.

A moment is text of fixed width, in UTC, and a body is canonical JSON: both hash and sort alike on
every database. Columns beside a body repeat what is searched for; `audit.verify` proves that they
repeat it truly. What protects the rows (triggers) is in the first revision of `migrations`.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

HEAD = "0003"
"""The newest revision; a test holds it to the migrations."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def stamp(at: datetime) -> str:
    """Return a moment as text that sorts by time: UTC, microseconds, 27 characters.

    Examples
    --------
    >>> stamp(datetime(2018, 2, 5, 21, tzinfo=UTC))
    '2018-02-05T21:00:00.000000Z'
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; every moment is stored in UTC")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


Name = String().with_variant(String(collation="C"), "postgresql")
"""Text that sorts by its code points on every database, as Python and SQLite sort it."""


class Moment(TypeDecorator[datetime]):
    """A moment, stored as `stamp` writes it."""

    impl = Name
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


def insert(conn: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT of the connection's own dialect, which alone knows ON CONFLICT."""
    return insert_of(conn.dialect.name, table)


def insert_of(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT of a dialect by name."""
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


def _decision(primary: bool = False) -> Column[str]:
    """Return the column that ties a row to the decision it comes from. Never NULL."""
    name = "id" if primary else "decision_id"
    return Column(name, Name, ForeignKey("decisions.id"), primary_key=primary, nullable=False)


decisions = Table(
    "decisions",
    metadata,
    Column("id", Name, primary_key=True),
    Column("bot", Name, nullable=False),
    Column("symbol", Name, nullable=False),
    Column("bar", Moment, nullable=False),
    Column("asof", Moment, nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("status", Name, nullable=False),
    Column("env", Name, nullable=False),
    Column("action", Name),
    Column("code", Name),
    Column("layer", Name),
    Column("quantity", Integer),
    Column("probability", Float),
    Column("body", Text, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", Moment, nullable=False),
    Column("sealed_at", Moment),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", Moment),
    Column("took", Float),
    CheckConstraint("status IN ('PENDING', 'SEALED')", name="status"),
    CheckConstraint(
        "status = 'PENDING' OR (action IS NOT NULL AND code IS NOT NULL AND quantity >= 0"
        " AND sha256 IS NOT NULL AND sealed_at IS NOT NULL)",
        name="sealed",
    ),
    Index(
        "ix_decisions_pending",
        "deadline",
        "id",
        sqlite_where=text("status = 'PENDING'"),
        postgresql_where=text("status = 'PENDING'"),
    ),
    Index(None, "asof"),
    Index(None, "bar"),
    Index(None, "sent_at"),
    Index(None, "bot", "asof"),
)
"""A PENDING body is the context, a SEALED one the whole decision. Sealed rows never change.
`attempts` counts how often a pending one was published again, `sent_at` says when last, and `took`
how many seconds after that it was sealed; both in real time, whatever time the desk has.

Only the few that are pending are indexed by it: with `status` as a whole column of an index, SQLite
takes that one to find two dozen ids and reads every sealed row on the way.
"""

orders = Table(
    "orders",
    metadata,
    Column("id", Name, primary_key=True),
    _decision(),
    Column("bot", Name, nullable=False),
    Column("symbol", Name, nullable=False),
    Column("intent", Name, nullable=False),
    Column("status", Name, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("placed_at", Moment, nullable=False),
    CheckConstraint("status IN ('open', 'filled', 'cancelled')", name="status"),
    CheckConstraint("intent IN ('open', 'close')", name="intent"),
    Index(
        "uq_orders_opening",
        "decision_id",
        unique=True,
        sqlite_where=text("intent = 'open'"),
        postgresql_where=text("intent = 'open'"),
    ),
    Index(None, "placed_at"),
)
"""At most one opening order per decision, whatever is delivered twice."""

fills = Table(
    "fills",
    metadata,
    Column("id", Name, primary_key=True),
    Column("order_id", Name, ForeignKey("orders.id"), nullable=False),
    _decision(),
    Column("quantity", Integer, nullable=False),
    Column("price", Float, nullable=False),
    Column("costs", Float, nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "order_id"),
    Index(None, "at"),
)

positions = Table(
    "positions",
    metadata,
    Column("id", Name, primary_key=True),
    _decision(),
    Column("bot", Name, nullable=False),
    Column("symbol", Name, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "bot"),
)

trades = Table(
    "trades",
    metadata,
    Column("id", Name, primary_key=True),
    _decision(),
    Column("bot", Name, nullable=False),
    Column("symbol", Name, nullable=False),
    Column("structure", Name, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("entry", Float, nullable=False),
    Column("exit", Float, nullable=False),
    Column("pnl", Float, nullable=False),
    Column("costs", Float, nullable=False),
    Column("risk", Float, nullable=False),
    Column("r", Float, nullable=False),
    Column("why", Name, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment, nullable=False),
    Column("simulated", Name, nullable=False),
    Index(None, "closed_at"),
    Index(None, "bot", "closed_at"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("decision_id", Name, ForeignKey("decisions.id"), primary_key=True),
    Column("model", Name, primary_key=True),
    Column("version", Name, nullable=False),
    Column("target", Name, nullable=False),
    Column("probability", Float, nullable=False),
    Column("base_rate", Float, nullable=False),
    Column("happened", Boolean, nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "model", "at"),
)

exposures = Table(
    "exposures",
    metadata,
    _decision(primary=True),
    Column("bot", Name, nullable=False),
    Column("symbol", Name, nullable=False),
    Column("factor", Name, nullable=False),
    Column("side", Integer, nullable=False),
    Column("risk", Float, nullable=False),
    Column("reserved_at", Moment, nullable=False),
    Column("released_at", Moment),
    CheckConstraint("risk >= 0", name="risk"),
    Index(
        "ix_exposures_open",
        "id",
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
)

versions = Table(
    "versions",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("stage", Name, nullable=False),
    Column("trained_at", Moment, nullable=False),
    Column("body", Text, nullable=False),
)
"""`stage` is the column's; the body keeps the stage the version was born with."""

pointers = Table(
    "pointers",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, nullable=False),
    Column("revision", Integer, nullable=False),
)
"""The champion of each model."""

ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("ruling", Name, nullable=False),
    Column("reason", Name, nullable=False),
    Column("measures", Text, nullable=False),
    Column("who", Name, nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "model", "at"),
)

switches = Table(
    "switches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scope", Name, nullable=False),
    Column("target", Name, nullable=False),
    Column("mode", Name, nullable=False),
    Column("code", Name, nullable=False),
    Column("reason", Name, nullable=False),
    Column("who", Name, nullable=False),
    Column("human", Boolean, nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("evidence", Text, nullable=False),
    Column("released_at", Moment),
    Index(
        "ix_switches_set",
        "id",
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", Integer, nullable=False),
)
"""Two rows, made by the first revision: `desk`, the revision of the switches, whose lock puts kills
and reservations in one line, and `registry`, the epoch of the champions."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("topic", Name, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("published_at", Moment),
    Index(
        "ix_outbox_pending",
        "id",
        sqlite_where=text("published_at IS NULL"),
        postgresql_where=text("published_at IS NULL"),
    ),
)

dead = Table(
    "dead",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", Name, nullable=False),
    Column("queue", Name, nullable=False),
    Column("payload", Text, nullable=False),
    Column("error", Name, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("settled", Name),
    Column("settled_at", Moment),
    CheckConstraint("settled IN ('requeued', 'dropped')", name="settled"),
    Index(
        "ix_dead_waiting",
        "id",
        sqlite_where=text("settled IS NULL"),
        postgresql_where=text("settled IS NULL"),
    ),
)
"""What was tried as often as it may be, and failed. A person requeues or drops it."""

audit = Table(
    "audit",
    metadata,
    Column("bot", Name, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("kind", Name, nullable=False),
    Column("ref", Name, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Name, nullable=False),
    Index(None, "ref", "kind"),
)
"""`ref` is the id of the row that a record is about, so that the two can be joined."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("bot", Name, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("at", Name, nullable=False),
)
"""What was written to the checkpoint file, so that a shortened file is noticed too."""

state = Table(
    "state",
    metadata,
    Column("key", Name, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
)
