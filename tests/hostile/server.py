"""Which server is attacked, and how is it watched meanwhile? RSS, `/ready`, the loop's thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import Running, start, stop
from tests.hostile.target import Target

MB = 1 << 20
MOST_BODY = 4 * MB
MOST_DECOMPRESSED = 16 * MB
MOST_CONNECTIONS = 100
READ_S = 5
BUDGETS = {
    "server.max_inflight_bytes": 96 * MB,
    "ingester.max_unflushed_bytes": 32 * MB,
    "querier.cache_bytes": 16 * MB,
    "querier.max_memory": 128 * MB,
}
"""All that may grow."""
ALLOWED_RSS = sum(BUDGETS.values()) + 400 * MB
PROBE_PAUSE_S = 0.02
IDLE_LOOKS = 200

CONFIG = f"""
server:
  http_server_read_timeout: {READ_S}s
  http_server_write_timeout: {READ_S}s
  http_listen_conn_limit: {MOST_CONNECTIONS}
  max_inflight_bytes: 96MB
ingester:
  max_recv_msg_size: 4MB
  max_decompressed_size: 16MB
  max_unflushed_bytes: 32MB
  flush_bytes: 8MB
querier: {{cache_bytes: 16MB, query_threads: 2, max_memory: 128MB}}
limits:
  reject_old_samples: false
  ingestion_rate_mb: 1000.0
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  max_query_memory: 64MB
  query_timeout: 10s
"""


@dataclass(kw_only=True)
class Watch:
    """What was seen of a server while it was attacked."""

    running: Running
    peak_rss: int = 0  # since an input began
    highest: int = 0  # of all inputs
    idle_s: float = 0.0  # how long /ready takes while nothing else is sent, p99
    ready_s: list[float] = field(default_factory=list)  # wall time of each look at /ready
    loop_s: list[float] = field(default_factory=list)  # CPU time of the loop meanwhile
    failed: list[str] = field(default_factory=list)  # looks that were not answered with 200

    @property
    def target(self) -> Target:
        """Where it listens."""
        return Target(int(self.running.url.rpartition(":")[2]))

    def look(self) -> None:
        """Ask once."""
        pid = self.running.process.pid
        self.peak_rss = max(self.peak_rss, rss_of(pid))
        self.highest = max(self.highest, self.peak_rss)
        before, began = loop_cpu_s(pid), time.perf_counter()
        answer = self.target.send("GET", "/ready")
        self.ready_s.append(time.perf_counter() - began)
        self.loop_s.append(loop_cpu_s(pid) - before)
        if answer.status != 200:
            self.failed.append(f"{answer.status} {answer.text}")


def rss_of(pid: int) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def loop_cpu_s(pid: int) -> float:
    """CPU time of the main thread, which runs the event loop."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]


@contextmanager
def watched(folder: Path) -> Iterator[Watch]:
    """A server with small limits and a thread that looks at it all the time."""
    config = folder / "narfi.yaml"
    config.write_text(CONFIG)
    watch = Watch(running=start(folder / "data", config, folder / "log"))
    for _ in range(IDLE_LOOKS):
        watch.look()
    watch.idle_s = p99(watch.ready_s)
    watch.ready_s, watch.loop_s = [], []
    done = threading.Event()

    def look_on() -> None:
        while not done.wait(PROBE_PAUSE_S):
            watch.look()

    watcher = threading.Thread(target=look_on)
    watcher.start()
    try:
        yield watch
    finally:
        done.set()
        watcher.join()
        stop(watch.running)
