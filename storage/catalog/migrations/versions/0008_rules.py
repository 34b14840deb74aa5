"""Rule groups of the tenants, and what is remembered of their alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "rule_groups",
        sa.Column("tenant", sa.String(150), primary_key=True),
        sa.Column("namespace", sa.String(512), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rule_states",
        sa.Column("tenant", sa.String(150), primary_key=True),
        sa.Column("namespace", sa.String(512), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("slot_ns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("rule_states")
    op.drop_table("rule_groups")
