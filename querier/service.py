"""What can be asked of the stored logs? Queries and metadata, free of transport; blocking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

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
from querier.explore.labels import label_names, label_values, series
from querier.explore.pattern_merge import Pattern
from querier.explore.patterns import patterns_of
from querier.explore.volume import Volume, VolumeOptions, volumes
from querier.query import Cancellation, QueryOptions
from querier.reading.view import View
from querier.result import Answer, LabelPairs
from querier.rules import ALL_RULES, Rules
from storage.objects.base import ObjectMissingError

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

    @property
    def bounds(self) -> tuple[int, int]:
        """`[start, end)` in ns."""
        return self.start_ns, self.end_ns


class QueryService:
    """Answers queries; thread-safe."""

    def __init__(self, engine: Engine, limits_of: LimitsOf) -> None:
        self._engine = engine
        self.limits_of = limits_of

    def query(self, text: str, options: QueryOptions) -> Answer:
        """A range or instant query of the options' tenants."""
        return _until_whole(lambda: self._engine.run(text, options))

    def series(
        self,
        where: TimeRange,
        selectors: Sequence[Sequence[Matcher]],
        cancellation: Cancellation,
    ) -> list[LabelPairs]:
        """Label sets of the streams that satisfy any selector, sorted."""

        def find() -> list[LabelPairs]:
            with self._engine.reading(where.tenants) as reading:
                views = (reading.view(m, where.bounds, distinct=False) for m in selectors)
                return series(views, cancellation)

        return _until_whole(find)

    def label_names(self, where: TimeRange, query: str, cancellation: Cancellation) -> list[str]:
        """Names of the labels of matching streams, sorted."""
        return self._streams(where, query, lambda view: label_names(view, cancellation))

    def label_values(
        self, where: TimeRange, name: str, query: str, cancellation: Cancellation
    ) -> list[str]:
        """Values of a label among matching streams, sorted."""
        return self._streams(where, query, lambda view: label_values(view, name, cancellation))

    def index_stats(
        self, where: TimeRange, matchers: Sequence[Matcher], cancellation: Cancellation
    ) -> IndexStats:
        """How much the selector covers in the range: a sound server's sums."""
        return self._entries(
            where, matchers, lambda view: index_stats(view, where.bounds, cancellation)
        )

    def volume(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        edges: I64,
        options: VolumeOptions,
        cancellation: Cancellation,
    ) -> list[Volume]:
        """Bytes by group and bucket, largest group first."""
        return self._entries(
            where, matchers, lambda view: volumes(view, edges, options, cancellation)
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
        return self._entries(
            where,
            matchers,
            lambda view: patterns_of(view, where.bounds, step_ns, cancellation, rules),
        )

    def _entries(
        self, where: TimeRange, matchers: Sequence[Matcher], work: Callable[[View], Found]
    ) -> Found:
        """What work over entries finds, each of which counts once."""

        def find() -> Found:
            with self._engine.reading(where.tenants) as reading:
                return work(reading.view(matchers, where.bounds))

        return _until_whole(find)

    def _streams(self, where: TimeRange, query: str, work: Callable[[View], Found]) -> Found:
        """What work over streams finds; no entry is looked at."""
        matchers = selector_matchers(query)

        def find() -> Found:
            with self._engine.reading(where.tenants) as reading:
                return work(reading.view(matchers, where.bounds, distinct=False))

        return _until_whole(find)


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
