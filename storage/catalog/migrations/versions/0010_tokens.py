"""Tokens: who may sign in, and what for."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; its version is raised by each change."""
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("tenants", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("digest", sa.String(200), nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=True),
    )
    op.execute("INSERT INTO versions (name, version) VALUES ('tokens', 1)")


def downgrade() -> None:
    """Drop it."""
    op.drop_table("tokens")
    op.execute("DELETE FROM versions WHERE name = 'tokens'")
