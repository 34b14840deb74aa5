"""What does the catalog store? Fifteen tables; the format page is docs/format/catalog.md."""

import sqlalchemy as sa

METADATA = sa.MetaData()
SCHEMA = "0015"
"""The newest migration."""

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
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("blocks_by_version", "version"),
    sa.Index("blocks_by_time", "tenant", "min_ts", "max_ts"),
    sa.Index("blocks_by_age", "max_ts"),
)

LEVEL_TOTALS = sa.Table(
    "level_totals",
    METADATA,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("blocks", sa.BigInteger, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("stored_bytes", sa.BigInteger, nullable=False),
)

REMOVED_BLOCKS = sa.Table(
    "removed_blocks",
    METADATA,
    sa.Column("block_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(150), nullable=False),
    sa.Column("min_ts", sa.BigInteger, nullable=False),
    sa.Column("stored_bytes", sa.BigInteger, nullable=False),
    sa.Column("removed_ns", sa.BigInteger, nullable=False),
    sa.Column("was_visible", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("removed_blocks_by_version", "version"),
    sa.Index("removed_blocks_by_time", "removed_ns"),
)

INTENTS = sa.Table(
    "intents",
    METADATA,
    sa.Column("block_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(150), nullable=False),
    sa.Column("min_ts", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)

DELETE_REQUESTS = sa.Table(
    "delete_requests",
    METADATA,
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("request_id", sa.String(16), primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("start_ns", sa.BigInteger, nullable=False),
    sa.Column("end_ns", sa.BigInteger, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("deleted_rows", sa.BigInteger, nullable=False),
    sa.Column("deleted_bytes", sa.BigInteger, nullable=False),
    sa.Column("finished_ns", sa.BigInteger),
    sa.Column("requested_by", sa.String(200), nullable=False, server_default=""),
    sa.Index("delete_requests_by_tenant", "tenant", "finished_ns", "created_ns"),
    sa.Index("delete_requests_by_end", "finished_ns", "created_ns"),
)

DELETE_CHANGES = sa.Table(
    "delete_changes",
    METADATA,
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Index("delete_changes_by_version", "version"),
)

WATERMARKS = sa.Table(
    "watermarks",
    METADATA,
    sa.Column("journal_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

LOSSES = sa.Table(
    "losses",
    METADATA,
    sa.Column("journal_id", sa.String(64), primary_key=True),
    sa.Column("first_position", sa.BigInteger, primary_key=True),
    sa.Column("last_position", sa.BigInteger, primary_key=True),
    sa.Column("from_ns", sa.BigInteger, nullable=False),
    sa.Column("to_ns", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("told_ns", sa.BigInteger, nullable=False),
    sa.Column("understood_ns", sa.BigInteger),
)

JOURNALS = sa.Table(
    "journals",
    METADATA,
    sa.Column("journal_id", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("address", sa.String(300), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("forgotten", sa.BigInteger, nullable=False),
)

VERSIONS = sa.Table(
    "versions",
    METADATA,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

JOBS = sa.Table(
    "jobs",
    METADATA,
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
    sa.Index("jobs_by_time", "kind", "not_before_ns"),
)

RULE_GROUPS = sa.Table(
    "rule_groups",
    METADATA,
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("namespace", sa.String(512), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
)

RULE_STATES = sa.Table(
    "rule_states",
    METADATA,
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("namespace", sa.String(512), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("slot_ns", sa.BigInteger, nullable=False),
)

RULERS = sa.Table(
    "rulers",
    METADATA,
    sa.Column("holder", sa.String(64), primary_key=True),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
)

RULE_CLAIMS = sa.Table(
    "rule_claims",
    METADATA,
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("namespace", sa.String(512), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
)

TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("tenants", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("digest", sa.String(200), nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("expires_ns", sa.BigInteger),
)

SAVED_SEARCHES = sa.Table(
    "saved_searches",
    METADATA,
    sa.Column("tenant", sa.String(150), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_by", sa.String(200), nullable=False),
)
