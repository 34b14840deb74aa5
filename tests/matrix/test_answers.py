"""Is an answer whole, or an error of a server that cannot now, when catalog or objects fail?"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest

from narfi.core.errors import AppError, ErrorKind
from narfi.core.limits import Limits
from querier.budget import Budget
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.volume_leaves import VolumeOptions
from querier.query import QueryOptions
from querier.reading.missing import Missing
from querier.result import StreamsResult
from querier.service import QueryService, TimeRange
from tests.ingester.lives import ALL
from tests.matrix.conftest import Worlds
from tests.matrix.faults import Calls, Statements, io_error, reads
from tests.matrix.operations import OPERATIONS
from tests.matrix.world import NOW, TENANT, World

T = TypeVar("T")
R = TypeVar("R")
SPAN = (NOW - 10**9, NOW + 10**9)
WHERE = TimeRange((TENANT,), *SPAN)


class HereExecutor(LocalExecutor):
    """Runs tasks in the calling thread, whose calls can be made to fail."""

    def __init__(self) -> None:
        """Without threads."""

    def map(self, task: Callable[[T], R], specs: Iterable[T], budget: Budget) -> Iterator[R]:
        """One after another."""
        return map(task, specs)


def service_of(world: World) -> QueryService:
    """The queries of a process that has just started."""
    process, limits = world.process, Limits()
    warnings = Missing(process.catalog.losses, world.clock).warnings
    engine = Engine(process.heads, process.store, HereExecutor(), missing=warnings)
    return QueryService(engine, lambda _: limits)


def query(service: QueryService, text: str) -> Any:
    """A range query."""
    options = QueryOptions(
        tenants=(TENANT,), start_ns=SPAN[0], end_ns=SPAN[1], step_ns=10**9, limits=Limits()
    )
    result = service.query(text, options).result
    if isinstance(result, StreamsResult):
        return [(stream.labels, list(stream.entries)) for stream in result.streams]
    return repr(result)


ASKED: dict[str, Callable[[QueryService], Any]] = {
    "logs": lambda service: query(service, '{app="a"} |= "line"'),
    "metric": lambda service: query(service, 'sum(count_over_time({app="a"} |= "1" [1s]))'),
    "labels": lambda service: service.label_names(WHERE, "", Budget()),
    "stats": lambda service: service.index_stats(WHERE, ALL, Budget()),
    "patterns": lambda service: repr(service.patterns(WHERE, ALL, 10**9, Budget())),
    "volume": lambda service: repr(
        service.volume(WHERE, ALL, np.array(SPAN), VolumeOptions(None, False), Budget())
    ),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("kind", ["statement", "read"])
def test_an_answer_is_whole_or_it_is_503(worlds: Worlds, kind: str, asked: str) -> None:
    ask, operation = ASKED[asked], OPERATIONS["query"]
    world = worlds(operation)
    wanted = ask(service_of(world))
    statements, calls = Statements(), Calls(choose=reads)
    world.process.stop()
    world.start()
    with statements.watching(), calls.watching():
        assert ask(service_of(world)) == wanted
    points: list[Any] = list(range(statements.count))
    if kind == "read":
        points = [(name, n) for name, count in calls.counts.items() for n in range(count)]
    assert points
    for point in points:
        world.process.stop()
        world.start()  # nothing is remembered of the reads before
        service = service_of(world)
        failing = (
            Statements(point)
            if kind == "statement"
            else Calls(choose=reads, error=io_error, point=point)
        )
        with failing.watching(), pytest.raises(AppError) as told:
            ask(service)
        assert told.value.kind is ErrorKind.UNAVAILABLE, told.value
        assert ask(service) == wanted, "and the next one is answered"
    world.process.stop()
