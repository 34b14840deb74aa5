"""Can anybody read what a running server stored? `narfi sql`, plain DuckDB, pandas; docs/sql.md."""

import csv
import io
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.push import flush
from benchmarks.server import Running, start, stop

duckdb = pytest.importorskip("duckdb")

LINES = 1500
PAGE = Path(__file__).parents[2] / "docs/sql.md"


def _push(url: str, now: int) -> None:
    """JSON lines of an API, logfmt lines of a worker, and a line that is like no other."""
    api = [
        json.dumps({"level": "info", "status": 200 + k % 5, "path": f"/p/{k}", "took_ms": k / 4})
        for k in range(LINES)
    ]
    worker = [f'level=warn queue=q{k % 3} dur={k}ms msg="job {k} done"' for k in range(LINES)]
    streams = [
        {
            "stream": {"app": app},
            "values": [[str(now - 10**9 * 60 + k), line] for k, line in enumerate(lines)],
        }
        for app, lines in (("api", api), ("worker", worker), ("odd", ["one of a kind"]))
    ]
    body = json.dumps({"streams": streams}).encode()
    request = urllib.request.Request(
        f"{url}/loki/api/v1/push", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).read()


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same with blocks of format 2."""
    running = start(
        tmp_path_factory.mktemp("sql") / "data", settings={"INGESTER__BLOCK_FORMAT": "2"}
    )
    _push(running.url, time.time_ns())
    flush(running.url)
    yield running
    stop(running)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same with blocks of format 3."""
    running = start(
        tmp_path_factory.mktemp("sql3") / "data", settings={"INGESTER__BLOCK_FORMAT": "3"}
    )
    _push(running.url, time.time_ns())
    flush(running.url)
    yield running
    stop(running)


@pytest.fixture(params=["shapes", "families"])
def server(request: pytest.FixtureRequest) -> Running:
    """Each of them in turn."""
    found: Running = request.getfixturevalue(request.param)
    return found


def _sql(server: Running, *arguments: str) -> str:
    command = [sys.executable, "-m", "narfi.cli", "sql", "--data-dir", str(server.data_dir)]
    found = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=180, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def _logql_by_status(server: Running) -> dict[int, int]:
    query = 'sum by (status) (count_over_time({app="api"} | json [1h]))'
    url = f"{server.url}/loki/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    found = {int(item["metric"]["status"]): int(item["value"][1]) for item in result}
    assert sum(found.values()) == LINES
    return found


def _api_shape(server: Running) -> str:
    """The file of the API's lines, found as a stranger would: by its columns."""
    files = sorted(
        str(path)
        for pattern in ("shape-*.parquet", "family-*.parquet")
        for path in server.data_dir.rglob(pattern)
    )
    names = {f: duckdb.sql(f"select * from read_parquet('{f}') limit 0").columns for f in files}
    return next(file for file in files if "status" in names[file])


def test_a_block_reads_with_plain_duckdb(server: Running) -> None:
    file = _api_shape(server)
    query = f"select status, count(*) from '{file}' where status is not null group by 1"
    assert dict(duckdb.sql(query).fetchall()) == _logql_by_status(server)


def test_a_shape_joins_its_streams(shapes: Running) -> None:
    shape = _api_shape(shapes)
    streams = Path(shape).with_name("streams.parquet")
    found = duckdb.sql(
        f"select labels['app'], count(*) from '{shape}' join '{streams}' using (stream) group by 1"
    )
    assert found.fetchall() == [("api", LINES)]


def test_a_block_reads_with_pandas(server: Running) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(_api_shape(server))
    assert frame.groupby("status").size().to_dict() == _logql_by_status(server)


def test_narfi_sql_beside_the_server(server: Running) -> None:
    text = _sql(
        server, "select status, count(*) as n from shape_json_1 group by 1 order by 1", "-o", "csv"
    )
    rows = {int(row["status"]): int(row["n"]) for row in csv.DictReader(io.StringIO(text))}
    assert rows == _logql_by_status(server)
    lines = json.loads(_sql(server, "select line from logs where shape is null", "-o", "json"))
    assert lines == [{"line": "one of a kind"}]
    assert "3001" in _sql(server, "select count(*) from logs")


def test_a_family_joins_its_rows_and_streams(families: Running) -> None:
    family = _api_shape(families)
    rows, streams = (Path(family).with_name(f"{name}.parquet") for name in ("rows", "streams"))
    found = duckdb.sql(
        f"select labels['app'], status, count(*), min(ts)::VARCHAR from '{family}' "
        f"join '{rows}' using (row) join '{streams}' using (stream) "
        "where status is not null group by 1, 2"
    ).fetchall()
    assert {app for app, *_ in found} == {"api"}
    assert {status: count for _, status, count, _ in found} == _logql_by_status(families)
    text = _sql(families, "select line, labels['app'] as app from logs", "-o", "csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 2 * LINES + 1
    assert {"app": "odd", "line": "one of a kind"} in lines


def test_its_views_are_listed(server: Running) -> None:
    text = _sql(server, "--tables")
    assert "shape_logfmt_1  1500 rows" in text
    assert "status BIGINT" in text
    listed = [json.loads(line) for line in _sql(server, "--tables", "-o", "jsonl").splitlines()]
    assert listed[0]["view"] == "logs"
    assert 'msg="job <' in next(v["template"] for v in listed if v["view"] == "shape_logfmt_1")


def test_a_time_range_and_another_tenant(server: Running) -> None:
    count = "select count(*) as n from logs"
    assert json.loads(_sql(server, "--to", "2001-01-01T00:00:00Z", count, "-o", "jsonl"))["n"] == 0
    assert json.loads(_sql(server, "--tenant", "other", count, "-o", "jsonl"))["n"] == 0


def test_errors_are_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "narfi.cli", "sql", "--data-dir", str(tmp_path)]
    for arguments in (["select 1"], [], ["--tables", "select 1"]):
        found = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert found.returncode == 1
        assert found.stderr.startswith("narfi: ")
        assert "Traceback" not in found.stderr
    assert not list(tmp_path.iterdir()), "nothing is made in a wrong folder"


def test_other_commands_import_neither_duckdb_nor_numba() -> None:
    code = "import sys, narfi.cli.main; print({'duckdb', 'numba', 'pyarrow'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def _examples() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("query", _examples())
def test_the_examples_of_the_page(shapes: Running, families: Running, query: str) -> None:
    if "family-" in query:
        file = Path(_api_shape(families))
        query = query.replace("FOLDER/family-0.parquet", str(file))
        assert duckdb.sql(query.replace("FOLDER", str(file.parent))).fetchall()
        return
    if "FOLDER" in query:
        file = Path(_api_shape(shapes))
        query = query.replace("FOLDER/shape-0.parquet", str(file))
        assert duckdb.sql(query.replace("FOLDER", str(file.parent))).fetchall()
    else:
        for server in (shapes, families):
            assert _sql(server, query, "-o", "jsonl")
