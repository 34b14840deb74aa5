"""Does every query stay within its bounds, and does nobody else notice it?

`python -m benchmarks.bounds` (`--quick`: 200 MB, for work on it): loads 1 GB of logs into
a server whose queries may take 256 MB each and 512 together, asks what grows most, one by one and a
hundred at once, and looks at status, time, CPU and resident memory. Then, at a time-out of two
seconds, each is asked alone, and 24 at once while another tenant asks a small query. Each bar is
printed with `ok` or `short`, and how many are short in the end.
"""

import argparse
import contextlib
import http.client
import itertools
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data import SPAN_NS, prepare
from benchmarks.push import cpu_seconds, push
from benchmarks.run import END_NS
from benchmarks.server import Running, start, stop
from narfi.core.wire.push_encode import encode_push

MEGABYTES, QUICK_MEGABYTES = 1000, 200
QUERY_MEMORY_MB = 256
BUDGETS_MB = {
    "QUERIER__MAX_MEMORY": 512,
    "INGESTER__MAX_UNFLUSHED_BYTES": 128,
    "SERVER__MAX_INFLIGHT_BYTES": 128,
}
"""All that may grow; what is remembered of blocks lies within the first."""
RESIDENT_MB = sum(BUDGETS_MB.values()) + 400
CACHE_MB = 64
RESIDENT_OF_ONE_MB = QUERY_MEMORY_MB + CACHE_MB + 400
"""While one query runs and nothing is pushed."""
TIMEOUT_S, SHORT_TIMEOUT_S = 600, 2
"""So long that a hundred end one by one, and so short that most do not end."""
AT_ONCE, BESIDE = 100, 24
SMALL_TIMES = 200
SETTINGS = {
    "TENANCY": "header",  # else all are one tenant
    **{name: f"{size}MB" for name, size in BUDGETS_MB.items()},
    "QUERIER__CACHE_BYTES": f"{CACHE_MB}MB",
    "LIMITS__INGESTION_RATE_MB": "10000",
    "LIMITS__INGESTION_BURST_SIZE_MB": "10000",
    "LIMITS__REJECT_OLD_SAMPLES": "false",
    "LIMITS__PER_STREAM_RATE_LIMIT": "10000MB",
    "LIMITS__PER_STREAM_RATE_LIMIT_BURST": "10000MB",
    "LIMITS__MAX_QUERY_MEMORY": f"{QUERY_MEMORY_MB}MB",
    "LIMITS__QUERY_TIMEOUT": f"{TIMEOUT_S}s",
    "LIMITS__MAX_ENTRIES_LIMIT_PER_QUERY": "5000",
}
EVERYTHING, SHORT_LINES = '{app=~".+"}', '{app=~".+", app!="wide"}'
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
        f'sum(bytes_over_time({SHORT_LINES} | line_format "{{{{ repeat 500 __line__ }}}}" [1m]))',
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


def ask(url: str, tenant: str, query: str, params: dict[str, str]) -> Told:
    """One query over the whole hour; the answer is read and dropped."""
    parts = urllib.parse.urlsplit(url)
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


def family(pid: int) -> list[int]:
    """A process, its children and theirs."""
    found = [pid]
    for one in found:  # grows meanwhile
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def resident_mb(pid: int) -> float:
    """Of one process; 0 when it has ended. What processes share counts in each."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def spent_seconds(pid: int) -> float:
    """CPU of a process and all below it."""
    spent_s = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            spent_s += cpu_seconds(one)
    return spent_s


class Memory:
    """The peak of the resident memory of a process and all below it, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self._pid, self.peak_mb = pid, 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.peak_mb = max(self.peak_mb, self.now_mb())

    def now_mb(self) -> float:
        """Now."""
        return sum(map(resident_mb, family(self._pid)))

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@dataclass(slots=True)
class Bars:
    """What was to be kept, and whether it was."""

    short: int = 0

    def look(self, name: str, value: float, most: float, unit: str = "") -> None:
        """A figure and the most that it may be."""
        kept = value <= most
        self.short += not kept
        print(f"  {'ok   ' if kept else 'SHORT'} {name}: {value:.4g}{unit} of {most:.4g}{unit}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_MEGABYTES} MB")
    parser.add_argument("--beside", action="store_true", help="only the time-outs and neighbours")
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    megabytes = QUICK_MEGABYTES if given.quick else given.megabytes
    folder = prepare(given.bodies, megabytes * 10**6, END_NS)
    small = prepare(given.bodies, max(megabytes // 20, 1) * 10**6, END_NS)
    bars = Bars()
    if not given.beside:
        bound_memory(folder, bars)
    with _server({**SETTINGS, "LIMITS__QUERY_TIMEOUT": f"{SHORT_TIMEOUT_S}s"}) as running:
        push(running.url, folder, tenant=TENANT, pid=running.process.pid)
        push_wide(running)
        push(running.url, small, tenant=OTHER)
        timed_out(running, bars)
        beside_others(running, bars)
    print("all bars are kept" if not bars.short else f"{bars.short} bars are short")


def bound_memory(folder: Path, bars: Bars) -> None:
    """Each heavy query alone, and a hundred at once."""
    with _server(dict(SETTINGS)) as running:
        push(running.url, folder, tenant=TENANT, pid=running.process.pid)
        push_wide(running)
        with Memory(running.process.pid) as memory:
            print(f"resident before the queries: {memory.now_mb():.0f} MB")
            alone = one_by_one(running, memory, bars)
            at_once(running, memory, alone, bars)


@contextlib.contextmanager
def _server(settings: dict[str, str]) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as data:
        running = start(Path(data), settings=settings)
        try:
            yield running
        finally:
            stop(running)


def push_wide(running: Running) -> None:
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


@dataclass(frozen=True, slots=True)
class Alone:
    """What became of each heavy query by itself."""

    told: dict[str, Told] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)


def one_by_one(running: Running, memory: Memory, bars: Bars) -> Alone:
    """Each heavy query alone."""
    found, pid = Alone(), running.process.pid
    for name, (query, params) in HEAVY.items():
        memory.peak_mb, before = 0.0, spent_seconds(pid)
        told = found.told[name] = ask(running.url, TENANT, query, params)
        found.cpu_s[name] = spent_seconds(pid) - before
        print(
            f"{name}: {told.status} in {told.seconds:.2f} s, {found.cpu_s[name]:.2f} s of CPU,"
            f" {told.bytes / 1e6:.1f} MB  {told.text.strip()[:100]}"
        )
        bars.look("neither answered nor a 4xx", told.status >= 500, 0)
        bars.look("resident", memory.peak_mb, RESIDENT_OF_ONE_MB, " MB")
    return found


def at_once(running: Running, memory: Memory, alone: Alone, bars: Bars) -> None:
    """A hundred at once: each is told what it was told alone, for the same work."""
    pid = running.process.pid
    names = list(itertools.islice(itertools.cycle(HEAVY), AT_ONCE))
    memory.peak_mb, before = 0.0, spent_seconds(pid)
    told = _together(running, names)
    spent_s = spent_seconds(pid) - before
    print(
        f"{AT_ONCE} at once: {dict(Counter(one.status for _, one in told))},"
        f" slowest {max(one.seconds for _, one in told):.1f} s"
    )
    for text in sorted({one.text.strip()[:100] for _, one in told if one.text}):
        print("   ", text)
    others = sum(one.status != alone.told[name].status for name, one in told)
    bars.look("told something else than alone", others, AT_ONCE // 20)
    bars.look("CPU to that of one by one", spent_s / sum(alone.cpu_s[n] for n in names), 1.2)
    bars.look("resident", memory.peak_mb, RESIDENT_MB, " MB")


def _together(running: Running, names: list[str]) -> list[tuple[str, Told]]:
    told: list[tuple[str, Told]] = []

    def run(name: str) -> None:
        told.append((name, ask(running.url, TENANT, *HEAVY[name])))

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def timed_out(running: Running, bars: Bars) -> None:
    """How long a query runs whose time is short."""
    slowest_s = 0.0
    for name, (query, params) in HEAVY.items():
        told = ask(running.url, TENANT, query, params)
        print(f"time-out of {SHORT_TIMEOUT_S} s: {name}: {told.status} in {told.seconds:.2f} s")
        if told.status != http.client.OK:  # the bytes of an answer come afterwards
            slowest_s = max(slowest_s, told.seconds)
    bars.look("slowest refusal", slowest_s, 1.2 * SHORT_TIMEOUT_S, " s")


def beside_others(running: Running, bars: Bars) -> None:
    """A small query of another tenant, alone and while 24 heavy ones of a tenant run."""
    query, params = SMALL
    alone = [ask(running.url, OTHER, query, params).seconds for _ in range(SMALL_TIMES)]
    ended = multiprocessing.Event()
    with ProcessPoolExecutor(1, initializer=as_if_far, initargs=(ended,)) as others:
        busy = others.submit(keep_busy, running.url)
        time.sleep(SHORT_TIMEOUT_S)
        beside = [ask(running.url, OTHER, query, params).seconds for _ in range(SMALL_TIMES)]
        ended.set()
        told = busy.result()
    for name, times in (("alone", alone), (f"beside {BESIDE} heavy ones", beside)):
        print(
            f"small query of another tenant, {name}: median"
            f" {statistics.median(times) * 1e3:.1f} ms, p99 {p99(times) * 1e3:.1f} ms"
        )
    print(f"the heavy ones: {dict(Counter(one.status for one in told))}")
    bars.look("p99 to that alone", p99(beside) / p99(alone), 2)
    refused = [one.seconds for one in told if one.status != http.client.OK]
    bars.look("slowest refusal", max(refused, default=0.0), 1.2 * SHORT_TIMEOUT_S, " s")


_ended: Any = None
"""Of the process that keeps the server busy: when to stop."""


def as_if_far(ended: Any) -> None:
    """Clients of other machines take no core that the server or the small query wants."""
    global _ended
    _ended = ended
    os.nice(10)


def keep_busy(url: str) -> list[Told]:
    """Heavy queries, 24 at any time."""
    told: list[Told] = []

    def ask_on(number: int) -> None:
        work = itertools.islice(itertools.cycle(HEAVY.values()), number, None)
        while not _ended.is_set():
            told.append(ask(url, TENANT, *next(work)))

    threads = [threading.Thread(target=ask_on, args=(n,), daemon=True) for n in range(BESIDE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def p99(times: list[float]) -> float:
    """All but a hundredth are below."""
    return sorted(times)[int(len(times) * 0.99)]


if __name__ == "__main__":
    main()
