"""What does an answer look like before it is JSON?

Log answers hold at most `limit` rows, so plain Python values are fine; metric answers are arrays.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from querier.rules import Rule
from storage.scan import ReadStats

T = TypeVar("T")

LabelPairs = tuple[tuple[str, str], ...]
"""Sorted by name; values may be empty in log results (reference/logql.md §13)."""


SET_BYTES, PAIR_BYTES = 200, 130
"""Of a label set, and of each label in it, beside the characters of its value."""


def labels_bytes(pairs: LabelPairs) -> int:
    """What a label set takes as Python values, about; its names are shared."""
    size = SET_BYTES + PAIR_BYTES * len(pairs)
    for _, value in pairs:
        size += len(value)
    return size


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
    entries: Sequence[LogEntry]


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


class Phase(StrEnum):
    """What a query spends its time with, in order."""

    PARSE = "parse"
    VIEW = "view"
    """Which blocks, head parts and streams there are, and what is in them twice."""
    PLAN = "plan"
    COUNT = "count"
    """From timestamps and stream labels alone."""
    SCAN = "scan"
    """Rows are read and put through the stages."""
    FETCH = "fetch"
    """The rows of a log answer are read whole."""
    FINISH = "finish"


@dataclass(slots=True, kw_only=True)
class QueryStats:
    """What a query, a part of it or a leaf task cost; one thread adds to it."""

    lines_scanned: int = 0  # read, or counted from timestamps
    lines_counted: int = 0
    bytes_scanned: int = 0
    metadata_bytes: int = 0
    lines_after_filter: int = 0
    lines_fetched: int = 0  # of a log answer, read again with everything
    bytes_fetched: int = 0
    entries_returned: int = 0
    bytes_returned: int = 0
    row_groups: int = 0
    row_groups_planned: int = 0
    blocks: int = 0
    head_lines: int = 0
    head_bytes: int = 0
    streams: int = 0
    exec_time_s: float = 0.0
    queue_time_s: float = 0.0
    reading: ReadStats = field(default_factory=ReadStats)
    sources_read: set[str] = field(default_factory=set)
    rules: set[Rule] = field(default_factory=set)  # which made a difference to the plan
    phases_s: dict[Phase, float] = field(default_factory=dict)
    reads: list["Read"] = field(default_factory=list)  # when the query is to be explained

    def add(self, part: "QueryStats") -> None:
        """Add what a part of the query cost; its times are the caller's to measure."""
        self.lines_scanned += part.lines_scanned
        self.lines_counted += part.lines_counted
        self.bytes_scanned += part.bytes_scanned
        self.metadata_bytes += part.metadata_bytes
        self.lines_after_filter += part.lines_after_filter
        self.lines_fetched += part.lines_fetched
        self.bytes_fetched += part.bytes_fetched
        self.entries_returned += part.entries_returned
        self.bytes_returned += part.bytes_returned
        self.row_groups += part.row_groups
        self.row_groups_planned += part.row_groups_planned
        self.blocks += part.blocks
        self.head_lines += part.head_lines
        self.head_bytes += part.head_bytes
        self.streams += part.streams
        self.reading.add(part.reading)
        self.sources_read |= part.sources_read
        self.rules |= part.rules
        self.reads += part.reads
        for phase, seconds in part.phases_s.items():
            self.phases_s[phase] = self.phases_s.get(phase, 0.0) + seconds

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Count the time of a with block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            self.phases_s[phase] = self.phases_s.get(phase, 0.0) + spent


@dataclass(slots=True)
class Notes:
    """What becomes known of a query while it is worked on; there even when it fails."""

    kind: str = ""  # log or metric, once it is parsed
    stats: QueryStats | None = None  # as far as the work has come


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Sources of one kind: in the time range, and read of these."""

    considered: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """How one selector of a query was read."""

    query: str
    plan: tuple[str, ...]  # its steps, in the order in which they are done
    stages: tuple[str, ...]  # in the order in which they run
    fetch_stages: tuple[str, ...]  # over the rows of a log answer
    heads: SourceCount
    blocks: SourceCount
    rows: int  # of all sources in the time range
    bytes: int
    stats: QueryStats


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query was answered."""

    query: str
    rules_off: tuple[Rule, ...]
    reads: tuple[Read, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with its costs and what the client should be told."""

    result: Result
    stats: QueryStats
    warnings: tuple[str, ...] = field(default=())
    explanation: Explanation | None = None


class Shortfall(str):
    """A warning that says what an answer is without: of which time, and how many rows at most.

    `start_ns` and `end_ns` (inclusive), and `rows`, are None where that is not known.
    """

    __slots__ = ("end_ns", "rows", "start_ns")
    start_ns: int | None
    end_ns: int | None
    rows: int | None

    def __new__(
        cls,
        text: str,
        start_ns: int | None = None,
        end_ns: int | None = None,
        rows: int | None = None,
    ) -> "Shortfall":
        """The text, with what is known of the missing entries."""
        found = super().__new__(cls, text)
        found.start_ns, found.end_ns, found.rows = start_ns, end_ns, rows
        return found


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """An answer of any kind with what the client should be told of it.

    A warning that is a `Shortfall` knows of which time entries are missing.
    """

    value: T
    warnings: tuple[str, ...] = ()
