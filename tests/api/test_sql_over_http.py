"""Does SQL over HTTP show a tenant its own visible rows, and nothing else of the machine?"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import Running, start, stop
from tests.api.conftest import Answer, Api
from tests.api.test_deletes import create

pytest.importorskip("duckdb")

PATH = "/narfi/api/v1/sql"
CONFIG = """
tenancy: header
limits: {reject_old_samples: false, query_timeout: 4s}
compactor: {interval: 1h, delete_request_cancel_period: 1h}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two tenants with lines in blocks; a line of one is hidden by a delete request."""
    folder = tmp_path_factory.mktemp("sql-http")
    config: Path = folder / "narfi.yaml"
    config.write_text(CONFIG)
    running = start(folder / "data", config, folder / "log")
    now = time.time_ns() - 60 * 10**9
    for tenant in ("mine", "other"):
        api = Api(running.url, tenant, running.grpc)
        lines = [json.dumps({"status": 200 + k % 3, "of": tenant, "k": k}) for k in range(1500)]
        api.push({"app": "api"}, *lines, "secret line", ts_ns=now)
        assert api.send("POST", "/flush", b"", {}).status == 204
    mine, second = Api(running.url, "mine", running.grpc), now // 10**9
    asked = {"query": '{app="api"} |= "secret"', "start": str(second - 5), "end": str(second + 9)}
    assert create(mine, **asked).status == 204
    yield running
    stop(running)


@pytest.fixture
def mine(server: Running) -> Api:
    """A tenant."""
    return Api(server.url, "mine", server.grpc)


def ask(api: Api, sql: str, **more: object) -> Answer:
    """Run a statement."""
    body = json.dumps({"sql": sql, **more}).encode()
    return api.send("POST", PATH, body, {"Content-Type": "application/json"})


def answer(api: Api, sql: str, **more: object) -> Any:
    """What a statement gives."""
    found = ask(api, sql, **more)
    assert found.status == 200, found.text
    return found.json


def test_tables_and_rows(mine: Api) -> None:
    tables = {table["name"]: table for table in mine.get(f"{PATH}/tables").json["tables"]}
    assert tables["logs"]["rows"] == 1500
    assert {"name": "line", "type": "VARCHAR"} in tables["logs"]["columns"]
    shape = next(name for name in tables if name.startswith("shape_json"))
    found = answer(mine, f"select status, count(*) n from {shape} group by 1 order by 1")
    assert [column["name"] for column in found["columns"]] == ["status", "n"]
    assert found["rows"] == [[200, 500], [201, 500], [202, 500]]
    assert (found["truncated"], found["warnings"]) == (False, [])


def test_values_of_every_kind(mine: Api) -> None:
    sql = (
        "select 1::tinyint a, 2::hugeint * 10::hugeint ** 20 b, 1.5::double c, true d, null e, "
        "'x' f, [1, 2] g, {'k': 'v'} h, labels i, 'nan'::double j, 1.25::decimal(9, 2) k "
        "from logs limit 1"
    )
    (row,) = answer(mine, sql)["rows"]
    labels = {"app": "api", "service_name": "api"}
    assert row[:6] == [1, 2e20, 1.5, True, None, "x"] or row[1] == "200000000000000000000"
    assert row[6:9] == [[1, 2], {"k": "v"}, labels]
    assert row[9:] == ["nan", 1.25]


def test_only_visible_rows_of_the_tenant(mine: Api) -> None:
    (hidden,) = answer(mine, "select count(*) from logs where line like '%secret%'")["rows"]
    assert hidden == [0]
    (foreign,) = answer(mine, "select count(*) from logs where line like '%other%'")["rows"]
    assert foreign == [0]
    other = replace(mine, tenant="other")
    (seen,) = answer(other, "select count(*) from logs where line like '%secret%'")["rows"]
    assert seen == [1]


def test_a_limit_of_rows(mine: Api) -> None:
    found = answer(mine, "select line from logs", limit=7)
    assert (len(found["rows"]), found["truncated"]) == (7, True)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from narfi_hidden",
        "copy (select 1) to '/tmp/narfi-sql-was-here'",
        "attach '/tmp/narfi-sql-was-here.db'",
        "install httpfs",
        "set memory_limit = '9GB'",
        "select 1; drop view logs",
        "select no_such_column from logs",
    ],
)
def test_what_is_refused(mine: Api, sql: str) -> None:
    assert ask(mine, sql).status == 400
    assert not Path("/tmp/narfi-sql-was-here").exists()


def test_it_ends_with_its_time(mine: Api) -> None:
    began = time.process_time()
    sql = "select sum(a.range * b.range % 7) from range(10000000) a, range(10000000) b"
    found = ask(mine, sql)
    assert (found.status, "timed out" in found.text) == (504, True), found.text
    assert time.process_time() - began < 4


def test_it_takes_no_more_memory(mine: Api) -> None:
    sql = "select list(range || repeat('x', 20000000)) from range(100000000)"  # full at once
    found = ask(mine, sql)
    assert found.status == 400
    assert "memory" in found.text.lower()


def test_what_cannot_be_read(mine: Api) -> None:
    assert mine.send("POST", PATH, b"{", {}).status == 400
    assert mine.send("POST", PATH, b'{"sql": 7}', {}).status == 400
