"""How many rows of a query lie in each bucket of time, all together or by the values of a label?

Rows are counted by codes and timestamps; where no stage is left and streams alone tell the value,
timestamps are bisected and nothing is read. Invariant: the counts of all series are all rows.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from logql import ast
from narfi.core.columns import I32, I64, Spans, concat_spans
from narfi.core.errors import InvalidRequestError
from narfi.core.kernels.windows import add_counts, count_runs
from narfi.core.label_column import LabelColumn, SpansColumn
from querier.budget import Account
from querier.executors.leaf import Leaf, planned_context
from querier.explore.facets import FacetsAsked, facets_of
from querier.explore.fields import names_without_parser, parsers_for, with_parser
from querier.explore.question import Question
from querier.explore.status_level import (
    ACCESS_STATUS,
    NOT_TOLD,
    STATUS_NAMES,
    level_of,
    with_status,
    without_level,
)
from querier.operators.pipeline import stored_names
from querier.plan.build import values_of
from querier.plan.tasks import source_tasks
from querier.reading.view import SourceView, View

MOST_SERIES = 20
OTHER = "(other)"
"""The value of all series beyond `MOST_SERIES` together."""
MOST_VALUES = 500
"""Of a batch: of more the most frequent ones are looked for first."""
_ONE: I64 = np.ones(1, np.int64)
_MINUS_ONE: I64 = np.full(1, -1, np.int64)


class ManyLevelsError(InvalidRequestError):
    """What was taken for a level has hundreds of values."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """`count` of them, the first from `start_ns`, each `step_ns` long; rows lie before `end_ns`."""

    start_ns: int
    end_ns: int
    step_ns: int
    count: int

    @staticmethod
    def over(time_range: tuple[int, int], count: int) -> "Buckets":
        """So many that `[start, end)` lies in them."""
        start_ns, end_ns = time_range
        return Buckets(start_ns, end_ns, max(1, -(-(end_ns - start_ns) // count)), count)

    @property
    def grid(self) -> tuple[int, int, int]:
        """As windows that end with the last ns of each bucket: base, step, span."""
        return self.start_ns + self.step_ns - 1, self.step_ns, self.step_ns

    def differences(self, series: int, account: Account) -> I64:
        """Zeros to add differences to; charged."""
        account.charge(series * (self.count + 1) * 8)
        return np.zeros((series, self.count + 1), np.int64)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by value, [value, bucket], those with the most rows first, `OTHER` last."""

    buckets: Buckets
    series: tuple[tuple[str, I64], ...]

    @property
    def total(self) -> int:
        """All rows."""
        return sum(int(counts.sum()) for _, counts in self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketsPartial:
    """Counts by value; a value may come several times; None: there are too many values."""

    found: tuple[tuple[Spans, I64], ...] | None
    """Values and `[value, bucket]`; b"" stands for no value, an absent one for all others."""
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True, kw_only=True)
class CountBuckets:
    """The rows of a leaf by bucket and by the values of a label, or of no label.

    `shown`: values with counts of their own; of None, all of them.
    """

    buckets: Buckets
    by: str | None
    shown: tuple[bytes, ...] | None = None
    by_status: bool = False  # where the label is missing or unknown, the status tells

    def run(self, leaf: Leaf) -> BucketsPartial:
        """The counts; no Python value per row."""
        account, found = leaf.budget.account(), list[tuple[Spans, I64]]()
        for frame in leaf.frames():
            leaf.budget.check()
            leaf.stats.lines_after_filter += len(frame)
            if self.by is None:
                series, values = np.zeros(len(frame), np.int32), Spans.of([b""])
            else:
                column = level_of(frame, self.by) if self.by_status else frame.shown(self.by)
                if self.shown is not None:
                    series, values = _numbered(column, self.shown)
                elif len(column.values) > MOST_VALUES and (
                    len(np.unique(column.codes)) > MOST_VALUES
                ):
                    account.close()
                    return BucketsPartial(found=None, charged=0)
                else:
                    series, values = _coded(column.compact())
            diff = self.buckets.differences(len(values), account)
            add_counts(series, frame.ts, _ONE, *self.buckets.grid, diff)
            found.append((values, np.cumsum(diff, axis=1)[:, :-1]))
        return BucketsPartial(found=tuple(found), charged=account.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountStreams:
    """The rows of a source by bucket and by the values of a label of its streams, by bisection."""

    buckets: Buckets
    by: str | None

    def run(self, leaf: Leaf) -> BucketsPartial:
        """The counts of the selected streams."""
        view, account = leaf.view, leaf.budget.account()
        table, ts = view.source.table, view.source.times()
        low, high = leaf.ranges()
        series, values = np.zeros(len(table), np.int32), Spans.of([b""])
        if self.by is not None:
            series, values = _coded(table.column(self.by))
        diff = self.buckets.differences(len(values), account)
        mine = np.ascontiguousarray(series[np.flatnonzero(view.streams)])
        rows = count_runs(mine, low, high, ts, *self.buckets.grid, diff)
        if len(view.excluded):
            owner = np.searchsorted(table.first_row, view.excluded, side="right") - 1
            times, buckets = ts[view.excluded], self.buckets
            inside = (times >= buckets.start_ns) & (times < buckets.end_ns) & view.streams[owner]
            out = view.excluded[inside]
            add_counts(series[owner[inside]], ts[out], _MINUS_ONE, *self.buckets.grid, diff)
            rows -= len(out)
        leaf.stats.lines_counted = leaf.stats.lines_after_filter = rows
        counts = np.cumsum(diff, axis=1)[:, :-1]
        return BucketsPartial(found=((values, counts),), charged=account.used)


def histogram_of(
    question: Question, count: int, by: str | None, *, by_status: bool = False
) -> Histogram:
    """The rows in so many buckets; a label that no row has is looked for inside of lines.

    `by_status`: the label is a level; where it is not known, an HTTP status tells.
    """
    buckets = Buckets.over(question.time_range, count)
    if by is None:
        return _histogram(question, buckets, None)
    if by_status:
        return _by_status(question, buckets, by)
    found = None
    if by in names_without_parser(question, (by,)):
        found = _histogram(question, buckets, by)
        if any(value for value, _ in found.series):
            return found
    parser = parsers_for(question, (by,))[by]
    if parser is None and found is not None:
        return found
    return _histogram(question.about(with_parser(question.query, parser)), buckets, by)


def _by_status(question: Question, buckets: Buckets, by: str) -> Histogram:
    """Lines are looked at only where the label does not tell."""
    with question.budget.account() as account:
        totals = _all_values(question, buckets, by, account)
        if totals is None:
            raise ManyLevelsError(f"{by} has too many values to be a level")
        if totals.forget(NOT_TOLD):
            rest = with_status(question.about(without_level(question.query, by)))
            demand = values_of(frozenset((by, *STATUS_NAMES, ACCESS_STATUS)))
            counting = CountBuckets(buckets=buckets, by=by, by_status=True)
            for partial in question.partials(rest, demand, counting):
                totals.add(partial)
                question.budget.release(partial.charged)
        return Histogram(buckets, tuple(totals.series()))


def _histogram(question: Question, buckets: Buckets, by: str | None) -> Histogram:
    with question.budget.account() as account:
        found = _all_values(question, buckets, by, account)
        if found is None:
            assert by is not None
            (facet,) = facets_of(question, FacetsAsked(names=(by,), limit=MOST_SERIES))
            shown = tuple(value.encode("utf-8", "surrogateescape") for value, _ in facet.top)
            counting = CountBuckets(buckets=buckets, by=by, shown=shown)
            found = _Totals(buckets, account)
            demand = values_of(frozenset((by,)))
            for partial in question.partials(question.query, demand, counting):
                found.add(partial)
                question.budget.release(partial.charged)
        return Histogram(buckets, tuple(found.series()))


def _all_values(
    question: Question, buckets: Buckets, by: str | None, account: Account
) -> "_Totals | None":
    """Of every value; None where these are too many."""
    totals, query = _Totals(buckets, account), question.query
    demand = values_of(frozenset(() if by is None else (by,)))
    counting, view = CountBuckets(buckets=buckets, by=by), question.view(query)
    bisected, scanned = _parted(query, view, by)
    for partial in itertools.chain(
        _bisected(question, query, bisected, CountStreams(buckets=buckets, by=by)),
        question.partials(query, demand, counting, scanned),
    ):
        if not totals.add(partial):
            return None
        question.budget.release(partial.charged)
    return totals


def _bisected(
    question: Question, query: ast.LogQuery, views: tuple[SourceView, ...], compute: CountStreams
) -> Iterator[BucketsPartial]:
    scan = question.scan(query, values_of(frozenset()))
    tasks = source_tasks(views, scan, compute, question.budget.allowance())
    yield from question.executor.leaves(tasks.specs, planned_context(question.budget, scan, tasks))


def _parted(query: ast.LogQuery, view: View, by: str | None) -> tuple[tuple[SourceView, ...], View]:
    """(sources of which streams alone tell the value, the others)."""
    if query.stages:
        return (), view
    names = frozenset[str]() if by is None else stored_names(frozenset((by,)))
    told = [
        not names & one.source.metadata_names()
        and (by is None or len(one.source.table.column(by).values) <= MOST_VALUES)
        for one in view.sources
    ]
    mine = tuple(one for one, is_told in zip(view.sources, told, strict=True) if is_told)
    others = tuple(one for one, is_told in zip(view.sources, told, strict=True) if not is_told)
    return mine, View(others, view.listed)


class _Totals:
    """Counts by value, over all partials."""

    def __init__(self, buckets: Buckets, account: Account) -> None:
        self._buckets, self._account = buckets, account
        self._counts: dict[bytes | None, I64] = {}

    def add(self, partial: BucketsPartial) -> bool:
        """Whether there are few enough values."""
        if partial.found is None:
            return False
        for values, counts in partial.found:
            for value, row in zip(values.to_list(), counts, strict=True):
                if not row.any():
                    continue
                known = self._counts.get(value)
                if known is None:
                    self._account.charge(row.nbytes)
                    self._counts[value] = row.copy()
                else:
                    known += row
        return len(self._counts) <= 2 * MOST_VALUES

    def forget(self, values: Iterable[bytes]) -> bool:
        """Whether there were rows of some values; they do not count any more."""
        found = [self._counts.pop(value, None) for value in values]
        return any(counts is not None for counts in found)

    def series(self) -> Iterable[tuple[str, I64]]:
        """Those with the most rows first, then by value."""
        ordered = sorted(
            (-int(counts.sum()), value)
            for value, counts in self._counts.items()
            if value is not None
        )
        for _, value in ordered[:MOST_SERIES]:
            yield value.decode("utf-8", "surrogateescape"), self._counts[value]
        others = [None, *(value for _, value in ordered[MOST_SERIES:])]
        rest = [self._counts[value] for value in others if value in self._counts]
        if rest:
            yield OTHER, np.sum(rest, axis=0)
        elif not ordered:
            yield "", np.zeros(self._buckets.count, np.int64)


def _coded(column: LabelColumn) -> tuple[I32, Spans]:
    """(number of each row's value, the values with "none" in front)."""
    values = column.values
    return (column.codes + 1).astype(np.int32), Spans(
        values.data,
        np.append(0, values.start).astype(np.int64),
        np.append(0, values.length).astype(np.int32),
    )


def _numbered(column: LabelColumn, shown: tuple[bytes, ...]) -> tuple[I32, Spans]:
    """As `_coded`, of the shown values, and of all others as one."""
    column = column.compact()
    values = column.values
    codes = SpansColumn(concat_spans([Spans.of(shown), values])).codes[len(shown) :]
    own = np.where(codes < len(shown), codes + 2, 1).astype(np.int32)
    own[values.length == 0] = 0
    own = np.append(own, np.int32(0))  # of code -1
    return own[column.codes], Spans.of([b"", None, *shown])
