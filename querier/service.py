"""What can be asked of the stored logs? Queries and metadata, free of transport; blocking."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from logql.ast import Selector
from logql.parser import parse_selector
from logql.validate import check_selector
from narfi.core.columns import I64
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.limits import LimitsOf
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.engine import Engine
from querier.explore.index_stats import IndexStats, index_stats
from querier.explore.labels import label_names, label_values, series
from querier.explore.pattern_merge import Pattern
from querier.explore.patterns import patterns_of
from querier.explore.volume import Volume, VolumeOptions, volumes
from querier.query import QueryOptions
from querier.reading.reading import Reading
from querier.reading.view import View
from querier.result import Answer, LabelPairs
from querier.rules import ALL_RULES, Rules
from storage.objects.base import ObjectMissingError

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
        self._engine = engine
        self.limits_of = limits_of

    def query(self, text: str, options: QueryOptions) -> Answer:
        """A range or instant query of the options' tenants."""
        with _telling_of_gone_blocks():
            return self._engine.run(text, options)

    def series(
        self,
        where: TimeRange,
        selectors: Sequence[Sequence[Matcher]],
        budget: Budget,
    ) -> list[LabelPairs]:
        """Label sets of the streams that satisfy any selector, sorted."""
        with self._reading(where, budget) as reading:
            views = (reading.view(m, where.bounds, distinct=False) for m in selectors)
            return series(views, budget)

    def label_names(self, where: TimeRange, query: str, budget: Budget) -> list[str]:
        """Names of the labels of matching streams, sorted."""
        with self._streams(where, selector_matchers(query), budget) as view:
            return label_names(view, budget)

    def label_values(self, where: TimeRange, name: str, query: str, budget: Budget) -> list[str]:
        """Values of a label among matching streams, sorted."""
        with self._streams(where, selector_matchers(query), budget) as view:
            return label_values(view, name, budget)

    def index_stats(
        self, where: TimeRange, matchers: Sequence[Matcher], budget: Budget
    ) -> IndexStats:
        """How much the selector covers in the range: a sound server's sums."""
        with self._view(where, matchers, budget) as view:
            return index_stats(view, where.bounds, budget)

    def volume(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        edges: I64,
        options: VolumeOptions,
        budget: Budget,
    ) -> list[Volume]:
        """Bytes by group and bucket, largest group first."""
        with self._view(where, matchers, budget) as view:
            return volumes(view, edges, options, budget)

    def patterns(
        self,
        where: TimeRange,
        matchers: Sequence[Matcher],
        step_ns: int,
        budget: Budget,
        rules: Rules = ALL_RULES,
    ) -> list[Pattern]:
        """Patterns of the lines with their counts in buckets of the step."""
        with self._view(where, matchers, budget) as view:
            return patterns_of(view, where.bounds, step_ns, budget, rules)

    @contextmanager
    def _reading(self, where: TimeRange, budget: Budget) -> Iterator[Reading]:
        with _telling_of_gone_blocks(), self._engine.reading(where.tenants, budget) as reading:
            yield reading

    @contextmanager
    def _view(
        self, where: TimeRange, matchers: Sequence[Matcher], budget: Budget
    ) -> Iterator[View]:
        """For what counts entries."""
        with self._reading(where, budget) as reading:
            yield reading.view(matchers, where.bounds)

    @contextmanager
    def _streams(
        self, where: TimeRange, matchers: Sequence[Matcher], budget: Budget
    ) -> Iterator[View]:
        """For what asks for streams alone."""
        with self._reading(where, budget) as reading:
            yield reading.view(matchers, where.bounds, distinct=False)


class BlockGoneError(AppError):
    """A block that should be there is not: somebody else took it away."""

    kind = ErrorKind.UNAVAILABLE


@contextmanager
def _telling_of_gone_blocks() -> Iterator[None]:
    try:
        yield
    except ObjectMissingError as error:
        message = f"a stored block cannot be read: {error.message}; see narfi verify"
        raise BlockGoneError(message) from error


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
