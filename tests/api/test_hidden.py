"""Does nobody see what was asked to be deleted, from the answer to the request until for ever?

Every endpoint is asked of two tenants: one that pushed everything and deletes, and a twin that
never pushed what shall be gone. They must answer alike; after a cancel, as before the request.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from benchmarks.push import flush
from benchmarks.server import Running, start, stop
from tests.served import Api

CONFIG = """
tenancy: header
limits: {reject_old_samples: false, max_query_length: 0s}
compactor: {interval: 500ms, delete_request_cancel_period: 20s}
"""
PATH = "/loki/api/v1/delete"
NS = 1_000_000_000
START = 1_760_000_000
TIMES = {"start": str(START - 1), "end": str(START + 99)}
SELECTOR = '{app=~"a|whole"}'


@dataclass
class Server:
    """A process, and the next one in its folder."""

    folder: Path
    running: Running

    def tenant(self, name: str) -> Api:
        """Requests of a tenant."""
        return Api(self.running.url, name, self.running.grpc)

    def kill(self) -> None:
        """kill -9, and a new process."""
        self.running.process.kill()
        self.running.process.wait()
        self.running = begin(self.folder)


def begin(folder: Path) -> Running:
    """A process in the folder."""
    config = folder / "narfi.yaml"
    config.write_text(CONFIG)
    return start(folder / "data", config, folder / "log")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """With nothing in it."""
    found = Server(tmp_path, begin(tmp_path))
    yield found
    stop(found.running)


def push(api: Api, first: int, *, secrets: bool) -> None:
    """Ten seconds of lines of three streams; without the secret ones for the twin."""
    for app in ("a", "b", "whole"):
        kept = [f"took={k}ms ok=true user={k % 3}" for k in range(30)]
        if app == "whole":
            kept = []
        doomed = [f"secret {k} of {app}" for k in range(20)] if secrets or app == "b" else []
        if kept or doomed:
            api.push({"app": app}, *kept, *doomed, ts_ns=(START + first) * NS)


def seen(api: Api) -> dict[str, Any]:
    """What every endpoint tells of the streams."""
    asked, at = {"query": SELECTOR, **TIMES}, {"time": str(START + 60)}

    def of(path: str, **parameters: str) -> Any:
        answer = api.get(f"/loki/api/v1/{path}", **parameters)
        assert answer.status == 200, answer.text
        return answer.json

    def value(query: str) -> Any:
        return [one["value"][1] for one in of("query", query=query, **at)["data"]["result"]]

    found = of("query_range", **asked, limit="1000")["data"]["result"]
    some = of("query_range", **asked, limit="5")["data"]["result"]
    filtered = of("query_range", **{**asked, "query": SELECTOR + ' |= "user=1"'})["data"]["result"]
    steps = {**asked, "step": "7", "query": f"sum by (app) (rate({SELECTOR}[20s]))"}
    return {
        "lines": sorted(line for s in found for _, line in s["values"]),
        "newest": [line for s in some for _, line in s["values"]],
        "filtered": sorted(line for s in filtered for _, line in s["values"]),
        "counted": value(f"sum(count_over_time({SELECTOR}[5m]))"),
        "by stream": value(f"sum by (app) (count_over_time({SELECTOR}[5m]))"),
        "read": value(f'sum(count_over_time({SELECTOR} |~ "." [5m]))'),
        "bytes": value(f"sum(bytes_over_time({SELECTOR}[5m]))"),
        "unwrapped": value(f"sum(sum_over_time({SELECTOR} | logfmt | unwrap duration(took) [5m]))"),
        "matrix": [s["values"] for s in of("query_range", **steps)["data"]["result"]],
        "stats": {k: v for k, v in of("index/stats", **asked).items() if k != "chunks"},
        "volume": [v["value"][1] for v in of("index/volume", **asked)["data"]["result"]],
        "volumes": [v["values"] for v in of("index/volume_range", **asked)["data"]["result"]],
        "patterns": of("patterns", **asked)["data"],
        "fields": of("detected_fields", **asked)["fields"],
        "explored": explored(api, asked),
        "other streams": value('sum(count_over_time({app="b"}[5m]))'),
        "history": history(api),
    }


def explored(api: Api, asked: dict[str, str]) -> dict[str, Any]:
    """What the page asks of them."""
    more = {
        "facets": {"fields": "app,user,ok,secret"},
        "histogram": {"by": "app", "buckets": "7"},
        "distribution": {"field": "took"},
        "patterns": {},
    }
    found = {}
    for name, parameters in more.items():
        answer = api.get(f"/narfi/api/v1/{name}", **asked, **parameters)
        assert answer.status == 200, answer.text
        found[name] = answer.json
    return found


def history(api: Api) -> list[str]:
    """What a follower is told of the past."""
    asked = {"query": SELECTOR, "start": str((START - 1) * NS), "limit": "1000"}
    url = api.url.replace("http", "ws") + "/loki/api/v1/tail?" + urllib.parse.urlencode(asked)
    found: list[str] = []
    with connect(url, additional_headers={"X-Scope-OrgID": api.tenant}) as socket:
        while "mark" not in found:
            api.push({"app": "a", "kind": "mark"}, "mark")
            message = json.loads(socket.recv(timeout=60))
            found += [s["values"][0][1] for s in message.get("streams") or []]
    return sorted(line for line in found if line != "mark")


def in_sql(server: Server, tenant: str) -> str:
    """The lines of `narfi sql`."""
    query = "select line from logs where labels['app'] in ('a', 'whole') order by line"
    period = ["--to", "2026-01-01T00:00:00Z", "--tenant", tenant, "--output", "csv", query]
    command = [sys.executable, "-m", "narfi.cli", "sql", "--data-dir", str(server.running.data_dir)]
    done = subprocess.run([*command, *period], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def delete(api: Api, query: str) -> str:
    """Ask for a deletion; its id."""
    asked = urllib.parse.urlencode({"query": query, **TIMES})
    answer = api.send("POST", f"{PATH}?{asked}", b"", {})
    assert answer.status == 204, answer.text
    return answer.headers["x-delete-request-id"]


class Watch(threading.Thread):
    """Counts secret lines all the time; what is there after a moment never comes back."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._api, self._done = server.tenant("all"), threading.Event()
        self.counts: list[tuple[float, int]] = []  # when it was asked; how many there were

    def run(self) -> None:
        """Until it is told to end."""
        while not self._done.is_set():
            began = time.monotonic()
            query = f'sum(count_over_time({SELECTOR} |= "secret" [5m]))'
            answer = self._api.get("/loki/api/v1/query", query=query, time=str(START + 60)).json
            found = answer["data"]["result"]
            self.counts.append((began, int(found[0]["value"][1]) if found else 0))

    def end(self) -> None:
        """Stop asking."""
        self._done.set()
        self.join()


def test_hidden_at_once_and_for_ever(server: Server) -> None:
    pytest.importorskip("duckdb")
    for name in ("all", "twin"):
        push(server.tenant(name), 0, secrets=name == "all")
    flush(server.running.url)  # the first lines are in blocks, the second ones in heads
    for name in ("all", "twin"):
        push(server.tenant(name), 40, secrets=name == "all")
    before, twin = seen(server.tenant("all")), seen(server.tenant("twin"))
    assert before["lines"] != twin["lines"]

    watch = Watch(server)
    watch.start()
    ids = [delete(server.tenant("all"), q) for q in ('{app="a"} |= "secret"', '{app="whole"}')]
    asked_at = time.monotonic()
    assert seen(server.tenant("all")) == twin
    watch.end()
    secrets = sum("secret" in line for line in before["lines"])
    assert {count for at, count in watch.counts if at > asked_at} == {0}
    assert {count for _, count in watch.counts} <= {0, secrets // 2, secrets}, "half a request"
    for request_id in ids:
        answer = server.tenant("all").send("DELETE", f"{PATH}?request_id={request_id}", None, {})
        assert answer.status == 204, answer.text
    assert seen(server.tenant("all")) == before

    for query in ('{app="a"} |= "secret"', '{app="whole"}'):
        delete(server.tenant("all"), query)
    server.kill()
    assert seen(server.tenant("all")) == twin
    flush(server.running.url)
    assert seen(server.tenant("all")) == twin
    assert in_sql(server, "all") == in_sql(server, "twin") != ""
    watch = Watch(server)
    watch.start()
    until = time.monotonic() + 120
    while {r["status"] for r in server.tenant("all").get(PATH).json} != {"processed"}:
        assert time.monotonic() < until
        time.sleep(0.1)
    watch.end()
    assert {count for _, count in watch.counts} == {0}
    assert seen(server.tenant("all")) == twin
    assert in_sql(server, "all") == in_sql(server, "twin")
    assert sum(r["deleted_entries"] for r in server.tenant("all").get(PATH).json) == secrets
