"""How is a batch put through a pipeline within a budget? In slices of rows, where text may grow.

What stages make of a slice (labels, rendered text) is charged to the slice's account, and given
back when the next slice is asked for. A template can make any line a thousand times as long, so
slices begin small there and grow while little is made; other pipelines take a batch whole. A slice
that does not fit is tried again in smaller ones before the query is refused.
Invariant: slices give the rows of the batch in its order, each once.
"""

from collections.abc import Iterator

import numpy as np

from logql import ast
from querier.budget import Account, Budget, QueryMemoryError
from querier.operators.frame import Frame
from querier.operators.pipeline import Pipeline
from querier.plan.tasks import frame_of
from storage.batch import LogBatch

FIRST_ROWS = 256
"""Of a batch whose lines or labels are made by templates."""

SMALL_BYTES, LARGE_BYTES = 4 << 20, 16 << 20
"""Made of a slice: the next one is twice as long, or half."""

ROW_BYTES = 64
"""Of a row on its way: stream, time, number, where its line begins and ends, and copies."""

LINE_COPIES = 2
"""Of the lines, beside themselves: text that was unescaped or put together."""


def applied(batch: LogBatch, pipeline: Pipeline, budget: Budget) -> Iterator[tuple[Frame, Account]]:
    """What comes out of the pipeline, and the account of each slice, open until the next one."""
    rows = FIRST_ROWS if _makes_text(pipeline) else len(batch)
    at = 0
    while at < len(batch):
        budget.check()
        end = min(at + rows, len(batch))
        part = batch if end - at == len(batch) else batch.take(np.arange(at, end))
        with budget.account() as account:
            try:
                account.charge(_estimate(part))
                frame = pipeline.apply(frame_of(part, account))
            except QueryMemoryError:
                if len(part) <= 1:
                    raise
                rows = max(1, len(part) // 4)
                continue
            yield frame, account
            made = account.used
        at += len(part)
        if made < SMALL_BYTES:
            rows *= 2
        elif made > LARGE_BYTES:
            rows = max(1, rows // 2)


def _makes_text(pipeline: Pipeline) -> bool:
    return any(isinstance(stage, ast.LineFormat | ast.LabelFormat) for stage in pipeline.stages)


def _estimate(batch: LogBatch) -> int:
    lines = 0 if batch.lines is None else batch.lines.nbytes()
    return len(batch) * ROW_BYTES + lines * LINE_COPIES
