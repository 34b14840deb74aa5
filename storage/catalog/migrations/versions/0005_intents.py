"""Blocks that are being written, and whether a removed block was ever visible."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, add the column."""
    op.create_table(
        "intents",
        sa.Column("block_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(150), nullable=False),
        sa.Column("min_ts", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
    )
    op.add_column(
        "removed_blocks",
        sa.Column("was_visible", sa.Boolean, nullable=False, server_default=sa.true()),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_column("removed_blocks", "was_visible")
    op.drop_table("intents")
