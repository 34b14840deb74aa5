"""What does upkeep count? Sums over all tenants: their number must not be that of our series."""

from prometheus_client import Counter, Gauge

from narfi.core.shown_metrics import MOST_TENANTS, LargestTenants
from storage.catalog.base import BlockRow, Catalog

EXPIRED_BLOCKS = Counter(
    "narfi_expired_blocks_total",
    "Blocks that retention dropped, by reason (age, size, disk).",
    ["reason"],
)
EXPIRED_BYTES = Counter(
    "narfi_expired_bytes_total", "Stored bytes that retention dropped or rewrote away.", ["reason"]
)
EXPIRED_ENTRIES = Counter(
    "narfi_expired_entries_total", "Entries that retention dropped or rewrote away.", ["reason"]
)
REWRITTEN_BLOCKS = Counter(
    "narfi_retention_rewritten_blocks_total", "Blocks written again without expired streams."
)
MERGED_BYTES = Counter(
    "narfi_merged_bytes_total",
    "Line bytes of blocks that merges wrote: in narfi_flushed_bytes_total, how often on top of the "
    "flush an entry is written.",
)
FAR_MERGES = Counter(
    "narfi_ray_merges_total",
    "Merges that tasks of a Ray cluster did, or that failed there and were done here.",
    ["outcome"],
)
MERGES_WITHOUT_ROOM = Gauge(
    "narfi_merges_without_room", "Merges that the last round did not begin for want of free disk."
)
BLOCKS = Gauge("narfi_blocks", "Visible blocks, by level.", ["level"])
ENTRIES = Gauge(
    "narfi_stored_entries", "Entries in visible blocks, by level of the block.", ["level"]
)
BYTES = Gauge("narfi_stored_bytes", "Stored bytes of visible blocks, by level.", ["level"])
TENANT_BYTES = LargestTenants(
    "narfi_tenant_stored_bytes", "Stored bytes of visible blocks, of the largest tenants."
)
REMOVED_BLOCKS = Gauge(
    "narfi_removed_blocks",
    "Blocks that were removed and whose objects wait for readers or for the grace period.",
)
PINNED_BLOCKS = Gauge("narfi_pinned_blocks", "Blocks whose objects stay since somebody reads them.")
LONGEST_READER = Gauge(
    "narfi_longest_reader_seconds", "For how long the oldest of those readers has been reading."
)
LOST_FOLDERS = Gauge(
    "narfi_lost_found_folders", "Folders in lost+found: the catalog does not know them."
)
REMOVED_BYTES = Gauge("narfi_removed_bytes", "Stored bytes of these.")
FREE_DISK = Gauge("narfi_disk_free_bytes", "Free space where data_dir lies.")
MIN_FREE_DISK = Gauge(
    "narfi_disk_min_free_bytes", "Free space below which the oldest blocks are dropped."
)


def count_dropped(reason: str, row: BlockRow) -> None:
    """A whole block went."""
    EXPIRED_BLOCKS.labels(reason).inc()
    EXPIRED_BYTES.labels(reason).inc(row.stored_bytes)
    EXPIRED_ENTRIES.labels(reason).inc(row.rows)


def count_rewritten(reason: str, before: BlockRow, after: BlockRow) -> None:
    """A block lost some streams."""
    REWRITTEN_BLOCKS.inc()
    EXPIRED_BYTES.labels(reason).inc(max(before.stored_bytes - after.stored_bytes, 0))
    EXPIRED_ENTRIES.labels(reason).inc(before.rows - after.rows)


def measure(catalog: Catalog) -> int:
    """Set the gauges from sums that the catalog keeps; 0, since nothing was changed."""
    totals = {total.level: total for total in catalog.totals()}
    seen = {int(s.labels["level"]) for metric in BLOCKS.collect() for s in metric.samples}
    for level in seen | set(totals) | {0}:
        total = totals.get(level)
        BLOCKS.labels(str(level)).set(total.blocks if total else 0)
        ENTRIES.labels(str(level)).set(total.rows if total else 0)
        BYTES.labels(str(level)).set(total.stored_bytes if total else 0)
    largest = catalog.largest_tenants(MOST_TENANTS)
    TENANT_BYTES.show(lambda: largest)
    removed = catalog.removed_total()
    REMOVED_BLOCKS.set(removed.blocks)
    REMOVED_BYTES.set(removed.stored_bytes)
    return 0
