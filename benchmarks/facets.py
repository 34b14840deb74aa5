"""What do facets cost, of labels with three values and with a million? CPU time of each.

`python -m benchmarks.facets --lines N --format N`: as many JSON lines go into blocks (of 36 MB, by
`benchmarks.real.Load`); each label is asked for its ten most frequent values, in process and warm.
`--logql` asks the same of `topk(10, sum by (label) (count_over_time(…)))`. Times are the least CPU
milliseconds of all threads of three runs.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.data import SEED
from benchmarks.real import START_NS, TENANT, Load, pushed
from benchmarks.scale import NoHeads
from narfi.core.clock import NS_PER_S
from narfi.core.kernels.warming import warm_up
from narfi.core.limits import Limits
from narfi.core.memory import leave_pandas_out
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.facets import FacetsAsked, facets_of
from querier.query import QueryOptions
from querier.service import QueryService
from storage.block.identity import Layout
from storage.block.layout import FORMAT_VERSION

LINE = (
    '{"level":"%s","status":%d,"user_id":"u%05d","path":"/api/v1/items/%d","trace_id":"%032x",'
    '"duration_ms":%d}'
)
LABELS = ("app", "level", "status", "user_id", "path", "trace_id")
QUERY = '{app="api"} | json'
BLOCK_BYTES, CACHE_BYTES = 36 << 20, 256 << 20
END_NS = START_NS + 86_400 * NS_PER_S
RUNS = 3


def lines(count: int) -> Iterator[bytes]:
    """Requests of an API: paths and trace ids are hardly ever there twice."""
    r = random.Random(SEED)
    for _ in range(count):
        level, status = r.choice(("info", "warn", "error")), r.choice((200, 200, 200, 404, 500))
        path, trace = r.randrange(1 << 40), r.getrandbits(128)
        found = (level, status, r.randrange(50_000), path, trace, r.randrange(2_000))
        yield (LINE % found).encode()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a label's facet cost, and how many values it has."""

    label: str
    distinct: int
    cpu_ms: float
    logql_ms: float | None = None


def least_cpu_ms(work: Callable[[], object], runs: int) -> float:
    """Of some runs, after one that reads what is remembered."""
    work()
    times = []
    for _ in range(runs):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1000)
    return min(times)


def measure(count: int, version: int, *, logql: bool = False, runs: int = RUNS) -> list[Spent]:
    """Each label in turn."""
    executor = LocalExecutor(2)
    with tempfile.TemporaryDirectory() as folder:
        load = Load(folder, BLOCK_BYTES, CACHE_BYTES, layout=Layout(version))
        load.take(pushed({"api": list(lines(count))}))
        engine = Engine(NoHeads(), load.store, executor)
        service, found = QueryService(engine, lambda _: Limits()), []

        def facet(label: str) -> int:
            whole = QueryOptions(
                tenants=(TENANT,), start_ns=START_NS, end_ns=END_NS, step_ns=1, limits=Limits()
            )
            asked = FacetsAsked(names=(label,), limit=10)
            (one,) = service.explore(
                QUERY, whole, lambda question: facets_of(question, asked)
            ).value
            return one.distinct

        def by_logql(label: str) -> object:
            text = f"topk(10, sum by ({label}) (count_over_time({QUERY} [1d])))"
            limits = Limits().with_changes(max_query_series=0)
            asked = QueryOptions(
                tenants=(TENANT,),
                start_ns=END_NS,
                end_ns=END_NS,
                step_ns=0,
                limits=limits,
                instant=True,
            )
            return service.query(text, asked)

        for label in LABELS:
            cpu_ms = least_cpu_ms(partial(facet, label), runs)
            other = least_cpu_ms(partial(by_logql, label), 1) if logql else None
            found.append(Spent(label, facet(label), cpu_ms, other))
    executor.close()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--format", type=int, default=FORMAT_VERSION, help="of the blocks")
    parser.add_argument("--logql", action="store_true", help="by a metric query, too")
    given = parser.parse_args()
    leave_pandas_out()
    warm_up()
    print("| label | values | CPU ms | by LogQL |")
    print("|---|---|---|---|")
    for one in measure(given.lines, given.format, logql=given.logql):
        other = "" if one.logql_ms is None else f"{one.logql_ms:,.0f}"
        print(f"| {one.label} | {one.distinct:,} | {one.cpu_ms:,.1f} | {other} |")


if __name__ == "__main__":
    main()
