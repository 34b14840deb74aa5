"""What does an answer look like before it is JSON?

Log answers hold at most `limit` rows, so plain Python values are fine; metric answers are arrays.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LabelPairs = tuple[tuple[str, str], ...]
"""Sorted by name; values may be empty in log results (reference/logql.md §13)."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One returned line with the labels that did not come from its stream.

    Invalid UTF-8 is replaced when JSON is written, not here.
    """

    ts_ns: int
    line: bytes
    metadata: LabelPairs
    parsed: LabelPairs  # includes __error__ and __error_details__


@dataclass(frozen=True, slots=True)
class LogStream:
    """Entries that share all labels (or, when categorised, their stream labels)."""

    labels: LabelPairs
    entries: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True)
class StreamsResult:
    """Streams sorted by label text; entries in the direction asked for.

    Without `categorized`, `labels` hold all labels of the entries, and entries' `metadata` and
    `parsed` are empty; with it `labels` are stream labels only.
    """

    streams: tuple[LogStream, ...]
    categorized: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a matrix: times in ms since the epoch, ascending."""

    labels: LabelPairs
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MatrixResult:
    """Series sorted by labels."""

    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a vector."""

    labels: LabelPairs
    value: float


@dataclass(frozen=True, slots=True)
class VectorResult:
    """Samples at one time, sorted by labels unless the expression sorts."""

    time_ms: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class ScalarResult:
    """One number at one time."""

    time_ms: int
    value: float


Result = StreamsResult | MatrixResult | VectorResult | ScalarResult


@dataclass(slots=True)
class QueryStats:
    """What a query cost; filled while it runs (several threads add under the executor's lock)."""

    lines_scanned: int = 0
    bytes_scanned: int = 0
    metadata_bytes: int = 0
    lines_after_filter: int = 0
    entries_returned: int = 0
    segments: int = 0
    blocks: int = 0
    head_lines: int = 0
    head_bytes: int = 0
    streams: int = 0
    exec_time_s: float = 0.0
    queue_time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with its costs and what the client should be told."""

    result: Result
    stats: QueryStats
    warnings: tuple[str, ...] = field(default=())
