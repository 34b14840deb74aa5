"""`python -m tests.conformance.cluster_random`: is what a cluster answers what one process answers?

The random entries and queries of the engine's properties (`tests/querier/test_engine.py`, where one
engine is held against a slow twin), asked over HTTP of both. Of each example every ingester gets a
part, some of them put theirs into blocks, and both queriers are asked, with `--ray` over a Ray
cluster. Times of entries are apart by a nanosecond: which of two at one time is first is nobody's
promise over several ingesters. Exits with 1 when an answer differs.
"""

import argparse
import itertools
import json
import math
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.server import Running, start, stop
from logql import ast
from logql.format import format_expr
from tests.conformance.cluster import INGESTERS, QUERIERS, cluster_at, tasks_of_ray
from tests.conformance.stacks import CONFIG, SHAPES
from tests.querier.test_engine import METRICS
from tests.reference.logs import ENTRIES, NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.servers.cluster import Cluster

TIMEOUT_S = 60
CLOSE = 1e-9
"""How far apart values may be, relatively or else: partial sums are added in another order."""
QUERIES = 4
"""Of each example, of each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is pushed to whom, who flushes, and what is asked."""

    parts: tuple[list[Entry], ...]  # one for each ingester
    flushed: frozenset[int]
    logs: list[ast.LogQuery]
    metrics: list[ast.MetricExpr]
    direction: str
    limit: int
    step_s: int


EXAMPLES: st.SearchStrategy[Example] = st.builds(
    Example,
    parts=st.tuples(*(ENTRIES for _ in INGESTERS)),
    flushed=st.frozensets(st.integers(0, len(INGESTERS) - 1)),
    logs=st.lists(LOG_QUERIES, min_size=QUERIES, max_size=QUERIES),
    metrics=st.lists(METRICS, min_size=QUERIES, max_size=QUERIES),
    direction=st.sampled_from(["forward", "backward"]),
    limit=st.sampled_from([1, 3, 1000]),
    step_s=st.sampled_from([1, 3, 7]),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a server."""

    status: int
    text: str

    def is_like(self, other: "Answer") -> bool:
        """Whether the same is told: the same refusal, or the same data."""
        if self.status != other.status or self.status != 200:
            return (self.status, self.kind()) == (other.status, other.kind())
        mine, theirs = json.loads(self.text), json.loads(other.text)
        return mine.get("warnings") == theirs.get("warnings") and _alike(
            _by_labels(mine["data"]), _by_labels(theirs["data"])
        )

    def kind(self) -> str:
        """Of a refusal: which of several series with errors is named is nobody's promise."""
        return self.text.partition(" for series: ")[0]


def _by_labels(data: dict[str, Any]) -> dict[str, Any]:
    """Streams or series by their labels; entries of a stream stay in their order."""
    kind = data["resultType"]
    label = "stream" if kind == "streams" else "metric"
    found = {json.dumps(one[label], sort_keys=True): one["values"] for one in data["result"]}
    assert len(found) == len(data["result"]), "labels are there twice"
    return {"kind": kind, "found": found}


def _alike(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other or _close(one, other)


def _close(one: Any, other: Any) -> bool:
    try:
        a, b = float(one), float(other)
    except (TypeError, ValueError):
        return False
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)


class Both:
    """A cluster and one process with the same entries, each example for a tenant of its own."""

    def __init__(self, cluster: Cluster, one: Running) -> None:
        self._cluster, self._one = cluster, one
        self._tenants = (f"random-{number}" for number in itertools.count())
        self.asked = 0

    def check(self, example: Example) -> None:
        """Push, flush, ask; raises `AssertionError` where answers differ."""
        tenant, numbers = next(self._tenants), itertools.count()
        for name, part in zip(INGESTERS, example.parts, strict=True):
            if not part:
                continue
            body = _push(part, numbers)
            for running in (self._cluster.processes[name], self._one):
                found = _ask(running, "/loki/api/v1/push", tenant, body)
                assert found.status == 204, found
        for number in example.flushed:
            running = self._cluster.processes[INGESTERS[number]]
            assert _ask(running, "/flush", tenant, b"").status == 204
        asked = {"start": START_NS, "end": START_NS + 100 * NS}
        for query in example.logs:
            more = {"direction": example.direction, "limit": example.limit}
            self._compare(tenant, {**asked, **more, "query": format_expr(query)})
        for expr in example.metrics:
            self._compare(tenant, {**asked, "step": example.step_s, "query": format_expr(expr)})

    def _compare(self, tenant: str, parameters: dict[str, object]) -> None:
        body = urllib.parse.urlencode(parameters).encode()
        wanted = _ask(self._one, "/loki/api/v1/query_range", tenant, body)
        for name in QUERIERS:
            running = self._cluster.processes[name]
            found = _ask(running, "/loki/api/v1/query_range", tenant, body)
            assert found.is_like(wanted), (name, parameters, found, wanted)
            self.asked += 1


def _push(part: Sequence[Entry], numbers: Iterator[int]) -> bytes:
    """A push of entries, each a nanosecond behind the one before it."""
    streams = [
        {
            "stream": labels,
            "values": [[str(ts + next(numbers)), line.decode(errors="replace"), metadata]],
        }
        for labels, metadata, ts, line in part
    ]
    return json.dumps({"streams": streams}).encode()


def _ask(running: Running, path: str, tenant: str, body: bytes) -> Answer:
    is_push = path.endswith("/push")
    kind = "application/json" if is_push else "application/x-www-form-urlencoded"
    headers = {"X-Scope-OrgID": tenant, "Content-Type": kind}
    request = urllib.request.Request(running.url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode())


@contextmanager
def both(folder: Path, *, ray: bool) -> Iterator[Both]:
    """Running, until the `with` ends."""
    one = start(folder / "one", CONFIG, folder / "one.log", SHAPES)
    try:
        with cluster_at(folder, ray=ray, settings=SHAPES) as cluster:
            found = Both(cluster, one)
            yield found
            if ray:
                done = tasks_of_ray(cluster)
                print(f"{done} leaf tasks were done on Ray")
                assert done, "nothing was done on Ray"
    finally:
        stop(one)


def check_examples(asked: Both, count: int, *, again: bool) -> None:
    """So many random examples; always the same ones with `again`."""

    @settings(
        max_examples=count,
        derandomize=again,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # what differs is found again by its queries and entries
        suppress_health_check=list(HealthCheck),
    )
    @given(EXAMPLES)
    def answers_are_those_of_one_process(example: Example) -> None:
        asked.check(example)

    answers_are_those_of_one_process()


def main() -> int:
    """Run it and say how much was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray", action="store_true", help="a Ray cluster does what reads blocks")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--new", action="store_true", help="other examples each time")
    given_ = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, both(Path(folder), ray=given_.ray) as asked:
        try:
            check_examples(asked, given_.examples, again=not given_.new)
        except AssertionError as error:
            print(error)
            return 1
        finally:
            print(f"{asked.asked} answers of queriers were compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
