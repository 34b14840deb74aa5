"""How fast does a server take logs? 4 connections, 1 MB snappy-protobuf bodies.

Reports MB/s of line bytes, MB per CPU-second of the server, p50 and p99 of a push, peak RSS, and
what is stored after a flush. `--pid` and `--data-dir` name the server's process and folder.
"""

import argparse
import http.client
import json
import os
import threading
import time
import urllib.parse
from dataclasses import asdict, dataclass
from pathlib import Path

CONNECTIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport:
    """Figures of one load."""

    megabytes: float
    lines: int
    seconds: float
    mb_per_s: float
    mb_per_cpu_s: float
    mb_per_cpu_s_with_flush: float
    p50_ms: float
    p99_ms: float
    peak_rss_mb: float
    stored_mb: float
    flush_s: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[k]) for k in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float:
    """The high-water mark of resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def stored_mb(folder: Path) -> float:
    """Bytes of all files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that was answered; times of `time.perf_counter`."""

    path: Path
    began: float
    ended: float


class _Sender(threading.Thread):
    """One connection that takes every fourth body."""

    def __init__(self, url: str, tenant: str, bodies: list[Path], number: int) -> None:
        super().__init__()
        self._url, self._tenant = urllib.parse.urlsplit(url), tenant
        self._bodies, self._number = bodies, number
        self.sent: list[Sent] = []
        self.failure: str | None = None

    def run(self) -> None:
        """Push until the bodies are done or one fails."""
        assert self._url.hostname is not None
        connection = http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=120)
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        if self._tenant:
            headers["X-Scope-OrgID"] = self._tenant
        for path in self._bodies[self._number :: CONNECTIONS]:
            body = path.read_bytes()
            began = time.perf_counter()
            connection.request("POST", "/loki/api/v1/push", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            self.sent.append(Sent(path, began, time.perf_counter()))
            if answer.status != http.client.NO_CONTENT:
                self.failure = f"{answer.status}: {text[:300].decode('utf-8', 'replace')}"
                return


def push(
    url: str,
    folder: Path,
    *,
    tenant: str = "",
    pid: int | None = None,
    data_dir: Path | None = None,
    sent: list[Sent] | None = None,
) -> PushReport:
    """Push all bodies of a folder, then flush; the report's CPU figures need the pid.

    Every body goes into `sent`, too.
    """
    index = json.loads((folder / "index.json").read_text())
    bodies = sorted(folder.glob("*.body"))
    total = sum(body["bytes"] for body in index["bodies"]) / 1e6
    cpu = cpu_seconds(pid) if pid else 0.0
    senders = [_Sender(url, tenant, bodies, k) for k in range(CONNECTIONS)]
    began = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seconds = time.perf_counter() - began
    for sender in senders:
        if sender.failure:
            raise SystemExit(f"push failed: {sender.failure}")
    spent = cpu_seconds(pid) - cpu if pid else 0.0
    flush_s = flush(url)
    with_flush = cpu_seconds(pid) - cpu if pid else 0.0
    all_sent = [one for sender in senders for one in sender.sent]
    if sent is not None:
        sent.extend(all_sent)
    latencies = sorted(one.ended - one.began for one in all_sent)
    return PushReport(
        megabytes=round(total, 1),
        lines=sum(body["lines"] for body in index["bodies"]),
        seconds=round(seconds, 2),
        mb_per_s=round(total / seconds, 1),
        mb_per_cpu_s=round(total / spent, 1) if spent else 0.0,
        mb_per_cpu_s_with_flush=round(total / with_flush, 1) if with_flush else 0.0,
        p50_ms=round(latencies[len(latencies) // 2] * 1000, 1),
        p99_ms=round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        peak_rss_mb=round(peak_rss_mb(pid), 1) if pid else 0.0,
        stored_mb=round(stored_mb(data_dir / "objects"), 1) if data_dir else 0.0,
        flush_s=round(flush_s, 2),
    )


def flush(url: str) -> float:
    """Seconds until everything is in blocks; servers without the endpoint answer 404."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)
    began = time.perf_counter()
    connection.request("POST", "/flush")
    connection.getresponse().read()
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path, help="made by benchmarks.data")
    parser.add_argument("--tenant", default="")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--data-dir", type=Path)
    a = parser.parse_args()
    report = push(a.url, a.folder, tenant=a.tenant, pid=a.pid, data_dir=a.data_dir)
    print(json.dumps(asdict(report), indent=2))
