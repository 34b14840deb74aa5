"""What does a journal count? By commit, which many pushes share; never by push or line."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

COMMITS = Counter("narfi_journal_commits_total", "Commits of the journal, each of some pushes.")
RECORDS = Counter(
    "narfi_journal_records_total", "Records that the journal made durable, one a push."
)
BYTES = Counter("narfi_journal_bytes_total", "Bytes that commits of the journal wrote.")
COMMIT_FAILURES = Counter(
    "narfi_journal_commit_failures_total", "Commits that failed: their pushes were refused."
)
COMMIT_SECONDS = Histogram(
    "narfi_journal_commit_duration_seconds",
    "Time of a commit: written and synced, or put where the journal is in objects.",
    buckets=SECONDS,
)
SYNC_SECONDS = Histogram(
    "narfi_journal_sync_duration_seconds",
    "Time of the sync of a commit, of a journal in files.",
    buckets=SECONDS,
)
DISK_BYTES = Gauge("narfi_journal_disk_bytes", "Bytes of the files of the journal.")


def committed(records: int, size: int, seconds: float) -> None:
    """A commit is durable."""
    COMMITS.inc()
    RECORDS.inc(records)
    BYTES.inc(size)
    COMMIT_SECONDS.observe(seconds)
