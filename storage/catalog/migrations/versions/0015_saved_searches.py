"""Searches that people saved, and who asked for a deletion."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and a column for the name of a token."""
    op.create_table(
        "saved_searches",
        sa.Column("tenant", sa.String(150), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
    )
    op.execute("INSERT INTO versions (name, version) VALUES ('saved', 1)")
    op.add_column(
        "delete_requests",
        sa.Column("requested_by", sa.String(200), nullable=False, server_default=""),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_column("delete_requests", "requested_by")
    op.drop_table("saved_searches")
    op.execute("DELETE FROM versions WHERE name = 'saved'")
