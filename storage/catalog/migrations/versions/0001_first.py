"""Blocks and watermarks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "blocks",
        sa.Column("block_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(150), nullable=False),
        sa.Column("cut_id", sa.String(64), nullable=False),
        sa.Column("min_ts", sa.BigInteger, nullable=False),
        sa.Column("max_ts", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("line_bytes", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("format_version", sa.Integer, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("blocks_by_time", "blocks", ["tenant", "min_ts", "max_ts"])
    op.create_table(
        "watermarks",
        sa.Column("journal_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(150), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("watermarks")
    op.drop_table("blocks")
