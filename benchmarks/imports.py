"""What do modules cost the start of a server? CPU of each one's own code, the least of some starts.

`python -m benchmarks.imports [--starts 5] [WORD ...]`: modules whose names have one of the words
are summed up against all; without words those that only processes of a cluster need (`CLUSTER`).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

CLUSTER = (
    "narfi.server.journals",
    "narfi.server.places",
    "narfi.server.reach",
    "narfi.server.roles",
    "narfi.core.ray_settings",
    "storage.journal.objects",
    "storage.journal.number",
    "storage.journal.absent",
    "storage.catalog.leases",
    "storage.catalog.rule_",
    "storage.catalog.only_server",
    "storage.catalog.database_time",
    "storage.catalog.days",
    "storage.catalog.held_blocks",
    "storage.objects.cached",
    "storage.objects.disk_cache",
    "storage.objects.metrics",
    "storage.objects.p",
    "storage.objects.ranged",
    "storage.block.rewriting",
    "storage.head_exchange",
    "storage.batch_bytes",
    "ingester.adoption",
    "ingester.followers",
    "ingester.frames",
    "ingester.grpc_api",
    "ingester.lease",
    "ingester.shares",
    "querier.executors.ray",
    "querier.grpc_api",
    "querier.logs.other_tails",
    "querier.reading.other_heads",
    "ruler.claims",
    "upkeep.far_merges",
)
MODULES = "narfi.cli.serve, narfi.server.wiring, narfi.server.lifecycle"
MEASURE = f"""
import importlib.machinery, json, time
inner, found = [], {{}}
run = importlib.machinery.SourceFileLoader.exec_module
def measured(self, module):
    began = time.thread_time()
    inner.append(0.0)
    try:
        return run(self, module)
    finally:
        spent = time.thread_time() - began
        found[module.__name__] = spent - inner.pop()
        if inner:
            inner[-1] += spent
importlib.machinery.SourceFileLoader.exec_module = measured
began = time.thread_time()
import {MODULES}
print(json.dumps({{"": time.thread_time() - began, **found}}))
"""


def measure(starts: int) -> dict[str, float]:
    """The least CPU seconds of each module; of all together under the empty name."""
    least: dict[str, float] = {}
    for _ in range(starts):
        done = subprocess.run([sys.executable, "-c", MEASURE], stdout=subprocess.PIPE, check=True)
        for name, spent in json.loads(done.stdout).items():
            least[name] = min(spent, least.get(name, spent))
    return least


def chosen(found: dict[str, float], words: Sequence[str]) -> dict[str, float]:
    """Those whose names have one of the words."""
    return {name: s for name, s in found.items() if any(word in name for word in words)}


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", default=CLUSTER)
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args()
    found = measure(given.starts)
    every, mine = found.pop(""), chosen(found, given.words)
    total = sum(mine.values())
    print(f"{len(mine)} of {len(found)} modules: {total * 1e3:.0f} ms of {every * 1e3:.0f} ms CPU")
    for name, spent in sorted(mine.items(), key=lambda pair: -pair[1])[:20]:
        print(f"| {name} | {spent * 1e3:.1f} |")


if __name__ == "__main__":
    main()
