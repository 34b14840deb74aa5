"""How are the numbers of a field distributed? Exactly: every number of every row counts.

A value is a number, a duration (in ms) or a size (in bytes): what most values of the field are.
Others, and rows without a value, are missing. A leaf task gives numbers with counts where they
repeat, else the numbers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narfi.core.clock import NS_PER_MS
from narfi.core.columns import I64
from narfi.core.label_column import LabelColumn
from narfi.core.units import parse_bytes
from querier.executors.leaf import Leaf
from querier.explore.fields import names_without_parser, parsers_for, with_parser
from querier.explore.kinds import BYTES, DURATION, NUMBER, unit_of
from querier.explore.question import Question
from querier.operators.numbers import Numbers, converted, durations, plain_numbers
from querier.plan.build import values_of

F64 = NDArray[np.float64]

BUCKETS = 30
QUANTILES = (0.5, 0.9, 0.95, 0.99)
LONG_TAIL = 10
"""So many times the median a p99 is: then buckets are as long as they are far from zero."""
SMALL_SPAN = 1 << 16
"""Whole numbers so near each other are counted by number."""
NUMBER_BYTES = 16
"""Of a number and its count."""


def _sizes(column: LabelColumn) -> Numbers:
    return converted(column, lambda text: float(parse_bytes(text)))


def _milliseconds(column: LabelColumn) -> Numbers:
    return durations(column, NS_PER_MS)


_READ: Mapping[str, Callable[[LabelColumn], Numbers]] = {
    NUMBER: plain_numbers,
    DURATION: _milliseconds,
    BYTES: _sizes,
}
"""In the order in which a value is tried: what is a number is no size in bytes."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers, ascending, and how often each is there."""

    values: F64
    counts: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersPartial:
    """The numbers of a leaf task by kind, in any order and some maybe several times."""

    found: dict[str, tuple[F64, I64]]
    rows: int
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True)
class Bucket:
    """`low <= number < high`; the last one has its end, too."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Of the numbers of a field; without any there are no figures and no buckets."""

    parser: str | None
    rows: int  # all, with a number or without
    missing: int
    unit: str | None
    figures: Mapping[str, float | None]  # min, max, mean, p50 and so on
    is_log: bool
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountNumbers:
    """The numbers of a field in the rows of a leaf."""

    name: str

    def run(self, leaf: Leaf) -> NumbersPartial:
        """By kind; no Python value per row but for odd texts, once each."""
        account, rows = leaf.budget.account(), 0
        found: dict[str, list[tuple[F64, I64]]] = {}
        for frame in leaf.frames():
            leaf.budget.check()
            rows += len(frame)
            for kind, values in _numbers(frame.shown(self.name)):
                part = _counted(values)
                account.charge(len(part[0]) * NUMBER_BYTES)
                found.setdefault(kind, []).append(part)
        leaf.stats.lines_after_filter += rows
        return NumbersPartial(
            found={kind: _joined(parts) for kind, parts in found.items()},
            rows=rows,
            charged=account.used,
        )


def _numbers(column: LabelColumn) -> Iterator[tuple[str, F64]]:
    """The finite numbers of the rows that have some, by kind."""
    if column.numbers() is None:
        filled = column.spans.length > 0
        if not filled.all():
            column = column.take(np.flatnonzero(filled))
    for kind, read in _READ.items():
        if not len(column):
            return
        numbers = read(column)
        failed = numbers.failed > 0
        good = numbers.values[~failed & numbers.present]
        good = good[np.isfinite(good)]
        if len(good):
            yield kind, good
        column = column.take(np.flatnonzero(failed))


def _counted(values: F64) -> tuple[F64, I64]:
    """Numbers with counts, where that is less."""
    low, high = values.min(), values.max()
    if high - low < SMALL_SPAN and (values == np.floor(values)).all():
        counts = np.bincount((values - low).astype(np.int64))
        there = np.flatnonzero(counts)
        return there + low, counts[there]
    return values, np.ones(len(values), np.int64)


def _joined(parts: list[tuple[F64, I64]]) -> tuple[F64, I64]:
    values, counts = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(counts)


def distribution_of(question: Question, name: str) -> Distribution:
    """Of a field; one that no row has is looked for inside of lines."""
    found = None
    if name in names_without_parser(question, (name,)):
        found = _distribution(question, name)
        if found.missing < found.rows:
            return found
    parser = parsers_for(question, (name,))[name]
    if parser is None and found is not None:
        return found
    within = question.about(with_parser(question.query, parser))
    return replace(_distribution(within, name), parser=parser)


def _distribution(question: Question, name: str) -> Distribution:
    rows, by_kind = 0, dict[str, list[tuple[F64, I64]]]()
    with question.budget.account() as account:
        demand = values_of(frozenset((name,)))
        for partial in question.partials(question.query, demand, CountNumbers(name=name)):
            rows += partial.rows
            account.charge(sum(len(v) for v, _ in partial.found.values()) * 3 * NUMBER_BYTES)
            question.budget.release(partial.charged)
            for kind, part in partial.found.items():
                by_kind.setdefault(kind, []).append(part)
        whole = {kind: _sorted(*_joined(parts)) for kind, parts in by_kind.items()}
        kind = max(whole, key=lambda kind: int(whole[kind].counts.sum()), default=NUMBER)
        unit = unit_of(name, kind)
        if kind not in whole:
            return Distribution(
                parser=None,
                rows=rows,
                missing=rows,
                unit=unit,
                figures=dict.fromkeys(_FIGURES),
                is_log=False,
                buckets=(),
            )
        counts = whole[kind]
        figures = figures_of(counts)
        is_log = has_long_tail(counts, figures)
        return Distribution(
            parser=None,
            rows=rows,
            missing=rows - int(counts.counts.sum()),
            unit=unit,
            figures=figures,
            is_log=is_log,
            buckets=tuple(buckets_of(counts, is_log=is_log)),
        )


def _sorted(values: F64, counts: I64) -> Counts:
    if len(counts) == counts.sum():
        return Counts(np.sort(values), counts)
    order = np.argsort(values)
    return Counts(values[order], counts[order])


_FIGURES = ("min", "max", "mean", *(f"p{q * 100:g}" for q in QUANTILES))


def figures_of(found: Counts) -> dict[str, float | None]:
    """Least, largest and mean number, and quantiles between neighbours as Prometheus has them."""
    ends = np.cumsum(found.counts)
    total = int(ends[-1])
    figures: dict[str, float | None] = {
        "min": float(found.values[0]),
        "max": float(found.values[-1]),
        "mean": float((found.values / total * found.counts).sum()),
    }
    for q in QUANTILES:
        place = q * (total - 1)
        low = int(place)
        high = min(low + 1, total - 1)
        below, above = found.values[np.searchsorted(ends, [low, high], side="right")]
        figures[f"p{q * 100:g}"] = float(below * (1 - (place - low)) + above * (place - low))
    return figures


def has_long_tail(found: Counts, figures: Mapping[str, float | None]) -> bool:
    """Whether buckets that grow show more: of numbers above zero that lie far apart."""
    p50, p99 = figures["p50"] or 0.0, figures["p99"] or 0.0
    return bool(found.values[0] > 0) and p99 > LONG_TAIL * p50


def buckets_of(found: Counts, *, is_log: bool) -> Iterator[Bucket]:
    """At most `BUCKETS` from the least number to the largest."""
    low, high = float(found.values[0]), float(found.values[-1])
    whole = bool((found.values == np.floor(found.values)).all())
    if low == high:
        edges = np.array([low, high])
    elif is_log:
        edges = np.geomspace(low, high, BUCKETS + 1)
        edges[0], edges[-1] = low, high
    elif whole and high - low < BUCKETS:
        edges = np.arange(low, high + 2)
    else:
        edges = np.linspace(low, high, BUCKETS + 1)
    ends = np.append(0, np.cumsum(found.counts))
    until = ends[np.searchsorted(found.values, edges[1:-1], side="left")]
    counts = np.diff(np.concatenate([[0], until, ends[-1:]]))
    for first, end, count in zip(edges[:-1], edges[1:], counts.tolist(), strict=True):
        yield Bucket(float(first), float(end), count)
