"""What do many rules cost? Groups of rules at an interval over pushed lines: CPU, times, misses.

`python -m benchmarks.rules [--groups 200] [--rules 10] [--interval 60] [--minutes 2]`
"""

import argparse
import json
import os
import re
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.server import Running, start, stop

APPS, HOSTS, LINES = 20, 10, 200
CONFIG = "limits: {ingestion_rate_mb: 1000.0, ingestion_burst_size_mb: 1000.0}\n"


def _post(url: str, body: bytes, kind: str) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60):
        pass


def _push(running: Running) -> int:
    now, streams = time.time_ns(), []
    for app in range(APPS):
        for host in range(HOSTS):
            labels = {"app": f"app-{app}", "host": f"host-{host}"}
            values = [
                [str(now - k * 10**9), f'level=error status={k} took={k}ms msg="line {k}"']
                for k in range(LINES)
            ]
            streams.append({"stream": labels, "values": values})
    body = json.dumps({"streams": streams}).encode()
    _post(f"{running.url}/loki/api/v1/push", body, "application/json")
    return APPS * HOSTS * LINES


def _group(number: int, rules: int, interval: int) -> str:
    text = f"name: g{number}\ninterval: {interval}s\nrules:\n"
    for k in range(rules):
        app = f'{{app="app-{(number + k) % APPS}"}} |= "error"'
        text += f"- alert: A{k}\n  expr: sum by (host) (count_over_time({app} [5m])) > {100 * k}\n"
    return text


def _metric(text: str, name: str) -> float:
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    for name, default in (("groups", 200), ("rules", 10), ("interval", 60), ("minutes", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "narfi.yaml"
        config.write_text(CONFIG)
        running = start(Path(folder) / "data", config)
        try:
            lines = _push(running)
            for number in range(given.groups):
                body = _group(number, given.rules, given.interval).encode()
                _post(f"{running.url}/loki/api/v1/rules/ns", body, "application/yaml")
            time.sleep(2)
            cpu, began = _cpu_s(running.process.pid), time.monotonic()
            time.sleep(60 * given.minutes)
            cpu, seconds = _cpu_s(running.process.pid) - cpu, time.monotonic() - began
            with urllib.request.urlopen(f"{running.url}/metrics", timeout=60) as answer:
                text = answer.read().decode()
        finally:
            stop(running)
    prefix = "loki_prometheus_rule"
    count = _metric(text, f"{prefix}_evaluation_duration_seconds_count")
    mean = _metric(text, f"{prefix}_evaluation_duration_seconds_sum") / max(count, 1)
    failed = _metric(text, f"{prefix}_evaluation_failures_total")
    slots = _metric(text, f"{prefix}_group_iterations_total")
    missed = _metric(text, f"{prefix}_group_iterations_missed_total")
    print(f"{given.groups * given.rules} rules each {given.interval} s over {lines} lines")
    print(f"evaluations {count:.0f}, failed {failed:.0f}, mean {1000 * mean:.1f} ms")
    print(f"slots {slots:.0f}, missed {missed:.0f}; CPU {100 * cpu / seconds:.0f} % of a core")


if __name__ == "__main__":
    main()
