"""Does the agent deliver every line exactly once, whatever happens? Kills and rotations.

Files in CRI format rotate by rename and by copy-truncate while the agent and the server are killed
with -9 at random and the server is away for seconds, also at the beginning. At the end every line
must be found by LogQL exactly once. `python -m benchmarks.agent_soak --seconds 600` prints the
count.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.server import free_port

FILES = 20
ROTATE_BYTES = 60_000
KEPT_ROTATIONS = 50
READY_WITHIN_S = 300.0
"""The first start compiles kernels; a throttled machine needs minutes for that."""
QUIET_S = 60.0
"""When nothing more arrives for so long, the rest is missing."""
SERVER_YAML = """
limits:
  ingestion_rate_mb: 1000.0
  ingestion_burst_size_mb: 1000.0
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  max_entries_limit_per_query: 0
  reject_old_samples: false
"""
AGENT_YAML = """
clients:
  - url: http://127.0.0.1:{port}/loki/api/v1/push
    batchwait: 100ms
    backoff_config: {{min_period: 50ms, max_period: 1s}}
positions: {{filename: {folder}/positions.yaml, sync_period: 200ms}}
{spool}
target_config: {{sync_period: 200ms}}
scrape_configs:
  - job_name: soak
    static_configs: [{{labels: {{job: soak, __path__: {folder}/logs/*.log}}}}]
    pipeline_stages: [{{cri: {{}}}}]
"""


@dataclass(kw_only=True)
class Writer:
    """One file and its lines; even numbers rotate by rename, odd ones by copy-truncate."""

    folder: Path
    number: int
    written: int = 0
    rotations: int = 0
    _last_ns: int = 0
    rng: random.Random = field(default_factory=random.Random)

    @property
    def path(self) -> Path:
        """The live file."""
        return self.folder / f"f{self.number}.log"

    def write(self, count: int) -> None:
        """Append lines, then perhaps rotate."""
        lines = []
        for _ in range(count):
            self._last_ns = max(self._last_ns + 1, time.time_ns())
            stamp = datetime.fromtimestamp(self._last_ns // 10**9, UTC)
            text = f"{stamp:%Y-%m-%dT%H:%M:%S}.{self._last_ns % 10**9:09d}Z"
            filler = "x" * self.rng.randrange(5, 60)
            lines.append(f"{text} stdout F f{self.number} n{self.written} {filler}\n")
            self.written += 1
        with self.path.open("a") as file:
            file.write("".join(lines))
        if self.path.stat().st_size > ROTATE_BYTES:
            self._rotate()

    def _rotate(self) -> None:
        self.rotations += 1
        target = self.path.with_name(f"{self.path.name}.{self.rotations:06d}")
        if self.number % 2 == 0:
            self.path.rename(target)
        else:
            shutil.copy2(self.path, target)  # nothing is written meanwhile: no line is lost here
            os.truncate(self.path, 0)
        old = self.path.with_name(f"{self.path.name}.{self.rotations - KEPT_ROTATIONS:06d}")
        old.unlink(missing_ok=True)


class Processes:
    """The server and the agent, killed and started again."""

    def __init__(self, folder: Path, *, spool: bool) -> None:
        self.folder, self.port, self.grpc = folder, free_port(), free_port()
        (folder / "server.yaml").write_text(SERVER_YAML)
        section = f"spool: {{directory: {folder}/spool}}" if spool else ""
        text = AGENT_YAML.format(port=self.port, folder=folder, spool=section)
        (folder / "agent.yaml").write_text(text)
        self.server = self.start_server()
        self.agent = self.start_agent()
        self.kills: Counter[str] = Counter()

    def start_server(self) -> "subprocess.Popen[bytes]":
        """A server on the same data."""
        command = ["serve", "--config", str(self.folder / "server.yaml")]
        command += ["--data-dir", str(self.folder / "data")]
        command += ["--http", f"127.0.0.1:{self.port}", "--grpc", f"127.0.0.1:{self.grpc}"]
        return self._run(*command)

    def start_agent(self) -> "subprocess.Popen[bytes]":
        """An agent with the same positions."""
        return self._run("agent", "--config", str(self.folder / "agent.yaml"))

    def _run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            command = [sys.executable, "-m", "narfi.cli", *arguments]
            return subprocess.Popen(command, stdout=log, stderr=log)

    def disturb(self, rng: random.Random) -> None:
        """Kill one of them, or take the server away for a while."""
        what = rng.choice(("agent", "agent", "server", "outage"))
        self.kills[what] += 1
        if what == "agent":
            kill(self.agent)
            time.sleep(rng.random())
            self.agent = self.start_agent()
            return
        kill(self.server)
        time.sleep(rng.uniform(2, 6) if what == "outage" else 0)
        self.server = self.start_server()

    def wait_for_server(self) -> None:
        """Until it answers; raises `TimeoutError`."""
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=10):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError("the server does not become ready")

    def ask(self, path: str, **parameters: str) -> dict[str, object]:
        """A JSON answer of the server."""
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}{path}?{query}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found: dict[str, object] = json.load(answer)
            return found


def kill(process: "subprocess.Popen[bytes]") -> None:
    """kill -9."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def found_lines(processes: Processes, number: int, start_ns: int) -> Counter[str]:
    """How often each line of a file is there."""
    end = str(time.time_ns() + 10**9)
    path = "/loki/api/v1/query_range"
    query = f'{{filename=~".+/f{number}.log"}}'
    answer = processes.ask(path, query=query, start=str(start_ns), end=end, limit="4000000")
    result = answer["data"]["result"]  # type: ignore[index]
    return Counter(line.split()[1] for s in result for _, line in s["values"])


def settled_lines(processes: Processes, writer: Writer, start_ns: int) -> Counter[str]:
    """How often each line of a file is there, once all are or nothing more arrives."""
    found: Counter[str] = Counter()
    changed_s = time.monotonic()
    while len(found) < writer.written and time.monotonic() - changed_s < QUIET_S:
        try:
            counts = found_lines(processes, writer.number, start_ns)
        except OSError:  # it does not answer in time
            counts = Counter()
        if len(counts) > len(found):
            found, changed_s = counts, time.monotonic()
        time.sleep(0.5)
    return found


def soak(seconds: float, seed: int, *, spool: bool = False) -> dict[str, object]:
    """Run it, with the agent's spool or without; the counts."""
    rng = random.Random(seed)
    start_ns = time.time_ns() - 10**9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        writers = [
            Writer(folder=folder / "logs", number=k, rng=random.Random(seed + k))
            for k in range(FILES)
        ]
        processes = Processes(folder, spool=spool)
        try:
            processes.wait_for_server()
            _disturb_while_writing(processes, writers, rng, seconds)
            processes.wait_for_server()
            counts = _count(processes, writers, start_ns)
        finally:
            kill(processes.agent)
            kill(processes.server)
    rotations = sum(writer.rotations for writer in writers)
    about = {"rotations": rotations, "disturbances": dict(processes.kills)}
    return {"seconds": seconds, **counts, **about}


def _disturb_while_writing(
    processes: Processes, writers: list[Writer], rng: random.Random, seconds: float
) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for writer in writers:
                writer.write(rng.randrange(1, 12))
            time.sleep(0.05)

    kill(processes.server)  # nothing is acknowledged while files rotate and the agent dies
    thread = threading.Thread(target=write)
    thread.start()
    try:
        until = time.monotonic() + seconds
        for _ in range(2):
            time.sleep(min(8.0, seconds / 8))
            kill(processes.agent)
            processes.agent = processes.start_agent()
        processes.server = processes.start_server()
        processes.disturb(rng)  # once, however short it is and however slow the machine
        while time.monotonic() < until:
            time.sleep(rng.uniform(2, 8))
            processes.disturb(rng)
    finally:
        done.set()
        thread.join()


def _count(processes: Processes, writers: list[Writer], start_ns: int) -> dict[str, int]:
    """How many lines there are, are missing, and came more than once."""
    missing = doubled = 0
    for writer in writers:
        expected = {f"n{k}" for k in range(writer.written)}
        counts = settled_lines(processes, writer, start_ns)
        lost = sorted(expected - counts.keys(), key=lambda n: int(n[1:]))
        if lost:
            print(f"f{writer.number}: {len(lost)} missing: {lost[:5]} … {lost[-3:]}")
        missing += len(lost)
        doubled += sum(count - 1 for count in counts.values())
    total = sum(writer.written for writer in writers)
    return {"lines": total, "missing": missing, "more_than_once": doubled}


def main() -> None:
    """Print the counts; exit 1 when a line is missing or there twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spool", action="store_true", help="the agent spools to disk")
    given = parser.parse_args()
    counts = soak(given.seconds, given.seed, spool=given.spool)
    print(json.dumps(counts, indent=2))
    sys.exit(1 if counts["missing"] or counts["more_than_once"] else 0)


if __name__ == "__main__":
    main()
