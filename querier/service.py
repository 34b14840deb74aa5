"""What can be asked of the stored logs? Queries and metadata, free of transport; blocking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from logql.ast import Selector
from logql.parser import parse_selector
from logql.validate import check_selector
from narfi.core.columns import I64
from narfi.core.errors import InvalidRequestError
from narfi.core.labels import Labels
from narfi.core.limits import LimitsOf
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.engine import Engine
from querier.explore.detected_fields import DetectedField, DetectFields, merged_fields
from querier.explore.index_stats import IndexStats, index_stats, stats_scan
from querier.explore.labels import label_names, label_values, series
from querier.explore.pattern_merge import Pattern
from querier.explore.patterns import patterns_of, patterns_scan
from querier.explore.question import Question
from querier.explore.volume import Volume, VolumeQuestion, volumes
from querier.explore.volume_leaves import VolumeOptions
from querier.line_stream import LinesAsked, LineStream
from querier.query import QueryOptions
from querier.reading.kept_sizes import ExcludedSizes
from querier.reading.reading import Reading
from querier.reading.tenants import TENANT_LABEL
from querier.reading.view import View
from querier.result import Answer, LabelPairs, Notes, Told
from querier.rules import ALL_RULES, Rules
from querier.surroundings import Surroundings

T = TypeVar("T")

EVERYTHING: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Whose data, and `start_ns <= ts < end_ns`."""

    tenants: tuple[TenantId, ...]
    start_ns: int
    end_ns: int

    @property
    def bounds(self) -> tuple[int, int]:
        """`[start, end)` in ns."""
        return self.start_ns, self.end_ns


class QueryService:
    """Answers queries; thread-safe."""

    def __init__(self, engine: Engine, limits_of: LimitsOf) -> None:
        self._engine, self._excluded = engine, ExcludedSizes()
        self.limits_of = limits_of

    def query(self, text: str, options: QueryOptions, notes: Notes | None = None) -> Answer:
        """A range or instant query of the options' tenants; what becomes known is noted."""
        return self._engine.run(text, options, notes)

    def lines(self, asked: LinesAsked, notes: Notes | None = None) -> LineStream:
        """The answer of a log query, batch by batch."""
        return LineStream(self._engine, asked, notes)

    def around(
        self, options: QueryOptions, stream: Labels, shared: Sequence[str] | None
    ) -> Surroundings:
        """Who looks around entries of a stream; `shared`: labels of other streams to look at."""
        return Surroundings(self._engine, options, stream, shared)

    def detected_fields(
        self, text: str, options: QueryOptions, limit: int | None = None
    ) -> Told[list[DetectedField]]:
        """The fields of the rows that a log query would return, those of the newest rows first."""
        told = self._engine.over_rows(text, options, lambda rows: DetectFields(rows=rows))
        return Told(merged_fields(told.value, limit), told.warnings)

    def explore(self, text: str, options: QueryOptions, work: Callable[[Question], T]) -> Told[T]:
        """What a histogram, facets and the like find out about all rows of a log query."""
        return self._engine.explore(text, options, work)

    def series(
        self,
        where: TimeRange,
        selectors: Sequence[Sequence[Matcher]],
        budget: Budget,
    ) -> Told[list[LabelPairs]]:
        """Label sets of the streams that satisfy any selector, sorted."""

        def work(reading: Reading, own: Budget) -> list[LabelPairs]:
            return series((reading.view(m, where.bounds, distinct=False) for m in selectors), own)

        return self._engine.read(where.tenants, budget, work)

    def label_names(self, where: TimeRange, query: str, budget: Budget) -> Told[list[str]]:
        """Names of the labels of matching streams, sorted; of several tenants with theirs."""
        found = self._of_streams(where, selector_matchers(query), budget, label_names)
        if len(where.tenants) > 1 and TENANT_LABEL not in found.value:
            return replace(found, value=sorted([*found.value, TENANT_LABEL]))
        return found

    def label_values(
        self, where: TimeRange, name: str, query: str, budget: Budget
    ) -> Told[list[str]]:
        """Values of a label among matching streams, sorted; of the tenants' label all that ask."""
        matchers = selector_matchers(query)
        if name == TENANT_LABEL and len(where.tenants) > 1:
            return Told(sorted(where.tenants))

        def work(view: View, own: Budget) -> list[str]:
            return label_values(view, name, own)

        return self._of_streams(where, matchers, budget, work)

    def index_stats(
        self, where: TimeRange, matchers: Sequence[Matcher], budget: Budget
    ) -> Told[IndexStats]:
        """How much the selector covers in the range: a sound server's sums."""

        scan = stats_scan(matchers, where.bounds)

        def work(view: View, own: Budget) -> IndexStats:
            return index_stats(view, scan, own, self._engine.executor, self._excluded)

        return self._of_entries(where, matchers, budget, work)

    def volume(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        edges: I64,
        options: VolumeOptions,
        budget: Budget,
    ) -> Told[list[Volume]]:
        """Bytes by group and bucket, largest group first."""

        asked = VolumeQuestion(matchers=tuple(matchers), edges=edges, options=options)

        def work(view: View, own: Budget) -> list[Volume]:
            return volumes(view, asked, own, self._engine.executor, self._excluded)

        return self._of_entries(where, matchers, budget, work)

    def patterns(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        step_ns: int,
        budget: Budget,
        rules: Rules = ALL_RULES,
    ) -> Told[list[Pattern]]:
        """Patterns of the lines with their counts in buckets of the step."""

        scan = patterns_scan(matchers, where.bounds, rules)

        def work(view: View, own: Budget) -> list[Pattern]:
            return patterns_of(view, scan, step_ns, own, self._engine.executor)

        return self._of_entries(where, matchers, budget, work)

    def _of_entries(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        budget: Budget,
        work: Callable[[View, Budget], T],
    ) -> Told[T]:
        """For what counts entries."""
        return self._engine.read(
            where.tenants,
            budget,
            lambda reading, own: work(reading.view(matchers, where.bounds), own),
        )

    def _of_streams(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        budget: Budget,
        work: Callable[[View, Budget], T],
    ) -> Told[T]:
        """For what asks for streams alone."""
        return self._engine.read(
            where.tenants,
            budget,
            lambda reading, own: work(reading.view(matchers, where.bounds, distinct=False), own),
        )


def selector_matchers(query: str) -> tuple[Matcher, ...]:
    """Matchers of an optional selector; an absent one means every stream."""
    if not query:
        return EVERYTHING
    return parse_selector(query).matchers


def series_selectors(texts: Sequence[str]) -> list[tuple[Matcher, ...]]:
    """Selectors of the series endpoint: none or a lone `{}` means all streams."""
    selectors: list[Selector] = [parse_selector(t, allow_empty_matchers=True) for t in texts]
    if len(selectors) > 1 and any(not s.matchers for s in selectors):
        raise InvalidRequestError("0 matchers in group: {}")
    for selector in selectors:
        positive = all(m.op in (MatchOp.EQ, MatchOp.RE) for m in selector.matchers)
        if selector.matchers and positive:
            check_selector(selector)
    return [selector.matchers for selector in selectors] or [EVERYTHING]
