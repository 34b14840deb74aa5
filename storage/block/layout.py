"""What are the parts of a block called, and how large may they get?

docs/format/block.md describes every byte; a change here needs a new FORMAT_VERSION, a page and a
stored block of the old version under tests/format_versions.
"""

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from narfi.core.clock import NS_PER_S
from narfi.core.tenant import TenantId

FORMAT_VERSION = 3
"""What is written where nothing else is asked for. 2: shapes beside the plain lines, and `row` in
both. 3: families of shapes over shared columns, and one index."""
NEWEST_VERSION = 3
"""What can be read, and written when asked for."""

LINES = "lines.parquet"
STREAMS = "streams.parquet"
MANIFEST = "manifest.json"

SHAPE = "shape-{number}.parquet"

INDEX = "index"
"""Format 3: what `MANIFEST` is in the others, and all that is known without reading columns."""
DATA = "data"
"""Format 3, packed: all files end to end."""
ROWS = "rows.parquet"
FAMILY = "family-{name}.parquet"
COMMITS = (INDEX, MANIFEST)
"""A folder with one of these objects is a block."""

LINE_COLUMN = "line"
ROW_COLUMN = "row"
SHAPE_COLUMN = "shape"
REST_COLUMN = "ts_ns"
TEMPLATE_KEY = "narfi.template"
"""Footer key of a shape's template."""
METADATA_PREFIX = "metadata."
METADATA_REST = "metadata_rest"
MAX_METADATA_COLUMNS = 64
"""Names beyond the most frequent ones share one column, so that no push can make a million."""

ROW_GROUP_ROWS = 8192
ROW_GROUP_BYTES = 2 * 1024 * 1024
"""Small groups cost nothing in size (zstd: ratio 6.04 at 8 k rows, 6.05 at 64 k) and make the last
lines of a stream, or one stream of many, cheap to read."""

SHAPE_GROUP_ROWS = 1 << 16
SHAPE_GROUP_BYTES = 32 * 1024 * 1024
"""A row group of a shape: its columns are small, and each costs a call to read."""


@lru_cache(maxsize=1 << 12)
def block_prefix(tenant: TenantId, min_ts: int, block_id: str) -> str:
    """The key of a block's folder: `blocks/<tenant>/<day of its oldest entry>/<id>`."""
    seconds = min(max(min_ts // NS_PER_S, -62135596800), 253402300799)
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    return f"blocks/{quote(tenant, safe='')}/{day}/{block_id}"


def commit_of(format_version: int) -> str:
    """The object that makes a folder a block, put last."""
    return INDEX if format_version > 2 else MANIFEST


def is_commit(key: str) -> bool:
    """Whether an object makes its folder a block."""
    return key.rpartition("/")[2] in COMMITS


def block_id_of(key: str) -> str | None:
    """The block to which an object belongs, by the key of the object or of its folder."""
    parts = key.split("/")
    return parts[3] if len(parts) > 3 and parts[0] == "blocks" else None
