"""Acknowledged entries that were found missing."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "losses",
        sa.Column("journal_id", sa.String(64), primary_key=True),
        sa.Column("first_position", sa.BigInteger, primary_key=True),
        sa.Column("last_position", sa.BigInteger, primary_key=True),
        sa.Column("from_ns", sa.BigInteger, nullable=False),
        sa.Column("to_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("told_ns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("losses")
