"""Which values does a label have most often, and how often, in all rows that a query selects?

Labels are those behind the query's stages: of the stream, of structured metadata, or of a parser,
which is put behind the query for a field inside of lines. An empty value counts as none, since no
filter can tell them apart. Counts are exact: a leaf task counts the codes of columns, and what leaf
tasks counted is added value by value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from logql import ast
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher
from querier.executors.leaf import Leaf
from querier.explore.fields import names_without_parser, parsers_for, with_parser
from querier.explore.question import Question
from querier.explore.value_counts import (
    Counted,
    ValueCounts,
    counted,
    counted_of_streams,
    most_frequent,
    rows_by_stream,
)
from querier.plan.build import values_of
from querier.result import QueryStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """The values of one label; the counts of `top`, `other` and `missing` are all rows."""

    name: str
    top: tuple[tuple[str, int], ...]  # most frequent first, then by value
    distinct: int
    other: int  # rows with a value that is not shown
    missing: int  # rows without a value
    parser: str | None = None  # that was put behind the query for it
    rows: int = 0


@dataclass(frozen=True, slots=True)
class FacetsPartial:
    """What a leaf task counted, in the order of the names."""

    found: tuple[Counted, ...]
    rows: int
    stats: QueryStats
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True, kw_only=True)
class CountValues:
    """The values of some labels in the rows of a leaf."""

    names: tuple[str, ...]

    def run(self, leaf: Leaf) -> FacetsPartial:
        """The counts; no Python value per row or value."""
        account = leaf.budget.account()
        counts, rows = [ValueCounts(account) for _ in self.names], 0
        for frame in leaf.frames():
            rows += len(frame)
            by_stream = None
            for name, known in zip(self.names, counts, strict=True):
                leaf.budget.check()
                if frame.is_of_streams(name):
                    by_stream = rows_by_stream(frame) if by_stream is None else by_stream
                    known.add(counted_of_streams(frame.table, name, by_stream))
                else:
                    known.add(counted(frame.shown(name)))
        leaf.stats.lines_after_filter += rows
        found = tuple(known.gathered() for known in counts)
        return FacetsPartial(found, rows, leaf.stats, account.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetsAsked:
    """Of which labels; `limit` of the values of each.

    For a label in `keep`, what the query demands of it is left out, so that its other values count.
    With `in_lines` a name that no row has is looked for inside of lines.
    """

    names: tuple[str, ...]
    limit: int
    keep: frozenset[str] = field(default_factory=frozenset)
    in_lines: bool = False


def facets_of(question: Question, asked: FacetsAsked) -> list[Facet]:
    """A facet of each name, in their order; names that are read alike share a scan."""
    query, limits = question.query, question.limits
    queries = {
        name: without_filters(query, name, limits) if name in asked.keep else query
        for name in asked.names
    }
    found: dict[str, Facet] = {}
    for query in dict.fromkeys(queries.values()):
        names = [name for name in queries if queries[name] == query]
        found |= {one.name: one for one in _facets(question.about(query), names, asked)}
    return [found[name] for name in asked.names]


def _facets(question: Question, names: Sequence[str], asked: FacetsAsked) -> Iterator[Facet]:
    """Facets of one query; a name that no row has is looked for inside of lines."""
    left = list(names)
    if asked.in_lines:
        possible = names_without_parser(question, names)
        direct = [name for name in names if name in possible]
        found = [one for one in _counted(question, direct, asked.limit) if one.distinct]
        yield from found
        left = [name for name in names if name not in {one.name for one in found}]
    if not left:
        return
    parsers = parsers_for(question, left) if asked.in_lines else dict.fromkeys(left)
    for parser in dict.fromkeys(parsers.values()):
        mine = [name for name in left if parsers[name] == parser]
        query = with_parser(question.query, parser)
        for one in _counted(question.about(query), mine, asked.limit):
            yield replace(one, parser=parser)


def _counted(question: Question, names: Sequence[str], limit: int) -> list[Facet]:
    if not names:
        return []
    demand, compute = values_of(frozenset(names)), CountValues(names=tuple(names))
    with question.budget.account() as account:
        counts, rows = [ValueCounts(account) for _ in names], 0
        for partial in question.partials(question.query, demand, compute):
            rows += partial.rows
            for known, found in zip(counts, partial.found, strict=True):
                known.add(found)
            question.budget.release(partial.charged)
        named = zip(names, counts, strict=True)
        return [_facet(name, known.whole(), rows, limit) for name, known in named]


def _facet(name: str, found: Counted, rows: int, limit: int) -> Facet:
    top = most_frequent(found, limit)
    valued = int(found.counts.sum())
    return Facet(
        name=name,
        top=tuple((value.decode("utf-8", "surrogateescape"), count) for value, count in top),
        distinct=len(found),
        other=valued - sum(count for _, count in top),
        missing=rows - valued,
        rows=rows,
    )


def without_filters(query: ast.LogQuery, name: str, limits: Limits) -> ast.LogQuery:
    """The query without what it demands of a label: filter stages, parts of an `and`, matchers.

    Matchers stay where they are needed: for a selector that may be asked.
    """
    stages = [one for one in (_without(stage, name) for stage in query.stages) if one is not None]
    matchers: tuple[Matcher, ...] = query.selector.matchers
    left = tuple(matcher for matcher in matchers if matcher.name != name)
    needed = name in limits.required_labels or len(left) < limits.minimum_labels_number
    if needed or all(matcher.matches_empty() for matcher in left):
        left = matchers
    return replace(query, selector=replace(query.selector, matchers=left), stages=tuple(stages))


def _without(stage: ast.Stage, name: str) -> ast.Stage | None:
    if not isinstance(stage, ast.LabelFilterStage):
        return stage
    left = _filter_without(stage.filter, name)
    return None if left is None else replace(stage, filter=left)


def _filter_without(found: ast.LabelFilter, name: str) -> ast.LabelFilter | None:
    """What is left of a filter. Of an `or` all stays, unless every part is of the label."""
    match found:
        case ast.AndFilter():
            left, right = _filter_without(found.left, name), _filter_without(found.right, name)
            if left is None or right is None:
                return right if left is None else left
            return replace(found, left=left, right=right)
        case ast.OrFilter():
            left, right = _filter_without(found.left, name), _filter_without(found.right, name)
            return None if left is None and right is None else found
        case ast.StringLabelFilter():
            return None if found.matcher.name == name else found
        case _:
            return None if found.name == name else found
