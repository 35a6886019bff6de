"""When a decision was last put on its way, and how long it took from there to its seal."""

import sqlalchemy as sa
from alembic import op

NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("sent_at", NAME, nullable=True))
    op.add_column("decisions", sa.Column("took", sa.Float(), nullable=True))
    op.create_index("ix_decisions_sent_at", "decisions", ["sent_at"])
