"""Does a server without far storage leave the libraries for it alone? They cost its start."""

import json
import time
import urllib.request
from pathlib import Path

from benchmarks.server import start, stop

LIBRARIES = ("obstore", "psycopg", "libpq", "boto", "ray/")


def test_push_flush_and_query_load_nothing_for_many_processes(tmp_path: Path) -> None:
    server = start(tmp_path / "data", log=tmp_path / "log")
    try:
        values = [[str(time.time_ns()), "line"]]
        push = json.dumps({"streams": [{"stream": {"app": "a"}, "values": values}]}).encode()
        headers = {"Content-Type": "application/json"}
        for path, body in (("/loki/api/v1/push", push), ("/flush", b""), ("/status", None)):
            request = urllib.request.Request(server.url + path, body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
        query = f"{server.url}/loki/api/v1/query_range?query=%7Bapp%3D%22a%22%7D"
        with urllib.request.urlopen(query, timeout=60) as answer:
            assert json.loads(answer.read())["data"]["result"]
        mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "pyarrow" in mapped, "else nothing is shown"
        assert [name for name in LIBRARIES if name in mapped] == []
    finally:
        stop(server)
