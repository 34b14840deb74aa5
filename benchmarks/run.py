"""`make bench`: a fresh server, the load, the queries on the head and on blocks; one report."""

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import calibrate
from benchmarks.data import prepare
from benchmarks.push import push
from benchmarks.query import measure, table
from benchmarks.server import serving

CONFIG = Path(__file__).parent / "narfi.yaml"
END_NS = 1_795_510_800 * 10**9
"""2026-11-24 09:00 UTC: fixed, so that bodies are made once."""
PEER_MEGABYTES = 364
"""What Loki's times in queries.yaml were measured over."""


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=PEER_MEGABYTES)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--factor", type=float, help="of this machine; measured if not given")
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    factor = given.factor or calibrate.factor(calibrate.measure())
    folder = prepare(given.bodies, given.megabytes * 10**6, END_NS)
    small = prepare(given.bodies, max(given.megabytes // 10, 1) * 10**6, END_NS)
    with tempfile.TemporaryDirectory() as data:
        with serving(Path(data) / "head", CONFIG) as server:
            push_only(server.url, small)
            head = measure(server.url, END_NS, runs=given.runs)
        with serving(Path(data) / "blocks", CONFIG) as server:
            report = push(server.url, folder, pid=server.process.pid, data_dir=server.data_dir)
            time.sleep(1)
            blocks = measure(server.url, END_NS, runs=given.runs)
    print(f"This machine needs {factor:.2f} times as long as the one that Loki was measured on.")
    if given.megabytes != PEER_MEGABYTES:
        print(f"Loki's times are of {PEER_MEGABYTES} MB, these are of {given.megabytes} MB.")
    print("\n## Push\n\n```json")
    print(json.dumps(asdict(report), indent=2))
    print(f"```\n\n## Queries (head: {max(given.megabytes // 10, 1)} MB unflushed)\n")
    print(table({"head": head, "blocks": blocks}, factor))


def push_only(url: str, folder: Path) -> None:
    """Push without flushing: everything stays in the head."""
    import urllib.request

    for path in sorted(folder.glob("*.body")):
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        request = urllib.request.Request(f"{url}/loki/api/v1/push", path.read_bytes(), headers)
        urllib.request.urlopen(request, timeout=60).read()


if __name__ == "__main__":
    main()
