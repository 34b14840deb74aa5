"""Which log lines made an alert? The newest ones that its query counted, for its own labels.

They are those of the first log range in the rule's expression: its selector and stages, over its
window, and of them those that have the labels of the alert's series. A rule that counts nothing
(`absent_over_time` finds no line) has none. Asked for only where a template wants them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from logql import ast
from logql.format import format_query
from logql.parser import parse
from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, MatchOp
from ruler.template_functions import Pairs

MOST = 10
"""Lines of one alert."""
DEFAULT = 5
LINE_BYTES = 1024
"""Of one line; the rest is left out, and three dots say so."""
ALERTS = 20
"""Of one evaluation of a rule that get lines: each costs a query."""


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line; labels are all that it has."""

    ts_ns: int
    line: str
    labels: Pairs


@dataclass(frozen=True, slots=True)
class LinesQuery:
    """Lines with `start_ns <= ts < end_ns`, newest first."""

    text: str
    start_ns: int
    end_ns: int
    limit: int


AskLines = Callable[[LinesQuery], Sequence[FoundLine]]
"""Raises `AppError`."""


class SampleLines:
    """The lines of the alerts of one rule at one evaluation."""

    def __init__(self, expr: str, at_ns: int, limit: int, ask: AskLines) -> None:
        self._at_ns, self._limit, self._ask = at_ns, min(limit or DEFAULT, MOST), ask
        self._range = log_range_of(expr)
        self._known: dict[Pairs, Sequence[FoundLine]] = {}

    def of(self, labels: Pairs) -> Sequence[FoundLine]:
        """Of the alert whose series has these labels; none for those that are too many."""
        key = tuple(labels)
        if key not in self._known:
            if self._range is None or len(self._known) >= ALERTS:
                return ()
            query = lines_query(self._range, key, self._at_ns, self._limit)
            self._known[key] = [_cut(line) for line in self._ask(query)]
        return self._known[key]


def log_range_of(expr: str) -> ast.LogRange | None:
    """The first log range of an expression, from the left."""
    try:
        found = parse(expr)
    except AppError:
        return None
    return None if isinstance(found, ast.LogQuery) else _first(found)


def _first(expr: ast.MetricExpr) -> ast.LogRange | None:
    match expr:
        case ast.RangeAggregation():
            return None if expr.op == "absent_over_time" else expr.log_range
        case ast.VectorAggregation() | ast.LabelReplace():
            return _first(expr.expr)
        case ast.BinaryOperation():
            return _first(expr.left) or _first(expr.right)
    return None


def lines_query(log_range: ast.LogRange, labels: Pairs, at_ns: int, limit: int) -> LinesQuery:
    """What asks for the lines of a series at a time: those that the range counted."""
    end_ns = at_ns - log_range.offset_ns + 1  # a range holds its end, and not its begin
    filters = tuple(
        ast.LabelFilterStage(ast.StringLabelFilter(Matcher(name, MatchOp.EQ, value)))
        for name, value in labels
        if name != "__name__"
    )
    query = replace(log_range.query, stages=(*log_range.query.stages, *filters))
    return LinesQuery(format_query(query), end_ns - log_range.range_ns, end_ns, limit)


def _cut(found: FoundLine) -> FoundLine:
    if len(found.line) <= LINE_BYTES:
        return found
    return replace(found, line=found.line[:LINE_BYTES] + "...")
