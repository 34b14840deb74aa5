"""Which server is attacked, and how is it watched meanwhile? Its memory, and `/ready`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import Running, start, stop
from tests.hostile.looks import Looks
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
PAUSE_S = 0.02

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
    looks: Looks
    peak_rss: int = 0  # since an input began
    highest: int = 0  # of all inputs

    @property
    def target(self) -> Target:
        """Where it listens."""
        return Target(int(self.running.url.rpartition(":")[2]))

    def look(self) -> None:
        """At the memory, once."""
        self.peak_rss = max(self.peak_rss, rss_of(self.running.process.pid))
        self.highest = max(self.highest, self.peak_rss)


def rss_of(pid: int) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


@contextmanager
def watched(folder: Path) -> Iterator[Watch]:
    """A server with small limits and a thread that looks at it all the time."""
    config = folder / "narfi.yaml"
    config.write_text(CONFIG)
    running = start(folder / "data", config, folder / "log")
    watch = Watch(running=running, looks=Looks(running))
    done = threading.Event()

    def look_on() -> None:
        while not done.wait(PAUSE_S):
            watch.look()

    watcher = threading.Thread(target=look_on)
    watcher.start()
    try:
        yield watch
    finally:
        done.set()
        watcher.join()
        watch.looks.end()
        stop(watch.running)
