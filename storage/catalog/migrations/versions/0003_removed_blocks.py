"""Removed blocks, and blocks in order of age."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and both indexes."""
    op.create_table(
        "removed_blocks",
        sa.Column("block_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(150), nullable=False),
        sa.Column("min_ts", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("removed_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("removed_blocks_by_time", "removed_blocks", ["removed_ns"])
    op.create_index("blocks_by_age", "blocks", ["max_ts"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("blocks_by_age", "blocks")
    op.drop_table("removed_blocks")
