"""What do writing and reading blocks count?"""

from prometheus_client import Counter, Gauge

REFUSED_SHAPES = Counter(
    "narfi_refused_shapes_total",
    "Shapes that could not be made, or did not give lines back; their lines were stored plain.",
)

DAMAGED_READS = Counter(
    "narfi_damaged_block_reads_total",
    "Reads that met an object of a block that was missing or not as it was written.",
)
QUARANTINED_BLOCKS = Gauge(
    "narfi_quarantined_blocks", "Damaged blocks that queries leave out until they are repaired."
)
