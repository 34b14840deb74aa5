"""How is a batch put through a pipeline within a budget? In slices of rows, where text may grow.

What stages make of a slice (labels, rendered text) is charged to the slice's account, and given
back when the next slice is asked for. A template can make any line a thousand times as long, so
slices begin small there and grow while little is made; other pipelines take a batch whole. A slice
that does not fit is tried again in smaller ones before the query is refused.
Invariant: slices give the rows of the batch in its order, each once; none that the line filters in
front of all else drop, which are asked before anything but lines is looked at.
"""

from collections.abc import Iterator

import numpy as np

from logql import ast
from querier.budget import Account, Budget, QueryMemoryError
from querier.operators.frame import Frame, frame_of
from querier.operators.pipeline import Pipeline
from storage.batch import LogBatch

FIRST_ROWS = 1024
"""Of a task whose lines or labels are made by templates."""

MOST_ROWS = 1 << 20

SMALL_BYTES, LARGE_BYTES = 4 << 20, 16 << 20
"""Made of a slice: the next one is four times as long, or half."""

ROW_BYTES = 64
"""Of a row on its way: stream, time, number, where its line begins and ends, and copies."""

LINE_COPIES = 2
"""Of the lines, beside themselves: text that was unescaped or put together."""


class Slices:
    """Puts batches of one task through a pipeline; one thread at a time."""

    def __init__(self, pipeline: Pipeline, budget: Budget, *, shows_lines: bool = False) -> None:
        """`shows_lines`: whoever takes the frames reads the bytes of their lines."""
        self._pipeline, self._budget, self._shows_lines = pipeline, budget, shows_lines
        self._rows = FIRST_ROWS if _makes_text(pipeline) else MOST_ROWS

    def of(self, batch: LogBatch) -> Iterator[Frame]:
        """What comes out; a frame and what it holds is paid for until the next one."""
        at = 0
        while at < len(batch):
            self._budget.check()
            end = min(at + self._rows, len(batch))
            part = batch if end - at == len(batch) else batch.take(np.arange(at, end))
            with self._budget.account() as account:
                try:
                    account.charge(_estimate(part))
                    frames = list(self._frames(part, account))
                except QueryMemoryError:
                    if len(part) <= 1:
                        raise
                    self._rows = max(1, len(part) // 4)
                    continue
                yield from frames
                made = account.used
            at = end
            if made < SMALL_BYTES:
                self._rows = min(self._rows * 4, MOST_ROWS)
            elif made > LARGE_BYTES:
                self._rows = max(1, min(self._rows, len(part)) // 2)

    def _frames(self, part: LogBatch, account: Account) -> Iterator[Frame]:
        """What comes out of some rows; nothing where the line filters in front keep none."""
        rows = None if part.lines is None else self._pipeline.filters.rows(part.lines)
        if rows is not None:
            if not len(rows):
                return
            part = part.take(rows)
        for mine in self._parted(part):
            frame = self._pipeline.apply_behind(frame_of(mine, account))
            if self._shows_lines:
                frame.lines.spans()  # kept by the lines, and charged where they grow
            yield frame

    def _parted(self, part: LogBatch) -> Iterator[LogBatch]:
        """By shape, where a parser asks for it."""
        parts = () if part.lines is None else self._pipeline.parts(part.lines)
        if len(parts) <= 1:
            yield part
            return
        for rows in parts:
            yield part.take(rows)


def _makes_text(pipeline: Pipeline) -> bool:
    return any(isinstance(stage, ast.LineFormat | ast.LabelFormat) for stage in pipeline.stages)


def _estimate(batch: LogBatch) -> int:
    """Of the rows and lines; the size of lines of a shape is the mean of their source."""
    rows, lines, table, size = len(batch), batch.lines, batch.table, 0
    if lines is not None:
        size = lines.about_bytes(int(table.line_bytes.sum()) / max(int(table.rows.sum()), 1))
    return rows * ROW_BYTES + size * LINE_COPIES
