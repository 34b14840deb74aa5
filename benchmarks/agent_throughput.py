"""How fast is the agent, and how late? CRI + json + labels on one core, against a real server.

First a backlog of container logs is read to its end: MB/s, MB per CPU-second and peak RSS of the
agent. Then a writer appends at 5 MB/s: the lag of a line is the time from its writing to the asking
of the first query that counts it. `python -m benchmarks.agent_throughput` prints both.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import server
from benchmarks.agent_soak import SERVER_YAML

FILES = 8
AGENT_YAML = """
server: {{http_listen_address: 127.0.0.1, http_listen_port: {own}}}
clients:
  - url: {url}
positions: {{filename: {folder}/positions.yaml}}
scrape_configs:
  - job_name: pods
    static_configs: [{{labels: {{job: bench, __path__: {folder}/logs/*.log}}}}]
    pipeline_stages:
      - cri: {{}}
      - json: {{expressions: {{level: , status: , duration_ms: }}}}
      - labels: {{level: }}
"""
_LEVELS = ("info",) * 7 + ("warn", "error", "debug")
_PAGE = int(os.sysconf("SC_PAGE_SIZE"))
_TICKS = int(os.sysconf("SC_CLK_TCK"))


def cri_line(rng: random.Random, ts_ns: int) -> str:
    """One line as containerd writes it, its content JSON of about 200 bytes."""
    stamp = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    content = (
        f'{{"level":"{rng.choice(_LEVELS)}","msg":"request served","method":"GET",'
        f'"path":"/api/v1/items/{rng.randrange(10**6)}","status":{rng.choice((200, 200, 404))},'
        f'"duration_ms":{rng.random() * 90:.3f},"trace_id":"{rng.getrandbits(128):032x}"}}'
    )
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{ts_ns % 10**9:09d}Z stdout F {content}\n"


class Agent:
    """The agent as a process on one core."""

    def __init__(self, folder: Path, url: str, core: int) -> None:
        file = folder / "agent.yaml"
        self.own = server.free_port()
        file.write_text(AGENT_YAML.format(folder=folder, url=url, own=self.own))
        command = ["taskset", "-c", str(core), sys.executable, "-m", "narfi.cli"]
        command += ["agent", "--config", str(file)]
        with (folder / "agent.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_mb(self) -> float:
        """The largest resident size."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0.0

    def sent(self) -> int:
        """Entries that the server has acknowledged."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.own}/metrics") as answer:
                text = answer.read().decode()
        except OSError:
            return 0
        rows = (r for r in text.splitlines() if r.startswith("promtail_sent_entries_total{"))
        return sum(int(float(row.split()[-1])) for row in rows)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def backlog(folder: Path, url: str, megabytes: int, core: int) -> dict[str, float]:
    """Read files that are there already."""
    rng = random.Random(1)
    logs = folder / "logs"
    logs.mkdir()
    begin_ns = time.time_ns() - 3600 * 10**9
    total = lines = 0
    for number in range(FILES):
        part = "".join(cri_line(rng, begin_ns + k * 1000) for k in range(20_000))
        repeats = max(1, megabytes * 2**20 // FILES // len(part))
        with (logs / f"c{number}.log").open("w") as file:
            for _ in range(repeats):
                file.write(part)
        total += repeats * len(part)
        lines += repeats * 20_000
    agent = Agent(folder, url, core)
    while agent.sent() == 0:
        time.sleep(0.01)
    start_s, cpu_s, sent = time.monotonic(), agent.cpu_s(), agent.sent()
    while agent.sent() < lines:
        time.sleep(0.05)
    took_s, used_s = time.monotonic() - start_s, agent.cpu_s() - cpu_s
    read = total * (lines - sent) / lines / 1e6
    found = {"mb_per_s": read / took_s, "mb_per_cpu_s": read / used_s, "peak_mb": agent.peak_mb()}
    agent.stop()
    return found


def lag(folder: Path, url: str, rate_mb: float, seconds: float, core: int) -> dict[str, float]:
    """Write at a rate and ask for the newest line all the time."""
    rng = random.Random(2)
    agent = Agent(folder, url, core)
    written: list[int] = []
    done = threading.Event()
    # lines are made beforehand: only their times are set while writing
    rest = [cri_line(rng, 0)[30:] for _ in range(50_000)]
    step_s = 0.02
    per_step = int(rate_mb * 1e6 * step_s / (sum(map(len, rest)) / len(rest) + 30))

    def write() -> None:
        files = [(folder / "logs" / f"live{k}.log").open("a") for k in range(FILES)]
        at, turn, due = 0, 0, time.monotonic()
        while not done.is_set():
            now_ns = time.time_ns()
            stamp = datetime.fromtimestamp(now_ns // 10**9, UTC)
            prefix = f"{stamp:%Y-%m-%dT%H:%M:%S}."
            parts = [
                f"{prefix}{now_ns % 10**9:09d}Z{rest[(at + k) % len(rest)]}"
                for k in range(per_step)
            ]
            at += per_step
            files[turn % FILES].write("".join(parts))
            files[turn % FILES].flush()
            turn += 1
            written.append(now_ns)
            due += step_s
            time.sleep(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=write)
    thread.start()
    seen: list[tuple[int, dict[str, int]]] = []  # when, and lines found of each file
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen.append((time.time_ns(), _found(url)))
        time.sleep(0.01)
    done.set()
    thread.join()
    peak = agent.peak_mb()
    agent.stop()
    lags: list[float] = []
    for number in range(FILES):
        at, lines = 0, 0
        for ts_ns in written[number::FILES]:
            lines += per_step
            while at < len(seen) and seen[at][1].get(f"live{number}", 0) < lines:
                at += 1
            if at < len(seen):
                lags.append((seen[at][0] - ts_ns) / 1e6)
    lags.sort()
    lost = sum(1 for ts_ns in written if ts_ns < seen[-1][0] - 3 * 10**9) - len(lags)
    return {
        "lag_p50_ms": statistics.median(lags),
        "lag_p99_ms": lags[int(len(lags) * 0.99)],
        "samples": len(lags),
        "unseen": max(0, lost),
        "peak_mb": peak,
    }


def _found(url: str) -> dict[str, int]:
    """How many lines of each live file a query counts."""
    text = 'sum by (filename) (count_over_time({filename=~".+/live.+"}[10m]))'
    query = urllib.parse.urlencode({"query": text, "time": time.time_ns() + 10**9})
    with urllib.request.urlopen(f"{url_of(url)}/loki/api/v1/query?{query}") as answer:
        result = json.load(answer)["data"]["result"]
    return {Path(s["metric"]["filename"]).stem: int(s["value"][1]) for s in result}


def url_of(push: str) -> str:
    """The server's base address."""
    return push.removesuffix("/loki/api/v1/push")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server.yaml").write_text(SERVER_YAML)
        running = server.start(folder / "data", folder / "server.yaml")
        try:
            url = f"{running.url}/loki/api/v1/push"
            for label, figures in (
                ("backlog", backlog(folder, url, given.megabytes, 0)),
                ("lag at 5 MB/s", lag(folder, url, 5.0, given.seconds, 0)),
            ):
                shown = "  ".join(f"{k} {v:.1f}" for k, v in figures.items())
                print(f"{label}: {shown}", flush=True)
        finally:
            running.process.terminate()
            running.process.wait()


if __name__ == "__main__":
    main()
