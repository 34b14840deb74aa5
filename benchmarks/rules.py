"""What do many rules cost, and what does a heavy one do to others? Over the benchmark's data.

Three parts, each with what came of it: the rules alone; beside them a heavy rule of another tenant,
evaluated without a pause; and the small query of a user, alone, beside the rules, and beside both.

`python -m benchmarks.rules [--groups 200] [--rules 10] [--interval 60] [--minutes 2] [--mb 200]`
"""

import argparse
import json
import re
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data import prepare, streams
from benchmarks.push import cpu_seconds, push
from benchmarks.server import Running, start, stop

CONFIG = """
tenancy: header
limits: {ingestion_rate_mb: 1000.0, ingestion_burst_size_mb: 1000.0}
ruler: {evaluation_interval: 1s}
"""
TENANT, OTHER = "many", "heavy"
HEAVY = """
name: heavy
interval: 1s
rules:
- record: heavy:requests
  expr: 'sum by (status) (count_over_time({app=~".+"} | json | __error__="" [1h]))'
"""
SMALL = 'sum by (pod) (count_over_time({app="api", pod="api-03"} |= "error" [5m]))'
USER_PAUSE_S = 0.25


def _send(url: str, tenant: str, body: bytes | None = None) -> bytes:
    headers = {"X-Scope-OrgID": tenant, "Content-Type": "application/yaml"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=120) as answer:
        found: bytes = answer.read()
    return found


def _apps() -> list[str]:
    texts = (re.findall(r'app="([^"]+)"', text) for text, _ in streams())
    return sorted({app for found in texts for app in found})


def _group(number: int, rules: int, interval: int, apps: list[str]) -> str:
    """Errors, shares and counts by pod, half of them recorded; thresholds that some pass."""
    text = f"name: g{number}\ninterval: {interval}s\nrules:\n"
    for k in range(rules):
        app = f'{{app="{apps[(number + k) % len(apps)]}"}}'
        if k % 2:
            text += f"- record: 'r:{k}'\n  expr: 'sum by (pod) (rate({app}[5m]))'\n"
        else:
            expr = f'sum by (pod) (count_over_time({app} |= "error" [5m])) > {20 * k}'
            text += f"- alert: A{k}\n  for: 2m\n  expr: '{expr}'\n"
    return text


def _metric(text: str, name: str, user: str) -> float:
    lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for labels, value in lines if f'user="{user}"' in labels)


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


@dataclass
class Watched:
    """A while: what the user waited, how long evaluations took, and what the process spent."""

    running: Running
    seconds: float
    user_s: list[float] = field(default_factory=list)
    evaluations_s: list[float] = field(default_factory=list)
    cpu_share: float = 0.0

    def watch(self) -> None:
        """Ask as a user does, until the time is over."""
        until, cpu = time.monotonic() + self.seconds, cpu_seconds(self.running.process.pid)
        stopping = threading.Event()
        looking = threading.Thread(target=self._look, args=(stopping,))
        looking.start()
        asked = urllib.parse.urlencode({"query": SMALL})
        while time.monotonic() < until:
            began = time.perf_counter()
            _send(f"{self.running.url}/loki/api/v1/query?{asked}", TENANT)
            self.user_s.append(time.perf_counter() - began)
            time.sleep(USER_PAUSE_S)
        stopping.set()
        looking.join()
        self.cpu_share = (cpu_seconds(self.running.process.pid) - cpu) / self.seconds

    def _look(self, stopping: threading.Event) -> None:
        """Each evaluation's time as the API tells it, every rule's last one a few times."""
        seen: set[tuple[str, str, str]] = set()
        while not stopping.wait(self.seconds / 6):
            answer = _send(f"{self.running.url}/prometheus/api/v1/rules", TENANT)
            for group in json.loads(answer)["data"]["groups"]:
                for rule in group["rules"]:
                    key = (group["name"], rule["name"], rule["lastEvaluation"])
                    if rule["health"] != "unknown" and key not in seen:
                        seen.add(key)
                        self.evaluations_s.append(rule["evaluationTime"])

    def show(self, what: str) -> None:
        """One line."""
        user = [1000 * _percentile(self.user_s, share) for share in (0.5, 0.99)]
        rules = [1000 * _percentile(self.evaluations_s, share) for share in (0.5, 0.99)]
        print(
            f"{what}: user {user[0]:.1f} ms, p99 {user[1]:.1f}; evaluation {rules[0]:.1f} ms, "
            f"p99 {rules[1]:.1f}; CPU {100 * self.cpu_share:.0f} % of a core"
        )


def _slots(running: Running, tenant: str) -> tuple[float, float, float]:
    """Slots, those that were missed, and evaluations that failed."""
    text = _send(f"{running.url}/metrics", tenant).decode()
    prefix = "loki_prometheus_rule"
    names = ("group_iterations_total", "group_iterations_missed_total", "evaluation_failures_total")
    slots, missed, failed = (_metric(text, f"{prefix}_{name}", tenant) for name in names)
    return slots, missed, failed


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    for name, default in (
        ("groups", 200), ("rules", 10), ("interval", 60), ("minutes", 2), ("mb", 200),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    seconds = 60.0 * given.minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "narfi.yaml"
        config.write_text(CONFIG)
        running = start(folder / "data", config, log=folder / "log")
        try:
            data = prepare(folder, given.mb * 10**6, time.time_ns() + int(3 * seconds * 1e9))
            for tenant in (TENANT, OTHER):
                push(running.url, data, tenant=tenant)
            alone = Watched(running, 20.0)
            alone.watch()
            alone.show("no rules")
            for number in range(given.groups):
                body = _group(number, given.rules, given.interval, _apps()).encode()
                _send(f"{running.url}/loki/api/v1/rules/ns", TENANT, body)
            time.sleep(given.interval)
            many = Watched(running, seconds)
            many.watch()
            many.show(f"{given.groups * given.rules} rules each {given.interval} s")
            _send(f"{running.url}/loki/api/v1/rules/ns", OTHER, HEAVY.encode())
            both = Watched(running, seconds)
            both.watch()
            both.show("and a heavy rule of another tenant")
            for tenant in (TENANT, OTHER):
                slots, missed, failed = _slots(running, tenant)
                print(f"{tenant}: {slots:.0f} slots, {missed:.0f} missed, {failed:.0f} failed")
        finally:
            stop(running)


if __name__ == "__main__":
    main()
