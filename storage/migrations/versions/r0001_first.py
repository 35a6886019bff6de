"""Every table, and the triggers that protect what must not change."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")

# Table, the operation, the condition on the old row that forbids it, and what the error says.
KEPT = (
    ("audit", "UPDATE", "TRUE", "the audit chain is append-only"),
    ("audit", "DELETE", "TRUE", "the audit chain is append-only"),
    ("decisions", "UPDATE", "OLD.status = 'SEALED'", "a sealed decision never changes"),
    ("decisions", "DELETE", "TRUE", "a decision is never deleted"),
    ("fills", "UPDATE", "TRUE", "a fill never changes; corrections are new records"),
    ("fills", "DELETE", "TRUE", "a fill is never deleted"),
    ("trades", "UPDATE", "TRUE", "a trade never changes; corrections are new records"),
    ("trades", "DELETE", "TRUE", "a trade is never deleted"),
)
SEALED = (
    "SELECT 1 FROM decisions d"
    " WHERE d.id = NEW.decision_id AND d.status = 'SEALED' AND d.quantity > 0"
)
NO_DECISION = "an order needs a sealed decision that has a quantity"


def upgrade() -> None:
    tables()
    op.execute("INSERT INTO counters (name, value) VALUES ('desk', 0), ('registry', 0)")
    if op.get_bind().dialect.name == "sqlite":
        sqlite_triggers()
    else:
        postgresql_triggers()


def sqlite_triggers() -> None:
    for table, operation, when, message in KEPT:
        op.execute(
            f"CREATE TRIGGER {table}_{operation.lower()} BEFORE {operation} ON {table}"
            f" WHEN {when} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
    op.execute(
        "CREATE TRIGGER orders_insert BEFORE INSERT ON orders"
        f" WHEN NOT EXISTS ({SEALED}) BEGIN SELECT RAISE(ABORT, '{NO_DECISION}'); END"
    )


def postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION omega_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';"
        " END $$"
    )
    for table, operation, when, message in KEPT:
        op.execute(
            f"CREATE TRIGGER {table}_{operation.lower()} BEFORE {operation} ON {table}"
            f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION omega_refuse('{message}')"
        )
    for table in ("audit", "decisions", "fills", "trades"):
        op.execute(
            f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table}"
            " EXECUTE FUNCTION omega_refuse('these records are never deleted')"
        )
    op.execute(
        "CREATE FUNCTION omega_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NOT EXISTS ({SEALED}) THEN"
        f" RAISE EXCEPTION '{NO_DECISION}' USING ERRCODE = 'integrity_constraint_violation';"
        " END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER orders_insert BEFORE INSERT ON orders"
        " FOR EACH ROW EXECUTE FUNCTION omega_order()"
    )


def tables() -> None:
    op.create_table(
        "audit",
        sa.Column("bot", NAME, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("ref", NAME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", NAME, nullable=False),
        sa.PrimaryKeyConstraint("bot", "seq", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_ref_kind"), "audit", ["ref", "kind"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("bot", NAME, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", NAME, nullable=False),
        sa.PrimaryKeyConstraint("bot", "seq", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "counters",
        sa.Column("name", NAME, nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", NAME, nullable=False),
        sa.Column("bot", NAME, nullable=False),
        sa.Column("symbol", NAME, nullable=False),
        sa.Column("bar", NAME, nullable=False),
        sa.Column("asof", NAME, nullable=False),
        sa.Column("deadline", NAME, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("env", NAME, nullable=False),
        sa.Column("action", NAME, nullable=True),
        sa.Column("code", NAME, nullable=True),
        sa.Column("layer", NAME, nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", NAME, nullable=False),
        sa.Column("sealed_at", NAME, nullable=True),
        sa.CheckConstraint(
            "status = 'PENDING' OR (action IS NOT NULL AND code IS NOT NULL AND quantity >= 0 AND sha256 IS NOT NULL AND sealed_at IS NOT NULL)",
            name=op.f("ck_decisions_sealed"),
        ),
        sa.CheckConstraint("status IN ('PENDING', 'SEALED')", name=op.f("ck_decisions_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_asof"), "decisions", ["asof"], unique=False)
    op.create_index(op.f("ix_decisions_bar"), "decisions", ["bar"], unique=False)
    op.create_index(op.f("ix_decisions_bot_asof"), "decisions", ["bot", "asof"], unique=False)
    op.create_index(
        op.f("ix_decisions_status_deadline"), "decisions", ["status", "deadline"], unique=False
    )
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("ruling", NAME, nullable=False),
        sa.Column("reason", NAME, nullable=False),
        sa.Column("measures", sa.Text(), nullable=False),
        sa.Column("who", NAME, nullable=False),
        sa.Column("at", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_model_at"), "ledger", ["model", "at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic", NAME, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", NAME, nullable=False),
        sa.Column("published_at", NAME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("published_at IS NULL"),
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "pointers",
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_pointers")),
    )
    op.create_table(
        "state",
        sa.Column("key", NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_state")),
    )
    op.create_table(
        "switches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", NAME, nullable=False),
        sa.Column("target", NAME, nullable=False),
        sa.Column("mode", NAME, nullable=False),
        sa.Column("code", NAME, nullable=False),
        sa.Column("reason", NAME, nullable=False),
        sa.Column("who", NAME, nullable=False),
        sa.Column("human", sa.Boolean(), nullable=False),
        sa.Column("set_at", NAME, nullable=False),
        sa.Column("expires_at", NAME, nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("released_at", NAME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_switches")),
    )
    op.create_index(
        "ix_switches_set",
        "switches",
        ["id"],
        unique=False,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_table(
        "versions",
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("stage", NAME, nullable=False),
        sa.Column("trained_at", NAME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", name=op.f("pk_versions")),
    )
    op.create_table(
        "exposures",
        sa.Column("id", NAME, nullable=False),
        sa.Column("bot", NAME, nullable=False),
        sa.Column("symbol", NAME, nullable=False),
        sa.Column("factor", NAME, nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("risk", sa.Float(), nullable=False),
        sa.Column("reserved_at", NAME, nullable=False),
        sa.Column("released_at", NAME, nullable=True),
        sa.CheckConstraint("risk >= 0", name=op.f("ck_exposures_risk")),
        sa.ForeignKeyConstraint(["id"], ["decisions.id"], name=op.f("fk_exposures_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exposures")),
    )
    op.create_index(
        "ix_exposures_open",
        "exposures",
        ["id"],
        unique=False,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_table(
        "orders",
        sa.Column("id", NAME, nullable=False),
        sa.Column("decision_id", NAME, nullable=False),
        sa.Column("bot", NAME, nullable=False),
        sa.Column("symbol", NAME, nullable=False),
        sa.Column("intent", NAME, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("placed_at", NAME, nullable=False),
        sa.CheckConstraint("intent IN ('open', 'close')", name=op.f("ck_orders_intent")),
        sa.CheckConstraint(
            "status IN ('open', 'filled', 'cancelled')", name=op.f("ck_orders_status")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_orders_decision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index(
        op.f("ix_orders_bot_symbol_placed_at"),
        "orders",
        ["bot", "symbol", "placed_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_orders_status_placed_at"), "orders", ["status", "placed_at"], unique=False
    )
    op.create_index(
        "uq_orders_opening",
        "orders",
        ["decision_id"],
        unique=True,
        sqlite_where=sa.text("intent = 'open'"),
        postgresql_where=sa.text("intent = 'open'"),
    )
    op.create_table(
        "outcomes",
        sa.Column("decision_id", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("target", NAME, nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("base_rate", sa.Float(), nullable=False),
        sa.Column("happened", sa.Boolean(), nullable=False),
        sa.Column("at", NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_outcomes_decision_id")
        ),
        sa.PrimaryKeyConstraint("decision_id", "model", name=op.f("pk_outcomes")),
    )
    op.create_index(op.f("ix_outcomes_model_at"), "outcomes", ["model", "at"], unique=False)
    op.create_table(
        "positions",
        sa.Column("id", NAME, nullable=False),
        sa.Column("decision_id", NAME, nullable=False),
        sa.Column("bot", NAME, nullable=False),
        sa.Column("symbol", NAME, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("opened_at", NAME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_positions_decision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
    )
    op.create_index(op.f("ix_positions_bot"), "positions", ["bot"], unique=False)
    op.create_table(
        "trades",
        sa.Column("id", NAME, nullable=False),
        sa.Column("decision_id", NAME, nullable=False),
        sa.Column("bot", NAME, nullable=False),
        sa.Column("symbol", NAME, nullable=False),
        sa.Column("structure", NAME, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Float(), nullable=False),
        sa.Column("exit", sa.Float(), nullable=False),
        sa.Column("pnl", sa.Float(), nullable=False),
        sa.Column("costs", sa.Float(), nullable=False),
        sa.Column("risk", sa.Float(), nullable=False),
        sa.Column("r", sa.Float(), nullable=False),
        sa.Column("why", NAME, nullable=False),
        sa.Column("opened_at", NAME, nullable=False),
        sa.Column("closed_at", NAME, nullable=False),
        sa.Column("simulated", NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_trades_decision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
    )
    op.create_index(op.f("ix_trades_bot_closed_at"), "trades", ["bot", "closed_at"], unique=False)
    op.create_index(op.f("ix_trades_closed_at"), "trades", ["closed_at"], unique=False)
    op.create_table(
        "fills",
        sa.Column("id", NAME, nullable=False),
        sa.Column("order_id", NAME, nullable=False),
        sa.Column("decision_id", NAME, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Float(), nullable=False),
        sa.Column("costs", sa.Float(), nullable=False),
        sa.Column("at", NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_fills_decision_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_fills_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
    )
    op.create_index(op.f("ix_fills_order_id"), "fills", ["order_id"], unique=False)
