"""Indexes that stay quick as the record grows: of what is pending, and of when orders came."""

import sqlalchemy as sa
from alembic import op

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
