"""What does the catalog store? Two tables; the format page is docs/format/catalog.md."""

import sqlalchemy as sa

METADATA = sa.MetaData()

BLOCKS = sa.Table(
    "blocks",
    METADATA,
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
    sa.Index("blocks_by_time", "tenant", "min_ts", "max_ts"),
)

WATERMARKS = sa.Table(
    "watermarks",
    METADATA,
    sa.Column("journal_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)
