"""Does a client see what runs, what it may use, and why its follow was ended?"""

import time
import urllib.parse
from typing import Any

import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from narfi.cli.main import app
from tests.served import Api

QUERIES = "/narfi/api/v1/queries"


def _listen(socket: ClientConnection) -> None:
    """Until it is over."""
    while True:
        socket.recv(timeout=30)


def running(api: Api) -> list[dict[str, Any]]:
    """The tenant's requests that are worked on."""
    found: list[dict[str, Any]] = api.get(QUERIES).json["queries"]
    return found


def test_a_follow_is_seen_and_ended(api: Api) -> None:
    query = '{app="seen"} |= "x"'
    url = api.url.replace("http", "ws") + "/loki/api/v1/tail?"
    url += urllib.parse.urlencode({"query": query})
    with connect(url, additional_headers={"X-Scope-OrgID": api.tenant}) as socket:
        deadline = time.monotonic() + 30
        while not (mine := running(api)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (one,) = mine
        assert (one["query"], one["route"]) == (query, "/loki/api/v1/tail")
        assert one["tenants"] == [api.tenant]
        other = Api(api.url, "somebody-else", api.grpc)
        assert running(other) == []
        assert other.send("DELETE", f"{QUERIES}/{one['id']}", None, {}).status == 404
        done = CliRunner().invoke(
            app, ["queries", "cancel", one["id"], "--addr", api.url, "--org-id", api.tenant, "-q"]
        )
        assert done.exit_code == 0, done.output
        with pytest.raises(ConnectionClosed) as closed:
            _listen(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == f"query {one['id']} was cancelled by anybody"
    recent = api.get(QUERIES).json["recent"]
    assert recent[0]["error"] == f"query {one['id']} was cancelled by anybody"


def test_a_query_that_is_over_cannot_be_ended(api: Api) -> None:
    answer = api.send("POST", f"{QUERIES}/0000/cancel", b"", {})
    assert answer.status == 404
    assert "no query 0000 runs in this process" in answer.text


def test_limits(api: Api) -> None:
    api.push({"app": "limits"}, "one", "two")
    found = api.get("/narfi/api/v1/limits").json
    rows = {row["name"]: row for row in found["limits"]}
    assert found["tenant"] == api.tenant
    assert rows["max_global_streams_per_user"]["used"] == 1
    assert rows["max_concurrent_tail_requests"]["limit"] == 2
    assert rows["max_concurrent_tail_requests"]["setting"] == "limits.max_concurrent_tail_requests"
    process = {row["name"]: row for row in found["process"]}
    assert process["ingester.max_unflushed_bytes"]["used"] > 0
    assert process["querier.query_threads"]["setting"] == "querier.query_threads"


def test_the_commands(api: Api) -> None:
    api.get("/loki/api/v1/labels")
    where = ["--addr", api.url, "-q"]
    done = CliRunner().invoke(app, ["status", *where])
    assert done.exit_code == 0, done.output
    assert "ready" in done.stdout.splitlines()
    for part in ("disk", "journal", "catalog", "objects", "flush", "blocks", "upkeep"):
        assert f" {part} " in done.stdout
    done = CliRunner().invoke(app, ["queries", "--recent", *where, "--org-id", api.tenant])
    assert "/loki/api/v1/labels" in done.stdout
    assert "(ended)" in done.stdout
    assert CliRunner().invoke(app, ["drain", *where]).exit_code == 0
    assert CliRunner().invoke(app, ["queries", "stop", *where]).exit_code == 1


def test_what_the_page_asked_is_seen(api: Api) -> None:
    query = '{app="seen"} |= "y"'
    for name, more in (("facets", {"fields": "app"}), ("histogram", {}), ("fields", {})):
        api.get(f"/narfi/api/v1/{name}", query=query, **more)
        one = api.get(QUERIES).json["recent"][0]
        assert (one["query"], one["route"]) == (query, f"/narfi/api/v1/{name}")
        assert one["error"] is None
