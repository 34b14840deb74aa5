"""What does the catalog cost? Its transactions by kind, and those that failed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

CATALOG_SECONDS = Histogram(
    "narfi_catalog_request_duration_seconds",
    "Time of a transaction of the catalog with all its tries, by operation: read, write.",
    ["operation"],
    buckets=SECONDS,
)
CATALOG_FAILURES = Counter(
    "narfi_catalog_request_failures_total",
    "Transactions that failed for good, by operation: read, write.",
    ["operation"],
)
CATALOG_RETRIES = Counter(
    "narfi_catalog_retries_total",
    "Transactions that were run again: a lock, a lost connection, a race.",
)
for _operation in ("read", "write"):
    CATALOG_FAILURES.labels(_operation)


@contextmanager
def counted(operation: str) -> Iterator[None]:
    """For the length of a transaction; whatever is raised is a failure."""
    began = time.perf_counter()
    try:
        yield
    except Exception:
        CATALOG_FAILURES.labels(operation).inc()
        raise
    finally:
        CATALOG_SECONDS.labels(operation).observe(time.perf_counter() - began)
