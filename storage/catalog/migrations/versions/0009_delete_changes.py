"""When delete requests were done, indexes to find them, and what changed of which tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, the indexes and the table; of what was done only the beginning is known."""
    op.add_column("delete_requests", sa.Column("finished_ns", sa.BigInteger, nullable=True))
    op.execute("UPDATE delete_requests SET finished_ns = created_ns WHERE status = 'processed'")
    op.create_index(
        "delete_requests_by_tenant", "delete_requests", ["tenant", "finished_ns", "created_ns"]
    )
    op.create_index("delete_requests_by_end", "delete_requests", ["finished_ns", "created_ns"])
    op.create_table(
        "delete_changes",
        sa.Column("tenant", sa.String(150), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("delete_changes_by_version", "delete_changes", ["version"])
    op.execute("INSERT INTO versions (name, version) VALUES ('deletes', 1)")
    op.execute(
        "INSERT INTO delete_changes (tenant, version) "
        "SELECT DISTINCT tenant, 1 FROM delete_requests WHERE finished_ns IS NULL"
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("delete_changes")
    op.drop_index("delete_requests_by_end", "delete_requests")
    op.drop_index("delete_requests_by_tenant", "delete_requests")
    op.drop_column("delete_requests", "finished_ns")
    op.execute("DELETE FROM versions WHERE name = 'deletes'")
