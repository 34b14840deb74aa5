"""What can be asked of the stored logs? Queries and metadata, free of transport; blocking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from logql.ast import Selector
from logql.parser import parse_selector
from logql.validate import check_selector
from narfi.core.columns import I64
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.limits import LimitsOf
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.engine import Engine
from querier.explore.index_stats import IndexStats, index_stats
from querier.explore.pattern_merge import Pattern
from querier.explore.patterns import LEVEL, PatternCounts
from querier.explore.volume import Volume, VolumeOptions, volumes
from querier.query import Cancellation, QueryOptions
from querier.reading.tenants import provider_for
from querier.reading.view import View
from querier.result import Answer, LabelPairs
from querier.rules import ALL_RULES, Rule, Rules
from storage.objects.base import ObjectMissingError
from storage.scan import Columns, LogSource, ScanRequest, SourceProvider

Found = TypeVar("Found")
EVERYTHING: tuple[Matcher, ...] = ()
VIEWS = 5
"""Taken of the blocks for one answer, at most."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Whose data, and `start_ns <= ts < end_ns`."""

    tenants: tuple[TenantId, ...]
    start_ns: int
    end_ns: int


class QueryService:
    """Answers queries; thread-safe."""

    def __init__(
        self, engine: Engine, heads: SourceProvider, blocks: SourceProvider, limits_of: LimitsOf
    ) -> None:
        self._engine, self._heads, self._blocks = engine, heads, blocks
        self.limits_of = limits_of

    def query(self, text: str, options: QueryOptions) -> Answer:
        """A range or instant query of the options' tenants."""
        return _until_whole(lambda: self._engine.run(text, options))

    def _view(self, where: TimeRange, matchers: Sequence[Matcher]) -> View:
        return self._engine.view_of(where.tenants, matchers, (where.start_ns, where.end_ns))

    def _sources(self, where: TimeRange) -> list[LogSource]:
        """All sources of the range, for what no entry is read for."""
        heads = provider_for(self._heads, where.tenants)
        blocks = provider_for(self._blocks, where.tenants)
        live = list(heads.sources(where.tenants[0], where.start_ns, where.end_ns))
        cuts = {source.cut_id for source in live}
        stored = blocks.sources(where.tenants[0], where.start_ns, where.end_ns)
        return [*(source for source in stored if source.cut_id not in cuts), *live]

    def series(self, where: TimeRange, selectors: Sequence[Sequence[Matcher]]) -> list[LabelPairs]:
        """Label sets of the streams that satisfy any selector, sorted."""
        found: set[LabelPairs] = set()
        for source in self._sources(where):
            table = source.table
            inside = (table.last_ts >= where.start_ns) & (table.first_ts < where.end_ns)
            chosen = np.zeros(len(table), np.bool_)
            for matchers in selectors:
                chosen |= table.select(matchers)
            for ordinal in np.flatnonzero(chosen & inside).tolist():
                found.add(table.labels[ordinal].pairs)
        return sorted(found)

    def label_names(self, where: TimeRange, query: str) -> list[str]:
        """Names of the labels of matching streams, sorted."""
        series = self.series(where, [selector_matchers(query)])
        return sorted({name for pairs in series for name, _ in pairs})

    def label_values(self, where: TimeRange, name: str, query: str) -> list[str]:
        """Values of a label among matching streams, sorted."""
        series = self.series(where, [selector_matchers(query)])
        return sorted({value for pairs in series for n, value in pairs if n == name})

    def index_stats(
        self, where: TimeRange, matchers: Sequence[Matcher], cancellation: Cancellation
    ) -> IndexStats:
        """How much the selector covers in the range: a sound server's sums."""
        bounds = (where.start_ns, where.end_ns)
        return _until_whole(lambda: index_stats(self._view(where, matchers), bounds, cancellation))

    def volume(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        edges: I64,
        options: VolumeOptions,
        cancellation: Cancellation,
    ) -> list[Volume]:
        """Bytes by group and bucket, largest group first."""
        return _until_whole(
            lambda: volumes(self._view(where, matchers), edges, options, cancellation)
        )

    def patterns(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        step_ns: int,
        cancellation: Cancellation,
        rules: Rules = ALL_RULES,
    ) -> list[Pattern]:
        """Patterns of the lines with their counts in buckets of the step."""
        start = where.start_ns - where.start_ns % step_ns
        buckets = max(1, -(-(where.end_ns - start) // step_ns))

        def count() -> list[Pattern]:
            counts = PatternCounts(start, step_ns, buckets)
            columns = Columns(metadata=frozenset((LEVEL,)))
            plain = Rule.SHAPE_COLUMNS not in rules
            for found in self._view(where, matchers).sources:
                request = ScanRequest(
                    found.streams, where.start_ns, where.end_ns, columns, plain=plain
                )
                for segment in found.source.segments(request):
                    cancellation.check()
                    counts.add(found.kept(found.source.read(segment, request)))
            return counts.patterns()

        return _until_whole(count)


class BlockGoneError(AppError):
    """A block that should be there is not, however often it is looked for."""

    kind = ErrorKind.UNAVAILABLE


def _until_whole(work: Callable[[], Found]) -> Found:
    """The work, again with a new view when a block went while it was read.

    On a disk that is nearly full the oldest blocks go without a grace period, one after another.
    """
    for left in reversed(range(VIEWS)):
        try:
            return work()
        except ObjectMissingError as error:
            if not left:
                message = f"{error.message}; see narfi verify"
                raise BlockGoneError(f"a stored block cannot be read: {message}") from error
    raise AssertionError("the last try returns or raises")


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
