"""Does SIGTERM end the server within its grace, with queries, pushes and follows under way?"""

import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

from benchmarks.server import Running, start, stop

GRACE_S = 3
SLACK_S = 7
"""For a busy machine; the grace of a container is 10 s."""
CONFIG = f"""
server: {{graceful_shutdown_timeout: {GRACE_S}s}}
limits: {{reject_old_samples: false, max_query_series: 100000, ingestion_rate_mb: 100.0,
  ingestion_burst_size_mb: 100}}
"""
HEAVY = (
    'sum(count_over_time({app="a"} '
    '| line_format `{{ repeat 3000 __line__ | replace "n" "m" | upper }}` |= "never" [1h]))'
)


def body_of(app: str, count: int) -> bytes:
    now = time.time_ns()
    values = [[str(now - k * 1000), f"n={k} x={k % 7}"] for k in range(count)]
    return json.dumps({"streams": [{"stream": {"app": app}, "values": values}]}).encode()


def head(size: int) -> bytes:
    return (
        b"POST /loki/api/v1/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size
    )


def dial(running: Running) -> socket.socket:
    port = int(running.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def push(running: Running, body: bytes) -> bytes:
    with dial(running) as client:
        client.sendall(head(len(body)) + body)
        return client.recv(100)


def heavy(running: Running, answers: list[tuple[int, str]]) -> None:
    """A query that goes on for long."""
    now = time.time()
    asked = {"query": HEAVY, "start": now - 9000, "end": now + 60, "step": "1"}
    url = f"{running.url}/loki/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            answers.append((answer.status, ""))
    except urllib.error.HTTPError as error:
        answers.append((error.code, error.read().decode()))
    except OSError:
        answers.append((0, "the connection was closed"))


def metric(running: Running, name: str) -> float:
    with urllib.request.urlopen(f"{running.url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_a_stop_with_work_under_way(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG)
    running = start(tmp_path / "data", config, tmp_path / "log")
    assert push(running, body_of("a", 20_000)).startswith(b"HTTP/1.1 204 ")
    answers: list[tuple[int, str]] = []
    queries = [threading.Thread(target=heavy, args=(running, answers)) for _ in range(8)]
    for query in queries:
        query.start()
    tail = connect(running.url.replace("http", "ws") + '/loki/api/v1/tail?query={app="b"}')
    body, other = body_of("b", 1000), b"x" * 1000
    with dial(running) as late, dial(running) as half, tail:
        late.sendall(head(len(body)) + body[:-100])
        half.sendall(head(2 * len(other)) + other)
        wanted = len(body) - 100 + len(other)
        until = time.monotonic() + 60
        while metric(running, "narfi_inflight_request_bytes") < wanted:
            assert time.monotonic() < until
        running.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        late.sendall(body[-100:])
        assert late.recv(100).startswith(b"HTTP/1.1 204 ")
        assert half.recv(100)[:13] in (b"", b"HTTP/1.1 408 ")  # never whole
        assert running.process.wait(60) == 0
        assert time.monotonic() - began < GRACE_S + SLACK_S
    for query in queries:
        query.join()
    assert {status for status, _ in answers} <= {0, 200, 503}
    assert any("the server is stopping" in told for _, told in answers)
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    running = start(tmp_path / "data", config, tmp_path / "log")
    asked = urllib.parse.urlencode({"query": 'sum(count_over_time({app="b"}[1h]))'})
    with urllib.request.urlopen(f"{running.url}/loki/api/v1/query?{asked}", timeout=60) as answer:
        assert json.load(answer)["data"]["result"][0]["value"][1] == "1000"
    assert stop(running) == 0
