"""What does somebody see who starts the server, rightly or wrongly?"""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop

NARFI = (sys.executable, "-m", "narfi.cli")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command that is expected to end."""
    command = [*NARFI, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with defaults."""
    running = start(tmp_path_factory.mktemp("server") / "data")
    yield running
    stop(running)


def get(server: Running, path: str, **parameters: str) -> tuple[int, str]:
    """Status and text."""
    url = f"{server.url}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def push(server: Running, body: bytes) -> tuple[int, str]:
    """A JSON push."""
    request = urllib.request.Request(
        f"{server.url}/loki/api/v1/push", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("servr: {}", "unknown key 'servr'"),
        ("server: {http: 5, x: 1}", "server"),
        ("limits: {max_lin_size: 1KB}", "unknown limit 'max_lin_size'"),
        ("limits: {query_timeout: soon}", "not a duration"),
        ("ingester: {flush_bytes: many}", "not a size"),
        ("a: [", "narfi.yaml:1: not valid YAML"),
        ("querier: {rules_off: [no-such-rule]}", "no-such-rule"),
        ("compactor: {min_free_disk: 105%}", "not a share of a disk"),
        ("limits: {retention_stream: [{selector: '{a=', period: 24h}]}", "invalid labels matchers"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "narfi.yaml"
    file.write_text(text)
    anywhere = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")  # others may have the usual ones
    result = run("serve", "--config", str(file), "--data-dir", str(tmp_path / "data"), *anywhere)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_configuration(tmp_path: Path) -> None:
    result = run("serve", "--config", str(tmp_path / "absent.yaml"))
    assert result.returncode == 1
    assert "cannot be read" in result.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = run("serve", "--http", address, "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert f"address {address} is in use" in result.stderr


def test_an_open_address_needs_a_word(tmp_path: Path) -> None:
    result = run("serve", "--http", "0.0.0.0:0", "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert "--insecure" in result.stderr
    assert "auth.enabled" in result.stderr


def test_a_data_folder_in_use(server: Running) -> None:
    result = run(
        "serve",
        "--data-dir",
        str(server.data_dir),
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
    )
    assert result.returncode == 1
    assert "another process uses the journal" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_and_nothing_is_lost(tmp_path: Path, number: int) -> None:
    running = start(tmp_path / "data")
    now = time.time_ns()
    body = {"streams": [{"stream": {"app": "x"}, "values": [[str(now), "kept"]]}]}
    assert push(running, json.dumps(body).encode())[0] == 204
    running.process.send_signal(number)
    assert running.process.wait(60) == 0
    running = start(tmp_path / "data")
    assert "kept" in get(running, "/loki/api/v1/query_range", query='{app="x"}')[1]
    stop(running)


def test_ready(server: Running) -> None:
    assert get(server, "/ready") == (200, "ready\n")


def test_metrics_and_config(server: Running) -> None:
    assert "narfi_unflushed_bytes" in get(server, "/metrics")[1]
    assert "tenancy: single" in get(server, "/config")[1]


def test_status(server: Running) -> None:
    status, text = get(server, "/status")
    assert status == 200
    assert json.loads(text)["losses"] == {"count": 0, "newest": []}


def test_unknown_path_and_wrong_query(server: Running) -> None:
    assert get(server, "/nothing") == (404, "404 page not found\n")
    status, text = get(server, "/loki/api/v1/query_range", query="{app=")
    assert status == 400
    assert text.startswith("parse error at line 1, col 6: syntax error")


def test_good_entries_of_a_push_with_bad_ones_are_kept(server: Running) -> None:
    now = time.time_ns()
    values = [[str(now), "good"], [str(now - 10**18), "far too old"]]
    body = {"streams": [{"stream": {"app": "mixed"}, "values": values}]}
    status, text = push(server, json.dumps(body).encode())
    assert status == 400
    assert "timestamp too old" in text
    found = get(server, "/loki/api/v1/query_range", query='{app="mixed"}')[1]
    assert "good" in found
    assert "far too old" not in found


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"streams": 1}', b"\xff\xfe"])
def test_bad_bodies_are_refused(server: Running, body: bytes) -> None:
    status, text = push(server, body)
    assert status in (400, 422), text


def test_the_query_command(server: Running) -> None:
    now = time.time_ns()
    body = {"streams": [{"stream": {"app": "cli"}, "values": [[str(now), "hello cli"]]}]}
    assert push(server, json.dumps(body).encode())[0] == 204
    found = run("query", "--addr", server.url, '{app="cli"}')
    assert found.returncode == 0
    assert "hello cli" in found.stdout
    wrong = run("query", "--addr", server.url, '{app="cli"')
    assert wrong.returncode == 1
    assert "parse error" in wrong.stderr
    away = run("query", "--addr", "http://127.0.0.1:9", '{app="cli"}')
    assert away.returncode == 1
    assert "Traceback" not in away.stderr


def test_check_config(tmp_path: Path) -> None:
    file = tmp_path / "narfi.yaml"
    file.write_text("tenancy: header\n")
    assert run("check-config", str(file)).returncode == 0
    file.write_text("tenancy: none\n")
    assert run("check-config", str(file)).returncode == 1


def test_the_example_configuration() -> None:
    example = Path(__file__).parents[2] / "examples/narfi.yaml"
    assert run("check-config", str(example)).returncode == 0
