"""What is a leaf task? A run of segments of one source, read and put through the pipeline.

Tasks are independent, so any executor may run them in any order; each returns plain arrays.
Invariant: a task gives every selected, not excluded row of its segments exactly once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from narfi.core.columns import EMPTY_BYTES, I32, Spans
from querier.budget import Account
from querier.operators.frame import Frame
from querier.operators.pipeline import Pipeline
from querier.reading.view import SourceView, View
from querier.result import QueryStats
from querier.rules import Rule
from storage.batch import LogBatch
from storage.lines.base import LineColumn
from storage.lines.plain import PlainLines
from storage.metadata import Metadata
from storage.scan import Columns, LogSource, ReadStats, ScanRequest, Segment
from storage.stream_labels import U64

TASK_BYTES = 8 * 1024 * 1024
"""Lines per task, about: large enough to amortise Python, small enough to share and to cancel."""

TASK_ROWS = 1 << 17

KEPT_BYTES = 64 * 1024 * 1024
"""Scans of fewer bytes of plain lines are remembered; larger ones would turn the cache over."""


@dataclass(frozen=True, slots=True)
class ScanTask:
    """Consecutive segments of one source."""

    view: SourceView
    segments: tuple[Segment, ...]
    request: ScanRequest

    @property
    def min_ts(self) -> int:
        """The oldest timestamp that the task can give."""
        return min(s.min_ts for s in self.segments)

    @property
    def max_ts(self) -> int:
        """The newest timestamp that the task can give."""
        return max(s.max_ts for s in self.segments)


def plan_tasks(
    view: View,
    time_range: tuple[int, int],
    pipeline: Pipeline,
    columns: Columns,
    stats: QueryStats,
    *,
    whole: bool,
) -> list[ScanTask]:
    """The tasks of a view; `whole` joins neighbouring segments up to `TASK_BYTES`."""
    stats.rules |= _rules_of(pipeline, columns)
    planned: list[tuple[SourceView, ScanRequest, Sequence[Segment]]] = []
    for source in view.sources:
        request = ScanRequest(
            streams=source.streams,
            start_ns=time_range[0],
            end_ns=time_range[1],
            columns=columns,
            needles=pipeline.needles,
            plain=pipeline.plain_lines,
            stats=stats.reading,
        )
        planned.append((source, request, source.source.segments(request)))
    shaped = any(segment.shaped for _, _, segments in planned for segment in segments)
    if shaped and columns.lines and not pipeline.plain_lines:
        stats.rules.add(Rule.SHAPE_COLUMNS)
    stats.segments_planned += sum(len(segments) for _, _, segments in planned)
    total = sum(s.line_bytes for _, _, segments in planned for s in segments if not s.shaped)
    return [
        ScanTask(source, group, replace(request, keep=total <= KEPT_BYTES, stats=ReadStats()))
        for source, request, segments in planned
        for group in _grouped(segments, joined=whole, with_lines=columns.lines)
    ]


def _rules_of(pipeline: Pipeline, columns: Columns) -> set[Rule]:
    """Which rules decide what is read."""
    found = {
        Rule.LITERAL_PRUNING: bool(pipeline.needles),
        Rule.UNREAD_LINES: not columns.lines,
        Rule.UNREAD_METADATA: columns.metadata is not True,
    }
    return {rule for rule, applied in found.items() if applied}


def line_bytes(tasks: Sequence[ScanTask]) -> int:
    """Line bytes of all segments of the tasks, about."""
    return sum(segment.line_bytes for task in tasks for segment in task.segments)


def _grouped(
    segments: Sequence[Segment], *, joined: bool, with_lines: bool
) -> Iterator[tuple[Segment, ...]]:
    group: list[Segment] = []
    size = rows = 0
    for segment in segments:
        full = rows >= TASK_ROWS or (with_lines and size >= TASK_BYTES)
        if group and (full or not joined):
            yield tuple(group)
            group, size, rows = [], 0, 0
        group.append(segment)
        size += segment.line_bytes
        rows += segment.rows
    if group:
        yield tuple(group)


def batches_of(task: ScanTask, stats: QueryStats) -> Iterator[LogBatch]:
    """The rows of a task, without duplicates of other sources; counts what was read.

    Decoded lines are counted until the task ends: ask for `task.request.stats` then.
    """
    stats.sources_read.add(task.view.source.source_id)
    for segment in task.segments:
        batch = task.view.kept(task.view.source.read(segment, task.request))
        stats.segments += 1
        stats.lines_scanned += len(batch)
        if batch.lines is not None:
            stats.bytes_scanned += _size_of(batch.lines, len(batch), segment)
        if len(batch):
            yield batch


def _size_of(lines: LineColumn, rows: int, segment: Segment) -> int:
    """Line bytes; of a shape the mean of its block, since its lines are not put together here."""
    if lines.shape() is None:
        return lines.nbytes()
    return segment.line_bytes * rows // max(segment.rows, 1)


def frame_of(batch: LogBatch, account: Account | None = None) -> Frame:
    """The batch as a frame; columns that were not read are empty stand-ins."""
    lines = batch.lines
    if lines is None:
        lines = PlainLines(
            Spans(
                EMPTY_BYTES,
                np.zeros(len(batch), np.int64),
                np.zeros(len(batch), np.int32),
            )
        )
    return Frame.of(batch, lines, batch.metadata or Metadata(), account)


def stream_ids(task: ScanTask, frame: Frame) -> U64:
    """Which stream each row is of, in any source of the view."""
    return streams_of(task.view.source, frame.stream)


def streams_of(source: LogSource, ordinals: I32) -> U64:
    """The fingerprint of each row's stream; few streams have many rows."""
    used, where = np.unique(ordinals, return_inverse=True)
    return source.table.fingerprints(used)[where]
