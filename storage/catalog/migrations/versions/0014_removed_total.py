"""The sum over removed blocks, beside those over visible ones."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count those that are there."""
    op.execute(
        "INSERT INTO level_totals (level, blocks, row_count, stored_bytes) "
        "SELECT -1, count(*), 0, coalesce(sum(stored_bytes), 0) FROM removed_blocks"
    )


def downgrade() -> None:
    """Forget it."""
    op.execute("DELETE FROM level_totals WHERE level = -1")
