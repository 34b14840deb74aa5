"""Sums over the visible blocks, by level."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, with the sums of the blocks that are there."""
    op.create_table(
        "level_totals",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("blocks", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO level_totals (level, blocks, row_count, stored_bytes) "
        "SELECT level, count(*), sum(row_count), sum(stored_bytes) FROM blocks GROUP BY level"
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("level_totals")
