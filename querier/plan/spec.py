"""What is a leaf task, as data? Row groups of one source, and what is to be made of their rows.

A spec is all that another process needs, beside a way to open a source by its id. It stays small
(`tests/querier/executors/test_leaf.py` holds it below 4 KB) because nothing in it grows with
streams or rows: streams are selected again by the selector of the text, row groups are runs of
numbers, and rows are packed as runs when a spec is pickled.
Invariant: equal specs over an equal source give equal partials, in whatever process.
"""

import zlib
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from logql.ast import LogQuery
from logql.format import format_query
from narfi.core.columns import I64
from narfi.core.tenant import TenantId
from querier.budget import Allowance
from querier.operators.base import Demand
from querier.plan.nodes import Scan
from storage.scan import Columns

C_co = TypeVar("C_co", covariant=True)
"""What is computed: plain data with a `run` (querier/executors/leaf.py)."""

D = TypeVar("D")

Runs = tuple[tuple[int, int], ...]
"""Numbers `[first, end)`, ascending."""


class Rows:
    """Ascending numbers of rows (or streams) of a source; pickled as runs, two bytes each or so."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: I64) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and np.array_equal(self.numbers, other.numbers)

    def __hash__(self) -> int:
        return hash(self.numbers.tobytes())

    def __reduce__(self) -> tuple[object, ...]:
        return unpacked_rows, (packed_rows(self.numbers),)


def packed_rows(numbers: I64) -> bytes:
    """Ascending numbers as gaps and lengths of their runs, compressed."""
    if not len(numbers):
        return b""
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    first = numbers[np.concatenate([[0], cuts])]
    end = numbers[np.concatenate([cuts, [len(numbers)]]) - 1] + 1
    gaps = first - np.concatenate([[0], end[:-1]])
    both = np.stack([gaps, end - first], axis=1).ravel()
    small = both.astype(np.min_scalar_type(int(both.max())))
    return bytes([small.itemsize]) + zlib.compress(small.tobytes())


def unpacked_rows(data: bytes) -> Rows:
    """What was packed."""
    if not data:
        return Rows(np.zeros(0, np.int64))
    both: NDArray[np.integer] = np.frombuffer(zlib.decompress(data[1:]), f"u{data[0]}")
    gaps, lengths = both.astype(np.int64).reshape(-1, 2).T
    first = np.cumsum(gaps) + np.cumsum(lengths) - lengths
    before = np.cumsum(lengths) - lengths
    return Rows(np.arange(int(lengths.sum())) + np.repeat(first - before, lengths))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSpec:
    """What all leaf tasks of a selector have in common."""

    query: str  # canonical: the selector, and the stages in the order in which they run
    time_range: tuple[int, int]  # `[start, end)` ns
    demand: Demand  # what is looked at behind the stages
    columns: Columns
    plain: bool  # lines are decoded at once
    needles: tuple[bytes, ...] = ()  # literals without which no line is wanted: pruning only


def scan_spec(scan: Scan) -> ScanSpec:
    """A scan of a plan; what rules decided is in it, so a leaf asks for no rule."""
    return ScanSpec(
        query=format_query(LogQuery(scan.selector, scan.stages)),
        time_range=scan.time_range,
        demand=scan.demand,
        columns=scan.columns,
        plain=not scan.typed,
        needles=scan.needles,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A source of a view."""

    source_id: str
    order: int  # place in order of arrival
    excluded: Rows  # that are hidden, or that another source has already
    left_out: Rows  # ordinals of streams that the selector selects, hidden as a whole
    tenant: TenantId | None = None  # that its streams carry, where several tenants are asked


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSpec(Generic[C_co]):
    """A leaf task."""

    scan: ScanSpec
    source: SourceSpec
    compute: C_co
    allowance: Allowance
    row_groups: Runs = ()
    keep: bool = False  # few enough bytes to be worth remembering decoded
    min_ts: int = 0  # of what it can give
    max_ts: int = 0
    line_bytes: int = 0  # of its row groups, about

    def computing(self, compute: D, *, line_bytes: int | None = None) -> "LeafSpec[D]":
        """The same rows for another question; `line_bytes`: about so many that it reads."""
        return LeafSpec(  # `dataclasses.replace` takes several times as long
            scan=self.scan,
            source=self.source,
            compute=compute,
            allowance=self.allowance,
            row_groups=self.row_groups,
            keep=self.keep,
            min_ts=self.min_ts,
            max_ts=self.max_ts,
            line_bytes=self.line_bytes if line_bytes is None else line_bytes,
        )


def runs_of(numbers: list[int]) -> Runs:
    """Ascending numbers as runs."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return tuple(runs)
