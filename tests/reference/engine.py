"""What does a query answer? Every entry through the reference pipeline, every window by hand.

Written from reference/logql.md §9-§13. `HasErrors` ends an evaluation in which a sample carries an
error: whether the recorded server notices it depends on what it happens to parse (§9.1).
"""

import math
import operator
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from logql import ast
from narfi.core.errors import AppError
from narfi.core.matchers import match_all
from narfi.core.units import parse_bytes, parse_float, parse_go_duration
from tests.reference import pipeline
from tests.reference.logs import NS, Entry
from tests.reference.windows import value_of, window

Labels = tuple[tuple[str, str], ...]
Points = dict[Labels, dict[int, float]]
"""Values by series and time in ns."""

BYTES = ("bytes_over_time", "bytes_rate")
ADDITIVE = (*BYTES, "count_over_time", "rate", "sum_over_time")
"""What a `sum` around them may count by its own labels (§10.1)."""
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "^": math.pow,
}


class HasErrors(Exception):
    """A sample carries an error."""


def distinct(entries: Sequence[Entry]) -> list[Entry]:
    """Each entry once, oldest first; of equal times the first sent first."""
    known = {
        (tuple(sorted(labels.items())), tuple(sorted(extra.items())), ts, line): number
        for number, (labels, extra, ts, line) in reversed(list(enumerate(entries)))
    }
    return sorted((entries[number] for number in sorted(known.values())), key=lambda e: e[2])


def rows_of(query: ast.LogQuery, entries: Sequence[Entry]) -> list[pipeline.Row]:
    """The rows that pass, in order of time."""
    rows = []
    for labels, metadata, ts, line in distinct(entries):
        if match_all(query.selector.matchers, labels):
            row = pipeline.run_pipeline(labels, metadata, ts, line, query.stages)
            if row is not None:
                rows.append(row)
    return rows


def log_lines(query: ast.LogQuery, entries: Sequence[Entry]) -> list[tuple[Labels, int, bytes]]:
    """All lines of a log query, sorted."""
    rows = rows_of(query, entries)
    return sorted((tuple(sorted(row.labels().items())), row.ts, row.line) for row in rows)


def evaluate(expr: ast.MetricExpr, entries: Sequence[Entry], steps: Sequence[int]) -> Points:
    """The points of a metric query; binary operations only with a number on one side."""
    match expr:
        case ast.RangeAggregation():
            return _range(expr, entries, steps)
        case ast.VectorAggregation():
            inner = expr.expr
            if expr.op == "sum" and isinstance(inner, ast.RangeAggregation):
                inner = _by_labels_of_sum(inner, expr.grouping)
            return _vector(expr, evaluate(inner, entries, steps))
        case ast.BinaryOperation():
            assert isinstance(expr.right, ast.Literal)
            return _with_number(expr, evaluate(expr.left, entries, steps), expr.right.value)
        case _:
            raise NotImplementedError(type(expr).__name__)


def _by_labels_of_sum(
    inner: ast.RangeAggregation, grouping: ast.Grouping | None
) -> ast.RangeAggregation:
    """Samples under the labels of the sum; a label that it does not see does not split them."""
    if inner.op not in ADDITIVE or inner.grouping is not None or grouping is None:
        return inner
    return replace(inner, grouping=grouping)


def _range(expr: ast.RangeAggregation, entries: Sequence[Entry], steps: Sequence[int]) -> Points:
    log_range = expr.log_range
    span, offset = log_range.range_ns, log_range.offset_ns
    low, high = steps[0] - offset - span, steps[-1] - offset
    near = [entry for entry in entries if low < entry[2] <= high]
    series: dict[Labels, list[tuple[int, float]]] = defaultdict(list)
    for row in rows_of(log_range.query, near):
        value = _sample(expr, row)
        if value is None:
            continue
        if row.error:
            raise HasErrors
        series[_key(expr, row)].append((row.ts, value))
    points: Points = defaultdict(dict)
    for key, samples in series.items():
        for t in steps:
            inside = window(samples, t, span, offset)
            found = _value(expr, inside, span, t - offset)
            if found is not None:
                points[key][t] = found
    if expr.op == "absent_over_time":
        return _absent(expr, points, steps)
    return points


def _value(
    expr: ast.RangeAggregation, inside: list[tuple[int, float]], span: int, upper: int
) -> float | None:
    if not inside:
        return None
    if expr.op in BYTES:
        total = math.fsum(v for _, v in inside)
        return total if expr.op == "bytes_over_time" else total / (span / NS)
    if expr.op == "rate" and expr.log_range.unwrap is not None:
        return math.fsum(v for _, v in inside) / (span / NS)
    if expr.op == "absent_over_time":
        return 1.0
    return value_of(expr.op, inside, span, upper, expr.parameter or 0.0)


def _sample(expr: ast.RangeAggregation, row: pipeline.Row) -> float | None:
    """The number that a row carries; None: it is left out. May set the row's error."""
    unwrap = expr.log_range.unwrap
    if unwrap is None:
        return float(len(row.line)) if expr.op in BYTES else 1.0
    text = row.get(unwrap.label)
    if not text:
        return None
    value = 0.0
    try:
        match unwrap.conversion:
            case ast.Conversion.NUMBER:
                value = parse_float(text)
            case ast.Conversion.BYTES:
                value = float(parse_bytes(text))
            case _:
                value = parse_go_duration(text) / NS
    except AppError as error:
        row.fail("SampleExtractionErr", error.message)
    for condition in unwrap.post_filters:
        if not pipeline.label_passes(row, condition):
            return None
    return value


def _key(expr: ast.RangeAggregation, row: pipeline.Row) -> Labels:
    labels = {name: value for name, value in row.labels().items() if value}
    unwrap = expr.log_range.unwrap
    if expr.grouping is not None:
        without = (*expr.grouping.labels, *([unwrap.label] if unwrap else []))
        if not expr.grouping.without:
            labels = {name: value for name, value in labels.items() if name not in row.hidden}
        labels = _grouped(labels, expr.grouping, without)
    elif unwrap is not None:
        labels.pop(unwrap.label, None)
    return tuple(sorted(labels.items()))


def _grouped(
    labels: dict[str, str], grouping: ast.Grouping, without: Sequence[str]
) -> dict[str, str]:
    if grouping.without:
        return {n: v for n, v in labels.items() if n not in without}
    return {n: v for n, v in labels.items() if n in grouping.labels}


def _absent(expr: ast.RangeAggregation, points: Points, steps: Sequence[int]) -> Points:
    matchers = expr.log_range.query.selector.matchers
    names = [m.name for m in matchers]
    labels = tuple(
        sorted(
            (m.name, m.value)
            for m in matchers
            if m.op.value == "=" and names.count(m.name) == 1 and m.value
        )
    )
    missing = {t: 1.0 for t in steps if not any(t in found for found in points.values())}
    return {labels: missing} if missing else {}


def _vector(expr: ast.VectorAggregation, points: Points) -> Points:
    groups: dict[Labels, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for labels, found in points.items():
        plain = dict(labels)
        kept: dict[str, str] = {}
        if expr.grouping is not None:
            kept = _grouped(plain, expr.grouping, (*expr.grouping.labels, "__name__"))
        for t, value in found.items():
            groups[tuple(sorted(kept.items()))][t].append(value)
    return {
        labels: {t: _aggregate(expr.op, values) for t, values in found.items()}
        for labels, found in groups.items()
    }


def _aggregate(op: str, values: list[float]) -> float:
    if op == "count":
        return float(len(values))
    if op in ("min", "max"):
        numbers = [v for v in values if not math.isnan(v)] or [math.nan]
        return min(numbers) if op == "min" else max(numbers)
    total = math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    mean = total / len(values)
    if op == "sum":
        return total
    if op == "avg":
        return mean
    variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
    return variance if op == "stdvar" else math.sqrt(variance)


def _with_number(expr: ast.BinaryOperation, points: Points, number: float) -> Points:
    result: Points = defaultdict(dict)
    for labels, found in points.items():
        for t, value in found.items():
            if expr.op not in ARITHMETIC:
                holds = pipeline.holds(expr.op, value, number)
                if expr.return_bool:
                    result[labels][t] = float(holds)
                elif holds:
                    result[labels][t] = value
            else:
                result[labels][t] = _arithmetic(expr.op, value, number)
    return result


def _arithmetic(op: str, a: float, b: float) -> float:
    """§12: nothing can be divided by zero; `%` has the sign of the dividend."""
    if op in ("/", "%") and b == 0:
        return math.nan
    try:
        return ARITHMETIC[op](a, b)
    except ValueError:  # what has no result but a pole: a power of zero
        return math.inf if op == "^" and a == 0 else math.nan
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
