"""What does a Ray cluster add to a scan, and what does it cost? One query over gigabytes of lines.

`python -m benchmarks.ray_scan [--gigabytes 10] [--bodies FOLDER] [--folder FOLDER] [--workers N]`;
needs `narfi[ray]`.

A server puts the lines of the benchmark into blocks of one tenant; copies of these blocks, under
other names and tenants, make up the rest, so nothing that was read of one helps with another. A
query with a regular expression reads all of them, once by the server's threads, once with one actor
of a Ray cluster on this machine and once with two, each time by a server that has just started and
answered for a minute of it. Printed are wall time, which says as much as the machine has free
processors, and what each part took of the processor: the server, the bridge to the cluster, the
cluster. With `--folder` the blocks stay there, and are made once; `--workers` measures one of the
three, so that each run is short.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import prepare
from benchmarks.push import push
from benchmarks.query import Client, parameters
from benchmarks.run import CONFIG, END_NS
from benchmarks.server import Running, start, stop
from narfi.core.tenant import TenantId
from storage.block.format3.index_object import BLOBS, decode_index, encode_index
from storage.block.layout import INDEX, block_prefix
from storage.block.manifest import manifest_in
from storage.catalog.base import BlockRow, Intent
from storage.catalog.sql import SqlCatalog
from tests.servers import ray_head
from tests.servers.ray_head import RayHead

QUERY = {
    "query": 'sum by (app) (count_over_time({env=~".+"} |~ "[a-f][0-9]{3} " [10m]))',
    "step": 600,
}
ATTACHED_S = 300.0
SETTINGS = {
    "TENANCY": "header",
    "COMPACTOR__INTERVAL": "24h",
    "LIMITS__QUERY_TIMEOUT": "1h",
    "LIMITS__MULTI_TENANT_QUERIES_ENABLED": "true",
}
WORKERS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of processes."""

    server: float
    bridge: float
    cluster: float


def cpu_s(pids: list[int]) -> float:
    """Of those that are there, and their children that were waited for."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def spent(server: Running, head: RayHead | None) -> Spent:
    """Of all, so far."""
    pid = server.process.pid
    return Spent(cpu_s([pid]), cpu_s(children(pid)), cpu_s(head.pids()) if head else 0.0)


def fill(folder: Path, bodies: Path, tenants: list[str]) -> None:
    """Blocks of the first tenant by a server, of the others as copies."""
    server = start(folder / "data", CONFIG, settings=settings_of(folder, 0, None))
    try:
        push(server.url, bodies, tenant=tenants[0])
    finally:
        stop(server)
    multiply(folder, tenants)


def multiply(folder: Path, tenants: list[str]) -> None:
    """Copies of the blocks of the first tenant for the others."""
    catalog = SqlCatalog(f"sqlite:///{folder}/data/catalog.db")
    try:
        rows = catalog.blocks(TenantId(tenants[0]), -(2**62), 2**62)
        for tenant in tenants[1:]:
            for row in rows:
                copied = copy(folder / "objects", row, TenantId(tenant))
                catalog.intend(
                    Intent(
                        block_id=copied.block_id,
                        tenant=copied.tenant,
                        min_ts=copied.min_ts,
                        owner="benchmark",
                        expires_ns=time.time_ns() + 10**12,
                    )
                )
                catalog.publish([copied], [])
    finally:
        catalog.close()


def copy(objects: Path, row: BlockRow, tenant: TenantId) -> BlockRow:
    """The objects of a block again, and an index that names the copy."""
    name = uuid.uuid4().hex
    folders = (
        block_prefix(row.tenant, row.min_ts, row.block_id),
        block_prefix(tenant, row.min_ts, name),
    )
    shutil.copytree(objects / folders[0], objects / folders[1])
    key = f"{folders[1]}/{INDEX}"
    head, blobs = decode_index(key, (objects / key).read_bytes())
    del head[BLOBS]
    head |= {"block_id": name, "tenant": tenant, "cut_id": name}
    data = encode_index(head, list(blobs.items()))
    (objects / key).write_bytes(data)
    return manifest_in(key, head, len(data)).row


def settings_of(folder: Path, workers: int, head: RayHead | None) -> dict[str, str]:
    """Of a server over the blocks; with a head, of so many actors for every query."""
    found = {**SETTINGS, "STORAGE__URL": f"file://{folder}/objects"}
    if head is not None:
        found |= {
            "QUERIER__RAY__ADDRESS": head.address,
            "QUERIER__RAY__WORKERS": str(workers),
            "QUERIER__RAY__MIN_BYTES": "1KB",
        }
    return found


def scan(folder: Path, workers: int, head: RayHead | None, tenants: list[str]) -> object:
    """Ask once, and print a line; what the answer was."""
    server = start(folder / "data", CONFIG, settings=settings_of(folder, workers, head))
    try:
        client = Client(server.url, "|".join(tenants))
        path, given = parameters(QUERY, END_NS)
        warm_up(Client(server.url, tenants[0]), server, given, is_far=head is not None)
        before, began = spent(server, head), time.perf_counter()
        answer = client.get(path, given)
        wall, after = time.perf_counter() - began, spent(server, head)
        print(
            f"| {workers or 'none'} | {wall:.1f} | {after.server - before.server:.1f} "
            f"| {after.bridge - before.bridge:.1f} | {after.cluster - before.cluster:.1f} |",
            flush=True,
        )
        return answer["data"]["result"]
    finally:
        stop(server)


def warm_up(client: Client, server: Running, given: dict[str, str], *, is_far: bool) -> None:
    """Ask for a minute of it, until actors have done a task where there are any."""
    short = given | {"start": str(END_NS - 60 * 10**9)}
    until_s = time.monotonic() + ATTACHED_S
    client.get("/loki/api/v1/query_range", short)
    while is_far and not tasks_done(server):
        assert time.monotonic() < until_s, "the cluster is not attached"
        time.sleep(0.5)
        client.get("/loki/api/v1/query_range", short)


def tasks_done(server: Running) -> float:
    """By the cluster."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith("narfi_ray_tasks_total")
    )


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[RayHead | None]:
    """A Ray cluster with so many processors; none for none."""
    if not workers:
        yield None
        return
    with ray_head.token(), ray_head.running(workers) as head:
        yield head


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=364, help="that are pushed")
    parser.add_argument("--workers", type=int, choices=WORKERS, help="one of the three alone")
    parser.add_argument("--folder", type=Path, help="of blocks that stay")
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    bodies = prepare(given.bodies, given.megabytes * 10**6, END_NS)
    tenants = [f"t{number}" for number in range(-(-given.gigabytes * 1000 // given.megabytes))]
    with tempfile.TemporaryDirectory(prefix="narfi-ray-") as name:
        folder = given.folder or Path(name)
        if not (folder / "data").exists():
            fill(folder, bodies, tenants)
        gigabytes = given.megabytes * len(tenants) / 1000
        print(f"\n## A scan of {gigabytes:.1f} GB of lines: seconds\n")
        print("| actors | wall | CPU of the server | of the bridge | of the cluster |")
        print("|---|---|---|---|---|")
        answers = []
        for workers in WORKERS if given.workers is None else (given.workers,):
            with cluster(workers) as head:
                answers.append(scan(folder, workers, head, tenants))
        assert all(answer == answers[0] for answer in answers), "all answers are the same"


if __name__ == "__main__":
    main()
