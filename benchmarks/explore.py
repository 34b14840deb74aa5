"""What do the questions of the page cost? CPU time of each; labels have three values or a million.

`python -m benchmarks.explore --lines N --format N`: as many JSON lines of several streams go into
blocks (of 36 MB, by `benchmarks.real.Load`), and each question is asked in process and warm.
`--logql` asks facets of `topk(10, sum by (label) (count_over_time(…)))`, too; `--only WORD` asks
the questions whose names have the word. Times are the least CPU milliseconds of all threads of
three runs.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.data import SEED
from benchmarks.real import START_NS, TENANT, Load, pushed
from benchmarks.scale import NoHeads
from narfi.core.clock import NS_PER_S
from narfi.core.kernels.warming import warm_up
from narfi.core.limits import Limits
from narfi.core.memory import leave_libraries_out
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.distribution import distribution_of
from querier.explore.facets import FacetsAsked, facets_of
from querier.explore.fields import fields_of
from querier.explore.histogram import histogram_of
from querier.explore.question import Question
from querier.explore.top_patterns import TopPattern, top_patterns
from querier.query import QueryOptions
from storage.block.identity import Layout
from storage.block.layout import FORMAT_VERSION

LINE = (
    '{"level":"%s","status":%d,"user_id":"u%05d","path":"/api/v1/items/%d","trace_id":"%032x",'
    '"duration_ms":%d}'
)
LABELS = ("app", "detected_level", "status", "user_id", "path", "trace_id")
FEW = ("app", "detected_level", "service_name", "level", "duration_ms", "status")
ALL, PARSED, FILTERED = '{app=~".+"}', '{app=~".+"} | json', '{app=~".+"} |= "error"'
BLOCK_BYTES, CACHE_BYTES = 36 << 20, 1 << 30
CHUNK = 200_000
RUNS = 3
STREAMS = 8


def lines(count: int, seed: int) -> Iterator[bytes]:
    """Requests of an API: paths and trace ids are hardly ever there twice."""
    r = random.Random(seed)
    for _ in range(count):
        level, status = r.choice(("info", "warn", "error")), r.choice((200, 200, 200, 404, 500))
        path, trace = r.randrange(1 << 40), r.getrandbits(128)
        found = (level, status, r.randrange(50_000), path, trace, r.randrange(2_000))
        yield (LINE % found).encode()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a question cost, and how large its answer is."""

    question: str
    size: int
    cpu_ms: float
    again_ms: float  # where nothing else was asked since
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


def facets(names: tuple[str, ...]) -> Callable[[Question], int]:
    """How many values the last of the names has."""
    asked = FacetsAsked(names=names, limit=10, in_lines=True)
    return lambda question: facets_of(question, asked)[-1].distinct


def histogram(by: str | None) -> Callable[[Question], int]:
    """How many series there are."""
    return lambda question: len(histogram_of(question, 120, by).series)


def patterns(question: Question, *, compare: bool) -> tuple[TopPattern, ...]:
    """The first thirty."""
    return top_patterns(question, 30, 40, compare=compare).patterns


QUESTIONS: Mapping[str, tuple[str, Callable[[Question], int]]] = {
    **{f"facet {name}": (ALL, facets((name,))) for name in LABELS},
    "six facets of few values": (ALL, facets(FEW)),
    "facet status | json": (PARSED, facets(("status",))),
    "histogram": (ALL, histogram(None)),
    "histogram by app": (ALL, histogram("app")),
    "histogram by detected_level": (ALL, histogram("detected_level")),
    "histogram by detected_level and status": (
        ALL,
        lambda question: len(histogram_of(question, 120, "detected_level", by_status=True).series),
    ),
    "histogram by status": (ALL, histogram("status")),
    "histogram by detected_level of |=": (FILTERED, histogram("detected_level")),
    "distribution": (ALL, lambda question: len(distribution_of(question, "duration_ms").buckets)),
    "patterns": (ALL, lambda question: len(patterns(question, compare=False))),
    "patterns, compared": (ALL, lambda question: len(patterns(question, compare=True))),
    "fields": (ALL, lambda question: len(fields_of(question)[0])),
    "fields of |=": (FILTERED, lambda question: len(fields_of(question)[0])),
}


def forgetful(engine: Engine, ask: Callable[[], object]) -> None:
    """Ask, without what was found out before."""
    engine.kept.clear()
    ask()


def loaded(folder: str, count: int, version: int) -> Load:
    """Blocks of so many lines."""
    load = Load(folder, BLOCK_BYTES, CACHE_BYTES, layout=Layout(version))
    names = [f"api{k}" for k in range(STREAMS)]
    start_ns = START_NS
    for first in range(0, count, CHUNK):
        some = list(lines(min(CHUNK, count - first), SEED + first))
        load.take(pushed({name: some[k::STREAMS] for k, name in enumerate(names)}, start_ns))
        start_ns += 300 * NS_PER_S
    return load


def measure(
    count: int, version: int, *, logql: bool = False, runs: int = RUNS, only: str = ""
) -> list[Spent]:
    """Each question in turn."""
    executor = LocalExecutor(2)
    with tempfile.TemporaryDirectory() as folder:
        load = loaded(folder, count, version)
        engine, found = Engine(NoHeads(), load.store, executor), []
        end_ns = START_NS + (count // CHUNK + 1) * 300 * NS_PER_S
        limits = Limits().with_changes(max_query_series=0)
        whole = QueryOptions(
            tenants=(TENANT,), start_ns=START_NS, end_ns=end_ns, step_ns=1, limits=limits
        )
        instant = QueryOptions(
            tenants=(TENANT,),
            start_ns=end_ns,
            end_ns=end_ns,
            step_ns=0,
            limits=limits,
            instant=True,
        )
        for name, (text, work) in QUESTIONS.items():
            if only not in name:
                continue
            ask = partial(engine.explore, text, whole, work)
            forgetting = partial(forgetful, engine, ask)
            other = None
            if logql and name.startswith("facet "):
                label = name.split()[1]
                metric = f"topk(10, sum by ({label}) (count_over_time({PARSED} [1d])))"
                other = least_cpu_ms(partial(engine.run, metric, instant), 1)
            least = least_cpu_ms(forgetting, runs)
            found.append(Spent(name, ask().value, least, least_cpu_ms(ask, runs), other))
    executor.close()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--format", type=int, default=FORMAT_VERSION, help="of the blocks")
    parser.add_argument("--logql", action="store_true", help="facets by a metric query, too")
    parser.add_argument("--only", default="", help="questions whose names have this word")
    given = parser.parse_args()
    leave_libraries_out()
    warm_up()
    print("| question | answer | CPU ms | asked again | by LogQL |")
    print("|---|---|---|---|---|")
    for one in measure(given.lines, given.format, logql=given.logql, only=given.only):
        other = "" if one.logql_ms is None else f"{one.logql_ms:,.0f}"
        costs = f"{one.cpu_ms:,.1f} | {one.again_ms:,.1f} | {other}"
        print(f"| {one.question} | {one.size:,} | {costs} |")


if __name__ == "__main__":
    main()
