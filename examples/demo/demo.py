"""The main job on real input: programs → kubelet-like files → agent → server → LogQL answers.

Starts `narfi serve` with everything embedded, real programs with a rotation in between, and `narfi
agent`; asks questions with `narfi query`, checks the answers against what the programs wrote, and
stops what it started. `--keep-running` keeps serving until Ctrl-C.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from cri_writer import CriWriter

COUNTS = {"api": 400, "worker": 300, "gateway": 300, "orders": 200}
START_S = 240
ARRIVE_S = 120
LINES = 'sum by (container) (count_over_time({job="pods"}[1h]))'

AGENT_CONFIG = """
positions:
  filename: {root}/positions.yaml
clients:
  - url: {url}/loki/api/v1/push
    batchwait: 200ms
scrape_configs:
  - job_name: pods
    static_configs:
      - targets: [localhost]
        labels:
          job: pods
          __path__: {root}/pods/*/*/*.log
    pipeline_stages:
      - cri: {{}}
      - regex:
          source: filename
          expression: '/pods/(?P<namespace>[^_]+)_(?P<pod>[^_]+)_[^/]+/(?P<container>[^/]+)/'
      - labels:
          namespace:
          pod:
          container:
"""


class DemoError(Exception):
    """Something did not work as it must."""


def say(text: str) -> None:
    """Tell what happens."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


class Progress:
    """One line for a thing that takes some seconds; it changes in a terminal only."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._is_live = sys.stdout.isatty()

    def show(self, text: str) -> None:
        """What is being done."""
        if self._is_live and text:
            print(f"\r\033[K   {text}", end="", flush=True)

    def end(self, text: str) -> None:
        """That it is done."""
        start = "\r\033[K" if self._is_live else ""
        print(f"{start}   {text} after {time.monotonic() - self._began:.0f} s", flush=True)


def port(wanted: int) -> int:
    """The wanted port when it is free, else another."""
    for candidate in (wanted, 0):
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", candidate))
                return int(found.getsockname()[1])
            except OSError:
                continue
    raise DemoError("no free port")


class Demo:
    """What was started, so that all of it is stopped."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"http://127.0.0.1:{port(3100)}"
        self.grpc = f"127.0.0.1:{port(9095)}"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        """Start a narfi command in the background."""
        sink = (self.root / log).open("wb")
        command = [sys.executable, "-m", "narfi.cli", *arguments]
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
        self._started.append(process)
        return process

    def stop(self) -> None:
        """End everything, the last started first."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._started):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_ready(self, server: subprocess.Popen[bytes]) -> None:
        """Wait for /ready; what the server is doing is one line that changes."""
        progress, deadline = Progress(), time.monotonic() + START_S
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise DemoError((self.root / "server.log").read_text())
            text = self._state()
            if text == "ready":
                progress.end(f"ready at {self.url}")
                return
            progress.show(text)
            time.sleep(0.2)
        raise DemoError("the server did not become ready")

    def _state(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=5) as answer:
                return str(answer.read().decode().strip())
        except urllib.error.HTTPError as error:
            return str(error.read().decode().strip())
        except OSError:
            return ""

    def ask(self, *arguments: str) -> str:
        """Run a narfi query command and return its output."""
        command = [sys.executable, "-m", "narfi.cli", *arguments, "--addr", self.url, "--quiet"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode:
            raise DemoError(f"{' '.join(arguments)}: {found.stderr}")
        return found.stdout

    def vector(self, query: str) -> dict[str, float]:
        """An instant query as label text to value."""
        found = json.loads(self.ask("instant-query", query))
        return {
            ", ".join(f"{k}={v}" for k, v in sorted(item["metric"].items())): float(
                item["value"][1]
            )
            for item in found
        }


def write_logs(demo: Demo) -> dict[str, int]:
    """Run the programs; returns the lines of each container."""
    is_read = threading.Event()
    writers = [
        CriWriter(demo.root, name, count, count // 2, is_read) for name, count in COUNTS.items()
    ]
    for writer in writers:
        writer.start()
    deadline = time.monotonic() + START_S
    while len(demo.vector(LINES)) < len(COUNTS) and time.monotonic() < deadline:
        time.sleep(0.5)
    is_read.set()
    for writer in writers:
        writer.join()
    return {writer.name: writer.lines for writer in writers}


def wait_for_lines(demo: Demo, written: dict[str, int]) -> None:
    """Until every line that was written is found."""
    deadline = time.monotonic() + ARRIVE_S
    found: dict[str, float] = {}
    while time.monotonic() < deadline:
        found = demo.vector(LINES)
        if found == {f"container={name}": float(n) for name, n in written.items()}:
            return
        time.sleep(0.5)
    raise DemoError(f"lines are missing or too many: wrote {written}, found {found}")


def show_answers(demo: Demo) -> None:
    """Ask three questions and print what comes back."""
    query = '{container="orders"} |= "failed"'
    say(f"narfi query '{query}' --limit 3")
    lines = demo.ask("query", query, "--limit", "3")
    print("\n".join(line[:150] for line in lines.splitlines()))
    if len(lines.splitlines()) != 3:
        raise DemoError("three failed orders were expected")

    for query in (
        'sum by (container) (rate({job="pods"}[5m]))',
        'sum by (status) (count_over_time({container="api"} | json [1h]))',
        'sum by (level) (count_over_time({container="worker"} | logfmt [1h]))',
    ):
        say(f"narfi instant-query '{query}'")
        answer = demo.vector(query)
        if not answer:
            raise DemoError("no answer")
        for labels, value in sorted(answer.items()):
            print(f"   {labels:<28} {value:g}")


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep-running", action="store_true")
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="narfi-demo-"))
    demo = Demo(root)
    try:
        return run(demo, keep=given.keep_running)
    except DemoError as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        demo.stop()
        shutil.rmtree(root, ignore_errors=True)


def run(demo: Demo, *, keep: bool) -> int:
    """The story."""
    began = time.monotonic()
    say(f"narfi serve --data-dir {demo.root}/data")
    address = demo.url.removeprefix("http://")
    server = demo.start(
        "serve", "--data-dir", f"{demo.root}/data", "--http", address, "--grpc", demo.grpc,
        log="server.log",
    )  # fmt: skip
    demo.wait_ready(server)

    say("narfi agent --config agent.yaml, and four programs that log (each file rotates once)")
    config = demo.root / "agent.yaml"
    config.write_text(AGENT_CONFIG.format(root=demo.root, url=demo.url))
    demo.start("agent", "--config", str(config), log="agent.log")
    written = write_logs(demo)
    print("   lines written: " + ", ".join(f"{name} {n}" for name, n in written.items()))
    wait_for_lines(demo, written)
    passed = time.monotonic() - began
    print(f"   every line is there, once: answered {passed:.0f} s after the start")
    show_answers(demo)

    say("The page")
    print(f"   open {demo.url}/ui/ in a browser")
    say("Grafana")
    print(f"   add a data source of type Loki with the URL {demo.url}")
    if keep:
        print("\nserving until Ctrl-C …", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        while server.poll() is None:
            time.sleep(0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
