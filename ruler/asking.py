"""What does a rule's query give now? Through the reading path of every other query.

A rule has the limits of its tenant and a budget of its own; what all rules hold together is bounded
apart from users' queries (`ruler.max_memory`). Errors have the recorded texts.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from logql.ast import LogQuery
from logql.format import format_expr
from logql.parser import parse
from narfi.core.clock import NS_PER_S
from narfi.core.errors import AppError
from narfi.core.limits import Limits, LimitsOf, strictest
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.query import QueryOptions
from querier.result import LabelPairs, ScalarResult, StreamsResult, VectorResult
from querier.running import Asked, Running
from querier.service import QueryService
from ruler.sample_lines import FoundLine, LinesQuery
from ruler.validate import LATE_ERROR


class EvaluationError(AppError):
    """A rule cannot be evaluated; the text is what the API tells."""


class FederationError(EvaluationError):
    """A group looks at tenants that may not be asked together."""

    def __init__(self, tenant: TenantId) -> None:
        super().__init__(
            "rule evaluation failed: source_tenants: multi_tenant_queries_enabled is off for "
            f"tenant {tenant!r}"
        )


@dataclass(frozen=True, slots=True)
class Whose:
    """The tenant that a rule belongs to, and those whose logs it looks at; none: its own."""

    owner: TenantId
    sources: tuple[TenantId, ...] = ()

    @property
    def asked(self) -> tuple[TenantId, ...]:
        """Whose logs are read."""
        return self.sources or (self.owner,)


class NotANumberError(EvaluationError):
    """The query gives log lines."""

    def __init__(self) -> None:
        super().__init__("rule result is not a vector or scalar")


@dataclass(frozen=True, slots=True)
class Result:
    """Labels and value of each series, and what may be missing."""

    samples: Sequence[tuple[LabelPairs, float]]
    warnings: tuple[str, ...] = ()


def canonical(expr: str) -> str:
    """The text that is evaluated and shown; as it is written where it cannot be read."""
    try:
        return format_expr(parse(expr))
    except AppError:
        return expr


class Asking(Protocol):
    """Whoever can be asked for a rule's query: this process, or a server."""

    def budget(self, tenant: TenantId) -> AbstractContextManager[Budget]:
        """What one evaluation of a rule may take."""
        ...

    def ask(self, whose: Whose, text: str, at_ns: int, budget: Budget) -> Result:
        """The vector or number at a time; raises `EvaluationError`."""
        ...

    def lines(self, whose: Whose, query: LinesQuery, budget: Budget) -> Sequence[FoundLine]:
        """Log lines, the newest first; raises `EvaluationError`."""
        ...


class Asker:
    """Asks for all rules of this process; thread-safe."""

    def __init__(self, service: QueryService, running: Running, limits_of: LimitsOf) -> None:
        self._service, self._running, self._limits_of = service, running, limits_of

    @contextmanager
    def budget(self, tenant: TenantId) -> Iterator[Budget]:
        """What one evaluation of a rule, its templates' queries too, may take."""
        with self._running.one(Asked(tenants=(tenant,), route="rule")) as found:
            found.begin(self._limits_of(tenant))
            yield found

    def _limits(self, whose: Whose) -> Limits:
        """What a rule may do: what each tenant may that it looks at, where all let others look."""
        limits = {tenant: self._limits_of(tenant) for tenant in (whose.owner, *whose.sources)}
        for tenant, found in limits.items():
            if whose.sources and not found.multi_tenant_queries_enabled:
                raise FederationError(tenant)
        return strictest(list(limits.values()))

    def ask(self, whose: Whose, text: str, at_ns: int, budget: Budget) -> Result:
        """The vector or number at a time; raises `EvaluationError`."""
        options = QueryOptions(
            tenants=whose.asked,
            start_ns=at_ns,
            end_ns=at_ns,
            step_ns=0,
            limits=self._limits(whose),
            instant=True,
            budget=budget,
        )
        try:
            if isinstance(parse(text), LogQuery):
                raise NotANumberError
            answer = self._service.query(text, options)
        except NotANumberError:
            raise
        except AppError as error:
            raise EvaluationError(_told(error.message), error.kind) from error
        match answer.result:
            case VectorResult():
                samples = [(s.labels, s.value) for s in answer.result.samples]
            case ScalarResult():
                samples = [((), answer.result.value)]
            case _:
                raise NotANumberError
        return Result(samples, answer.warnings)

    def lines(self, whose: Whose, query: LinesQuery, budget: Budget) -> Sequence[FoundLine]:
        """Log lines, the newest first; raises `EvaluationError`."""
        options = QueryOptions(
            tenants=whose.asked,
            start_ns=query.start_ns,
            end_ns=query.end_ns,
            step_ns=NS_PER_S,
            limits=self._limits(whose),
            limit=query.limit,
            budget=budget,
        )
        try:
            result = self._service.query(query.text, options).result
        except AppError as error:
            raise EvaluationError(_told(error.message), error.kind) from error
        if not isinstance(result, StreamsResult):
            return ()
        found = [
            FoundLine(entry.ts_ns, entry.line.decode("utf-8", "replace"), stream.labels)
            for stream in result.streams
            for entry in stream.entries
        ]
        return sorted(found, key=lambda line: -line.ts_ns)


def _told(message: str) -> str:
    if message.startswith(LATE_ERROR):
        message = f"rpc error: code = Code(400) desc = {message}"
    return f"rule evaluation failed: {message}"
