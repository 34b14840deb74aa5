"""Does a server leave pandas alone where it is installed? Arrow would import it by itself."""

import importlib.util
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pandas") is None, reason="pandas is not installed"
)


def loaded(pid: int) -> bool:
    """Whether the process has mapped a library of pandas."""
    return "/pandas/" in Path(f"/proc/{pid}/maps").read_text()


def ask(server: Running, path: str, body: bytes | None = None) -> bytes:
    """A request that is expected to succeed."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(server.url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from error
    return found


def test_arrow_imports_it_by_itself() -> None:
    code = (
        "import pyarrow as pa; pa.array([1]); print('/pandas/' in open('/proc/self/maps').read())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True", "else the server has nothing to avoid"


def test_push_flush_and_queries_do_not_load_pandas(tmp_path: Path) -> None:
    server = start(tmp_path / "data", log=tmp_path / "log")
    try:
        now = time.time_ns()
        values = [[str(now + k), f"level=info n={k} took={k % 7}ms"] for k in range(3000)]
        push = {"streams": [{"stream": {"app": "a"}, "values": values}]}
        ask(server, "/loki/api/v1/push", json.dumps(push).encode())
        ask(server, "/flush", b"")
        for query in (
            '{app="a"} |= "n=2999"',
            'sum by (level) (count_over_time({app="a"} | logfmt | n > 10 [1h]))',
            'quantile_over_time(0.9, {app="a"} | logfmt | unwrap n [1h])',
        ):
            text = urllib.parse.urlencode({"query": query})
            found = json.loads(ask(server, f"/loki/api/v1/query_range?{text}"))
            assert found["data"]["result"], query
        assert not loaded(server.process.pid)
    finally:
        stop(server)
