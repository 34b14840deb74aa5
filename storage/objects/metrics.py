"""What do objects cost? Requests to their store by operation, their time, bytes and failures.

Of a far store every request; of a folder what writes, and whole objects: columns of blocks in a
folder are mapped into memory and no request.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from storage.objects.base import BadObjectError

SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

OBJECT_SECONDS = Histogram(
    "narfi_object_request_duration_seconds",
    "Time of a request for objects, by operation: put, get, list, move, delete.",
    ["operation"],
    buckets=SECONDS,
)
OBJECT_FAILURES = Counter(
    "narfi_object_request_failures_total",
    "Requests for objects that failed, by operation; an object that is not there is no failure.",
    ["operation"],
)
OBJECT_BYTES = Counter(
    "narfi_object_bytes_total", "Bytes of objects, by operation: put, get.", ["operation"]
)
DISK_CACHE_READS = Counter(
    "narfi_disk_cache_reads_total",
    "Pieces of far blocks that were looked for in the cache on the disk: found, missed.",
    ["outcome"],
)
DISK_CACHE_BYTES = Gauge("narfi_disk_cache_bytes", "Bytes of far blocks that are on the disk.")
DISK_CACHE_FAULTS = Counter(
    "narfi_disk_cache_faults_total",
    "Pieces on the disk that could not be read, written or removed; the store was asked instead.",
)
for _operation in ("put", "get", "list", "move", "delete"):
    OBJECT_FAILURES.labels(_operation)


@contextmanager
def counted(operation: str) -> Iterator[None]:
    """For the length of a request."""
    began = time.perf_counter()
    try:
        yield
    except BadObjectError:  # the store answers
        raise
    except Exception:
        OBJECT_FAILURES.labels(operation).inc()
        raise
    finally:
        OBJECT_SECONDS.labels(operation).observe(time.perf_counter() - began)


def went(size: int) -> None:
    """So many bytes of an object were put."""
    OBJECT_BYTES.labels("put").inc(size)


def came(size: int) -> None:
    """So many bytes of an object were read."""
    OBJECT_BYTES.labels("get").inc(size)
