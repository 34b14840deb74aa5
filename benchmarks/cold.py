"""What does the first query after a start cost, against the same one later?

`python -m benchmarks.cold [--real FOLDER …]`: loads blocks, then for each query starts the server
anew, asks once, and asks again; once with blocks that the server prepared behind `/ready`, and once
with blocks of which nothing was read but what the rehearsal asks for (`querier.prepare_blocks`).
The CPU time is that of all threads of the server, to the nanosecond, so that a busy machine says
the same as an idle one; wall time stands beside it. Pages of the files are in memory each time:
what a disk takes is not measured. What is asked again finds columns, shapes and filters decoded,
and where its words may lie worked out; no answer is remembered.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import prepare
from benchmarks.load import real_bodies
from benchmarks.push import push
from benchmarks.query import Client, load, parameters
from benchmarks.run import CONFIG, END_NS
from benchmarks.server import Running, serving

ASKED = (
    "last 100 lines",
    "needle over everything",
    "sum by (app)(count_over_time) all",
    "json -> sum by (status) one app",
    "logfmt -> sum by (level)",
)
"""Of queries.yaml: what somebody may ask first."""
REAL_ASKED: tuple[dict[str, Any], ...] = (
    {"name": "real: last 100 lines", "query": '{app=~".+"}', "limit": 100},
    {"name": "real: needle", "query": '{app=~".+"} |= "timeout"', "limit": 100},
    {
        "name": "real: counts",
        "query": 'sum by (app) (count_over_time({app=~".+"}[1m]))',
        "step": 60,
    },
    {
        "name": "real: json",
        "query": 'sum by (level) (count_over_time({app="caddy_json"} | json [1m]))',
        "step": 60,
    },
)
LATER = 7
SETTLE_S = 5.0
"""What follows `/ready` is not of the query."""
UNPREPARED = {"QUERIER__PREPARE_BLOCKS": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """One query: CPU and wall milliseconds of the first time, and the median of later ones."""

    name: str
    unopened_cpu: float  # of blocks that were not prepared
    first_cpu: float
    later_cpu: float
    first_wall: float
    later_wall: float

    @property
    def ratio(self) -> float:
        """How many times as much CPU the first one took."""
        return self.first_cpu / self.later_cpu


def cpu_ms(pid: int) -> float:
    """CPU milliseconds of all threads that a process has."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def asked(server: Running, query: dict[str, Any]) -> tuple[float, float]:
    """CPU and wall milliseconds of one request, without those of the connection."""
    path, params = parameters(query, END_NS)
    client = Client(server.url, "")
    client.get("/loki/api/v1/status/buildinfo", {})  # the connection is there
    cpu, began = cpu_ms(server.process.pid), time.perf_counter()
    client.get(path, params)
    wall = (time.perf_counter() - began) * 1000
    return cpu_ms(server.process.pid) - cpu, wall


def first_and_later(
    data_dir: Path, query: dict[str, Any], settings: dict[str, str]
) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """CPU and wall milliseconds, first and later, of one server from its start to its end."""
    with serving(data_dir, CONFIG, settings=settings) as server:
        time.sleep(SETTLE_S)
        return asked(server, query), [asked(server, query) for _ in range(LATER)]


def measure(data_dir: Path, query: dict[str, Any]) -> Cold:
    """Two servers one behind the other."""
    unopened, _ = first_and_later(data_dir, query, UNPREPARED)
    first, later = first_and_later(data_dir, query, {})
    return Cold(
        name=query["name"],
        unopened_cpu=unopened[0],
        first_cpu=first[0],
        first_wall=first[1],
        later_cpu=statistics.median(cpu for cpu, _ in later),
        later_wall=statistics.median(wall for _, wall in later),
    )


def table(found: Sequence[Cold]) -> str:
    """Markdown."""
    lines = [
        "| query | not prepared, CPU ms | first, CPU ms | later | ratio | first, wall ms | later |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        lines.append(
            f"| {one.name} | {one.unopened_cpu:.1f} | {one.first_cpu:.1f} | {one.later_cpu:.1f} "
            f"| {one.ratio:.2f} | {one.first_wall:.1f} | {one.later_wall:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=36)
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    parser.add_argument("--real", type=Path, nargs="+", metavar="FOLDER")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        if given.real:
            bodies, queries = real_bodies(given.real, Path(folder) / "bodies"), list(REAL_ASKED)
        else:
            bodies = prepare(given.bodies, given.megabytes * 10**6, END_NS)
            queries = [query for query in load() if query["name"] in ASKED]
        with serving(data_dir, CONFIG) as server:
            push(server.url, bodies)
        found = []
        for query in queries:
            found.append(measure(data_dir, query))
    print(table(found))


if __name__ == "__main__":
    main()
