"""Versions of changes, and jobs that workers claim."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, create the tables; what is there already has version 0."""
    for table in ("blocks", "removed_blocks"):
        op.add_column(
            table, sa.Column("version", sa.BigInteger, nullable=False, server_default="0")
        )
        op.create_index(f"{table}_by_version", table, ["version"])
    versions = op.create_table(
        "versions",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(
        versions, [{"name": "newest", "version": 0}, {"name": "forgotten", "version": 0}]
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(150), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("not_before_ns", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("jobs_by_time", "jobs", ["kind", "not_before_ns"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("jobs")
    op.drop_table("versions")
    for table in ("blocks", "removed_blocks"):
        op.drop_index(f"{table}_by_version", table)
        op.drop_column(table, "version")
