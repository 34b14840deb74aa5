"""Does every query stay within its bounds, and does nobody else notice it?

`python -m benchmarks.bounds --megabytes 1000`: loads the benchmark's logs into a server whose
queries may take 256 MB each, asks what grows most, one by one and a hundred at once, and prints
each answer's status and time beside the peak of the server's memory. Then 24 of the heaviest
queries of one tenant run while another tenant asks a small one, and queries meet their time-out.
"""

import argparse
import contextlib
import http.client
import statistics
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import SPAN_NS, prepare
from benchmarks.push import push
from benchmarks.run import END_NS
from benchmarks.server import Running, start, stop
from narfi.core.wire.push_encode import encode_push

QUERY_MEMORY_MB = 256
SETTINGS = {
    "LIMITS__INGESTION_RATE_MB": "10000",
    "LIMITS__INGESTION_BURST_SIZE_MB": "10000",
    "LIMITS__REJECT_OLD_SAMPLES": "false",
    "LIMITS__PER_STREAM_RATE_LIMIT": "10000MB",
    "LIMITS__PER_STREAM_RATE_LIMIT_BURST": "10000MB",
    "LIMITS__MAX_QUERY_MEMORY": f"{QUERY_MEMORY_MB}MB",
    "LIMITS__QUERY_TIMEOUT": "20s",
    "LIMITS__MAX_ENTRIES_LIMIT_PER_QUERY": "5000",
}
EVERYTHING = '{app=~".+"}'
STEP_1 = {"step": "1"}
WIDE = {"limit": "5000"}
HEAVY: dict[str, tuple[str, dict[str, str]]] = {
    "sum by (trace_id)": (
        'sum by (trace_id) (count_over_time({app=~".+"} | json | __error__="" [1m]))',
        {"step": "60"},
    ),
    "long text of each line": (
        f'{EVERYTHING} | line_format "{{{{ repeat 500 __line__ }}}}"',
        WIDE,
    ),
    "bytes of long text": (
        f'sum(bytes_over_time({EVERYTHING} | line_format "{{{{ repeat 500 __line__ }}}}" [1m]))',
        {"step": "60"},
    ),
    "quantile, step 1": (
        'quantile_over_time(0.99, {app=~".+"} | json | unwrap bytes [5m]) by (app)',
        STEP_1,
    ),
    "quantile of a length, step 1": (
        'quantile_over_time(0.5, {app=~".+"} | label_format n="{{ len __line__ }}" | unwrap n [1m])'
        " by (pod)",
        STEP_1,
    ),
    "wide lines": ('{app="wide"}', WIDE),
    "all labels": (
        f'count_over_time({EVERYTHING} | json | __error__="" [1m])',
        {"step": "60"},
    ),
    "rate of all": (f"sum by (pod) (rate({EVERYTHING} [5m]))", STEP_1),
}
SMALL = ('sum by (pod) (rate({app="api"}[1m]))', {"step": "60"})
TENANT, OTHER = "heavy", "small"
WIDE_LINES, WIDE_BYTES = 800, 250_000


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a query."""

    status: int
    seconds: float
    bytes: int
    text: str


def ask(running: Running, tenant: str, query: str, params: dict[str, str]) -> Told:
    """One query over the whole hour; the answer is read and dropped."""
    parts = urllib.parse.urlsplit(running.url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)
    given = {"query": query, "start": str(END_NS - SPAN_NS), "end": str(END_NS + 10**9), **params}
    began = time.perf_counter()
    path = f"/loki/api/v1/query_range?{urllib.parse.urlencode(given)}"
    headers = {"X-Scope-OrgID": tenant}
    size, head = 0, b""
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        while piece := answer.read(1 << 20):
            head = head or piece[:200]
            size += len(piece)
    text = "" if answer.status == http.client.OK else head.decode(errors="replace")
    return Told(answer.status, time.perf_counter() - began, size, text)


class Memory:
    """The peak of a process's resident memory, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self._path, self.peak_mb = Path(f"/proc/{pid}/status"), 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.peak_mb = max(self.peak_mb, self.now_mb())

    def now_mb(self) -> float:
        """Now."""
        line = next(x for x in self._path.read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    folder = prepare(given.bodies, given.megabytes * 10**6, END_NS)
    small = prepare(given.bodies, max(given.megabytes // 20, 1) * 10**6, END_NS)
    with _server(dict(SETTINGS)) as running:
        push(running.url, folder, tenant=TENANT, pid=running.process.pid)
        _push_wide(running)
        push(running.url, small, tenant=OTHER)
        with Memory(running.process.pid) as memory:
            print(f"resident before the queries: {memory.now_mb():.0f} MB")
            one_by_one(running, memory)
            at_once(running, memory)
        beside_others(running)
    with _server({**SETTINGS, "LIMITS__QUERY_TIMEOUT": "1s"}) as running:
        push(running.url, folder, tenant=TENANT)
        timed_out(running)


@contextlib.contextmanager
def _server(settings: dict[str, str]) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as data:
        running = start(Path(data), settings=settings)
        try:
            yield running
        finally:
            stop(running)


def _push_wide(running: Running) -> None:
    """Lines of a quarter of a megabyte."""
    per_body = 40
    for first in range(0, WIDE_LINES, per_body):
        entries = [
            (END_NS - SPAN_NS + n * 10**9, str(n).encode().ljust(WIDE_BYTES, b"x"), ())
            for n in range(first, first + per_body)
        ]
        body = encode_push([('{app="wide"}', entries)])
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Scope-OrgID": TENANT,
        }
        parts = urllib.parse.urlsplit(running.url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/loki/api/v1/push", body, headers)
            answer = connection.getresponse()
            if answer.status != http.client.NO_CONTENT:
                raise SystemExit(f"push of wide lines: {answer.status} {answer.read()[:200]!r}")


def one_by_one(running: Running, memory: Memory) -> None:
    """Each heavy query alone."""
    for name, (query, params) in HEAVY.items():
        memory.peak_mb = 0.0
        told = ask(running, TENANT, query, params)
        print(
            f"{name:30s} {told.status} {told.seconds:6.2f} s {told.bytes / 1e6:8.1f} MB,"
            f" peak RSS {memory.peak_mb:.0f} MB  {told.text.strip()[:150]}"
        )


def at_once(running: Running, memory: Memory) -> None:
    """A hundred at once."""
    memory.peak_mb = 0.0
    told = _together(running, 100)
    print(
        f"100 at once: {dict(Counter(one.status for one in told))},"
        f" slowest {max(one.seconds for one in told):.1f} s, peak RSS {memory.peak_mb:.0f} MB"
    )
    for text in sorted({one.text.strip()[:150] for one in told if one.text}):
        print("   ", text)


def _together(running: Running, count: int) -> list[Told]:
    told: list[Told] = []
    work = list(HEAVY.values())

    def run(number: int) -> None:
        query, params = work[number % len(work)]
        told.append(ask(running, TENANT, query, params))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def beside_others(running: Running) -> None:
    """A small query of another tenant, alone and while 24 heavy ones of a tenant run."""
    query, params = SMALL
    alone = [ask(running, OTHER, query, params).seconds for _ in range(60)]
    ended = threading.Event()

    def keep_busy(number: int) -> None:
        work = list(HEAVY.values())
        while not ended.is_set():
            ask(running, TENANT, *work[number % len(work)])

    threads = [threading.Thread(target=keep_busy, args=(n,), daemon=True) for n in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    beside = [ask(running, OTHER, query, params).seconds for _ in range(60)]
    ended.set()
    for thread in threads:
        thread.join()
    for name, times in (("alone", alone), ("beside 24 heavy ones", beside)):
        print(
            f"small query of another tenant, {name}: median"
            f" {statistics.median(times) * 1e3:.1f} ms, p99 {sorted(times)[-1] * 1e3:.1f} ms"
        )


def timed_out(running: Running) -> None:
    """How long a query runs that may take one second."""
    for name, (query, params) in HEAVY.items():
        told = ask(running, TENANT, query, params)
        print(f"time-out of 1 s: {name:30s} {told.status} {told.seconds:5.2f} s")


if __name__ == "__main__":
    main()
