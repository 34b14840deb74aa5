"""What does a leaf task of a range aggregation find? Samples by series, or cells made of them.

Where there are fewer cells than samples the leaf folds them itself: less is handed over, and the
work is done by as many threads or processes as there are.
Invariant: a sample with an error fails the query (reference/logql.md §9.1) unless the query itself
looks at `__error__`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from logql.ast import Unwrap
from narfi.core.columns import I32, I64
from narfi.core.errors import InvalidRequestError
from narfi.core.labels import labels_text
from querier.budget import Account
from querier.executors.leaf import Leaf
from querier.metrics.grid import ONE, Grid
from querier.metrics.matrix import F64
from querier.metrics.partials import (
    NO_ARRIVAL,
    Folded,
    Held,
    Samples,
    SeriesPartial,
    arrival_of,
)
from querier.metrics.series import ALL_LABELS, SeriesKey, SeriesNumbers, StreamSeries, number_series
from querier.metrics.windows import accumulator_for, is_bucketed
from querier.operators.frame import ERROR, Frame, frame_of
from querier.operators.unwrap import unwrap_values
from querier.plan.build import BYTE_FUNCTIONS
from querier.reading.admission import check_series
from querier.result import LabelPairs
from storage.scan import Columns

SAMPLE_BYTES = 56
"""Of a sample in a leaf task: series, time, value and arrival, in parts and put together."""

PARSE_ERRORS = frozenset(("JSONParserErr", "LogfmtParserErr"))
"""Errors that do not fail a query which itself looks at `__error__` (reference/logql.md §9.1)."""

ARRIVAL_MATTERS = frozenset(("first_over_time", "last_over_time", "rate_counter"))
"""Functions for which the order of samples of one instant counts."""

NEED_EVERY_SAMPLE = ARRIVAL_MATTERS | {"quantile_over_time"}


class PipelineError(InvalidRequestError):
    """A sample carries an error; the text tells which series and how to skip it."""

    def __init__(self, error: str, labels: LabelPairs) -> None:
        self.error, self.labels = error, labels
        super().__init__(
            f"pipeline error: '{error}' for series: '{labels_text(labels)}'.\n"
            "Use a label filter to intentionally skip this error. "
            f'(e.g | __error__!="{error}").\n'
            "To skip all potential errors you can match empty errors."
            '(e.g __error__="")\n'
            "The label filter can also be specified after unwrap. "
            '(e.g | unwrap latency | __error__="" )\n'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeSamples:
    """What a range aggregation makes of the rows of a leaf."""

    op: str
    key: SeriesKey
    grid: Grid
    parameter: float | None = None
    unwrap: Unwrap | None = None
    forgives_parse_errors: bool = False  # the query itself looks at `__error__`
    most_series: int = 0  # that the answer may have, where each series is one of it; 0: any number

    def run(self, leaf: Leaf) -> SeriesPartial:
        """The samples of the leaf, or their cells."""
        account = leaf.budget.account()
        numbers = SeriesNumbers(account)
        held = self._held(leaf, numbers, account)
        return SeriesPartial(
            labels=numbers.labels(), held=held, stats=leaf.stats, charged=account.used
        )

    def _held(self, leaf: Leaf, numbers: SeriesNumbers, account: Account) -> Held:
        found = self._samples(leaf, numbers, account)
        if self.op in NEED_EVERY_SAMPLE or not len(found.ts):
            return found
        part, first = self.grid.around(int(found.ts.min()), int(found.ts.max()))
        if len(numbers) * part.steps > len(found.ts):
            return found
        cells = accumulator_for(
            self.op,
            part,
            self.parameter,
            account,
            unwrapped=self.unwrap is not None,
            bucketed=is_bucketed(self.grid),
        )
        cells.resize(len(numbers))
        cells.add(found.series, found.ts, found.weights())
        account.release(len(found.ts) * SAMPLE_BYTES)
        folded = cells.partial()
        assert isinstance(folded, Folded)
        return replace(folded, first=first)

    def _samples(self, leaf: Leaf, numbers: SeriesNumbers, account: Account) -> Samples:
        parts: list[tuple[I32, I64, NDArray[np.int64] | F64]] = []
        arrivals: list[I64] = []
        by_stream = StreamSeries(self.key, numbers)
        for whole in leaf.frames():
            frame, values = self._values(whole)
            if not len(frame):
                continue
            self._refuse_errors(leaf, frame)
            leaf.stats.lines_after_filter += len(frame)
            series = by_stream.of(frame)
            if series is None:
                mine, names = number_series(frame, self.key)
                series = numbers.of(names)[mine]
            check_series(len(numbers), self.most_series)
            account.charge(len(frame) * SAMPLE_BYTES)
            parts.append((series, frame.ts, values))
            if self.op in ARRIVAL_MATTERS:
                arrivals.append(arrival_of(leaf.view.order, frame.rows))
        if not parts:
            none = np.zeros(0, np.int64)
            return Samples(series=none.astype(np.int32), ts=none, values=None, arrival=none)
        series_parts, ts_parts, value_parts = zip(*parts, strict=True)
        return Samples(
            series=np.concatenate(series_parts),
            ts=np.concatenate(ts_parts),
            values=None if value_parts[0] is ONE else np.concatenate(value_parts),
            arrival=np.concatenate(arrivals) if arrivals else NO_ARRIVAL,
        )

    def _values(self, frame: Frame) -> tuple[Frame, NDArray[np.int64] | F64]:
        if self.unwrap is not None:
            frame, numbers = unwrap_values(frame, self.unwrap)
            return frame, ONE if self.op == "absent_over_time" else numbers
        if self.op in BYTE_FUNCTIONS:
            return frame, frame.lines.lengths().astype(np.int64)
        return frame, ONE

    def _refuse_errors(self, leaf: Leaf, frame: Frame) -> None:
        if frame.error is None:
            return
        ignored = {""} | (PARSE_ERRORS if self.forgives_parse_errors else frozenset())
        codes, texts = frame.error.codes, frame.error.texts
        bad = np.flatnonzero(codes >= 0)
        counts = np.array([text not in ignored for text in texts], np.bool_)
        bad = bad[counts[codes[bad]]]
        if len(bad):
            raise self._error_of(leaf, frame.rows[bad[:1]])

    def _error_of(self, leaf: Leaf, row: I64) -> PipelineError:
        """The error of one row, with all its labels: the row is read again for them."""
        frame = leaf.pipeline.apply(frame_of(leaf.view.source.fetch(row, Columns())))
        if self.unwrap is not None:
            frame, _ = unwrap_values(frame, self.unwrap)
        _, labels = number_series(frame, ALL_LABELS)
        error = frame.shown(ERROR)
        return PipelineError(error.texts[error.codes[0]], labels[0])
