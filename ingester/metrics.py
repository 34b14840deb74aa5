"""What does the write path count? Loki's names where they exist (reference/ingest-rules.md §9)."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED_BYTES = Counter(
    "loki_distributor_bytes_received_total", "Line bytes received.", ["tenant"]
)
RECEIVED_LINES = Counter("loki_distributor_lines_received_total", "Lines received.", ["tenant"])
DISCARDED_SAMPLES = Counter(
    "loki_discarded_samples_total", "Entries refused.", ["reason", "tenant"]
)
DISCARDED_BYTES = Counter("loki_discarded_bytes_total", "Line bytes refused.", ["reason", "tenant"])
PUSH_SECONDS = Histogram("narfi_push_duration_seconds", "Time from body to acknowledgement.")
FLUSHED_BLOCKS = Counter("narfi_flushed_blocks_total", "Blocks published by flushes.")
FLUSHED_BYTES = Counter("narfi_flushed_bytes_total", "Line bytes put into blocks.")
FLUSH_FAILURES = Counter("narfi_flush_failures_total", "Flushes that failed and are tried again.")
UNFLUSHED_BYTES = Gauge("narfi_unflushed_bytes", "Line bytes that are in no visible block.")
DAMAGED_SEGMENTS = Gauge(
    "narfi_journal_damaged_segments",
    "Places where acknowledged frames are missing from the journal, as the last start found them.",
)
LOST_FRAMES = Gauge("narfi_journal_lost_frames", "Frames that are missing there.")
