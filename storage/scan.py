"""How does a query read entries, whether they lie in a head or in a block?

A `LogSource` is one immutable, sorted, duplicate-free run of entries: a block, or a sealed part of
a head. `querier` and `ingester` meet only here. Storage prunes (may keep too much); operators
filter exactly; but stream selection and the time range are exact here, since rows are sorted.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from narfi.core.columns import I32, I64, Mask
from narfi.core.tenant import TenantId
from storage.batch import LogBatch, StreamTable
from storage.objects.base import Allow, BadObjectError


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a read must fill besides stream and ts."""

    lines: bool = True
    metadata: bool | frozenset[str] = True  # all, none, or these names


@dataclass(slots=True, kw_only=True)
class ReadStats:
    """What reading cost. Sources and their lines add to it: one object per task, so no lock."""

    row_groups_pruned: int = 0  # not to be read: no selected row, or no line can hold the needles
    rows_pruned: int = 0  # selected rows that are left out since they cannot hold the needles
    bytes_read: int = 0  # uncompressed columns but timestamps that were not remembered
    rows_decoded: int = 0  # lines turned from stored columns to bytes; lines of a head are bytes
    bytes_decoded: int = 0

    def decoded(self, rows: int, size: int) -> None:
        """So many lines, of so many bytes, were read or put together from typed columns."""
        self.rows_decoded += rows
        self.bytes_decoded += size

    def add(self, other: "ReadStats") -> None:
        """Add what another task found."""
        self.row_groups_pruned += other.row_groups_pruned
        self.rows_pruned += other.rows_pruned
        self.bytes_read += other.bytes_read
        self.rows_decoded += other.rows_decoded
        self.bytes_decoded += other.bytes_decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to read of a source: streams by ordinal mask, `start_ns <= ts < end_ns`."""

    streams: Mask
    start_ns: int
    end_ns: int
    columns: Columns
    needles: tuple[bytes, ...] = ()  # literals that every wanted line contains: pruning only
    plain: bool = False  # decode lines at once instead of handing out typed columns
    keep: bool = False  # few enough bytes to be worth remembering decoded
    stats: ReadStats = field(default_factory=ReadStats, compare=False)  # is added to

    def of_task(self, stats: ReadStats, *, keep: bool) -> "ScanRequest":
        """The same for one task; several times as fast as `dataclasses.replace`."""
        return ScanRequest(
            streams=self.streams,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            columns=self.columns,
            needles=self.needles,
            plain=self.plain,
            keep=keep,
            stats=stats,
        )


@dataclass(frozen=True, slots=True)
class Pieces:
    """Selected places of a file: runs `[low, high)`, each of one stream, ascending."""

    ordinal: I32
    low: I64
    high: I64

    def filled(self) -> "Pieces":
        """Without empty runs."""
        return self._take(self.high > self.low)

    def within(self, first: int, end: int) -> "Pieces":
        """What lies in `[first, end)`."""
        low, high = np.maximum(self.low, first), np.minimum(self.high, end)
        return Pieces(self.ordinal, low, high).filled()

    def streams(self) -> I32:
        """The ordinal at each place."""
        return np.repeat(self.ordinal, self.high - self.low)

    def places(self) -> slice | I64:
        """All places: one run, or an array."""
        if len(self.low) == 0:
            return slice(0, 0)
        if (self.low[1:] == self.high[:-1]).all():
            return slice(int(self.low[0]), int(self.high[-1]))
        counts = self.high - self.low
        before = np.cumsum(counts) - counts
        found: I64 = np.arange(int(counts.sum())) + np.repeat(self.low - before, counts)
        return found

    def _take(self, which: Mask) -> "Pieces":
        return Pieces(self.ordinal[which], self.low[which], self.high[which])


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """A unit of reading: of a file of a block a Parquet row group, of a head part some rows."""

    index: int
    first_row: int
    rows: int  # at least so many as are selected
    min_ts: int  # over the selected rows
    max_ts: int
    line_bytes: int  # about; uncompressed
    pieces: Pieces | None = None
    shaped: bool = False  # lines are typed columns: few bytes, and remembered in any case


class LogSource(Protocol):
    """One immutable run of entries, sorted by (stream, ts, tie), without exact duplicates.

    Thread-safe: several threads read different row groups at once.
    """

    @property
    def source_id(self) -> str:
        """Unique and stable while the source lives."""
        ...

    @property
    def cut_id(self) -> str:
        """The head part that it came from; equal for a head part and the block made of it."""
        ...

    @property
    def table(self) -> StreamTable:
        """Its streams."""
        ...

    @property
    def min_ts(self) -> int:
        """The oldest timestamp in ns."""
        ...

    @property
    def max_ts(self) -> int:
        """The newest timestamp in ns (inclusive)."""
        ...

    def times(self) -> I64:
        """The timestamps of all rows in ns, in row order."""
        ...

    def line_sums(self, *, load: bool) -> I64 | None:
        """For each row, and behind the last, the bytes of all lines in front of it.

        None where that is not known and `load` is false: then lines must be read for it.
        """
        ...

    def row_groups(self, request: ScanRequest) -> Sequence[RowGroup]:
        """What must be read for the request, in row order; empty row groups are left out."""
        ...

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """`[low, high)` rows of each selected stream within the time range; may be empty."""
        ...

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """The selected rows of a row group, each once (exact in streams and time).

        Those of each of its pieces, or all where it has none, are in row order.
        """
        ...

    def fetch(
        self,
        rows: I64,
        columns: Columns,
        stats: ReadStats | None = None,
        charge: Callable[[int], None] | None = None,
    ) -> LogBatch:
        """The given rows (ascending row numbers): late materialisation; `stats` are added to.

        `charge` is told of the bytes of lines before they are taken, row group by row group, and of
        metadata; what it raises ends the read.
        """
        ...

    def metadata_names(self) -> frozenset[str]:
        """All structured metadata names that occur (may be too many, never too few)."""
        ...


class SourceProvider(Protocol):
    """Something that has sources: the heads, or the block store."""

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """The sources that may hold entries with `start_ns <= ts < end_ns`, in no order.

        Invariant: ask the heads first and the block store second, then drop blocks whose `cut_id`
        a head part has; so an entry that is being flushed is seen once (design §6, View).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A damaged block that is not among the sources though it may have entries of the range."""

    block_id: str
    cut_id: str
    min_ts: int  # ns, inclusive
    max_ts: int  # ns, inclusive
    rows: int
    table: StreamTable | None  # None: it may have any stream


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of a time range."""

    sources: Sequence[LogSource]
    left_out: Sequence[LeftOut] = ()


class BlockProvider(Protocol):
    """Something that has blocks, of which some may be damaged."""

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """As `SourceProvider.sources`, and what is missing there."""
        ...


class StoredSources(Protocol):
    """Something whose sources can go away or be damaged: the block store."""

    def reading(self) -> AbstractContextManager[BlockProvider]:
        """A provider whose sources can be read until the `with` ends, whatever is removed."""
        ...

    def judge(self, error: BadObjectError, *, again: bool, allow: Allow) -> None:
        """What a reader met is looked at: afterwards it may read again, from the beginning.

        `again`: it met the same object before. Raises `AppError` where the storage is away.
        """
        ...
