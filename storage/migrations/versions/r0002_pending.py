"""Indexes that stay quick as the record grows, attempts of what is pending, and dead letters."""

import json

import sqlalchemy as sa
from alembic import op

NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_decisions_status_deadline", "decisions")
    op.create_index(
        "ix_decisions_pending",
        "decisions",
        ["deadline", "id"],
        sqlite_where=sa.text("status = 'PENDING'"),
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.drop_index("ix_orders_status_placed_at", "orders")
    op.drop_index("ix_orders_bot_symbol_placed_at", "orders")
    op.create_index("ix_orders_placed_at", "orders", ["placed_at"])
    op.create_index("ix_fills_at", "fills", ["at"])
    forget_counts()
    op.add_column(
        "decisions", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_table(
        "dead",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task", NAME, nullable=False),
        sa.Column("queue", NAME, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("error", NAME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("at", NAME, nullable=False),
        sa.Column("settled", NAME, nullable=True),
        sa.Column("settled_at", NAME, nullable=True),
        sa.CheckConstraint("settled IN ('requeued', 'dropped')", name=op.f("ck_dead_settled")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead")),
    )
    op.create_index(
        "ix_dead_waiting",
        "dead",
        ["id"],
        sqlite_where=sa.text("settled IS NULL"),
        postgresql_where=sa.text("settled IS NULL"),
    )


def forget_counts() -> None:
    """Take the day's count of trades out of the accounts: the fills are counted instead."""
    state = sa.table("state", sa.column("key", sa.String()), sa.column("body", sa.Text()))
    accounts = sa.select(state).where(state.c.key >= "account/", state.c.key < "account0")
    for key, body in op.get_bind().execute(accounts).all():
        account = {name: kept for name, kept in json.loads(body).items() if name != "trades_today"}
        text = json.dumps(account, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        op.execute(state.update().where(state.c.key == key).values(body=text))
